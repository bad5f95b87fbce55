"""Calls between the host and its workers over a loopback socket: length-prefixed JSON plus bytes, never pickle."""

import contextlib
import hmac
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from funchost import logs
from funchost.errors import ChannelClosed, HostError

_HEADER = struct.Struct(">IQ")
_MAX_JSON_BYTES = 256 * 1024 * 1024
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other side answered."""

    body: dict[str, Any]
    payload: bytes


class Answer(Protocol):
    """Sends the one answer to a call."""

    def __call__(self, body: dict[str, Any], payload: bytes = b"") -> None:
        """Send it; may be used from any thread."""
        ...


Handler = Callable[[str, dict[str, Any], bytes, Answer], None]


class RemoteError(HostError):
    """The other side could not do what was asked; the text is its own."""


class Channel:
    """One connection, usable from any thread.

    The handler runs on the reading thread, so it must hand long work to others and answer later. `answer` with a body
    that has an `error` key makes the caller's future raise RemoteError.
    """

    def __init__(self, connection: socket.socket, handler: Handler, *, on_close: Callable[[], None]) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._handler = handler
        self._on_close = on_close
        self._send_lock = threading.Lock()
        self._pending: dict[int, Future[Reply]] = {}
        self._pending_lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    def start(self, name: str) -> None:
        """Begin reading."""
        threading.Thread(target=self._read_loop, name=name, daemon=True).start()

    def call(self, method: str, body: dict[str, Any], payload: bytes = b"") -> "Future[Reply]":
        """Ask the other side; the future raises ChannelClosed when it goes away before it answers."""
        future: Future[Reply] = Future()
        future.set_running_or_notify_cancel()  # a caller that gives up must not disturb the reader
        number = next(self._numbers)
        with self._pending_lock:
            if self._closed:
                future.set_exception(ChannelClosed("the other process has ended"))
                return future
            self._pending[number] = future
        self._send({"kind": "call", "id": number, "method": method, "body": body}, payload)
        return future

    def close(self) -> None:
        """Close the connection; calls that are open fail."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, message: dict[str, Any], payload: bytes) -> None:
        text = json.dumps(message, separators=(",", ":")).encode()
        frame = b"".join((_HEADER.pack(len(text), len(payload)), text, payload))
        try:
            with self._send_lock:
                self._socket.sendall(frame)
        except OSError:
            self._fail_pending()

    def _read_loop(self) -> None:
        try:
            while True:
                json_size, payload_size = _HEADER.unpack(read_exactly(self._socket, _HEADER.size))
                if json_size > _MAX_JSON_BYTES:
                    raise ChannelClosed("a frame is larger than any that is ever sent")
                message = json.loads(read_exactly(self._socket, json_size))
                payload = read_exactly(self._socket, payload_size) if payload_size else b""
                self._dispatch(message, payload)
        except (OSError, ChannelClosed):
            self._fail_pending()
        finally:
            self._on_close()

    def _dispatch(self, message: dict[str, Any], payload: bytes) -> None:
        number = message["id"]
        if message["kind"] == "reply":
            with self._pending_lock:
                future = self._pending.pop(number, None)
            if future is not None:
                body = message["body"]
                if "error" in body:
                    future.set_exception(RemoteError(str(body["error"])))
                else:
                    future.set_result(Reply(body, payload))
            return

        def answer(body: dict[str, Any], payload: bytes = b"") -> None:
            self._send({"kind": "reply", "id": number, "body": body}, payload)

        try:
            self._handler(message["method"], message["body"], payload, answer)
        except Exception as error:  # noqa: BLE001 - the reading thread serves every other call too
            logs.error("rpc.handler_failed", method=message["method"], exception=repr(error))
            answer({"error": f"{type(error).__name__}: {error}"})

    def _fail_pending(self) -> None:
        with self._pending_lock:
            self._closed = True
            pending, self._pending = self._pending, {}
        for future in pending.values():
            future.set_exception(ChannelClosed("the other process has ended"))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """Read that many bytes.

    Raises:
        ChannelClosed: the other side closed first.
    """
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise ChannelClosed("the connection was closed")
        parts += part
    return bytes(parts)


def connect(port: int, token: str) -> socket.socket:
    """Connect a worker to its host and show the token it was given at its start."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.settimeout(None)
    connection.sendall(bytes.fromhex(token))
    return connection


class Switchboard:
    """The host's end: takes connections and gives each to whoever waits for its token."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._waiting: dict[str, Future[socket.socket]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._accept_loop, name="switchboard", daemon=True).start()

    def expect(self, token: str) -> "Future[socket.socket]":
        """Return the future of the connection that will show this token."""
        future: Future[socket.socket] = Future()
        with self._lock:
            self._waiting[token] = future
        return future

    def forget(self, token: str) -> None:
        """Stop waiting for a token."""
        with self._lock:
            self._waiting.pop(token, None)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept_loop(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._admit, args=(connection,), daemon=True).start()

    def _admit(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(5)
            shown = read_exactly(connection, TOKEN_BYTES).hex()
            connection.settimeout(None)
        except (OSError, ChannelClosed):
            connection.close()
            return
        with self._lock:
            match = next((token for token in self._waiting if hmac.compare_digest(token, shown)), None)
            future = self._waiting.pop(match) if match is not None else None
        if future is None:
            connection.close()
        else:
            future.set_result(connection)
