"""The host's side of a place for a worker: keeps it filled, and lets one worker take over from another."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from socket import socket
from typing import Any

from funchost import logs
from funchost.errors import ChannelClosed, HostError
from funchost.incarnation import Birth, Incarnation
from funchost.rpc import Answer, Reply, Switchboard
from funchost.spare import Spare

_STABLE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 30.0
_TAKE_OVER_SECONDS = 300  # to load the app and all that it wants to have ready

FromWorker = Callable[["WorkerSlot", Incarnation, str, dict[str, Any], Answer], None]


class WorkerSlot:
    """One place for a worker of a role; whoever fills it is replaced when it ends, or by a successor that it asks for.

    A successor loads the app beside the present worker and takes its place once it is ready; the present one then
    finishes what it has begun and leaves. A successor that cannot take over changes nothing.
    """

    def __init__(
        self,
        *,
        role: str,
        name: str,
        app_dir: Path,
        switchboard: Switchboard,
        on_call: FromWorker,
        on_end: Callable[[float, int | None], None] | None = None,
        listener: socket | None = None,
        log_levels: Mapping[str, str] | None = None,
        log_file: Path | None = None,
        leave_seconds: float = 10.0,
        spare_after_seconds: float = 0.0,
    ) -> None:
        """Prepare the place; `leave_seconds` are what a worker that was succeeded has to finish its requests.

        `spare_after_seconds` is how long `spare.keep` waits; with 0 there is never a spare.
        """
        self.role = role
        self.name = name
        self.restarts = 0
        self._birth = Birth(
            role=role,
            app_dir=app_dir,
            switchboard=switchboard,
            on_call=lambda caller, method, body, answer: on_call(self, caller, method, body, answer),
            listener=listener,
            log_levels=log_levels,
            log_file=log_file,
        )
        self._on_end = on_end or (lambda _lived_seconds, _code: None)
        self._leave_seconds = leave_seconds
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._current: Incarnation | None = None
        self._successor: Incarnation | None = None
        self._leaving: Incarnation | None = None
        self.spare = Spare(self._birth, after_seconds=spare_after_seconds, is_busy=lambda: self._changing)
        self._changing = False  # a successor is on its way, or its predecessor has not left yet
        self._stopping = False
        self._held: list[tuple[Incarnation, Callable[[], None]]] = []
        self._thread = threading.Thread(target=self._keep_filled, name=f"{role}-slot", daemon=True)

    def start(self) -> None:
        """Start the first worker and keep the place filled from then on."""
        self._thread.start()

    @property
    def process_id(self) -> int | None:
        """The id of the present process (its keeper's, where there is one)."""
        current = self._current
        return None if current is None else current.process.pid

    @property
    def is_ready(self) -> bool:
        """Whether a worker has loaded the app and takes calls."""
        current = self._current
        return current is not None and current.ready.is_set()

    def mark_ready(self, worker: Incarnation) -> None:
        """Note that a worker takes calls; a successor takes the place with it."""
        with self._ready:
            worker.ready.set()
            if worker is self._successor and not self._stopping:
                self._leaving, self._current, self._successor = self._current, worker, None
                if self._leaving is not None:
                    self._leaving.call("leave", {"seconds": self._leave_seconds})
            self._ready.notify_all()

    def hold(self, worker: Incarnation, answer: Callable[[], None]) -> None:
        """Keep an answer to a worker until `release_held`; the spare's until it is asked for."""
        with self._lock:
            self._held.append((worker, answer))

    def release_held(self) -> None:
        """Give the answers that were kept, but not the spare's."""
        with self._lock:
            held = [answer for worker, answer in self._held if not self.spare.is_it(worker)]
            self._held = [(worker, answer) for worker, answer in self._held if self.spare.is_it(worker)]
        for answer in held:
            answer()

    def wait_ready(self, timeout_seconds: float) -> bool:
        """Wait until a worker takes calls; False when it does not in time or the place is being closed."""
        with self._ready:
            self._ready.wait_for(lambda: self.is_ready or self._stopping, timeout_seconds)
            return self.is_ready

    def call(self, method: str, body: dict[str, Any], payload: bytes = b"") -> "tuple[Future[Reply], object]":
        """Call the present worker; also returns a mark of this incarnation, for `kill`."""
        current = self._current
        if current is None:
            failed: Future[Reply] = Future()
            failed.set_exception(ChannelClosed(f"no {self.role} worker is running"))
            return failed, None
        return current.call(method, body, payload), current

    def kill(self, mark: object = None) -> None:
        """End the present worker and everything below it at once; with a mark, only if it is still that one."""
        current = self._current
        if current is not None and (mark is None or mark is current):
            current.kill()

    def stop(self, grace_seconds: float) -> None:
        """Ask the worker to end, wait, then end it; nothing takes its place."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
            workers, successor = [one for one in (self._leaving, self._current) if one is not None], self._successor
        if successor is not None:
            successor.kill()
        self.spare.stop()
        deadline = time.monotonic() + max(grace_seconds, 0.05)
        for worker in workers:
            worker.call("stop", {})
        for worker in workers:
            if worker.wait(max(0.0, deadline - time.monotonic())) is None:
                logs.warning("worker.killed", role=self.role, reason="it did not end within the grace period")
                worker.kill()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(6)

    # -- succession

    def raise_successor(self) -> bool:
        """Start another worker that takes over once it is ready; False while one is on its way or cannot be."""
        with self._lock:
            if self._stopping or self._changing or not self.is_ready:
                return False
            self._changing = True
        threading.Thread(target=self._succeed, name=f"{self.role}-successor", daemon=True).start()
        return True

    def _succeed(self) -> None:
        began = time.monotonic()
        complaint = ""
        try:
            complaint = self._await_successor()
            if not complaint:
                logs.info("worker.succeeded", role=self.role, seconds=round(time.monotonic() - began, 3))
                self._see_off()
        except (OSError, HostError) as error:
            complaint = str(error)
        finally:
            with self._lock:
                self._changing = False
        if complaint and not self._stopping:
            logs.error("worker.not_succeeded", role=self.role, reason=complaint)
            self.call("not_succeeded", {"reason": complaint})

    def _await_successor(self) -> str:
        """Return why a successor did not take over, or nothing when it did."""
        spare = self.spare.take()
        successor = spare or Incarnation(self._birth, successor=True)
        with self._lock:
            self._successor = successor
            stopping = self._stopping
        if not stopping:
            if spare is None:
                successor.start()
            else:
                self.release_held()
            deadline = time.monotonic() + _TAKE_OVER_SECONDS
            while time.monotonic() < deadline and not successor.ready.wait(0.05) and successor.wait(0) is None:
                continue
        with self._lock:
            if self._current is successor:
                return ""
            self._successor = None
        code = successor.wait(0)
        successor.end()
        return successor.complaint or (
            f"the next worker was not ready within {_TAKE_OVER_SECONDS} s"
            if code is None
            else f"the next worker ended with exit code {code} before it was ready"
        )

    def _see_off(self) -> None:
        """Wait until the worker that was succeeded has left; end it where it takes too long."""
        leaving = self._leaving
        if leaving is not None and leaving.wait(self._leave_seconds + 5) is None:
            logs.warning("worker.killed", role=self.role, reason="it did not leave in time after it was succeeded")
            leaving.kill()
        self._leaving = None

    # -- the place

    def _keep_filled(self) -> None:
        pause = 0.0
        while not self._stopping:
            began, code = time.monotonic(), None
            try:
                code = self._fill_once()
            except (OSError, HostError) as error:
                logs.error("worker.start_failed", role=self.role, reason=str(error))
            if self._stopping:
                return
            stable = time.monotonic() - began > _STABLE_SECONDS
            pause = 0.0 if stable else min(max(pause * 2, 0.25), _LONGEST_PAUSE_SECONDS)
            self.restarts += 1
            self._on_end(time.monotonic() - began, code)
            logs.warning("worker.restarting", role=self.role, pause_seconds=round(pause, 2))
            with self._ready:
                self._ready.wait_for(lambda: self._stopping, pause)

    def _fill_once(self) -> int | None:
        """Fill the place until the worker in it, or the last of its successors, has ended; return its exit code."""
        worker = self._placed(Incarnation(self._birth))
        while True:
            code = worker.wait()
            with self._ready:
                heir = self._current if self._current is not worker else None
                if heir is None:
                    self._current = None
            if heir is None and not self._stopping:
                logs.error("worker.ended", role=self.role, exit_code=code, process_id=worker.process.pid)
            worker.end()
            if heir is None:
                return code
            worker = heir

    def _placed(self, worker: Incarnation) -> Incarnation:
        """Put a new worker into the place and return it, or the successor that has taken the place meanwhile."""
        with self._ready:
            if (there := self._current) is None:
                self._current = worker
        if there is not None:
            worker.end()
            return there
        worker.start()
        if self._stopping:
            worker.call("stop", {})
        return worker


class CrashLoop:
    """Counts workers that end soon after their start, one after the other; one that lasts begins the count anew."""

    def __init__(self, limit: int) -> None:
        """Take the count that is one loop."""
        self.limit = limit
        self._count = 0
        self._lock = threading.Lock()

    def add(self, lived_seconds: float) -> bool:
        """Count one that has ended; True when that makes a loop."""
        with self._lock:
            self._count = self._count + 1 if lived_seconds < _STABLE_SECONDS else 0
            return self._count >= self.limit


def describe(slots: Sequence[WorkerSlot]) -> dict[str, Any]:
    """Return the workers' state for the status page."""
    return {
        slot.name: {"ready": slot.is_ready, "restarts": slot.restarts, "processId": slot.process_id} for slot in slots
    }
