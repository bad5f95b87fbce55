"""The ASGI application of the HTTP worker: keys, routes, limits, the call, the answer, one log line."""

import asyncio
import json
import os
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from funchost import logs
from funchost.errors import TIMED_OUT
from funchost.http_functions import (
    HttpAnswer,
    HttpFunction,
    RawHeaders,
    RouteTable,
    answer_from,
    given_names,
    name_client,
    parse_headers,
    parse_query,
    request_datum,
    shown_key,
)
from funchost.invocation import Context, TraceContext, arguments, call_async, call_sync, decode_inputs, encode_outputs
from funchost.keys import Keys, is_one_of
from funchost.metrics import Metrics
from funchost.routes import decoded_path
from funchost.threads import FunctionThreads

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HostCall = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
_ids = random.Random()  # noqa: S311 - of its own, which no function seeds
_KILL_GRACE_SECONDS = 2.0
AZURE_CUTS_AFTER_SECONDS = 230
_LONGEST_REQUEST_LINE, _LONGEST_HEADERS, _MOST_HEADERS = 8192, 32768, 100  # bytes, bytes: as Microsoft's host has them
_HOMEPAGE = (
    b"<!DOCTYPE html><html><head><title>Function host</title></head>"
    b"<body><h1>Your function app is up and running</h1></body></html>"
)


@dataclass(frozen=True, kw_only=True)
class HttpOptions:
    """Limits and additions that hold for every request."""

    body_limit_bytes: int
    max_concurrent: int
    max_outstanding: int
    custom_headers: tuple[tuple[bytes, bytes], ...] = ()
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    enforce_keys: bool = True
    function_timeout_seconds: float | None = None
    homepage: bool = True


@dataclass(slots=True)
class Running:
    """One invocation under way."""

    function: str
    invocation_id: str
    started: float = field(default_factory=time.monotonic)


class BodyTooLarge(Exception):
    """The request announces more bytes than the limit."""


