"""Retry policies of timer functions."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schedules.timespan import parse_timespan


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often (-1: for ever) and after how many seconds a failed run is tried again."""

    max_retry_count: int
    minimum_seconds: float
    maximum_seconds: float
    exponential: bool

    def allows(self, retries_done: int) -> bool:
        """Whether one more try is due."""
        return self.max_retry_count < 0 or retries_done < self.max_retry_count

    def delay_seconds(self, retries_done: int) -> float:
        """Return the wait before the next try; the exponential one is spread by chance."""
        if not self.exponential:
            return self.minimum_seconds
        grown = self.minimum_seconds * 2.0 ** min(retries_done, 40) * random.uniform(0.8, 1.2)  # noqa: S311
        return min(self.minimum_seconds + grown, self.maximum_seconds)


def parse_retry(document: Mapping[str, Any]) -> RetryPolicy:
    """Read the policy that a function declares.

    Raises:
        ValueError: the strategy is unknown, or an interval is missing or no time span.
    """
    strategy = str(document.get("strategy") or "")
    try:
        count = int(document.get("max_retry_count", ""))
    except ValueError:
        raise ValueError("its retry policy needs a whole max_retry_count") from None
    if strategy == "fixed_delay":
        delay = _seconds(document, "delay_interval")
        return RetryPolicy(max_retry_count=count, minimum_seconds=delay, maximum_seconds=delay, exponential=False)
    if strategy == "exponential_backoff":
        low, high = _seconds(document, "minimum_interval"), _seconds(document, "maximum_interval")
        return RetryPolicy(max_retry_count=count, minimum_seconds=low, maximum_seconds=high, exponential=True)
    raise ValueError(f"its retry strategy {strategy!r} is neither fixed_delay nor exponential_backoff")


def _seconds(document: Mapping[str, Any], key: str) -> float:
    text = document.get(key)
    if not text:
        raise ValueError(f"its retry policy needs {key}")
    return parse_timespan(str(text)).total_seconds()
