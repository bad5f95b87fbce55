"""A breaker: keeps something that failed from being tried again for a while, so that it slows nobody down."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.clock import Clock


@dataclass(frozen=True, kw_only=True)
class BreakerState:
    """What a breaker says of itself."""

    is_open: bool
    since: datetime | None  # when it opened
    retry_at: datetime | None  # when the next try is allowed, while it is open
    last_error: str | None  # kept when it closes again
    last_error_at: datetime | None


class Breaker:
    """Closed while all is well; open for `rest_seconds` after a failure, then one caller may try."""

    def __init__(self, rest_seconds: float, clock: Clock) -> None:
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._retry: float | None = None  # by the monotonic clock; None: closed
        self._state = BreakerState(is_open=False, since=None, retry_at=None, last_error=None, last_error_at=None)

    @property
    def state(self) -> BreakerState:
        """How it stands."""
        return self._state

    def admit(self) -> Literal["yes", "trial", "no"]:
        """Tell whether to go on; where a rest is over the first that asks is on trial, and a new rest begins."""
        with self._lock:
            if self._retry is None:
                return "yes"
            if time.monotonic() < self._retry:
                return "no"
            self._rest(self._state.last_error, self._state.last_error_at)
            return "trial"

    def failed(self, error: str) -> None:
        """Open, or rest anew."""
        with self._lock:
            self._rest(error, self._clock())

    def succeeded(self) -> None:
        """Close."""
        with self._lock:
            self._retry = None
            state = self._state
            self._state = BreakerState(
                is_open=False, since=None, retry_at=None, last_error=state.last_error, last_error_at=state.last_error_at
            )

    def _rest(self, error: str | None, at: datetime | None) -> None:
        now = self._clock()
        self._retry = time.monotonic() + self._rest_seconds
        self._state = BreakerState(
            is_open=True, since=self._state.since or now, retry_at=now + timedelta(seconds=self._rest_seconds),
            last_error=error, last_error_at=at,
        )  # fmt: skip
