"""Several workers of one role as one: each call goes to the one that has the fewest."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from funchost.errors import ChannelClosed
from funchost.rpc import Reply
from funchost.workers import WorkerSlot

_LOOK_SECONDS = 0.05


class WorkerGroup:
    """The event workers of a host; whoever times out or crashes takes down only what runs in its own process."""

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        """Join the places; there is at least one."""
        self.slots = tuple(slots)
        self._lock = threading.Lock()
        self._calls = dict.fromkeys(range(len(self.slots)), 0)

    def start(self) -> None:
        """Start every worker."""
        for slot in self.slots:
            slot.start()

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until one takes calls; False when none does in time."""
        if len(self.slots) == 1:
            return self.slots[0].wait_ready(timeout_seconds)
        deadline = time.monotonic() + timeout_seconds
        while not any(slot.is_ready for slot in self.slots):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def call(self, method: str, body: dict[str, Any], payload: bytes = b"") -> "tuple[Future[Reply], object]":
        """Call the least busy worker that is ready; also returns a mark for `kill`."""
        with self._lock:
            ready = [number for number, slot in enumerate(self.slots) if slot.is_ready]
            if not ready:
                failed: Future[Reply] = Future()
                failed.set_exception(ChannelClosed("no event worker is running"))
                return failed, None
            number = min(ready, key=self._calls.__getitem__)
            self._calls[number] += 1
        future, mark = self.slots[number].call(method, body, payload)
        future.add_done_callback(lambda _: self._done(number))
        return future, (number, mark)

    def kill(self, mark: object = None) -> None:
        """End the worker that a call went to, if it is still the same; without a mark all of them."""
        if isinstance(mark, tuple):
            number, inner = mark
            self.slots[number].kill(inner)
            return
        for slot in self.slots:
            slot.kill()

    def stop(self, grace_seconds: float) -> None:
        """Ask every worker to end, wait, then end it."""
        stops = [threading.Thread(target=slot.stop, args=(grace_seconds,)) for slot in self.slots]
        for thread in stops:
            thread.start()
        for thread in stops:
            thread.join()

    def _done(self, number: int) -> None:
        with self._lock:
            self._calls[number] -= 1
