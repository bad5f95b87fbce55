"""What is kept of each stream of evidence between two cycles: small JSON, changed only by pure functions.

A *rise* stream keeps the counted errors it ranks by, and each cycle's mean score; a *level* stream keeps the evidence
for each stake and the spread of what it saw. A stream's values come as `Entry`s: one item each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.quality.evidence.level import EXCESSES, NOTHING, Floats, carry, log_evidence, stakes, winnings
from shared.quality.evidence.rise import DEFAULT_DIFFERENCE, DEFAULT_SHIFTS, RISES
from shared.quality.evidence.scores import BINS, Ints, add_items, bins_of, score_against, score_items, shift_of_rise

FULL_POOL = 1_000  # items by which errors are ranked; with fewer in the reference the first live ones join them
LEAST_REFERENCE = 50  # items from which the reference can tell what a rise would do to the scores
KEPT_CYCLES = 250
SMALL_DIFFERENCE = 1.01  # between withheld and live errors: a model may always be so much worse on live ones
LEAST_SHIFT = 0.02  # of a rise of 20 %: below it the scores, nearly all tied, tell of no rise
SLIGHTLY_KNOWN = 20  # items whose spread is assumed before any is seen
_PRIOR_VARIANCE = 1.0  # of values over their bound


class Entry(NamedTuple):
    """One item's new actuals: its weight in the sample and its values, each with a number in 0 to 1 to break ties."""

    weight: float
    values: tuple[float, ...]
    chances: tuple[float, ...]


class Period(NamedTuple):
    """One cycle (or period of the reference) of a rise stream."""

    mean: float  # score
    variance: float  # of that mean; infinite where nothing came
    items: int
    weight: float | None  # of a change that begins with it; None in the reference
    cycle_id: str


