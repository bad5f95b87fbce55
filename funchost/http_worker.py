"""The worker for HTTP functions: runs the server itself, so a request crosses no process boundary."""

import asyncio
import base64
import contextlib
import gc
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from funchost import logs
from funchost.errors import ChannelClosed
from funchost.hooks import COUNTERS, HostCounters, offered
from funchost.http_functions import HttpFunction, RouteTable, answered_line
from funchost.http_server import HttpOptions, HttpServer
from funchost.keys import Keys
from funchost.metrics import Metrics
from funchost.routes import compile_route
from funchost.rpc import Answer
from funchost.server import SERVER_SETTINGS
from funchost.succession import Succession, succession_of
from funchost.worker_base import WorkerBase

_IDLE_CONNECTION_SECONDS = 2.0
_COUNTERS_SECONDS = 5.0


class HttpWorker(WorkerBase):
    """Listens on the socket that the host has bound."""

    def run(self) -> None:
        """Serve until told to stop."""
        self.metrics = Metrics()
        self._server: uvicorn.Server | None = None
        self._application: HttpServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        if not self.load():
            return
        self._succession = succession_of(Path(self.boot["app_dir"]))
        if self.boot["successor"] and not self._done(lambda succession: succession.warm()):
            return
        plan = self.channel.call("ready_to_serve", {}).result().body  # a spare waits for as long as nobody asks
        if self._succession is not None:
            self._succession.offer(lambda: self.channel.call("wants_successor", {}))
        counters: HostCounters | None = offered(Path(self.boot["app_dir"]), COUNTERS)
        if counters is not None:
            counters.offer(lambda: self.channel.call("counters", {}).result(timeout=_COUNTERS_SECONDS).body)
        if self.boot["successor"] and not self._done(lambda succession: succession.prepare()):
            return
        listener = _inherited_socket(self.boot)
        grace_seconds = max(1, round(plan["grace_seconds"]))
        config = uvicorn.Config(_not_yet, timeout_graceful_shutdown=grace_seconds, **SERVER_SETTINGS)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(self._serve(config, plan, listener))
        if self._application is not None and self._application.is_leaving:
            self._farewell()

    def _farewell(self) -> None:
        """Leave what was counted with the host."""
        with contextlib.suppress(TimeoutError, ChannelClosed):
            self.channel.call("farewell", self.metrics.document()).result(timeout=2)

    def _done(self, part: Callable[[Succession], None]) -> bool:
        """Have the app do its part to take over from the present worker; tell the host where it cannot."""
        try:
            if self._succession is not None:
                part(self._succession)
        except Exception as error:  # noqa: BLE001 - the present worker goes on, whatever keeps this one from it
            self.channel.call("cannot_take_over", {"reason": str(error)}).result(timeout=10)
            return False
        return True

    async def _serve(self, config: uvicorn.Config, plan: Mapping[str, Any], listener: socket.socket) -> None:
        keys = Keys(**plan["keys"])
        application = HttpServer(
            table=RouteTable(self._http_functions(plan, keys)),
            keys=keys,
            options=_options(plan["options"]),
            threads=self.threads,
            metrics=self.metrics,
            host=self._call_host,
            farewell=self._farewell,
        )
        self._application, self._loop = application, asyncio.get_running_loop()
        config.app = application
        self._server = uvicorn.Server(config)
        threading.Thread(target=application.watch_time_outs, name="time-outs", daemon=True).start()
        announcer = asyncio.create_task(self._announce(self._server))
        gc.collect()
        gc.freeze()
        await self._server.serve(sockets=[listener])
        announcer.cancel()

    async def _announce(self, server: uvicorn.Server) -> None:
        while not server.started:
            await asyncio.sleep(0.005)
        if self.stop_asked.is_set():
            server.should_exit = True
        await self._call_host("serving", {"succession": self._succession is not None})

    def _http_functions(self, plan: Mapping[str, Any], keys: Keys) -> list[HttpFunction]:
        found: list[HttpFunction] = []
        for row in plan["functions"]:
            indexed = self.functions.get(row["name"])
            if indexed is None or indexed.plan is None:
                logs.error("function.missing", function=row["name"], reason="this worker did not find it in the app")
                continue
            found.append(
                HttpFunction(
                    plan=indexed.plan,
                    route=compile_route(row["template"]),
                    methods=frozenset(row["methods"]),
                    level=row["level"],
                    keys=keys.good_for(row["name"], row["level"]),
                    disabled=row["disabled"],
                    has_outputs=bool(indexed.plan.outputs),
                    has_places=row["has_places"],
                    answered=answered_line(row["name"]),
                )
            )
        return found

    async def _call_host(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await asyncio.wrap_future(self.channel.call(method, body))
        return reply.body

    def _handle(self, method: str, body: dict[str, Any], payload: bytes, answer: Answer) -> None:  # noqa: ARG002
        if method == "ping":
            answer({})
        elif method == "metrics":
            answer(self.metrics.document())
        elif method == "leave":
            answer({})
            if self._loop is None:
                os._exit(0)  # nothing is served yet
            asyncio.run_coroutine_threadsafe(self._leave(body["seconds"]), self._loop)
        elif method == "not_succeeded":
            answer({})
            if self._succession is not None:
                self._succession.failed(body["reason"])
        elif method == "stop":
            answer({})
            self.stop_asked.set()
            if self._server is None:
                os._exit(0)  # nothing is served yet, and the main thread waits for the host
            self._server.should_exit = True
        else:
            answer({"error": f"an HTTP worker does not know {method!r}"})

    async def _leave(self, seconds: float) -> None:
        """Take no more connections, let those that are open end with their next answer, then end.

        Who keeps a connection without using it finds it closed after a moment, as with any server that is replaced.
        """
        server, application = self._server, self._application
        assert server is not None
        assert application is not None
        application.is_leaving = True
        for listening in server.servers:
            listening.close()
        patience = asyncio.get_running_loop().time() + min(_IDLE_CONNECTION_SECONDS, seconds)
        while server.server_state.connections and asyncio.get_running_loop().time() < patience:
            await asyncio.sleep(0.02)
        server.should_exit = True


def _inherited_socket(boot: Mapping[str, Any]) -> socket.socket:
    if sys.platform == "win32":
        return socket.fromshare(base64.b64decode(boot["shared_socket"]))
    return socket.socket(fileno=boot["socket_number"])


def _options(document: Mapping[str, Any]) -> HttpOptions:
    values = dict(document)
    values["custom_headers"] = tuple(
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in document["custom_headers"].items()
    )
    values["cors_origins"] = tuple(document["cors_origins"])
    return HttpOptions(**values)


async def _not_yet(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    """Stands in the server's configuration until the application is made on the running loop."""
    await send({"type": "http.response.start", "status": 503, "headers": []})
    await send({"type": "http.response.body", "body": b""})
