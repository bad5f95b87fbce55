"""The one place that reads the time of day, so that tests can pass another clock."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time, aware and in UTC; every stored time in the product is one of these."""
    return datetime.now(UTC)