@dataclass(frozen=True)
class RiseState:
    """A rise stream."""

    pool: Floats = field(default_factory=lambda: np.zeros(BINS))
    squares: float = 0.0  # of the items' scores, in the reference and while the pool fills
    scored: int = 0
    shifts: tuple[float, ...] = DEFAULT_SHIFTS
    difference: float = DEFAULT_DIFFERENCE  # of scores, that live errors may have from withheld ones
    periods: list[Period] = field(default_factory=list)
    wobble: float = 0.0  # long-run variance of a cycle's mean error over itself, as far as is known
    evidence: float = 0.0  # logarithm, after the last period
    shift: float = 0.0  # of the mean score since the likeliest change
    information: float = 0.0  # about that shift, a cycle (an inverse variance)
    history: tuple[tuple[float, int, str], ...] = ()  # log evidence, items, cycle

    @property
    def items(self) -> int:
        """Live items that entered."""
        return sum(period.items for period in self.periods if period.weight is not None)

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        filled = {str(place): round(float(self.pool[place]), 6) for place in np.flatnonzero(self.pool)}
        periods = [[p.mean, p.variance if np.isfinite(p.variance) else None, *p[2:]] for p in self.periods]
        return {
            "pool": filled,
            "squares": self.squares,
            "scored": self.scored,
            "shifts": list(self.shifts),
            "difference": self.difference,
            "periods": periods,
            "wobble": self.wobble,
            "evidence": self.evidence,
            "shift": self.shift,
            "information": self.information,
            "history": [list(one) for one in self.history],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "RiseState":
        """Return the state of a stored form."""
        pool = np.zeros(BINS)
        for place, count in stored["pool"].items():
            pool[int(place)] = count
        periods = [Period(p[0], np.inf if p[1] is None else p[1], *p[2:]) for p in stored["periods"]]
        history = tuple((one[0], one[1], one[2]) for one in stored["history"])
        return cls(
            pool,
            stored["squares"],
            stored["scored"],
            tuple(stored["shifts"]),
            stored["difference"],
            periods,
            stored["wobble"],
            stored["evidence"],
            stored["shift"],
            stored["information"],
            history,
        )


def begin_rise(reference: Sequence[Sequence[Entry]]) -> RiseState:
    """Return the state of a new activation: `reference` holds withheld items by period, oldest first.

    Each is ranked among all of them, so that the periods tell the wobble about their own mean.
    """
    entries = [entry for period in reference for entry in period]
    if not entries:
        return RiseState()
    values = _arranged(entries)
    pool = np.zeros((1, BINS))
    add_items(pool, values.places, values.weights, values.present)
    scores = score_against(pool, values.places, values.chances, values.present)[0]
    state = RiseState(pool=pool[0], squares=float((scores**2).sum()), scored=len(entries))
    ends = np.cumsum([len(period) for period in reference])[:-1]
    parts = zip(np.split(scores, ends), np.split(values.weights[0], ends), strict=True)
    periods = [_period(some, weights, state, weight=None, cycle_id="") for some, weights in parts]
    state = replace(state, periods=periods)
    if state.scored >= LEAST_REFERENCE:
        shifts = tuple(shift_of_rise(state.pool, factor) for factor in RISES)
        if shifts[0] > LEAST_SHIFT:
            state = replace(state, shifts=shifts, difference=shift_of_rise(state.pool, SMALL_DIFFERENCE))
    return state


def add_period(state: RiseState, entries: Sequence[Entry], *, weight: float, cycle_id: str) -> RiseState:
    """Return the state after one more cycle, in which `entries` came and a change of `weight` may have begun."""
    pool, squares, scored = state.pool, state.squares, state.scored
    scores, weights = np.zeros(0), np.zeros(0)
    if entries:
        values = _arranged(entries)
        weights = values.weights[0]
        if pool.sum() < FULL_POOL:
            pool = pool.copy()
            scores = score_items(pool[np.newaxis], values.places, values.weights, values.chances, values.present)[0]
            squares, scored = squares + float((scores**2).sum()), scored + len(scores)
        else:
            scores = score_against(pool[np.newaxis], values.places, values.chances, values.present)[0]
    kept = [*state.periods, _period(scores, weights, state, weight=weight, cycle_id=cycle_id)]
    first_live = next(place for place, period in enumerate(kept) if period.weight is not None)
    if len(kept) - first_live > KEPT_CYCLES:
        kept.pop(first_live)
    return replace(state, pool=pool, squares=squares, scored=scored, periods=kept)


def _period(scores: Floats, weights: Floats, state: RiseState, *, weight: float | None, cycle_id: str) -> Period:
    """Return a period's mean score and its variance, as far as the spread of scores was known in `state`."""
    if not len(scores):
        return Period(0.0, np.inf, 0, weight, cycle_id)
    spread = (SLIGHTLY_KNOWN + state.squares) / (SLIGHTLY_KNOWN + state.scored)
    mean = float(weights @ scores / weights.sum())
    return Period(mean, float(spread * (weights**2).sum() / weights.sum() ** 2), len(scores), weight, cycle_id)


class _Arranged(NamedTuple):
    """Entries as `scores` takes them: one history."""

    places: Ints
    chances: Floats
    present: NDArray[np.bool_]
    weights: Floats


def _arranged(entries: Sequence[Entry]) -> _Arranged:
    lengths = np.array([len(entry.values) for entry in entries])
    row = np.repeat(np.arange(len(entries)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shape = (1, len(entries), int(lengths.max()))
    values, chances, present = np.zeros(shape), np.full(shape, 0.5), np.zeros(shape, dtype=bool)
    values[0, row, column] = [value for entry in entries for value in entry.values]
    chances[0, row, column] = [chance for entry in entries for chance in entry.chances]
    present[0, row, column] = True
    return _Arranged(bins_of(values), chances, present, np.array([[entry.weight for entry in entries]]))


@dataclass(frozen=True)
class LevelState:
    """A level stream: a mean against its threshold."""

    logs: tuple[float, ...] = (NOTHING,) * len(EXCESSES)
    items: int = 0
    total: float = 0.0  # of the values over their bound, each times its weight
    squares: float = 0.0
    history: tuple[tuple[float, int, str], ...] = ()  # log evidence, items, cycle

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "logs": list(self.logs),
            "items": self.items,
            "total": self.total,
            "squares": self.squares,
            "history": [list(one) for one in self.history],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "LevelState":
        """Return the state of a stored form."""
        history = tuple((one[0], one[1], one[2]) for one in stored["history"])
        return cls(tuple(stored["logs"]), stored["items"], stored["total"], stored["squares"], history)

    @property
    def evidence(self) -> float:
        """The logarithm of the evidence."""
        return float(log_evidence(np.array([self.logs]))[0])

    @property
    def mean(self) -> float:
        """The values' mean over their bound."""
        return self.total / self.items if self.items else 0.0

    @property
    def variance(self) -> float:
        """The spread of the values over their bound, with a guess for some items before any was seen."""
        about = self.squares - self.items * self.mean**2
        return (SLIGHTLY_KNOWN * _PRIOR_VARIANCE + max(about, 0.0)) / (SLIGHTLY_KNOWN + self.items)


def bet(state: LevelState, entries: Sequence[Entry], *, weight: float, wobble: float, cycle_id: str) -> LevelState:
    """Return the state after one more cycle; each entry's one value is a figure over its bound.

    `wobble` is the long-run variance of a cycle's mean value, which the values' own spread does not show.
    """
    if not entries:
        return state
    ratios = np.array([[entry.values[0] for entry in entries]])
    weights = np.array([[entry.weight for entry in entries]])
    shop_floor = np.array([wobble])
    stake = stakes(np.array([state.variance]), np.array([float(len(entries))]), shop_floor, weights.max(axis=1))
    won = winnings(ratios, weights, stake, shop_floor)
    logs = tuple(float(one) for one in carry(np.array([state.logs]), won, weight)[0])
    evidence = float(log_evidence(np.array([logs]))[0])
    return LevelState(
        logs=logs,
        items=state.items + len(entries),
        total=state.total + float((ratios * weights).sum()),
        squares=state.squares + float((ratios**2 * weights).sum()),
        history=(*state.history, (evidence, len(entries), cycle_id))[-KEPT_CYCLES:],
    )
