"""JSON log lines on standard output: one object a line, from every process of the host."""

import contextvars
import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

current_invocation: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("invocation", default=None)
_lock = threading.Lock()
_process = {"role": "host"}
_LEVELS = {
    "trace": 5,
    "debug": 10,
    "information": 20,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
    "none": 100,
}


def set_role(role: str) -> None:
    """Name this process in its log lines: `host`, `http` or `event`."""
    _process["role"] = role


def write_line(level: str, event: str, **fields: Any) -> None:
    """Write one line; it must never raise, because a full disk or closed pipe is no reason to lose a message."""
    record: dict[str, Any] = {
        "timestamp": _now(),
        "level": level,
        "event": event,
        "process": _process["role"],
        **fields,
    }
    try:
        text = json.dumps(record, default=str, ensure_ascii=False)
        with _lock:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    except (OSError, ValueError):
        return


def info(event: str, **fields: Any) -> None:
    """Write an `info` line."""
    write_line("info", event, **fields)


def warning(event: str, **fields: Any) -> None:
    """Write a `warning` line."""
    write_line("warning", event, **fields)


def error(event: str, **fields: Any) -> None:
    """Write an `error` line."""
    write_line("error", event, **fields)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonHandler(logging.Handler):
    """Turns records of the standard library's loggers into the host's lines, with the invocation they belong to."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        fields: dict[str, Any] = {"logger": record.name}
        invocation = current_invocation.get()
        if invocation is not None:
            fields["invocation_id"], fields["function"] = invocation
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        write_line(record.levelname.lower(), message, **fields)


def capture_standard_logging(level: str | None = None) -> None:
    """Send the root logger's records to standard output as JSON lines; an app may replace this by its own handlers."""
    root = logging.getLogger()
    root.handlers[:] = [JsonHandler()]
    name = level or "information"
    root.setLevel(_LEVELS.get(name.lower(), logging.INFO))
    for noisy in ("azure", "uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its pool warns of connections it does not keep
