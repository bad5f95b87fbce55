"""The worker for queue, blob and timer functions: runs what the host sends and answers with outcome and outputs."""

import asyncio
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

from azure.functions.meta import Datum

from funchost.invocation import (
    Context,
    OutputValue,
    Plan,
    RetryContext,
    TraceContext,
    arguments,
    call_async,
    call_sync,
    decode_inputs,
    encode_outputs,
)
from funchost.rpc import Answer
from funchost.worker_base import WorkerBase


class EventWorker(WorkerBase):
    """Invocations run side by side on threads, or on one event loop when they are `async def`."""

    def run(self) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True).start()
        if self.load():
            self.stop_asked.wait()

    def _handle(self, method: str, body: dict[str, Any], payload: bytes, answer: Answer) -> None:
        if method == "invoke":
            self._start(body, payload, answer)
        elif method == "ping":
            answer({})
        elif method == "stop":
            answer({})
            self.stop_asked.set()
        else:
            answer({"error": f"an event worker does not know {method!r}"})

    def _start(self, body: dict[str, Any], payload: bytes, answer: Answer) -> None:
        indexed = self.functions.get(body["function"])
        if indexed is None or indexed.plan is None:
            answer({"error": f"there is no function {body['function']!r}"})
        elif indexed.plan.is_async:
            asyncio.run_coroutine_threadsafe(self._run_async(indexed.plan, body, payload, answer), self._loop)
        else:
            plan = indexed.plan
            self.threads.submit(lambda: self._run_sync(plan, body, payload, answer))

    def _run_sync(self, plan: Plan, body: Mapping[str, Any], payload: bytes, answer: Answer) -> None:
        started = time.monotonic()
        try:
            call, collectors = _prepare(plan, body, payload)
            returned = call_sync(plan, call, body["invocation_id"])
            result = {"ok": True, "outputs": encode_outputs(plan, returned, collectors)}
        except BaseException as error:  # noqa: BLE001 - a SystemExit of a function is a failed invocation too
            result = _failure(error)
        answer({**result, "seconds": time.monotonic() - started})

    async def _run_async(self, plan: Plan, body: Mapping[str, Any], payload: bytes, answer: Answer) -> None:
        started = time.monotonic()
        try:
            call, collectors = _prepare(plan, body, payload)
            returned = await call_async(plan, call, body["invocation_id"])
            result = {"ok": True, "outputs": encode_outputs(plan, returned, collectors)}
        except BaseException as error:  # noqa: BLE001 - as above
            result = _failure(error)
        answer({**result, "seconds": time.monotonic() - started})


def _prepare(plan: Plan, body: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], dict[str, OutputValue]]:
    value: Any = payload if body["type"] == "bytes" else payload.decode("utf-8", "replace")
    metadata = {name: Datum(item["value"], item["type"]) for name, item in body["metadata"].items()}
    retry = None
    if body.get("retry") is not None:
        given = body["retry"]
        retry = RetryContext(given["count"], given["max"], given.get("exception"))
    context = Context(plan, body["invocation_id"], TraceContext("", ""), retry) if plan.wants_context else None
    call, collectors = arguments(plan, Datum(value, body["type"]), metadata, context)
    if plan.inputs:
        call.update(decode_inputs(plan, body.get("inputs", {}), metadata))
    return call, collectors


def _failure(error: BaseException) -> dict[str, Any]:
    return {
        "ok": False,
        "failure": f"{type(error).__name__}: {error}",
        "trace": "".join(traceback.format_exception(error)),
    }
