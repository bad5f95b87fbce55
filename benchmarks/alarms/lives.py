"""Whole lives of a factory in which nothing ever gets worse: does anything alarm?

Every stream that a cycle judges takes part: rises and levels, of errors, of missed operations and of spread, overall
and of every family, over several activations with a reference of their own. Levels lie just within their thresholds.
Many lives are lived at once by the product's own scores, tests, bets and shares; `alone` lives one of them through the
product's streams, item by item as a cycle does, and a test of the suite demands the same evidence of both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from benchmarks.alarms.rising import Rises
from benchmarks.alarms.worlds import CYCLES, ITEMS, RATE
from shared.quality.evidence.actuals import FreshItem, ratio_entry
from shared.quality.evidence.reference import PERIOD_ITEMS, REFERENCE_ITEMS
from shared.quality.evidence.shares import (
    LEVEL_OF_ERRORS,
    LEVEL_OF_MISSES,
    LEVEL_OF_SPREAD,
    RISE_OF_ERRORS,
    RISE_OF_MISSES,
    limit,
    share_of_stream,
    weight_of_cycle,
)
from shared.quality.evidence.state import LevelState, bet
from shared.quality.evidence.streams import Bounds, Evidence, advance, begin

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILIES, LATER_FROM = 5, 150  # the cycle from which there is one more, in the middle of an activation
OPERATIONS = 8
ORDERS = 2  # of an item, sharing the item's own error
AT_ONCE = 10  # lives
_TYPICAL_MINUTES, _TYPICAL_ERROR = 30.0, 0.2


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


class Drawn(NamedTuple):
    """Items of many lives; (lives, items), and (lives, items, orders) for what each order has."""

    errors: Floats  # relative
    chances: Floats  # that break ties between errors
    missed: Floats
    missed_chances: Floats
    spread: Floats
    family: Ints

    @property
    def minutes(self) -> Floats:
        """The items' mean absolute errors."""
        return np.asarray(_TYPICAL_MINUTES / _TYPICAL_ERROR * self.errors.mean(axis=2))

    def items(self, life: int) -> list[FreshItem]:
        """Return one life's items as a cycle would find them."""
        return [
            FreshItem(
                item_code=str(n),
                family=str(self.family[life, n]),
                weight=1.0,
                relative_errors=tuple(
                    (_key(chance), float(error))
                    for chance, error in zip(self.chances[life, n], self.errors[life, n], strict=True)
                ),
                absolute_error=float(self.minutes[life, n]),
                spread=float(self.spread[life, n]),
                missed=float(self.missed[life, n]),
                routing_key=_key(self.missed_chances[life, n]),
            )
            for n in range(self.errors.shape[1])
        ]


def _key(chance: float) -> str:
    """Return a key that breaks ties by `chance`, a multiple of 1 / 16^12."""
    return f"{int(chance * 16**13):013x}"


