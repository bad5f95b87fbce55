"""The load generator: keep-alive connections over raw sockets, in a process of its own, the same for every contender.

    python -m benchmarks.prediction.load < plan.json

The plan holds `port` and `runs`; a run holds `path`, `bodies` (texts; each is sent once), `clients`, and may hold
`method` (else POST), `headers`, `warm` (bodies sent before anything counts), `times` (send all bodies so often),
`seconds` (stop after so long), `again` (begin anew with the bodies when all are sent), `tell` (keep of each answer
which body it is of, the model's version and a hash of the predictions) and `per_second`: then requests arrive at that
rate whatever the answers take, at random moments drawn from `seed`, and wait where all connections are busy; a latency
counts from the arrival. The answer on standard output holds, for each run, the latencies in milliseconds, the
wall-clock seconds, the failures and the bytes of the answers. A SIGTERM ends a run that has `seconds` early.
"""

import hashlib
import itertools
import json
import random
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 18
_told_to_end = threading.Event()


@dataclass(kw_only=True)
class Connection:
    """One client: asks, waits for the whole answer, and asks again."""

    port: int
    sock: socket.socket = field(init=False)
    sent_at: float = 0.0
    asked: bytes = b""
    received: bytearray = field(default_factory=bytearray)
    expected: int = -1  # bytes of the whole answer; -1 while its head is not complete
    is_last: bool = False  # whether the server closes the connection after this answer, and another one is to be made

    def __post_init__(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=_TIMEOUT_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> None:
        """Send one request."""
        self.received.clear()
        self.expected = -1
        self.asked = request
        self.sent_at = time.perf_counter()
        self.sock.sendall(request)

    def hear(self) -> bool:
        """Take what has arrived and return whether the answer is whole.

        Raises:
            ConnectionError: the server hung up.
        """
        piece = self.sock.recv(_CHUNK)
        if not piece:
            raise ConnectionError("the server hung up")
        self.received += piece
        if self.expected < 0:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = bytes(self.received[: end + 2]).lower()
            self.expected = end + 4 + _content_length(head)
            self.is_last = b"\r\nconnection: close\r\n" in head
        return len(self.received) >= self.expected

    def renew(self) -> None:
        """Connect anew."""
        self.sock.close()
        self.__post_init__()

    @property
    def status(self) -> int:
        """The answer's status."""
        return int(self.received[9:12])


def _content_length(head: bytes) -> int:
    found = head.find(b"\r\ncontent-length:")
    if found < 0:
        raise ConnectionError("an answer without Content-Length")
    return int(head[found + 17 : head.find(b"\r\n", found + 17)])


@dataclass(kw_only=True)
class Outcome:
    """What one run measured."""

    latencies_ms: list[float] = field(default_factory=list)
    finished_at: list[float] = field(default_factory=list)  # seconds since the run began, by answer
    began: float = 0.0  # by the monotonic clock, which all processes share
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    received_bytes: int = 0
    told: list[tuple[str, str, str]] | None = None  # of each answer: its question's hash, the version, its own hash

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "latencies_ms": self.latencies_ms, "finished_at": self.finished_at, "began": self.began,
            "seconds": self.seconds, "failures": self.failures[:20], "failed": len(self.failures),
            "received_bytes": self.received_bytes, "told": self.told,
        }  # fmt: skip


