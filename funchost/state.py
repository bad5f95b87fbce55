"""Whether the host takes work, and how much of it is under way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HostState:
    """Shared by all listeners."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._draining = False
        self._under_way = 0
        self._retries = 0

    @property
    def draining(self) -> bool:
        """Whether an operator has asked the listeners to rest."""
        return self._draining

    @property
    def under_way(self) -> int:
        """How many queue, blob and timer invocations run now."""
        return self._under_way

    @property
    def retries(self) -> int:
        """How many failed timer runs wait to be tried again."""
        return self._retries

    @property
    def takes_work(self) -> bool:
        """Whether listeners may start something new."""
        return not self._draining and not self.stopping.is_set()

    def drain(self) -> None:
        """Start no new work; what runs goes on."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def resume(self) -> bool:
        """Take work again; False when nothing was drained."""
        with self._changed:
            was_draining, self._draining = self._draining, False
            self._changed.notify_all()
        return was_draining

    def stop(self) -> None:
        """Start no new work ever again."""
        with self._changed:
            self.stopping.set()
            self._changed.notify_all()

    def wait_for_work(self, timeout_seconds: float) -> bool:
        """Wait until work may be taken, or the host stops, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: not self._draining or self.stopping.is_set(), timeout_seconds)
            return self.takes_work

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing runs; False when something still does after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._under_way == 0, timeout_seconds)

    def wait_to_retry(self, delay_seconds: float) -> bool:
        """Wait before a failed run is tried again; False when the host stops meanwhile."""
        with self._changed:
            self._retries += 1
        try:
            return not self.stopping.wait(delay_seconds)
        finally:
            with self._changed:
                self._retries -= 1

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count one invocation while the block runs."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
