"""What the host is compared with: the same server around a bare framework, and the storage SDK in a bare loop.

    python -m benchmarks.host.peers starlette PORT     Starlette, a route that returns a text
    python -m benchmarks.host.peers asgi PORT          no framework at all: what the server itself costs
    python -m benchmarks.host.peers queue < plan.json  receive and delete until the queue is empty

The servers have the settings of the host's own and write for each request the JSON line that the host writes, in the
quickest way there is. Starlette is a benchmark-only package.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson

from funchost.server import BACKLOG, SERVER_SETTINGS

Call = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


def write_line(started: float) -> None:
    """Write what the host writes of a request that went well."""
    record = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": "info",
        "event": "function.succeeded",
        "process": "http",
        "invocation_id": str(uuid.uuid4()),
        "function": "noop_async",
        "trigger": "http",
        "attempt": 1,
        "duration_ms": round((time.monotonic() - started) * 1000, 3),
        "outcome": "succeeded",
        "status": 200,
    }
    os.write(1, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def starlette_app() -> Call:
    """Return Starlette with one route."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def noop(_: Request) -> Response:
        started = time.monotonic()
        answer = PlainTextResponse("ok")
        write_line(started)
        return answer

    app: Call = Starlette(routes=[Route("/api/async", noop, methods=["GET"])])
    return app


def asgi_app() -> Call:
    """Return a bare ASGI function."""
    headers = [(b"content-length", b"2"), (b"content-type", b"text/plain; charset=utf-8")]

    async def noop(_scope: MutableMapping[str, Any], _receive: Any, send: Any) -> None:
        started = time.monotonic()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
        write_line(started)

    return noop


APPS: dict[str, Callable[[], Call]] = {"starlette": starlette_app, "asgi": asgi_app}


def serve(app: str, port: int) -> None:
    """Serve until this process is ended."""
    import uvicorn

    config = uvicorn.Config(APPS[app](), **SERVER_SETTINGS)
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    os.write(1, b"listens\n")
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[listener]))


def empty_queue(connection: str, queue: str, page: int) -> dict[str, Any]:
    """Receive pages of messages and delete each, one after the other, until no more come."""
    from azure.storage.queue import QueueClient

    with QueueClient.from_connection_string(connection, queue) as client:
        client.get_queue_properties()  # connect before anything counts
        began, handled = time.perf_counter(), 0
        while messages := list(client.receive_messages(messages_per_page=page, max_messages=page)):
            for message in messages:
                client.delete_message(message)
                handled += 1
        return {"seconds": time.perf_counter() - began, "handled": handled, "cpu_seconds": time.process_time()}


def main() -> int:
    """Play the peer that is named."""
    if sys.argv[1] == "queue":
        print(json.dumps(empty_queue(**json.load(sys.stdin))))
    else:
        serve(sys.argv[1], int(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
