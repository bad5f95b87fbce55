"""An ASGI application behind one function: whatever the path, the application answers it."""

import json
from typing import Any

import azure.functions as func


async def desk(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve the lifespan, and answer each request with what it was."""
    if scope["type"] == "lifespan":
        message = await receive()
        while message["type"] != "lifespan.shutdown":
            scope["state"]["opened"] = True
            await send({"type": "lifespan.startup.complete"})
            message = await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "body": body.decode(),
        "opened": scope["state"].get("opened", False),
    }
    status = 404 if scope["path"] == "/nowhere" else 200
    headers = [(b"content-type", b"application/json"), (b"x-desk", b"open")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


app = func.AsgiFunctionApp(app=desk, http_auth_level=func.AuthLevel.ANONYMOUS)
