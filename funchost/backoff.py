"""How long to wait before asking storage again, when it had nothing or could not be reached."""

import random

LONGEST_TROUBLE_SECONDS = 10.0  # of those who only want to know whether storage is back
_SHORTEST_SECONDS = 0.1


class PollDelay:
    """100 ms first, then growing by powers of two with a little chance, up to a cap."""

    def __init__(self, cap_seconds: float) -> None:
        """Take the longest wait."""
        self._cap = max(cap_seconds, _SHORTEST_SECONDS)
        self._in_vain = 0

    def reset(self) -> None:
        """Begin anew: something was there, or storage answered again."""
        self._in_vain = 0

    def next_seconds(self) -> float:
        """Return the wait after one more time in vain."""
        self._in_vain += 1
        if self._in_vain == 1:
            return _SHORTEST_SECONDS
        grown = random.uniform(0.8, 1.2) * 2.0 ** min(self._in_vain - 2, 30) * 0.1  # noqa: S311 - spreads polls only
        return min(_SHORTEST_SECONDS + grown, self._cap)
