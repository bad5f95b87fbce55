"""What was predicted, written in the background, and what planners decided about it, written at once."""

import threading
from builtins import list as list_of
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Engine, func, insert
from sqlmodel import col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import RawJson, reading, writing
from shared.database.tables import Decision, Prediction

log = structlog.get_logger()

FLUSH_SECONDS = 0.4
LARGEST_BATCH = 500  # items written at once, but for an answer that has more
RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0, 4.0)


class AnsweredItem(NamedTuple):
    """One item's prediction."""

    item_code: str
    status: str
    json: bytes  # the whole answer, as it was sent


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answer to one prediction request."""

    prediction_id: str
    model_version: str
    items: Sequence[AnsweredItem]


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    response: Answered
    quantity: float
    as_if_unknown: bool
    at: datetime


class PredictionLog:
    """Writes predictions to the database from a thread of its own, so that an answer never waits for a disk.

    At most `capacity` items wait: when the database cannot keep up, or is away for longer than a batch is retried,
    items are dropped and counted. A crash loses what was recorded in the last second at most.
    """

    def __init__(self, engine: Engine, *, clock: Clock = utc_now, capacity: int = 10_000) -> None:
        """Start the writer on `engine`'s database."""
        self._engine = engine
        self._clock = clock
        self._capacity = capacity
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._written = 0
        self._dropped = 0
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._writer.start()

    def record(self, response: Answered, *, quantity: float, as_if_unknown: bool) -> bool:
        """Take one answer with all its items; never waits for the database. Return False when it was dropped."""
        items = len(response.items)
        entry = _Waiting(response=response, quantity=quantity, as_if_unknown=as_if_unknown, at=self._clock())
        with self._lock:
            taken = not self._closing.is_set() and (self._waiting + items <= self._capacity)
            if taken:
                self._queue.append(entry)
                self._waiting += items
        if not taken:
            self._drop(items, "the log is closed" if self._closing.is_set() else "too many items wait already")
        return taken

    @property
    def written(self) -> int:
        """How many items were written since the process started."""
        return self._written

    @property
    def dropped(self) -> int:
        """How many items were lost since the process started."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._waiting

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Write what waits, and stop; later items, and those that cannot be written in time, count as dropped."""
        with self._lock:
            self._closing.set()
        self._writer.join(timeout_seconds)
        left = sum(len(entry.response.items) for entry in self._take_all())
        if left:
            self._drop(left, "the log was closed before they could be written")

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        """Write what waits, an answer's items always together: who reads one by its id sees all of it or nothing."""
        rows: list_of[dict[str, Any]] = []
        for entry in self._take_all():
            own = self._rows_of(entry)
            if rows and len(rows) + len(own) > LARGEST_BATCH:
                self._write(rows)
                rows = []
            rows += own
        if rows:
            self._write(rows)

    def _take_all(self) -> list_of[_Waiting]:
        with self._lock:
            taken = list_of(self._queue)
            self._queue.clear()
            self._waiting = 0
        return taken

    @staticmethod
    def _rows_of(entry: _Waiting) -> list_of[dict[str, Any]]:
        return [
            {
                "prediction_id": entry.response.prediction_id,
                "item_code": item.item_code[:200],
                "model_version": entry.response.model_version,
                "status": str(item.status),
                "quantity": entry.quantity,
                "as_if_unknown": entry.as_if_unknown,
                "answer": RawJson(item.json.decode()),
                "created_at": entry.at,
            }
            for item in entry.response.items
        ]

    def _write(self, rows: list_of[dict[str, Any]]) -> None:
        for pause in (*RETRY_SECONDS, None):
            try:
                with writing(self._engine) as session:
                    session.execute(insert(Prediction), rows)
            except Exception as error:  # noqa: BLE001 - the writer outlives any failure, and the items are counted
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                if pause is None:
                    self._drop(len(rows), reason)
                    return
                log.warning("prediction_log.retry", rows=len(rows), error=reason)
                self._closing.wait(pause)  # a closing log hurries through its retries
            else:
                with self._lock:
                    self._written += len(rows)
                return

    def _drop(self, items: int, why: str) -> None:
        with self._lock:
            before = self._dropped
            self._dropped += items
        if before == 0 or before // 1000 != (before + items) // 1000:  # not one line for each dropped item
            log.error("prediction_log.dropped", items=items, dropped_in_all=before + items, why=why)


class Decisions:
    """Planners' words on predictions: accepted, edited or rejected."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep decisions in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def insert(
        self,
        *,
        prediction_id: str,
        item_code: str,
        model_version: str | None,
        outcome: str,
        operations: list_of[dict[str, Any]],
        actor: str,
        reason: str = "",
    ) -> Decision:
        """Store one decision, whether or not the prediction's own row survived, and return it with its id."""
        row = Decision(
            prediction_id=prediction_id,
            item_code=item_code[:200],
            model_version=model_version,
            outcome=outcome,
            operations=operations,
            reason=reason[:2000],
            actor=actor[:128],
            created_at=self._clock(),
        )
        with writing(self._engine) as session:
            session.add(row)
            session.flush()
            facts = row.model_dump(include={"id", "item_code", "model_version", "outcome"})
            after = facts | {"operations": len(operations)}
            note(session, "prediction.decided", prediction_id, after=after, actor=actor, reason=reason)
        return row

    def list(
        self,
        *,
        prediction_id: str | None = None,
        item_code: str | None = None,
        outcome: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list_of[Decision], int]:
        """Return decisions that have all that is given, newest first, and how many there are in all."""
        given = {"prediction_id": prediction_id, "item_code": item_code, "outcome": outcome}
        wanted = [getattr(Decision, name) == value for name, value in given.items() if value is not None]
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(Decision).where(*wanted)).one()
            newest_first = select(Decision).where(*wanted).order_by(col(Decision.id).desc())
            rows = session.exec(newest_first.limit(limit).offset(offset)).all()
        return list_of(rows), total
