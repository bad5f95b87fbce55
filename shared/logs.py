"""Structured logs: one JSON object a line, an event code first, the request's own fields bound once."""

import contextlib
import logging
import sys
import threading
from functools import lru_cache
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_WORDS = ("key", "secret", "password", "token", "connection")
_lock = threading.Lock()
_HARMLESS = frozenset({"key_id", "lease_token", "keys"})


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values whose names promise a secret, so that no call can log one by accident."""
    for name in event:
        if _promises_a_secret(name):
            event[name] = "***"
    return event


@lru_cache(1_000)
def _promises_a_secret(name: str) -> bool:
    return name not in _HARMLESS and any(word in name.lower() for word in _SECRET_WORDS)


def _to_json(event: EventDict, **_unused: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class LineLogger:
    """Writes lines and never raises: a full disk or a closed pipe is no reason to refuse a prediction."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line, or lose it where it cannot be written."""
        with _lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = msg


def configure_logging(level: str = "INFO", stream: TextIO | None = None, heard_by: Processor | None = None) -> None:
    """Send every structlog event as a JSON line to `stream` (standard output unless given).

    `heard_by` is shown each event beforehand, its secrets masked.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_secrets,
            *filter(None, [heard_by]),
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: LineLogger(stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
