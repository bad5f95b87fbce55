"""Whole lives of a factory in which nothing ever gets worse, through the product's own streams: does anything alarm?

Every stream that a cycle judges takes part: rises and levels, of errors, of missed operations and of spread, overall
and of every family, over several activations with a reference of their own. Levels lie just within their thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from benchmarks.alarms.worlds import CYCLES, ITEMS, RATE
from shared.quality.evidence.actuals import FreshItem, key_of
from shared.quality.evidence.reference import PERIOD_ITEMS, REFERENCE_ITEMS
from shared.quality.evidence.shares import limit, share_of_stream
from shared.quality.evidence.streams import Bounds, Evidence, advance, begin

FAMILIES, LATER_FAMILY, LATER_FROM = 5, "later", 120
OPERATIONS = 8
ORDERS = 2  # of an item, sharing the item's own error
_TYPICAL_MINUTES = 30.0


@dataclass(frozen=True, kw_only=True)
class Life:
    """A kind of factory."""

    name: str
    variation: float  # CV of an order's relative error: half of its log variance is the item's own
    wobble: float = 0.0  # standard deviation of the logarithm of a cycle's common factor
    persistence: float = 0.0
    missed: float = 0.05  # share of operations that are missed
    reference: int = REFERENCE_ITEMS
    activated_every: int = 60  # cycles
    within: float = 0.95  # of every threshold that the true mean is


LIVES = (
    Life(name="CV 0.5", variation=0.5),
    Life(name="CV 1.3", variation=1.3),
    Life(name="CV 1.3, 300 in the reference", variation=1.3, reference=300),
    Life(name="CV 0.5, wobble 5 %, persistence 0.5", variation=0.5, wobble=0.05, persistence=0.5),
    Life(name="CV 1.3, wobble 10 %, persistence 0.5", variation=1.3, wobble=0.1, persistence=0.5),
    Life(name="CV 1.3, wobble 15 %, persistence 0.8", variation=1.3, wobble=0.15, persistence=0.8),
)


def excesses(life: Life, seed: int) -> dict[str, float]:
    """Live one life; return how far each stream's log evidence ever was above its limit (an alarm from 0)."""
    factory, most = _Factory(life, seed), dict[str, float]()
    evidence: Evidence | None = None
    for cycle in range(CYCLES):
        if evidence is None or cycle % life.activated_every == 0:
            reference = [factory.items(PERIOD_ITEMS, cycle) for _ in range(life.reference // PERIOD_ITEMS)]
            evidence = begin(reference, cycles=cycle)
        evidence = advance(evidence, factory.items(ITEMS, cycle), factory.bounds, str(cycle))
        for name, excess in _above(evidence).items():
            most[name] = max(most.get(name, excess), excess)
    return most


def _above(evidence: Evidence) -> dict[str, float]:
    logs = {name: state.evidence for name, state in evidence.rises.items()}
    logs |= {name: state.evidence for name, state in evidence.levels.items() if state.items}
    return {name: log - _limit(name, evidence) for name, log in logs.items()}


def _limit(stream: str, evidence: Evidence) -> float:
    test, family = stream.split("|", 1)
    return limit(RATE, share_of_stream(test, family, evidence.families, evidence.later))


class _Factory:
    """Draws items with errors, misses and spread; the shop floor's wobble is common to a cycle."""

    def __init__(self, life: Life, seed: int) -> None:
        self._life, self._draw, self._seed, self._made = life, np.random.default_rng([seed, 77]), seed, 0
        self._log_spread = float(np.log1p(life.variation**2) ** 0.5)
        self._state = float(self._draw.normal(0, life.wobble))
        mean = _TYPICAL_MINUTES * float(np.exp((self._log_spread**2 + life.wobble**2) / 2))
        self.bounds = Bounds(mae_minutes=mean / life.within, missed=life.missed / life.within, cv=0.3 / life.within)

    def items(self, count: int, cycle: int) -> list[FreshItem]:
        life, draw = self._life, self._draw
        self._state *= life.persistence
        self._state += float(draw.normal(0, life.wobble)) * (1 - life.persistence**2) ** 0.5
        own = draw.normal(0, self._log_spread * 0.5**0.5, count)
        each = draw.normal(0, self._log_spread * 0.5**0.5, (count, ORDERS))
        errors = np.exp(own[:, np.newaxis] + each + self._state)
        missed = draw.binomial(OPERATIONS, life.missed, count) / OPERATIONS
        spread = draw.gamma(4.0, 0.3 / 4.0, count)
        families = draw.integers(0, FAMILIES + (cycle >= LATER_FROM), count)
        minutes = (_TYPICAL_MINUTES * errors.mean(axis=1)).tolist()
        columns = ((0.2 * errors).tolist(), minutes, missed.tolist(), spread.tolist(), families.tolist())
        return [self._item(*row) for row in zip(*columns, strict=True)]

    def _item(self, relative: Sequence[float], minutes: float, missed: float, spread: float, family: int) -> FreshItem:
        self._made += 1
        key = key_of([self._seed, self._made])
        return FreshItem(
            item_code=key,
            family=f"family {family}" if family < FAMILIES else LATER_FAMILY,
            weight=1.0,
            relative_errors=tuple((key[n:] + key[:n], error) for n, error in enumerate(relative, start=1)),
            absolute_error=minutes,
            spread=spread,
            missed=missed,
            routing_key=key,
        )


def many(life: Life, histories: int, seed: int, cores: int = -1) -> list[dict[str, float]]:
    """Live so many lives on so many cores (-1: all); each stream's greatest excess in each life."""
    return list(
        Parallel(effective_n_jobs(cores))(delayed(excesses)(life, one) for one in range(seed, seed + histories))
    )
