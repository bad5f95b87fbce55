"""Simulated factories: items' errors, the shop floor's wobble, a rise, late bookings; many histories at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.quality.evidence.reference import PERIOD_ITEMS, REFERENCE_ITEMS
from shared.quality.evidence.rise import ANY_WOBBLE, RISES, RiseTest, Wobble
from shared.quality.evidence.scores import BINS, add_items, bins_of, score_against, score_items, shift_of_rise
from shared.quality.evidence.shares import weight_of_cycle
from shared.quality.evidence.state import FULL_POOL, SMALL_DIFFERENCE

Floats = NDArray[np.float64]

RATE = 0.05  # of false alarms in a life
CYCLES, ITEMS = 250, 50  # of a life, and items of a cycle
CHANGE = 100  # cycles before a rise
LEVEL = 0.2  # typical relative error


@dataclass(frozen=True, kw_only=True)
class World:
    """One kind of factory: log-normal errors of items, times a first-order autoregressive factor of cycles."""

    name: str
    variation: float  # CV of an item's error
    persistence: float = 0.0
    wobble: float = 0.0  # standard deviation of the cycles' factor (of its logarithm)
    reference: int = REFERENCE_ITEMS
    easy: bool = False
    residuals: Floats | None = None  # (items, values): whole items are drawn from these instead; NaN where none

    @property
    def spread(self) -> float:
        """The standard deviation of the logarithm of an item's error."""
        return float(np.log1p(self.variation**2) ** 0.5)


EASY = tuple(World(name=f"easy, CV {cv}", variation=cv, easy=True) for cv in (0.4, 0.5, 0.6))
HARD = (
    World(name="CV 1.3", variation=1.3),
    World(name="CV 1.3, 300 in the reference", variation=1.3, reference=300),
    World(name="CV 0.5, wobble 5 %, persistence 0.5", variation=0.5, persistence=0.5, wobble=0.05),
    World(name="CV 1.3, wobble 5 %, persistence 0.8", variation=1.3, persistence=0.8, wobble=0.05),
    World(name="CV 1.3, wobble 10 %, persistence 0.5", variation=1.3, persistence=0.5, wobble=0.1),
    World(name="CV 0.5, wobble 15 %, persistence 0.3", variation=0.5, persistence=0.3, wobble=0.15),
    World(name="CV 1.3, wobble 15 %, persistence 0.8", variation=1.3, persistence=0.8, wobble=0.15),
)


@dataclass(frozen=True, kw_only=True)
class History:
    """What the test and the oracle saw."""

    evidence: Floats  # log, of the product's test (histories, cycles)
    oracle: Floats  # mean log error of a cycle, in standard deviations of an item (histories, cycles)
    naive: Floats  # mean error of a cycle over its known mean, less 1.96 standard errors (histories, cycles)


def simulate(
    world: World,
    *,
    histories: int,
    cycles: int,
    seed: int,
    rise: float = 1.0,
    parts: Floats | None = None,
    items: int = ITEMS,
    wobble_told: bool = False,
) -> History:
    """Run the product's own scoring and test. `parts` (cycles) is the share of a cycle's items with risen errors.

    `wobble_told` gives the test the wobble's size and persistence, which the product has to learn.
    """
    draw = np.random.default_rng(seed)
    floor = _ShopFloor(world, draw, histories)
    told = Wobble(*(np.array([one]) for one in (world.wobble, world.persistence, 1.0))) if wobble_told else ANY_WOBBLE
    pool, test = _referred(world, floor, draw, told)
    seen, oracle, naive = list[Floats](), list[Floats](), list[Floats]()
    for cycle in range(cycles):
        share = parts[cycle] if parts is not None else 0.0
        risen = np.log(rise) * (draw.random((histories, items)) < share)
        values, present = floor.errors(items, risen)
        places, chances, ones = bins_of(values), draw.random(values.shape), np.ones((histories, items))
        if pool[0].sum() < FULL_POOL:
            scores = score_items(pool, places, ones, chances, present)
        else:
            scores = score_against(pool, places, chances, present)
        test.observe(scores.mean(axis=1), _variance(world, scores), weight=weight_of_cycle(cycle + 1))
        seen.append(test.log_evidence())
        logs = (np.log(np.maximum(values, 1e-9)) * present).sum(axis=2) / present.sum(axis=2)
        oracle.append((logs.mean(axis=1) - np.log(LEVEL)) / world.spread)
        mean = ((values * present).sum(axis=2) / present.sum(axis=2)) / (LEVEL * np.exp(world.spread**2 / 2))
        naive.append(mean.mean(axis=1) - 1 - 1.96 * mean.std(axis=1, ddof=1) / items**0.5)
    return History(evidence=np.array(seen).T, oracle=np.array(oracle).T, naive=np.array(naive).T)


