"""What was predicted, written in the background, and what planners decided about it, written at once."""

import queue
import threading
import time
from builtins import list as list_of
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Engine, func, insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlmodel import col, select

from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import Decision, Prediction

log = structlog.get_logger()

FLUSH_SECONDS = 0.4
LARGEST_BATCH = 500
RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0, 4.0)

Answer = dict[str, Any] | Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class LogFigures:
    """How the log has fared since the process started."""

    written: int
    dropped: int
    waiting: int


class PredictionLog:
    """Writes predictions to the database from a thread of its own, so that an answer never waits for a disk.

    The queue is bounded: when the database cannot keep up, or is away for longer than a batch is retried, rows are
    dropped and counted. A crash loses what was recorded in the last second at most.
    """

    def __init__(self, engine: Engine, *, clock: Clock = utc_now, capacity: int = 10_000) -> None:
        """Start the writer on `engine`'s database; `capacity` is how many rows may wait."""
        self._engine = engine
        self._clock = clock
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=capacity)
        self._count = threading.Lock()
        self._written = 0
        self._dropped = 0
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._writer.start()

    def record(
        self,
        *,
        prediction_id: str,
        item_code: str,
        model_version: str,
        status: str,
        quantity: float,
        as_if_unknown: bool,
        answer: Answer,
    ) -> bool:
        """Take one item's prediction; never waits. Return False when it had to be dropped.

        `answer` is the JSON object to keep, or a function that makes it and is called by the writer's thread.
        """
        row = {
            "prediction_id": prediction_id,
            "item_code": item_code[:200],
            "model_version": model_version,
            "status": status,
            "quantity": quantity,
            "as_if_unknown": as_if_unknown,
            "answer": answer,
            "created_at": self._clock(),
        }
        if not self._closing.is_set():
            try:
                self._waiting.put_nowait(row)
            except queue.Full:
                pass
            else:
                return True
        self._drop(1, "the queue is full" if not self._closing.is_set() else "the log is closed")
        return False

    @property
    def figures(self) -> LogFigures:
        """The log's counts."""
        with self._count:
            return LogFigures(written=self._written, dropped=self._dropped, waiting=self._waiting.qsize())

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Write what waits, and stop; later records, and rows that were not written in time, count as dropped."""
        self._closing.set()
        self._writer.join(timeout_seconds)
        left = 0
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
            left += 1
        if left:
            self._drop(left, "the log was closed before they could be written")

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            batch = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> list_of[dict[str, Any]]:
        """Wait for a first row, then gather what comes until the flush is due, the batch full or the log closing."""
        try:
            batch = [self._waiting.get(timeout=FLUSH_SECONDS)]
        except queue.Empty:
            return []
        due = time.monotonic() + FLUSH_SECONDS
        while len(batch) < LARGEST_BATCH:
            rest = 0.0 if self._closing.is_set() else due - time.monotonic()
            try:
                batch.append(self._waiting.get(timeout=rest) if rest > 0 else self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, batch: list_of[dict[str, Any]]) -> None:
        rows = self._made(batch)
        if not rows:
            return
        for pause in (*RETRY_SECONDS, None):
            try:
                with writing(self._engine) as session:
                    session.execute(insert(Prediction), rows)
            except SQLAlchemyError as error:
                unwritable = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
                if unwritable and len(rows) > 1:  # one row's answer is no JSON: the others must not go with it
                    for row in rows:
                        self._write([row])
                    return
                if unwritable or pause is None:
                    self._drop(len(rows), str(error).splitlines()[0])
                    return
                log.warning("prediction_log.retry", rows=len(rows), error=str(error).splitlines()[0])
                self._closing.wait(pause)  # a closing log hurries through its retries
            else:
                with self._count:
                    self._written += len(rows)
                return

    def _made(self, batch: list_of[dict[str, Any]]) -> list_of[dict[str, Any]]:
        """Call the functions among the answers; one that fails costs its own row only."""
        rows = []
        for row in batch:
            if callable(row["answer"]):
                try:
                    row["answer"] = row["answer"]()
                except Exception as error:  # noqa: BLE001 - the caller's function may raise anything; the row is counted
                    self._drop(1, f"its answer could not be made: {error!r}")
                    continue
            rows.append(row)
        return rows

    def _drop(self, rows: int, why: str) -> None:
        with self._count:
            before = self._dropped
            self._dropped += rows
        if before == 0 or before // 1000 != (before + rows) // 1000:  # not one line for each dropped row
            log.error("prediction_log.dropped", rows=rows, dropped_in_all=before + rows, why=why)


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
        return row

    def list(
        self, *, prediction_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list_of[Decision], int]:
        """Return decisions, newest first, and how many there are in all (on one prediction, when given)."""
        wanted = col(Decision.prediction_id) == prediction_id if prediction_id else col(Decision.id).is_not(None)
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(Decision).where(wanted)).one()
            newest_first = select(Decision).where(wanted).order_by(col(Decision.id).desc())
            rows = session.exec(newest_first.limit(limit).offset(offset)).all()
        return list_of(rows), total

    def prediction(self, prediction_id: str, item_code: str) -> Prediction | None:
        """Return the recorded prediction of one item, or None when it was not (yet) written."""
        mine = (Prediction.prediction_id == prediction_id, Prediction.item_code == item_code)
        with reading(self._engine) as session:
            return session.exec(select(Prediction).where(*mine).limit(1)).first()