class HttpServer:
    """Answers every request of this worker."""

    def __init__(
        self,
        *,
        table: RouteTable,
        keys: Keys,
        options: HttpOptions,
        threads: FunctionThreads,
        metrics: Metrics,
        host: HostCall,
        farewell: Callable[[], None] = lambda: None,
    ) -> None:
        self._table = table
        self._keys = keys
        self._options = options
        self._threads = threads
        self._metrics = metrics
        self._host = host
        self._farewell = farewell
        self._outstanding = 0
        self.throttled = options.max_concurrent > 0 or options.max_outstanding > 0
        self._slots = asyncio.Semaphore(options.max_concurrent) if options.max_concurrent > 0 else None
        self.running: dict[str, Running] = {}
        self.is_leaving = False  # another worker takes the connections from now on: each answer asks to close its own

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        headers = parse_headers(scope["headers"])
        name_client(scope, headers)
        try:
            answer = _too_long(scope) or await self._answer(scope, headers, receive)
        except ConnectionResetError:
            return
        await self._send(scope, headers, answer, send)

    async def _answer(self, scope: MutableMapping[str, Any], headers: dict[str, str], receive: Receive) -> HttpAnswer:
        path = decoded_path(scope["raw_path"])
        lowered = path.lower()
        if lowered.startswith("admin/") or lowered == "admin":
            return await self._admin(scope, headers, lowered, path, receive)
        if self._options.cors_origins and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            return HttpAnswer(status=204, headers=[], body=b"")
        found = self._table.find(scope["method"], path)
        if found is None:
            return self._home() if path == "" else _empty(404)
        function, route_values = found
        query = parse_query(scope["query_string"])
        refusal = self._refuse(function, headers, query)
        if refusal is not None:
            return refusal
        if self.throttled:
            return await self._throttled(function, scope, headers, query, route_values, receive)
        return await self._run(function, scope, headers, query, route_values, receive)

    def _home(self) -> HttpAnswer:
        if not self._options.homepage:
            return _empty(204)
        return HttpAnswer(status=200, headers=[(b"content-type", b"text/html; charset=utf-8")], body=_HOMEPAGE)

    def _refuse(
        self, function: HttpFunction, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> HttpAnswer | None:
        is_open = function.level == "anonymous" or not self._options.enforce_keys
        if not is_open and not is_one_of(shown_key(headers, query), function.keys):
            return _empty(401)
        if function.disabled and not self._keys.is_master(shown_key(headers, query)):
            return _empty(404)
        return None

    async def _throttled(
        self,
        function: HttpFunction,
        scope: MutableMapping[str, Any],
        headers: dict[str, str],
        query: dict[str, str],
        route_values: dict[str, str],
        receive: Receive,
    ) -> HttpAnswer:
        if 0 < self._options.max_outstanding <= self._outstanding:
            self._metrics.count("http_rejected")
            return HttpAnswer(status=429, headers=[(b"x-function-scaleout", b"1")], body=b"")
        self._outstanding += 1
        try:
            if self._slots is None:
                return await self._run(function, scope, headers, query, route_values, receive)
            async with self._slots:
                return await self._run(function, scope, headers, query, route_values, receive)
        finally:
            self._outstanding -= 1

    async def _run(
        self,
        function: HttpFunction,
        scope: MutableMapping[str, Any],
        headers: dict[str, str],
        query: dict[str, str],
        route_values: dict[str, str],
        receive: Receive,
    ) -> HttpAnswer:
        try:
            body = await read_body(headers, receive, self._options.body_limit_bytes)
        except BodyTooLarge:
            return _empty(413)
        invocation_id = _new_id()
        name = function.plan.name
        running = self.running[invocation_id] = Running(name, invocation_id)
        failure = None
        try:
            answer = await self._invoke(
                function, request_datum(scope, headers, query, route_values, body), headers, invocation_id
            )
        except BaseException as error:  # a function's error is its caller's 500, whatever it is
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            failure = traceback.format_exc()
            answer = _empty(500)
        finally:
            self.running.pop(invocation_id, None)
        seconds = time.monotonic() - running.started
        duration_ms = int(seconds * 1_000_000) / 1000
        warn_where_azure_cuts(name, invocation_id, seconds)
        if failure is None:
            self._metrics.invocation(name, "succeeded", seconds)
            function.answered.write(invocation_id, duration_ms, answer.status)
            return answer
        self._metrics.invocation(name, "failed", seconds)
        logs.write_result(
            "error",
            "function.failed",
            invocation_id=invocation_id,
            function=name,
            trigger="http",
            attempt=1,
            duration_ms=duration_ms,
            outcome="failed",
            status=answer.status,
            exception=failure,
        )
        return answer

    async def _invoke(
        self, function: HttpFunction, datum: Any, headers: Mapping[str, str], invocation_id: str
    ) -> HttpAnswer:
        plan = function.plan
        context = None
        if plan.wants_context:
            trace = TraceContext(headers.get("traceparent", ""), headers.get("tracestate", ""))
            context = Context(plan, invocation_id, trace, None)
        call, collectors = arguments(plan, datum, {}, context)
        names = given_names(datum) if function.has_places else {}
        if plan.inputs:
            read = await self._host("read", {"function": plan.name, "values": names})
            call.update(decode_inputs(plan, read["inputs"], {}))
        if plan.is_async:
            returned = await call_async(plan, call, invocation_id)
        else:
            returned = await self._threads.call(call_sync, plan, call, invocation_id)
        answer = answer_from(plan, returned)
        if function.has_outputs:
            outputs = encode_outputs(plan, returned, collectors)
            if outputs:
                await self._host("emit", {"function": plan.name, "outputs": outputs, "values": names})
        return answer

    async def _admin(
        self, scope: MutableMapping[str, Any], headers: dict[str, str], lowered: str, path: str, receive: Receive
    ) -> HttpAnswer:
        if lowered.rstrip("/") == "admin/host/ping" and scope["method"] in ("GET", "POST", "HEAD"):
            return _empty(200)
        query = parse_query(scope["query_string"])
        if not self._keys.is_master(shown_key(headers, query)):
            return _empty(401)
        try:
            body = await read_body(headers, receive, 1 << 20)
        except BodyTooLarge:
            return _empty(413)
        asked = {"method": scope["method"], "path": path, "body": body.decode("utf-8", "replace")}
        try:
            replied = await self._host("admin", asked)
        except Exception as error:  # noqa: BLE001 - the caller gets a 503 whatever broke between the processes
            logs.error("admin.failed", path=path, exception=repr(error))
            return _empty(503)
        if replied["document"] is None:
            return _empty(replied["status"])
        return HttpAnswer(
            status=replied["status"],
            headers=[(b"content-type", b"application/json; charset=utf-8")],
            body=json.dumps(replied["document"]).encode(),
        )

    async def _send(self, scope: Mapping[str, Any], request: Mapping[str, str], answer: HttpAnswer, send: Send) -> None:
        headers: RawHeaders = list(answer.headers)
        if answer.status >= 200 and answer.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(answer.body)))
        if self.is_leaving:
            headers.append((b"connection", b"close"))
        if self._options.custom_headers:
            present = {name for name, _ in headers}
            headers.extend((name, value) for name, value in self._options.custom_headers if name not in present)
        if self._options.cors_origins and "origin" in request:
            headers.extend(self._cors_headers(scope, request))
        body = b"" if answer.status in (204, 304) else answer.body
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        except OSError:
            return  # the caller has left

    def _cors_headers(self, scope: Mapping[str, Any], request: Mapping[str, str]) -> RawHeaders:
        origin = request["origin"].rstrip("/")
        everyone = "*" in self._options.cors_origins
        if not everyone and origin not in self._options.cors_origins:
            return []
        allowed = "*" if everyone and not self._options.cors_credentials else request["origin"]
        headers: RawHeaders = [(b"access-control-allow-origin", allowed.encode("latin-1")), (b"vary", b"Origin")]
        if self._options.cors_credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        if scope["method"] == "OPTIONS":
            wanted = request.get("access-control-request-method", "")
            headers.append((b"access-control-allow-methods", wanted.encode("latin-1")))
            names = request.get("access-control-request-headers", "")
            headers.append((b"access-control-allow-headers", names.encode("latin-1")))
        return headers

    def watch_time_outs(self) -> None:
        """End this process when an invocation outlives functionTimeout; the host starts another.

        On a thread of its own, because the function may be what blocks the event loop.
        """
        limit = self._options.function_timeout_seconds
        while limit is not None:
            time.sleep(min(limit / 4, 1.0))
            now = time.monotonic()
            late = [running for running in list(self.running.values()) if now - running.started > limit]
            for running in late:
                logs.write_result(
                    "error",
                    "function.timed_out",
                    function=running.function,
                    invocation_id=running.invocation_id,
                    trigger="http",
                    timeout_seconds=limit,
                    outcome="failed",
                )
            if late:
                time.sleep(_KILL_GRACE_SECONDS)
            if any(running.invocation_id in self.running for running in late):
                self._end_all(limit)
                os._exit(TIMED_OUT)

    def _end_all(self, limit_seconds: float) -> None:
        """Write the result of everything that ends with this process, and hand over what was counted."""
        for running in list(self.running.values()):
            seconds = time.monotonic() - running.started
            is_late = seconds > limit_seconds
            cause = "it" if is_late else "another function of its process"
            self._metrics.invocation(running.function, "failed", seconds)
            logs.write_result(
                "error",
                "function.failed",
                invocation_id=running.invocation_id,
                function=running.function,
                trigger="http",
                attempt=1,
                duration_ms=round(seconds * 1000, 3),
                outcome="failed",
                failure=f"{cause} ran longer than functionTimeout ({limit_seconds:g} s); the worker was ended",
            )
        self._metrics.count("function_timeouts")
        self._farewell()


