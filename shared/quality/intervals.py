"""Honest 95 % intervals: orders of one item resemble each other, so whole items are resampled, not orders."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.95
NORMAL_QUANTILE = 1.959963984540054
_CELLS_AT_ONCE = 250_000  # of a resampling of sorted rows: more than that leaves the processor's cache


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure: its value, how many things it stands on, and its 95 % interval.

    `value` is None exactly when nothing could be measured; `message` then says why. A bound is None when too little
    was seen to tell it.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    message: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the stored form; `message` only where there is one."""
        plain: dict[str, Any] = {"value": self.value, "n": self.n, "low": self.low, "high": self.high}
        return plain | ({"message": self.message} if self.message else {})


def nothing(message: str) -> Figure:
    """Return the figure of something that could not be measured."""
    return Figure(value=None, n=0, message=message)


Name = TypeVar("Name", bound=Hashable)


def numbered(names: Iterable[Name]) -> tuple[Ints, tuple[Name, ...]]:
    """Return each name's number, counted from 0 in the order in which names first appear, and the names by number."""
    known: dict[Name, int] = {}
    numbers = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
    return numbers, tuple(known)


class Resampling:
    """Bootstrap draws over the items that a set of rows belongs to; the same seed gives the same draws."""

    def __init__(self, row_items: Ints, *, seed: int, draws: int) -> None:
        """Prepare `draws` resamplings of the items numbered in `row_items` (one number a row)."""
        self._items, self._row_place = np.unique(row_items, return_inverse=True)
        count = len(self._items)
        generator = np.random.default_rng([seed, count])
        drawn = generator.integers(0, max(1, count), size=(count, draws)) * draws + np.arange(draws)
        times = np.bincount(drawn.ravel(), minlength=count * draws).reshape(count, draws)
        self._times: Floats = times.astype(np.float64)  # (items, draws): how often each is in each draw

    @property
    def items(self) -> int:
        """How many different items the rows belong to."""
        return len(self._items)

    def means(self, values: Floats, weights: Floats) -> Floats:
        """Return each draw's weighted mean of `values`."""
        top = np.bincount(self._row_place, weights * values, minlength=self.items) @ self._times
        bottom = np.bincount(self._row_place, weights, minlength=self.items) @ self._times
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = top / bottom
        return means

    def of_sorted(self, values: Floats, weights: Floats, statistic: Callable[[Floats, Floats], Floats]) -> Floats:
        """Return each draw's `statistic(sorted values, row weights of several draws)`."""
        order = np.argsort(values, kind="stable")
        ordered, place, base = values[order], self._row_place[order], weights[order]
        at_once = max(1, _CELLS_AT_ONCE // max(1, len(values)))
        parts = []
        for start in range(0, self._times.shape[1], at_once):
            chosen = self._times[:, start : start + at_once][place]  # rows of draws: whole lines are copied
            chosen *= base[:, None]
            parts.append(statistic(ordered, chosen.T))
        return np.concatenate(parts)

    def interval(
        self, value: float, draws: Floats, *, ceiling: float | None = None
    ) -> tuple[float | None, float | None]:
        """Return the 95 % bounds of `value` from its draws, widened for few items; None for a single item.

        Percentiles of a bootstrap are too narrow when items are few, so their distance to the value is stretched by
        Student's quantile over the normal's. Figures are never negative; `ceiling` bounds shares.
        """
        kept = draws[np.isfinite(draws)]
        if self.items < 2 or not len(kept):
            return None, None
        freedom = self.items - 1
        stretch = float(stdtrit(freedom, (1 + LEVEL) / 2)) / NORMAL_QUANTILE * (self.items / freedom) ** 0.5
        lower, upper = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low = max(0.0, value - max(0.0, value - float(lower)) * stretch)
        high = value + max(0.0, float(upper) - value) * stretch
        return low, high if ceiling is None else min(ceiling, high)


def trimmed_means(ordered: Floats, weights: Floats, trim_share: float) -> Floats:
    """Return the mean of ascending `ordered` without `trim_share` of the weight at each end, per row of `weights`."""
    ends = np.cumsum(weights.T, axis=0)
    total = ends[-1].copy()
    low, high = trim_share * total, (1 - trim_share) * total
    np.clip(ends, low, high, out=ends)
    # Summation by parts of ordered[i] times the weight kept between ends[i - 1] and ends[i].
    kept = ordered[-1] * high - ordered[0] * low - np.diff(ordered) @ ends[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Floats = kept / (high - low)
    return means


def medians(ordered: Floats, weights: Floats) -> Floats:
    """Return the weighted median of ascending `ordered`, per row of `weights` (the mean of the two middles)."""
    ends = np.cumsum(weights.T, axis=0)
    half, tolerance = ends[-1] / 2, 1e-9 * ends[-1]
    first = (ends < half - tolerance).sum(axis=0)
    second = (ends <= half + tolerance).sum(axis=0)
    last = len(ordered) - 1
    middles: Floats = (ordered[np.minimum(first, last)] + ordered[np.minimum(second, last)]) / 2
    return middles


def wilson(hits: Floats, weights: Floats) -> Figure:
    """Return the share of hits (0 or 1, one an item) with Wilson's interval at the weights' effective number."""
    if not len(hits):
        return nothing("no item could be judged")
    share = float(np.average(hits, weights=weights))
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    square = NORMAL_QUANTILE**2
    centre = (share + square / (2 * effective)) / (1 + square / effective)
    spread = (
        NORMAL_QUANTILE
        * (share * (1 - share) / effective + square / (4 * effective**2)) ** 0.5
        / (1 + square / effective)
    )
    low, high = max(0.0, min(share, centre - spread)), min(1.0, max(share, centre + spread))
    return Figure(value=share, n=len(hits), low=low, high=high)
