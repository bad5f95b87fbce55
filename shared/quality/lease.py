"""Keeping a claim alive while work goes on: a thread that renews the lease and hears of a cancellation."""

import threading
from types import TracebackType
from typing import Any

import structlog

from shared.database.work import Claim, WorkRows
from shared.errors import LeaseLost

log = structlog.get_logger()


class LeaseKeeper:
    """Renews a claim's lease every `every_seconds` while its block runs, and reports progress along with it.

    `lost` is set when another worker owns the row; `cancel` when a person asked to stop. A database that does not
    answer for a moment is no loss: the next beat tries again, and the fencing token guards every write.
    """

    def __init__(self, work: WorkRows, claim: Claim[Any], *, lease_seconds: float, every_seconds: float) -> None:
        """Prepare to keep `claim`; the block `with LeaseKeeper(...)` does it."""
        self.lost = threading.Event()
        self.cancel = threading.Event()
        self._work = work
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._every_seconds = every_seconds
        self._note: tuple[float | None, str | None] = (None, None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease-{claim.id}", daemon=True)

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def note(self, progress: float, step: str) -> None:
        """Say how far the work is (percent) and what it does; written with the next beat."""
        self._note = (progress, step)

    def beat(self) -> bool:
        """Renew the lease now; False when another worker owns the row."""
        progress, step = self._note
        answer = self._work.heartbeat(self._claim, lease_seconds=self._lease_seconds, progress=progress, step=step)
        if not answer.held:
            self.lost.set()
        if answer.cancel_requested:
            self.cancel.set()
        return answer.held

    def check(self) -> None:
        """Raise LeaseLost when another worker owns the row now."""
        if self.lost.is_set() or not self.beat():
            raise LeaseLost(
                f"The work {self._claim.id} was taken over by another worker.",
                remedy="Nothing is to be done: the row says who works on it now.",
            )

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds) and not self.lost.is_set():
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - a beat that fails must not end the beating
                log.warning("work.heartbeat_failed", id=self._claim.id, error=str(error))
