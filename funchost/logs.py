"""JSON log lines on standard output: one object a line, from every process of the host."""

import contextvars
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

current_invocation: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("invocation", default=None)
_lock = threading.Lock()
_process = {"role": "host"}
_second = (0, "")  # the present one, and as a text
_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False)
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
        _write(_ENCODER.encode(record) + "\n")
    except (OSError, ValueError):
        return


def _write(line: str) -> None:
    with _lock:
        sys.stdout.write(line)
        sys.stdout.flush()


class LineTemplate:
    """A line that is written for every request: what stays the same is put into JSON once.

    `ids` and `numbers` name the values that `write` gets, in this order; ids are texts that need no escaping.
    """

    def __init__(self, level: str, event: str, *, ids: Sequence[str], numbers: Sequence[str], **fields: Any) -> None:
        same = {"level": level, "event": event, "process": _process["role"], **fields}
        begin = _ENCODER.encode(same)[:-1].replace("%", "%%")
        changing = [*(f', "{name}": "%s"' for name in ids), *(f', "{name}": %s' for name in numbers)]
        self._form = f'{{"timestamp": "%s", {begin[1:]}{"".join(changing)}}}\n'

    def write(self, *values: Any) -> None:
        """Write the line with these values; like `write_line` it never raises."""
        try:
            _write(self._form % (_now(), *values))
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
    """Return the time with milliseconds; the text of the second is made once a second."""
    global _second
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    known, text = _second
    if seconds != known:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = (seconds, text)
    return f"{text}.{milliseconds:03d}Z"


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
