"""Structured logs: one JSON object a line, an event code first, the request's own fields bound once."""

import logging
import sys
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

_SECRET_WORDS = ("key", "secret", "password", "token", "connection")
_HARMLESS = frozenset({"key_id", "lease_token", "keys"})


def _mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values whose names promise a secret, so that no call can log one by accident."""
    for name in event:
        if name not in _HARMLESS and any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "***"
    return event


def _to_json(event: EventDict, **_unused: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every structlog event as a JSON line to `stream` (standard output unless given)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_secrets,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
