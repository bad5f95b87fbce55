"""A worker that has loaded the app and waits until a successor is asked for, so that there is less to wait for then."""

import threading
from collections.abc import Callable

from funchost import logs
from funchost.errors import HostError
from funchost.incarnation import Birth, Incarnation

_LOOK_SECONDS = 0.2


class Spare:
    """Of one place for a worker, at most one at a time."""

    def __init__(self, birth: Birth, *, after_seconds: float, is_busy: Callable[[], bool]) -> None:
        """Start none yet; `after_seconds` is how long `keep` waits, with 0 there is never one.

        While `is_busy`, one more worker comes or goes at this place, and the spare waits for its turn.
        """
        self._birth = birth
        self._after_seconds = after_seconds
        self._is_busy = is_busy
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._worker: Incarnation | None = None
        self._is_coming = False

    def keep(self) -> None:
        """Start one after a while, where there is none."""
        with self._lock:
            if not self._after_seconds or self._stopped.is_set() or self._is_coming or self._worker is not None:
                return
            self._is_coming = True
        threading.Thread(target=self._bring, name=f"{self._birth.role}-spare", daemon=True).start()

    def is_it(self, worker: Incarnation) -> bool:
        """Whether a worker is the spare."""
        return worker is self._worker

    def take(self) -> Incarnation | None:
        """Return the spare, which is one no more; None where there is none, or it has ended."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is None or worker.wait(0) is None:
            return worker
        logs.warning("worker.no_spare", role=self._birth.role, reason=worker.complaint or "it has ended")
        worker.end()
        return None

    def stop(self) -> None:
        """End it, and have none from now on."""
        self._stopped.set()
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    def _bring(self) -> None:
        try:
            self._stopped.wait(self._after_seconds)
            while self._is_busy() and not self._stopped.wait(_LOOK_SECONDS):
                continue
            if not self._stopped.is_set():
                self._place(Incarnation(self._birth, successor=True))
        except (OSError, HostError) as error:
            logs.warning("worker.no_spare", role=self._birth.role, reason=str(error))
        finally:
            with self._lock:
                self._is_coming = False

    def _place(self, worker: Incarnation) -> None:
        with self._lock:
            stopped = self._stopped.is_set()
            if not stopped:
                self._worker = worker
        if stopped:
            worker.end()
        else:
            worker.start()
