"""JSON log lines on standard output: one object a line, from every process of the host."""

import contextvars
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from funchost.loglevels import LEVELS, LogLevels

current_invocation: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("invocation", default=None)
_lock = threading.Lock()
_process = {"role": "host"}
_second = (0, "")  # the present one, and as a text
_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False)
_levels = LogLevels()
own_threads = threading.local()  # whose `invocation_id` a function may set in threads that it starts


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


def write_result(level: str, event: str, *, function: str, **fields: Any) -> None:
    """Write the line that tells how a call of a function went, where host.json has such lines written."""
    if result_is_written(level, function):
        write_line(level, event, function=function, **fields)


def result_is_written(level: str, function: str) -> bool:
    """Whether lines of this level that tell how a function's calls went are written."""
    return LEVELS[level] >= _levels.of_result(function)


class LineTemplate:
    """The line that tells how a call of a function went: what stays the same for all calls is put into JSON once.

    `ids` and `numbers` name the values that `write` gets, in this order; ids are texts that need no escaping.
    """

    def __init__(self, level: str, event: str, *, ids: Sequence[str], numbers: Sequence[str], **fields: Any) -> None:
        self._is_written = result_is_written(level, str(fields["function"]))
        same = {"level": level, "event": event, "process": _process["role"], **fields}
        begin = _ENCODER.encode(same)[:-1].replace("%", "%%")
        changing = [*(f', "{name}": "%s"' for name in ids), *(f', "{name}": %s' for name in numbers)]
        self._form = f'{{"timestamp": "%s", {begin[1:]}{"".join(changing)}}}\n'

    def write(self, *values: Any) -> None:
        """Write the line with these values, where such lines are written; like `write_line` it never raises."""
        if not self._is_written:
            return
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
        """Write one record, where the level of its category lets it pass."""
        fields: dict[str, Any] = {"logger": record.name}
        invocation = current_invocation.get()
        if invocation is not None:
            fields["invocation_id"], fields["function"] = invocation
        elif (invocation_id := getattr(own_threads, "invocation_id", None)) is not None:
            fields["invocation_id"] = invocation_id
        if record.levelno < _levels.of(_category(fields)):
            return
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        write_line(record.levelname.lower(), message, **fields)


def _category(fields: Mapping[str, Any]) -> str:
    if "function" in fields:
        return f"Function.{fields['function']}.User"
    if "invocation_id" in fields:
        return "Function"
    return "Host" if _process["role"] == "host" else "Worker"


def capture_standard_logging(levels: Mapping[str, str] | None = None) -> None:
    """Send the root logger's records to standard output as JSON lines; an app may replace this by its own handlers.

    `levels` are names of levels by category, as host.json has them.
    """
    global _levels
    _levels = LogLevels(levels)
    root = logging.getLogger()
    root.handlers[:] = [JsonHandler()]
    root.setLevel(_levels.lowest())
    for noisy in ("azure", "uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its pool warns of connections it does not keep
