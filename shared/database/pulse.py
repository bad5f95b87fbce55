"""Keeps a claim alive from a thread of its own while the real work runs, and tells the work when to stop."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from shared.database.work import Claim, WorkRows
from shared.errors import Cancelled, LeaseLost

log = structlog.get_logger()


class Notes(Protocol):
    """What the work tells beside its progress, written with the heartbeats and so under the same fence."""

    def reported(self, percent: float, step: str) -> None:
        """Hear of progress, in the thread that made it."""
        ...

    def say(self, message: str, level: str = "info") -> None:
        """Note a line."""
        ...

    def columns(self, percent: float | None, /) -> dict[str, Any]:
        """Return further columns of the row at this progress."""
        ...

    def carried(self) -> AbstractContextManager[Sequence[SQLModel]]:
        """Hand out the rows to be inserted; they count as written when the block ends without an error."""
        ...


class NoNotes:
    """Work that tells nothing but its progress."""

    def reported(self, percent: float, step: str) -> None:
        """Hear of progress."""

    def say(self, message: str, level: str = "info") -> None:
        """Note a line."""

    def columns(self, _percent: float | None, /) -> dict[str, Any]:
        """Return no columns."""
        return {}

    def carried(self) -> AbstractContextManager[Sequence[SQLModel]]:
        """Hand out no rows."""
        return nullcontext(())


class Pulse:
    """Renews a claim every `every_seconds` inside a `with` block; the work calls `report` or `check` now and then.

    Progress is written with the next heartbeat, so that reporting costs the work nothing.
    """

    def __init__(
        self,
        work: WorkRows,
        claim: Claim[Any],
        *,
        lease_seconds: float,
        every_seconds: float,
        notes: Notes | None = None,
    ) -> None:
        """Prepare to renew `claim`; the thread starts with the block."""
        self._work = work
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._every_seconds = every_seconds
        self._notes = notes or NoNotes()
        self._news: tuple[float | None, str | None] = (None, None)
        self._ended = threading.Event()
        self._beating = threading.Lock()  # one beat at a time, so that none writes an older step over a newer one
        self.lost = threading.Event()
        self.cancel_requested = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pulse-{claim.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, percent: float, step: str) -> None:
        """Note progress, 0 to 100, and what is being done; it is written with the next heartbeat."""
        self._news = (percent, step)
        self._notes.reported(percent, step)

    def say(self, message: str, level: str = "info") -> None:
        """Note a line, where the work keeps lines; it is written with the next heartbeat."""
        self._notes.say(message, level)

    def check(self) -> None:
        """Raise when the work must stop.

        Raises:
            LeaseLost: another worker owns the row now.
            Cancelled: a person asked for it.
        """
        if self.lost.is_set():
            raise LeaseLost(f"The work {self._claim.id} was taken over or ended while {self._claim.worker} held it.")
        if self.cancel_requested.is_set():
            raise Cancelled(f"The work {self._claim.id} was cancelled on request.")

    def enter(self, percent: float, step: str) -> None:
        """Write progress at once and learn whether the work may go on; the step is stored when this returns.

        Raises:
            LeaseLost: another worker owns the row now.
            Cancelled: a person asked for it before this step began.
        """
        self.report(percent, step)
        self._beat()
        self.check()

    def _run(self) -> None:
        while not self._ended.wait(self._every_seconds):
            try:
                self._beat()
            except SQLAlchemyError as error:
                # The lease may still hold: the next beat, or the fenced write at the end, will tell.
                log.warning("work.heartbeat_failed", id=self._claim.id, error=str(error).splitlines()[0])
            if self.lost.is_set():
                return

    def _beat(self) -> None:
        with self._beating, self._notes.carried() as rows:
            percent, step = self._news
            beat = self._work.heartbeat(
                self._claim,
                lease_seconds=self._lease_seconds,
                progress=percent,
                step=step,
                add=rows,
                **self._notes.columns(percent),
            )
        if beat.cancel_requested:
            self.cancel_requested.set()
        if not beat.held:
            if not beat.ended:  # else the work has just ended well, a moment before its pulse
                log.warning("work.lease_lost", id=self._claim.id, worker=self._claim.worker)
            self.lost.set()
