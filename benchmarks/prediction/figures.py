"""What was measured beside what is allowed: one row a figure, met or missed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value; `peer` is the same unit from the same run."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False  # whether the limit is a floor
    peer_name: str | None = None
    peer: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Tell whether the limit holds; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def ratio(self) -> float | None:
        """Return the value over the peer's."""
        return None if not self.peer else self.value / self.peer

    def as_json(self) -> dict[str, Any]:
        """Return the figure with its verdict."""
        return {**asdict(self), "met": self.met, "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Latencies of one contender in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    cpu_p50: float | None = None  # of the asking thread, where it was measured

    @classmethod
    def of(cls, wall_ms: Sequence[float], cpu_ms: Sequence[float] | None = None) -> "Spread":
        """Summarise latencies."""
        p50, p95, p99 = (float(value) for value in np.quantile(np.asarray(wall_ms), [0.5, 0.95, 0.99]))
        cpu = None if cpu_ms is None else float(np.median(np.asarray(cpu_ms)))
        return cls(count=len(wall_ms), p50=p50, p95=p95, p99=p99, cpu_p50=cpu)

    @property
    def told(self) -> str:
        """Return what the 95 % point alone does not say."""
        cpu = "" if self.cpu_p50 is None else f", CPU p50 {self.cpu_p50:.2f}"
        return f"n {self.count:,}, p50 {self.p50:.2f}, p99 {self.p99:.2f}{cpu}"


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| what | measured | budget | met | peer | ratio to peer | more |",
        "|---|---:|---:|---|---:|---:|---|",
    ]
    for figure in figures:
        budget = "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {_shown(figure.limit)}"
        met = {None: "", True: "met", False: "**missed**"}[figure.met]
        peer = "" if figure.peer is None else f"{figure.peer_name} {_shown(figure.peer)}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        value = f"{_shown(figure.value)} {figure.unit}"
        lines.append(f"| {figure.what} | {value} | {budget} | {met} | {peer} | {ratio} | {figure.note} |")
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
