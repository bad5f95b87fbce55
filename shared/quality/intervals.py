"""Honest 95 % intervals: orders of one item resemble each other, so whole items are resampled, not orders."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.95
NORMAL_QUANTILE = 1.959963984540054
_KEPT_CELLS = 20_000  # of draws that are kept for the next set of as many items
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


def dense(numbers: Ints) -> tuple[Ints, Ints]:
    """Return each number's rank among the different ones, and where each of these stands first."""
    steps = np.diff(numbers)
    if len(numbers) and (steps >= 0).all():  # rising already: nothing has to be sorted
        begins = np.concatenate([[True], steps > 0])
        return np.cumsum(begins) - 1, np.flatnonzero(begins)
    _, firsts, ranks = np.unique(numbers, return_index=True, return_inverse=True)
    return ranks, firsts


def _draw(seed: int, count: int, draws: int) -> Floats:
    generator = np.random.default_rng([seed, count])
    drawn = generator.integers(0, max(1, count), size=(count, draws)) * draws + np.arange(draws)
    times = np.bincount(drawn.ravel(), minlength=count * draws).reshape(count, draws).astype(np.float64)
    times.flags.writeable = False
    return times


_draw_and_keep = lru_cache(maxsize=64)(_draw)  # families of as many items are drawn alike


class Resampling:
    """Bootstrap draws over the items that a set of rows belongs to; the same seed gives the same draws."""

    def __init__(self, row_items: Ints, *, seed: int, draws: int) -> None:
        """Prepare `draws` resamplings of the items numbered in `row_items` (one number a row)."""
        self._row_place, firsts = dense(row_items)
        self.items = len(firsts)  # how many different items the rows belong to
        draw = _draw_and_keep if self.items * draws <= _KEPT_CELLS else _draw
        self._times: Floats = draw(seed, self.items, draws)  # (items, draws): how often each is in each draw
        self._weights: Floats | None = None  # those of the last means, and their sums in each draw
        self._sums: Floats = np.zeros(0)

    def means(self, values: Floats, weights: Floats) -> Floats:
        """Return each draw's weighted mean of `values`."""
        if weights is not self._weights:
            self._weights, self._sums = weights, self._summed(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = self._summed(weights * values) / self._sums
        return means

    def _summed(self, values: Floats) -> Floats:
        sums: Floats = np.bincount(self._row_place, values, minlength=self.items) @ self._times
        return sums

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
        if self.items < 2:
            return None, None
        finite = np.isfinite(draws)
        ordered = np.sort(draws if finite.all() else draws[finite])
        if not len(ordered):
            return None, None
        freedom = self.items - 1
        stretch = float(stdtrit(freedom, (1 + LEVEL) / 2)) / NORMAL_QUANTILE * (self.items / freedom) ** 0.5
        lower, upper = quantile(ordered, (1 - LEVEL) / 2), quantile(ordered, (1 + LEVEL) / 2)
        low = max(0.0, value - max(0.0, value - lower) * stretch)
        high = value + max(0.0, upper - value) * stretch
        return low, high if ceiling is None else min(ceiling, high)


def quantile(ordered: Floats, share: float) -> float:
    """Return a quantile of ascending values: the same number as `np.quantile`, which takes a hundred times as long."""
    last = len(ordered) - 1
    place = share * last
    before = int(place)
    beyond = place - before
    lower, upper = float(ordered[before]), float(ordered[min(before + 1, last)])
    apart = upper - lower
    return lower + apart * beyond if beyond < 0.5 else upper - apart * (1 - beyond)


def weighted_mean(values: Floats, weights: Floats) -> float:
    """Return the weighted mean: the same number as `np.average`, which takes several times as long."""
    return float((values * weights).sum() / weights.sum())


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
    share = weighted_mean(hits, weights)
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


def holm(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are, in the order given (S. Holm, 1979, Scand. J. Statist. 6)."""
    corrected, least = [0.0] * len(chances), 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        least = max(least, min(1.0, chances[place] * (len(chances) - rank)))
        corrected[place] = least
    return corrected
