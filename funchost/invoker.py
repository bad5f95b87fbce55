"""Runs one queue, blob or timer invocation in the event worker: time-out, renewal while it runs, outputs, log line."""

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import AzureError

from funchost import logs
from funchost.bindingdata import BindingData
from funchost.catalogue import Entry
from funchost.errors import ChannelClosed
from funchost.groups import WorkerGroup
from funchost.metrics import Metrics
from funchost.rpc import RemoteError, Reply
from funchost.state import HostState
from funchost.storage import Emitter, InputReader

_KILL_GRACE_SECONDS = 2.0
_WORKER_SECONDS = 60.0  # for another one after one has ended
Metadata = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What is to be run, and why."""

    entry: Entry
    type: str
    value: bytes
    metadata: Metadata = field(default_factory=dict)
    attempt: int = 1
    retry: Mapping[str, Any] | None = None
    reason: str = "trigger"
    data: BindingData = field(default_factory=BindingData)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it went; `cut` means that the host's own stop ended it, so it proves nothing against the message."""

    ok: bool
    failure: str | None = None
    cut: bool = False


@dataclass(kw_only=True)
class Renewal:
    """Called every so often while an invocation runs."""

    every_seconds: float
    renew: Callable[[], None]


class Invoker:
    """Sends invocations to the event worker and waits for them, each on its caller's thread."""

    def __init__(
        self,
        *,
        worker: WorkerGroup,
        state: HostState,
        reader: InputReader,
        emitter: Emitter,
        metrics: Metrics,
        timeout_seconds: float | None,
    ) -> None:
        self._worker = worker
        self._state = state
        self._reader = reader
        self._emitter = emitter
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds

    def run(self, invocation: Invocation, renewal: Renewal | None = None) -> Outcome:
        """Run it to its end and write its outputs; never raises for what the function or the worker does."""
        invocation_id = str(uuid.uuid4())
        started = time.monotonic()
        with self._state.counting():
            outcome, trace = self._run(invocation, invocation_id, renewal)
        seconds = time.monotonic() - started
        word = "succeeded" if outcome.ok else "cut" if outcome.cut else "failed"
        self._metrics.invocation(invocation.entry.name, word, seconds)
        fields: dict[str, Any] = {} if outcome.ok else {"failure": outcome.failure}
        if trace is not None:
            fields["exception"] = trace
        logs.write_result(
            "info" if outcome.ok else "error",
            f"function.{word}",
            invocation_id=invocation_id,
            function=invocation.entry.name,
            trigger=invocation.entry.kind.removesuffix("Trigger"),
            attempt=invocation.attempt,
            reason=invocation.reason,
            duration_ms=round(seconds * 1000, 3),
            outcome=word,
            **fields,
        )
        return outcome

    def _run(self, invocation: Invocation, invocation_id: str, renewal: Renewal | None) -> tuple[Outcome, str | None]:
        body = {
            "function": invocation.entry.name,
            "invocation_id": invocation_id,
            "type": invocation.type,
            "metadata": invocation.metadata,
            "retry": invocation.retry,
        }
        if not self._wait_for_worker(renewal):
            return Outcome(ok=False, failure="no event worker is running", cut=True), None
        if invocation.entry.inputs:
            try:
                body["inputs"] = self._reader.read(invocation.entry, invocation.data)
            except (AzureError, ValueError, OSError) as error:
                return Outcome(ok=False, failure=f"its input could not be read: {error}"), None
        future, mark = self._worker.call("invoke", body, invocation.value)
        try:
            reply = self._wait(future, mark, invocation, invocation_id, renewal)
        except TimeoutError as error:
            return Outcome(ok=False, failure=str(error)), None
        except ChannelClosed:
            cut = self._state.stopping.is_set()
            what = "the host stopped while it ran" if cut else "its worker process ended while it ran"
            return Outcome(ok=False, failure=what, cut=cut), None
        except RemoteError as error:
            return Outcome(ok=False, failure=str(error)), None
        if not reply.body["ok"]:
            return Outcome(ok=False, failure=reply.body["failure"]), reply.body["trace"]
        try:
            self._emitter.emit(invocation.entry, reply.body["outputs"], invocation.data)
        except (AzureError, ValueError, OSError) as error:
            return Outcome(ok=False, failure=f"its output could not be written: {error}"), None
        return Outcome(ok=True), None

    def _wait_for_worker(self, renewal: Renewal | None) -> bool:
        """Wait for a worker that takes calls; what is waited for stays ours meanwhile."""
        deadline = time.monotonic() + _WORKER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if self._worker.wait_ready(left if renewal is None else min(left, renewal.every_seconds)):
                return True
            if self._state.stopping.is_set():
                break
            if renewal is not None:
                renewal.renew()
        return False

    def _wait(
        self,
        future: "Future[Reply]",
        mark: object,
        invocation: Invocation,
        invocation_id: str,
        renewal: Renewal | None,
    ) -> Reply:
        now = time.monotonic()
        deadline = None if self._timeout_seconds is None else now + self._timeout_seconds
        renew_at = None if renewal is None else now + renewal.every_seconds
        while True:
            moments = [moment for moment in (deadline, renew_at) if moment is not None]
            try:
                return future.result(max(0.0, min(moments) - time.monotonic()) if moments else None)
            except TimeoutError:
                now = time.monotonic()
            if renewal is not None and renew_at is not None and now >= renew_at:
                renewal.renew()
                renew_at = time.monotonic() + renewal.every_seconds
            if deadline is not None and now >= deadline:
                return self._time_out(future, mark, invocation, invocation_id)

    def _time_out(self, future: "Future[Reply]", mark: object, invocation: Invocation, invocation_id: str) -> Reply:
        seconds = self._timeout_seconds
        logs.write_result(
            "error",
            "function.timed_out",
            invocation_id=invocation_id,
            function=invocation.entry.name,
            timeout_seconds=seconds,
        )
        self._metrics.count("function_timeouts")
        try:
            future.result(_KILL_GRACE_SECONDS)
        except (TimeoutError, ChannelClosed, RemoteError):
            self._worker.kill(mark)
        raise TimeoutError(f"it ran longer than functionTimeout ({seconds:g} s); its worker was ended")
