"""Plain counters, kept by every process and added up by the host."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any


class Metrics:
    """Counters by name, and per function and outcome the number of invocations and their seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, int] = defaultdict(int)
        self._invocations: dict[tuple[str, str], list[float]] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counters[name] += by

    def invocation(self, function: str, outcome: str, seconds: float) -> None:
        """Count one finished invocation."""
        with self._lock:
            sums = self._invocations.setdefault((function, outcome), [0, 0.0])
            sums[0] += 1
            sums[1] += seconds

    def document(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        with self._lock:
            return {
                "counters": dict(self._counters),
                "invocations": [
                    {"function": function, "outcome": outcome, "count": int(count), "seconds": seconds}
                    for (function, outcome), (count, seconds) in self._invocations.items()
                ],
            }


def add_up(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the documents of several processes."""
    total = Metrics()
    for document in documents:
        for name, value in document["counters"].items():
            total.count(name, value)
        for row in document["invocations"]:
            sums = total._invocations.setdefault((row["function"], row["outcome"]), [0, 0.0])
            sums[0] += row["count"]
            sums[1] += row["seconds"]
    return total.document()