def _referred(world: World, floor: "_ShopFloor", draw: np.random.Generator, wobble: Wobble) -> tuple[Floats, RiseTest]:
    """Draw the reference; return the errors to rank by and the test that has seen its periods."""
    periods = [floor.errors(PERIOD_ITEMS) for _ in range(world.reference // PERIOD_ITEMS)]
    histories = len(periods[0][0])
    pool, ones = np.zeros((histories, BINS)), np.ones((histories, PERIOD_ITEMS))
    for values, present in periods:
        add_items(pool, bins_of(values), ones, present)
    shifts = np.array([[shift_of_rise(one, factor) for factor in RISES] for one in pool])
    small = float(np.mean([shift_of_rise(one, SMALL_DIFFERENCE) for one in pool[:20]]))
    test = RiseTest(histories, shifts, np.array([small]), wobble)
    for values, present in periods:
        scores = score_against(pool, bins_of(values), draw.random(values.shape), present)
        test.observe(scores.mean(axis=1), _variance(world, scores), weight=None)
    return pool, test


def _variance(world: World, scores: Floats) -> Floats:
    """Return the known variance of a cycle's mean score (1)."""
    return np.array([(scores.var() if world.residuals is not None else 1.0) / scores.shape[1]])


class _ShopFloor:
    """Draws items' errors, cycle after cycle, times the cycle's common factor."""

    def __init__(self, world: World, draw: np.random.Generator, histories: int) -> None:
        self._world, self._draw = world, draw
        self._state = draw.normal(0, world.wobble, histories)

    def errors(self, items: int, risen: Floats | float = 0.0) -> tuple[Floats, NDArray[np.bool_]]:
        """Return a cycle's errors and where there are any (histories, items, values); `risen` adds to logarithms."""
        world, draw, histories = self._world, self._draw, len(self._state)
        fresh = draw.normal(0, world.wobble, histories) * (1 - world.persistence**2) ** 0.5
        self._state = world.persistence * self._state + fresh
        values, present = _values(world, draw, histories, items)
        return values * np.exp(self._state[:, np.newaxis] + risen + np.zeros(items))[:, :, np.newaxis], present


def _values(world: World, draw: np.random.Generator, histories: int, items: int) -> tuple[Floats, NDArray[np.bool_]]:
    if world.residuals is None:
        values = LEVEL * np.exp(world.spread * draw.normal(size=(histories, items, 1)))
        return values, np.ones(values.shape, dtype=bool)
    drawn = world.residuals[draw.integers(0, len(world.residuals), (histories, items))]
    present = np.isfinite(drawn)
    return np.where(present, drawn, 0.0), present


def oracle_cusum(world: World, seen: Floats, *, rise: float = 1.2, items: int = ITEMS) -> Floats:
    """Return the CUSUM of a test that knows the process and the rise: the best log likelihood ratio over beginnings."""
    histories, cycles = seen.shape
    shift, wobble, noise = np.log(rise) / world.spread, (world.wobble / world.spread) ** 2, 1.0 / items
    centred = seen
    mean, variance = np.zeros(histories), wobble
    agreement, information, filtered = np.zeros((histories, 0)), np.zeros(0), np.zeros(0)
    best = np.zeros((histories, cycles))
    for cycle in range(cycles):
        mean, variance = world.persistence * mean, world.persistence**2 * variance + wobble * (1 - world.persistence**2)
        total = variance + noise
        error, gain = centred[:, cycle] - mean, variance / total
        agreement = np.concatenate([agreement, np.zeros((histories, 1))], axis=1)[:, -80:]
        information, filtered = np.append(information, 0.0)[-80:], np.append(filtered, 0.0)[-80:]
        filtered = world.persistence * filtered
        height = 1 - filtered
        agreement, information = agreement + np.outer(error, height) / total, information + height**2 / total
        filtered = filtered + gain * height
        mean, variance = mean + gain * error, variance - gain * variance
        best[:, cycle] = (shift * agreement - 0.5 * shift**2 * information).max(axis=1)
    return best
