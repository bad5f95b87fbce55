"""Failed sign-ins are counted by client and by what they try, and refused beyond a few a minute."""

import hashlib
import math
import secrets
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shared.errors import TooManyAttempts

BY_CLIENT = RateLimitItemPerMinute(10)
BY_PREFIX = RateLimitItemPerMinute(5)
PREFIX_CHARACTERS = 16  # of a key: `rml_` and its id, so all tries at one key count together
BUCKETS = 4_096  # for clients, and for prefixes: however many of them there are, memory holds no more


class SignInThrottle:
    """Counts the failures of this process's last minute; a process that was just started has none."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._salt = secrets.token_bytes(16)  # nobody can choose an address that shares somebody else's bucket

    def check(self, client: str, presented: str) -> None:
        """Raise TooManyAttempts where too many failures of this client, or with this key, are too young."""
        for limit, bucket in self._buckets(client, presented):
            if not self._limiter.test(limit, bucket):
                resets_at = self._limiter.get_window_stats(limit, bucket).reset_time
                seconds = max(1, math.ceil(resets_at - time.time()))
                raise TooManyAttempts(
                    "Too many sign-ins failed.", remedy=f"Try again in {seconds} s.", retry_after_seconds=seconds
                )

    def note_failure(self, client: str, presented: str) -> None:
        """Count a failed sign-in."""
        for limit, bucket in self._buckets(client, presented):
            self._limiter.hit(limit, bucket)

    def _buckets(self, client: str, presented: str) -> tuple[tuple[RateLimitItem, str], ...]:
        prefix = presented[:PREFIX_CHARACTERS]
        return (BY_CLIENT, self._bucket(f"client {client}")), (BY_PREFIX, self._bucket(f"prefix {prefix}"))

    def _bucket(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode(), key=self._salt, digest_size=8).digest()
        return f"{text.split(' ', 1)[0]} {int.from_bytes(digest) % BUCKETS}"