def request_bytes(path: str, body: str, headers: Mapping[str, str] | None = None, method: str = "POST") -> bytes:
    """Return a whole request; a GET has no body."""
    data = body.encode()
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method != "GET":
        lines += ["content-type: application/json", f"content-length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


def run(port: int, plan: Mapping[str, Any]) -> Outcome:
    """Send a run's bodies over its connections, each as soon as its connection is free."""
    connections = [Connection(port=port) for _ in range(int(plan["clients"]))]
    try:
        warming = _requests(plan, "warm")
        _drive(connections, warming, Outcome(), None)
        outcome = Outcome(told=[] if plan.get("tell") else None)
        if plan.get("per_second"):
            _arrive(connections, _requests(plan, "bodies"), outcome, plan)
        else:
            _drive(connections, _requests(plan, "bodies"), outcome, plan.get("seconds"))
        return outcome
    finally:
        for connection in connections:
            connection.sock.close()


def _requests(plan: Mapping[str, Any], name: str) -> Iterator[bytes]:
    asked = (plan.get("headers"), plan.get("method", "POST"))
    made = [request_bytes(plan["path"], body, *asked) for body in plan.get(name, ())]
    if name == "bodies" and plan.get("times"):
        return itertools.chain.from_iterable(itertools.repeat(made, int(plan["times"])))
    return itertools.cycle(made) if plan.get("again") and name == "bodies" else iter(made)


def _drive(connections: list[Connection], requests: Iterator[bytes], outcome: Outcome, seconds: float | None) -> None:
    outcome.began, started = time.monotonic(), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for connection, request in zip(connections, requests, strict=False):
            connection.ask(request)
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        while selector.get_map():
            for key, _ in selector.select(_TIMEOUT_SECONDS):
                connection = key.data
                if not _heard(connection, outcome, selector, started):
                    continue
                over = seconds is not None and (time.perf_counter() - started > seconds or _told_to_end.is_set())
                following = None if over else next(requests, None)
                if following is None:
                    selector.unregister(connection.sock)
                else:
                    connection.ask(following)
    outcome.seconds = time.perf_counter() - started


def _arrive(
    connections: list[Connection], requests: Iterator[bytes], outcome: Outcome, plan: Mapping[str, Any]
) -> None:
    """Send requests as they arrive: the gaps between them are exponential, as between people who do not know others."""
    dice, rate, seconds = random.Random(plan.get("seed", 0)), float(plan["per_second"]), float(plan["seconds"])
    idle, waiting = deque(connections), deque[float]()
    outcome.began, started = time.monotonic(), time.perf_counter()
    arrival = started + dice.expovariate(rate)
    with selectors.DefaultSelector() as selector:
        while selector.get_map() or waiting or arrival - started <= seconds:
            while arrival <= time.perf_counter() and arrival - started <= seconds:
                waiting.append(arrival)
                arrival += dice.expovariate(rate)
            while waiting and idle:
                connection, arrived = idle.popleft(), waiting.popleft()
                connection.ask(next(requests))
                connection.sent_at = arrived
                selector.register(connection.sock, selectors.EVENT_READ, connection)
            coming = arrival - time.perf_counter() if arrival - started <= seconds else _TIMEOUT_SECONDS
            if not selector.get_map():
                time.sleep(min(max(coming, 0.0), seconds))
                continue
            for key, _ in selector.select(max(coming, 0.0)):
                if _heard(key.data, outcome, selector, started):
                    selector.unregister(key.data.sock)
                    idle.append(key.data)
    outcome.seconds = time.perf_counter() - started


def _heard(connection: Connection, outcome: Outcome, selector: selectors.BaseSelector, started: float) -> bool:
    try:
        if not connection.hear():
            return False
    except (ConnectionError, OSError) as fault:
        outcome.failures.append(repr(fault))
        _renew(connection, selector)
        return True
    now = time.perf_counter()
    outcome.latencies_ms.append((now - connection.sent_at) * 1000)
    outcome.finished_at.append(now - started)
    outcome.received_bytes += len(connection.received)
    if outcome.told is not None:
        outcome.told.append(_told(connection))
    if connection.status != 200:
        outcome.failures.append(bytes(connection.received[:300]).decode("utf-8", "replace"))
    if connection.is_last:
        _renew(connection, selector)
    return True


def _renew(connection: Connection, selector: selectors.BaseSelector) -> None:
    selector.unregister(connection.sock)
    connection.renew()
    selector.register(connection.sock, selectors.EVENT_READ, connection)


def _told(connection: Connection) -> tuple[str, str, str]:
    """Return hashes of question and predictions, and the version that head and body agree upon."""
    head, _, body = bytes(connection.received).partition(b"\r\n\r\n")
    begin, _, predictions = body.partition(b'"predictions":')
    [line] = [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-model-version:")] or [b":"]
    version = line.partition(b":")[2].strip()
    agreed = version if b'"model_version":"%b"' % version in begin else b"head and body disagree"
    short = [hashlib.sha256(part).hexdigest()[:12] for part in (connection.asked, predictions)]
    return short[0], agreed.decode(), short[1]


def main() -> int:
    """Do every run of the plan on standard input."""
    signal.signal(signal.SIGTERM, lambda *_: _told_to_end.set())
    plan = json.load(sys.stdin)
    print(json.dumps([run(plan["port"], each).as_json() for each in plan["runs"]]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
