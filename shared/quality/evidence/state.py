"""What is kept of each stream of evidence between two cycles: small JSON, changed only by pure functions.

A *rise* stream keeps the counted errors it ranks by, and each cycle's mean score; a *level* stream keeps the evidence
for each stake and the spread of what it saw. A stream's values come as `Entry`s: one item each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from shared.quality.evidence.level import EXCESSES, NOTHING, Floats, carry, log_evidence, stakes, winnings
from shared.quality.evidence.rise import DEFAULT_OFFSET, DEFAULT_SHIFTS, RISES
from shared.quality.evidence.scores import BINS, bins_of, score_against, score_items, shift_of_rise

FULL_POOL = 1_000  # items by which errors are ranked; until then the first live ones join them
LEAST_REFERENCE = 50  # items from which the reference can tell what a rise would do to the scores
KEPT_CYCLES = 250
SMALL_DIFFERENCE = 1.01  # between withheld and live errors: a model may always be so much worse on live ones
_SLIGHTLY_KNOWN = 20  # items whose spread is assumed before any is seen
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
    squares: float = 0.0  # of the items' scores so far, while the pool fills
    scored: int = 0
    shifts: tuple[float, ...] = DEFAULT_SHIFTS
    offset: float = DEFAULT_OFFSET
    periods: list[Period] = field(default_factory=list)
    wobble: float = 0.0  # long-run variance of a cycle's mean error over itself, as far as is known
    evidence: float = 0.0  # logarithm, after the last period
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
            "offset": self.offset,
            "periods": periods,
            "wobble": self.wobble,
            "evidence": self.evidence,
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
            stored["offset"],
            periods,
            stored["wobble"],
            stored["evidence"],
            history,
        )


def begin_rise(reference: Sequence[Sequence[Entry]]) -> RiseState:
    """Return the state of a new activation: `reference` holds withheld items by period, oldest first."""
    state = RiseState()
    for entries in reference:
        state = add_period(state, entries, weight=None, cycle_id="")
    if state.scored >= LEAST_REFERENCE:
        shifts = tuple(shift_of_rise(state.pool, factor) for factor in RISES)
        if shifts[0] > 0.02:
            state = replace(state, shifts=shifts, offset=shift_of_rise(state.pool, SMALL_DIFFERENCE))
    return replace(state, offset=float(np.hypot(state.offset, max(state.scored, FULL_POOL) ** -0.5)))


def add_period(state: RiseState, entries: Sequence[Entry], *, weight: float | None, cycle_id: str) -> RiseState:
    """Return the state after one more cycle, in which `entries` came and a change of `weight` may have begun."""
    pool = state.pool.copy()
    squares, scored = state.squares, state.scored
    mean, variance = 0.0, np.inf
    if entries:
        fills = pool.sum() < FULL_POOL
        scores, weights = _scores(pool, entries, fills=fills)
        spread = (_SLIGHTLY_KNOWN + squares) / (_SLIGHTLY_KNOWN + scored)
        mean = float(weights @ scores / weights.sum())
        variance = float(spread * (weights**2).sum() / weights.sum() ** 2)
        if fills:
            squares, scored = squares + float((scores**2).sum()), scored + len(scores)
    period = Period(mean, variance, len(entries), weight, cycle_id)
    live = sum(p.weight is not None for p in state.periods)
    kept = [*state.periods, period]
    if live >= KEPT_CYCLES:
        kept.pop(next(place for place, p in enumerate(kept) if p.weight is not None))
    return replace(state, pool=pool, squares=squares, scored=scored, periods=kept)


def _scores(pool: Floats, entries: Sequence[Entry], *, fills: bool) -> tuple[Floats, Floats]:
    """Score the entries against `pool`, which they join while it `fills`."""
    width = max(len(entry.values) for entry in entries)
    values, chances = np.zeros((1, len(entries), width)), np.full((1, len(entries), width), 0.5)
    present = np.zeros(values.shape, dtype=bool)
    for place, entry in enumerate(entries):
        here = len(entry.values)
        values[0, place, :here], chances[0, place, :here], present[0, place, :here] = entry.values, entry.chances, True
    weights = np.array([[entry.weight for entry in entries]])
    if fills:
        scores = score_items(pool[np.newaxis], bins_of(values), weights, chances, present)
    else:
        scores = score_against(pool[np.newaxis], bins_of(values), chances, present)
    return scores[0], weights[0]


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
        return (_SLIGHTLY_KNOWN * _PRIOR_VARIANCE + max(about, 0.0)) / (_SLIGHTLY_KNOWN + self.items)


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
