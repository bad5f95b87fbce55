"""The host's side of a worker process: starts it, restarts it when it ends, ends it with all its children."""

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

from funchost import logs
from funchost.errors import ChannelClosed, HostError
from funchost.rpc import TOKEN_BYTES, Answer, Channel, Reply, Switchboard

_CODE = "import sys; sys.path.append({root!r}); from funchost.worker import main; main()"
_CONNECT_SECONDS = 60
_STABLE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 30.0

FromWorker = Callable[["WorkerSlot", str, dict[str, Any], Answer], None]


@dataclass(kw_only=True)
class _Incarnation:
    process: "subprocess.Popen[bytes]"
    channel: Channel
    ready: threading.Event = field(default_factory=threading.Event)


class WorkerSlot:
    """One place for a worker of a role; whoever fills it is replaced when it ends."""

    def __init__(
        self,
        *,
        role: str,
        name: str,
        app_dir: Path,
        switchboard: Switchboard,
        on_call: FromWorker,
        listener: socket | None = None,
        log_level: str | None = None,
    ) -> None:
        self.role = role
        self.name = name
        self.restarts = 0
        self._app_dir = app_dir
        self._switchboard = switchboard
        self._on_call = on_call
        self._listener = listener
        self._log_level = log_level
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._current: _Incarnation | None = None
        self._stopping = False
        self._held: list[Callable[[], None]] = []
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

    def mark_ready(self) -> None:
        """Note that the present worker takes calls."""
        with self._ready:
            if self._current is not None:
                self._current.ready.set()
            self._ready.notify_all()

    def hold(self, answer: Callable[[], None]) -> None:
        """Keep an answer to the worker until `release_held`."""
        with self._lock:
            self._held.append(answer)

    def release_held(self) -> None:
        """Give the answers that were kept."""
        with self._lock:
            held, self._held = self._held, []
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
        return current.channel.call(method, body, payload), current

    def kill(self, mark: object = None) -> None:
        """End the present worker and everything below it at once; with a mark, only if it is still that one."""
        current = self._current
        if current is not None and (mark is None or mark is current):
            _end(current.process)

    def stop(self, grace_seconds: float) -> None:
        """Ask the worker to end, wait, then end it; nothing takes its place."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        current = self._current
        if current is not None:
            current.channel.call("stop", {})
            try:
                current.process.wait(max(grace_seconds, 0.05))
            except subprocess.TimeoutExpired:
                logs.warning("worker.killed", role=self.role, reason="it did not end within the grace period")
                _end(current.process)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(6)

    def _keep_filled(self) -> None:
        pause = 0.0
        while not self._stopping:
            began = time.monotonic()
            try:
                self._fill_once()
            except (OSError, HostError) as error:
                logs.error("worker.start_failed", role=self.role, reason=str(error))
            if self._stopping:
                return
            stable = time.monotonic() - began > _STABLE_SECONDS
            pause = 0.0 if stable else min(max(pause * 2, 0.25), _LONGEST_PAUSE_SECONDS)
            self.restarts += 1
            logs.warning("worker.restarting", role=self.role, pause_seconds=round(pause, 2))
            with self._ready:
                self._ready.wait_for(lambda: self._stopping, pause)

    def _fill_once(self) -> None:
        token = secrets.token_hex(TOKEN_BYTES)
        expected = self._switchboard.expect(token)
        process = self._spawn(token)
        try:
            connection = self._await_connection(expected, process)
            channel = Channel(connection, self._dispatch, on_close=lambda: None)
            with self._ready:
                self._current = _Incarnation(process=process, channel=channel)
            channel.start(f"{self.role}-channel")
            if self._stopping:
                channel.call("stop", {})
            code = process.wait()
            if not self._stopping:
                logs.error("worker.ended", role=self.role, exit_code=code, process_id=process.pid)
            channel.close()
        finally:
            with self._ready:
                self._current = None
            self._switchboard.forget(token)
            _end(process)
            process.wait()

    def _spawn(self, token: str) -> "subprocess.Popen[bytes]":
        boot: dict[str, Any] = {
            "role": self.role,
            "app_dir": str(self._app_dir),
            "port": self._switchboard.port,
            "token": token,
            "log_level": self._log_level,
        }
        root = str(Path(__file__).resolve().parent.parent)
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            options["start_new_session"] = True
            if self._listener is not None:
                boot["socket_number"] = self._listener.fileno()
                options["pass_fds"] = (self._listener.fileno(),)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _CODE.format(root=root)],
            stdin=subprocess.PIPE,
            cwd=self._app_dir,
            env=_without_secrets(),
            **options,
        )
        if sys.platform == "win32" and self._listener is not None:
            boot["shared_socket"] = base64.b64encode(self._listener.share(process.pid)).decode()
        assert process.stdin is not None
        process.stdin.write(json.dumps(boot).encode() + b"\n")
        process.stdin.flush()
        return process

    def _await_connection(self, expected: "Future[socket]", process: "subprocess.Popen[bytes]") -> socket:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while time.monotonic() < deadline:
            try:
                return expected.result(timeout=0.2)
            except TimeoutError:
                if process.poll() is not None:
                    raise HostError(
                        f"the worker ended with exit code {process.returncode} before it connected"
                    ) from None
        raise HostError(f"the worker did not connect within {_CONNECT_SECONDS} s")

    def _dispatch(self, method: str, body: dict[str, Any], payload: bytes, answer: Answer) -> None:  # noqa: ARG002
        self._on_call(self, method, body, answer)


def _without_secrets() -> dict[str, str]:
    """The app's code has no business with the key to the admin API."""
    return {name: value for name, value in os.environ.items() if name.upper() != "FUNCHOST_MASTER_KEY"}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close the keeper's input, which makes it end everything below; on Windows end the tree by its own means."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(  # noqa: S603
                ["taskkill", "/T", "/F", "/PID", str(process.pid)],  # noqa: S607
                check=False,
                capture_output=True,
            )
        return
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def describe(slots: Sequence[WorkerSlot]) -> dict[str, Any]:
    """Return the workers' state for the status page."""
    return {
        slot.name: {"ready": slot.is_ready, "restarts": slot.restarts, "processId": slot.process_id} for slot in slots
    }
