"""One worker process, from its start to its end, as the host sees it."""

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

from funchost.errors import HostError
from funchost.rpc import TOKEN_BYTES, Answer, Channel, Reply, Switchboard

_CODE = "import sys; sys.path.append({root!r}); from funchost.worker import main; main()"
_CONNECT_SECONDS = 60

FromProcess = Callable[["Incarnation", str, dict[str, Any], Answer], None]


@dataclass(frozen=True, kw_only=True)
class Birth:
    """What every worker process of one place is started with."""

    role: str
    app_dir: Path
    switchboard: Switchboard
    on_call: FromProcess
    listener: socket | None = None
    log_levels: Mapping[str, str] | None = None
    log_file: Path | None = None


class Incarnation:
    """A process that was started and has connected; `end` it in any case."""

    def __init__(self, birth: Birth, *, successor: bool = False) -> None:
        """Start the process and wait until it has connected; a `successor` is to take another one's place.

        Raises:
            HostError: it ended first, or did not connect in time.
            OSError: it could not be started.
        """
        self.ready = threading.Event()
        self.is_successor = successor
        self.complaint = ""  # why it cannot take over, in its own words
        self._birth = birth
        self._token = secrets.token_hex(TOKEN_BYTES)
        expected = birth.switchboard.expect(self._token)
        self.process = self._spawn()
        try:
            connection = self._await_connection(expected)
        except BaseException:
            self._forget()
            raise
        self.channel = Channel(connection, self._dispatch, on_close=lambda: None)

    def start(self) -> None:
        """Begin to answer the process's calls."""
        self.channel.start(f"{self._birth.role}-channel")

    def call(self, method: str, body: dict[str, Any], payload: bytes = b"") -> "Future[Reply]":
        """Call the process."""
        return self.channel.call(method, body, payload)

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the exit code, or None when it still runs after so long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and everything below it at once."""
        _end(self.process)

    def end(self) -> None:
        """End it, if it has not ended by itself, and let go of all that belonged to it."""
        self.channel.close()
        self._forget()

    def _forget(self) -> None:
        self._birth.switchboard.forget(self._token)
        _end(self.process)
        self.process.wait()

    def _dispatch(self, method: str, body: dict[str, Any], payload: bytes, answer: Answer) -> None:  # noqa: ARG002
        self._birth.on_call(self, method, body, answer)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        birth = self._birth
        boot: dict[str, Any] = {
            "role": birth.role,
            "app_dir": str(birth.app_dir),
            "port": birth.switchboard.port,
            "token": self._token,
            "log_levels": dict(birth.log_levels or {}),
            "log_file": None if birth.log_file is None else str(birth.log_file),
            "successor": self.is_successor,
        }
        root = str(Path(__file__).resolve().parent.parent)
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            options["start_new_session"] = True
            if birth.listener is not None:
                boot["socket_number"] = birth.listener.fileno()
                options["pass_fds"] = (birth.listener.fileno(),)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", _CODE.format(root=root)],
            stdin=subprocess.PIPE,
            cwd=birth.app_dir,
            env=_without_secrets(),
            **options,
        )
        if sys.platform == "win32" and birth.listener is not None:
            boot["shared_socket"] = base64.b64encode(birth.listener.share(process.pid)).decode()
        assert process.stdin is not None
        process.stdin.write(json.dumps(boot).encode() + b"\n")
        process.stdin.flush()
        return process

    def _await_connection(self, expected: "Future[socket]") -> socket:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while time.monotonic() < deadline:
            try:
                return expected.result(timeout=0.2)
            except TimeoutError:
                if self.process.poll() is not None:
                    raise HostError(
                        f"the worker ended with exit code {self.process.returncode} before it connected"
                    ) from None
        raise HostError(f"the worker did not connect within {_CONNECT_SECONDS} s")


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
