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


_LONGEST_REST = 8.0  # in first ones


class Breaker:
    """Closed while all is well; open after a failure, and then one caller may try after ever longer rests.

    The first rest takes `rest_seconds`, each further one twice as long, up to eight times.
    """

    def __init__(self, rest_seconds: float, clock: Clock) -> None:
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0  # since it last was closed
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
            self._failures += 1
            self._rest(error, self._clock())

    def succeeded(self) -> None:
        """Close."""
        with self._lock:
            self._failures, self._retry = 0, None
            state = self._state
            self._state = BreakerState(
                is_open=False, since=None, retry_at=None, last_error=state.last_error, last_error_at=state.last_error_at
            )

    def _rest(self, error: str | None, at: datetime | None) -> None:
        now = self._clock()
        seconds = self._rest_seconds * min(2.0 ** (self._failures - 1), _LONGEST_REST)
        self._retry = time.monotonic() + seconds
        self._state = BreakerState(
            is_open=True, since=self._state.since or now, retry_at=now + timedelta(seconds=seconds),
            last_error=error, last_error_at=at,
        )  # fmt: skip
