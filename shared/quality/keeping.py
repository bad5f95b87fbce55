"""How long recorded predictions are kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, delete
from sqlmodel import col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import Prediction, PredictionScore, QualityCycle, WorkState

AT_ONCE = 200  # an answer is some 30 kB: more at once would hold the database up


@dataclass(frozen=True, kw_only=True)
class PredictionTidying:
    """Removes recorded predictions that are too old, a few at a time; their scores stay."""

    engine: Engine
    keep_days: Callable[[], int]
    clock: Clock = utc_now

    def run(self) -> int:
        """Remove the oldest ones that are older than `keep_days` and return how many.

        While the last quality cycle left predictions waiting whose actuals are there, only scored ones are removed.
        """
        before = self.clock() - timedelta(days=self.keep_days())
        old = select(Prediction.id).where(col(Prediction.created_at) < before)
        with reading(self.engine) as session:
            if session.exec(old.limit(1)).first() is None:
                return 0
            if self._some_wait():
                old = old.where(col(Prediction.id).in_(select(PredictionScore.prediction_row)))
            ids = session.exec(old.order_by(col(Prediction.created_at), col(Prediction.id)).limit(AT_ONCE)).all()
        if ids:
            with writing(self.engine) as session:
                session.execute(delete(Prediction).where(col(Prediction.id).in_(ids)))
                known = sorted(row_id for row_id in ids if row_id is not None)
                facts = {"predictions": len(ids), "first_row": known[0], "last_row": known[-1]}
                why = f"older than the {self.keep_days()} days that predictions are kept"
                note(session, "predictions.removed", f"before {before:%Y-%m-%d}", before=facts, reason=why)
        return len(ids)

    def _some_wait(self) -> bool:
        done = select(QualityCycle.metrics).where(col(QualityCycle.state) == WorkState.SUCCEEDED)
        with reading(self.engine) as session:
            metrics = session.exec(done.order_by(col(QualityCycle.created_at).desc()).limit(1)).first()
        return bool(((metrics or {}).get("live") or {}).get("waiting"))