class Factories:
    """Draws items with errors, misses and spread; a cycle's factor is common to its items."""

    def __init__(self, life: Life, lives: int, seed: int) -> None:
        """Open so many factories."""
        self._life, self._lives, self._draw = life, lives, np.random.default_rng([seed, 77])
        self._log_spread = float(np.log1p(life.variation**2) ** 0.5)
        self._state = self._draw.normal(0, life.wobble, lives)
        mean = _TYPICAL_MINUTES * float(np.exp((self._log_spread**2 + life.wobble**2) / 2))
        self.bounds = Bounds(mae_minutes=mean / life.within, missed=life.missed / life.within, cv=0.3 / life.within)

    def draw(self, count: int, cycle: int) -> Drawn:
        """Return one cycle's items."""
        life, draw, shape = self._life, self._draw, (self._lives, count)
        self._state = self._state * life.persistence
        self._state += draw.normal(0, life.wobble, self._lives) * (1 - life.persistence**2) ** 0.5
        own = draw.normal(0, self._log_spread * 0.5**0.5, shape)
        each = draw.normal(0, self._log_spread * 0.5**0.5, (*shape, ORDERS))
        return Drawn(
            errors=_TYPICAL_ERROR * np.exp(own[:, :, np.newaxis] + each + self._state[:, np.newaxis, np.newaxis]),
            chances=self._chances((*shape, ORDERS)),
            missed=draw.binomial(OPERATIONS, life.missed, shape) / OPERATIONS,
            missed_chances=self._chances(shape),
            spread=draw.gamma(4.0, 0.3 / 4.0, shape),
            family=draw.integers(0, FAMILIES + (cycle >= LATER_FROM), shape),
        )

    def _chances(self, shape: tuple[int, ...]) -> Floats:
        return (self._draw.integers(0, 16**12, shape) + 0.5 / 16) / 16**12

    def reference(self, cycle: int) -> list[Drawn]:
        """Return an activation's reference by period."""
        return [self.draw(PERIOD_ITEMS, cycle) for _ in range(self._life.reference // PERIOD_ITEMS)]


Logs = Mapping[str, Floats]  # by stream, the log evidence of each life


def together(life: Life, lives: int, seed: int, cycles: int = CYCLES) -> Iterator[tuple[Logs, list[str], list[str]]]:
    """Live so many lives; yield each cycle's evidence, the families known at the activation, and those later."""
    factories = Factories(life, lives, seed)
    names = [str(number) for number in range(FAMILIES + 1)]
    for cycle in range(cycles):
        if cycle % life.activated_every == 0:
            known = names[: FAMILIES + (cycle >= LATER_FROM)]
            rises = _begun(factories.reference(cycle), names)
            levels = {test: [LevelState()] * lives for test in (LEVEL_OF_ERRORS, LEVEL_OF_MISSES, LEVEL_OF_SPREAD)}
        drawn, weight = factories.draw(ITEMS, cycle), weight_of_cycle(cycle + 1)
        wobbles = {test: rise.wobbles() for test, rise in rises.items()}
        _bet(levels, drawn, factories.bounds, weight, wobbles)
        logs: dict[str, Floats] = {}
        for test, rise in rises.items():
            values, chances = _values(drawn, test)
            found = rise.observe(values, chances, drawn.family, weight)
            logs |= {f"{test}|{name}": found[place] for place, name in enumerate(["", *names])}
        logs |= {f"{test}|": np.array([state.evidence for state in states]) for test, states in levels.items()}
        later = names[len(known) : FAMILIES + (cycle >= LATER_FROM)]
        told = ("", *known, *later)
        yield {name: found for name, found in logs.items() if name.split("|")[1] in told}, known, later


def _begun(reference: list[Drawn], names: list[str]) -> dict[str, Rises]:
    whole = Drawn(*(np.concatenate(columns, axis=1) for columns in zip(*reference, strict=True)))
    return {
        test: Rises(*_values(whole, test), whole.family, len(names), PERIOD_ITEMS)
        for test in (RISE_OF_ERRORS, RISE_OF_MISSES)
    }


def _values(drawn: Drawn, test: str) -> tuple[Floats, Floats]:
    if test == RISE_OF_ERRORS:
        return drawn.errors, drawn.chances
    return drawn.missed[:, :, np.newaxis], drawn.missed_chances[:, :, np.newaxis]


def _bet(
    levels: dict[str, list[LevelState]], drawn: Drawn, bounds: Bounds, weight: float, wobbles: Mapping[str, Floats]
) -> None:
    """Take each life's level streams one cycle further."""
    values = {
        LEVEL_OF_ERRORS: (drawn.minutes, bounds.mae_minutes, RISE_OF_ERRORS),
        LEVEL_OF_MISSES: (drawn.missed, bounds.missed, RISE_OF_MISSES),
        LEVEL_OF_SPREAD: (drawn.spread, bounds.cv, RISE_OF_ERRORS),
    }
    for test, (column, bound, rise) in values.items():
        for place, state in enumerate(levels[test]):
            entries = [ratio_entry(_ITEM, value, bound) for value in column[place].tolist()]
            wobble = float(wobbles[rise][place])
            present = [entry for entry in entries if entry is not None]
            levels[test][place] = bet(state, present, weight=weight, wobble=wobble, cycle_id="")


_ITEM = FreshItem(item_code="", family="", weight=1.0)


def alone(life: Life, lives: int, seed: int, place: int, cycles: int) -> Iterator[Logs]:
    """Live one of so many lives through the product's own streams; yield each cycle's evidence."""
    factories = Factories(life, lives, seed)
    evidence: Evidence | None = None
    for cycle in range(cycles):
        if evidence is None or cycle % life.activated_every == 0:
            evidence = begin([period.items(place) for period in factories.reference(cycle)], cycles=cycle)
        evidence = advance(evidence, factories.draw(ITEMS, cycle).items(place), factories.bounds, str(cycle))
        rises = {name: np.array([state.evidence]) for name, state in evidence.rises.items()}
        yield rises | {name: np.array([state.evidence]) for name, state in evidence.levels.items()}


def excesses(life: Life, lives: int, seed: int) -> list[dict[str, float]]:
    """Return, for each of so many lives, how far each stream's log evidence ever was above its limit."""
    most: dict[str, Floats] = {}
    for logs, known, later in together(life, lives, seed):
        for name, logarithms in logs.items():
            test, family = name.split("|")
            above = logarithms - limit(RATE, share_of_stream(test, family, known, later))
            most[name] = np.maximum(most.get(name, above), above)
    return [{name: float(above[place]) for name, above in most.items()} for place in range(lives)]


def many(life: Life, histories: int, seed: int, cores: int = -1) -> list[dict[str, float]]:
    """Live so many lives on so many cores (-1: all); each stream's greatest excess in each, an alarm from 0."""
    starts = range(0, histories, AT_ONCE)
    found = Parallel(cores)(delayed(excesses)(life, min(AT_ONCE, histories - start), seed + start) for start in starts)
    return [one for some in found for one in some]
