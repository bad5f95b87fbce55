"""How an HTTP worker's server, uvicorn, is set up."""

from typing import Any

BACKLOG = 2048  # connections that wait to be accepted

SERVER_SETTINGS: dict[str, Any] = {  # of uvicorn.Config; log lines, headers and the start are the worker's own
    "http": "httptools",
    "loop": "auto",
    "lifespan": "off",
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_keep_alive": 120,  # seconds
    "backlog": BACKLOG,
}