async def read_body(headers: Mapping[str, str], receive: Receive, limit_bytes: int) -> bytes:
    """Return the body; without a Content-Length it is empty, as the real host hands it over.

    Raises:
        BodyTooLarge: more is announced than the limit.
        ConnectionResetError: the caller left before the body was complete.
    """
    announced = headers.get("content-length", "")
    if not announced.isdigit() or int(announced) == 0:
        return b""
    if int(announced) > limit_bytes:
        raise BodyTooLarge
    message = await receive()
    parts = bytearray()
    while message["type"] == "http.request":
        parts += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(parts)
        message = await receive()
    raise ConnectionResetError


def _new_id() -> str:
    """Return a random id in the form of a version 4 UUID; it need not be hard to guess."""
    text = f"{_ids.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def warn_where_azure_cuts(function: str, invocation_id: str, seconds: float) -> None:
    """Say of a call that took too long for Azure that its caller would have had no answer there."""
    if seconds > AZURE_CUTS_AFTER_SECONDS:
        logs.warning(
            "function.late_for_azure",
            function=function,
            invocation_id=invocation_id,
            duration_ms=round(seconds * 1000),
            reason=f"Azure ends a request after {AZURE_CUTS_AFTER_SECONDS} s, whatever functionTimeout says",
        )


def _too_long(scope: Mapping[str, Any]) -> HttpAnswer | None:
    """Refuse what Microsoft's host refuses before it looks at the request."""
    line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"]) + len("  ? HTTP/1.1\r\n")
    if line > _LONGEST_REQUEST_LINE:
        return _empty(414)
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS or sum([len(name) + len(value) for name, value in headers]) > _LONGEST_HEADERS:
        return _empty(431)
    return None


def _is_being_cancelled() -> bool:
    """Whether it is the server that ends this task, and not the function that raises as if."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _empty(status: int) -> HttpAnswer:
    return HttpAnswer(status=status, headers=[], body=b"")
