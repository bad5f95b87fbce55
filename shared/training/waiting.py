"""Doing something that cannot be interrupted, without making its job wait for it."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.database.pulse import Pulse

POLL_SECONDS = 0.1

Result = TypeVar("Result")


class _Call(threading.Thread, Generic[Result]):
    def __init__(self, work: Callable[[], Result], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.result: list[Result] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            self.error = error


def wait_beside(work: Callable[[], Result], pulse: Pulse, *, name: str, deadline: float) -> Result:
    """Return what `work` returns; leave it to itself when the job is cancelled, lost, or out of time.

    Raises:
        Cancelled, LeaseLost: the job must stop.
        TimeoutError: `deadline` (of the monotonic clock) has passed.
    """
    call = _Call(work, name)
    while call.is_alive():
        pulse.check()
        if time.monotonic() >= deadline:
            raise TimeoutError(f"It was still {name} when the job's budget was used up.")
        call.join(POLL_SECONDS)
    if call.error is not None:
        raise call.error
    return call.result[0]
