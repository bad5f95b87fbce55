"""The rise streams of many lives at once, overall and by family: what `shared.quality.evidence.state` keeps of one."""

from math import log

import numpy as np
from numpy.typing import NDArray

from shared.quality.evidence.rise import DEFAULT_DIFFERENCE, DEFAULT_SHIFTS, RISES, RiseTest
from shared.quality.evidence.scores import BINS, Ints, add_items, bins_of, score_against, score_items, shift_of_rise
from shared.quality.evidence.state import (
    FULL_POOL,
    LEAST_REFERENCE,
    LEAST_SHIFT,
    SLIGHTLY_KNOWN,
    SMALL_DIFFERENCE,
)

Floats = NDArray[np.float64]


class Rises:
    """One test's streams: overall first, then each family; arrays are (streams, lives, …)."""

    def __init__(self, values: Floats, chances: Floats, family: Ints, families: int, period: int) -> None:
        """Begin with a reference: values and chances (lives, items, values of an item), `period` items a period."""
        self._families, (lives, items, _) = families, values.shape
        self._pools = np.zeros((families + 1, lives, BINS))
        self._squares, self._scored = np.zeros((families + 1, lives)), np.zeros((families + 1, lives))
        places, weights = bins_of(values), np.ones((lives, items))
        means, variances = [], []
        for stream, here in enumerate(self._masks(family)):
            present = np.broadcast_to(here[:, :, np.newaxis], values.shape)
            add_items(self._pools[stream], places, weights, present)
            pool = np.where(self._pools[stream].sum(axis=1, keepdims=True) > 0, self._pools[stream], 1.0)
            scores = score_against(pool, places, chances, present)
            self._squares[stream] = (scores**2 * here).sum(axis=1)
            self._scored[stream] = here.sum(axis=1)
            by_period = (lives, items // period, period)
            mean, variance = self._period(stream, scores.reshape(by_period), here.reshape(by_period))
            means.append(mean)
            variances.append(variance)
        self._test = self._begun()
        by_time = (np.stack(column).transpose(2, 0, 1) for column in (means, variances))
        for mean, variance in zip(*by_time, strict=True):
            self._test.observe(mean.ravel(), variance.ravel(), weight=None)

    def _masks(self, family: Ints) -> list[NDArray[np.bool_]]:
        return [np.ones(family.shape, dtype=bool), *(family == number for number in range(self._families))]

    def _period(self, stream: int, scores: Floats, here: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the mean score over the last axis and its variance, infinite where nothing came."""
        count = here.sum(axis=-1)
        spread = (SLIGHTLY_KNOWN + self._squares[stream]) / (SLIGHTLY_KNOWN + self._scored[stream])
        spread = spread.reshape(spread.shape + (1,) * (count.ndim - 1))
        mean = (scores * here).sum(axis=-1) / np.maximum(count, 1)
        return mean, np.where(count > 0, spread / np.maximum(count, 1), np.inf)

    def _begun(self) -> RiseTest:
        pools, scored = self._pools.reshape(-1, BINS), self._scored.ravel()
        shifts, differences = np.tile(DEFAULT_SHIFTS, (len(pools), 1)), np.full(len(pools), DEFAULT_DIFFERENCE)
        for place, pool in enumerate(pools):
            if scored[place] >= LEAST_REFERENCE:
                told = [shift_of_rise(pool, factor) for factor in RISES]
                if told[0] > LEAST_SHIFT:
                    shifts[place], differences[place] = told, shift_of_rise(pool, SMALL_DIFFERENCE)
        self._shifts = shifts
        return RiseTest(len(pools), shifts, differences)

    def wobbles(self) -> Floats:
        """Return the overall stream's wobble in each life: the long-run variance of a mean error over itself."""
        lives = self._pools.shape[1]
        found = self._test.long_run_variance()[:lives] * (log(RISES[0]) / self._shifts[:lives, 0]) ** 2
        return np.asarray(found)

    def observe(self, values: Floats, chances: Floats, family: Ints, weight: float) -> Floats:
        """Take in a cycle, shapes as in the reference; return the log evidence (streams, lives)."""
        means, variances = [], []
        for stream, here in enumerate(self._masks(family)):
            scores, spread_known = self._scores(stream, values, chances, here)
            mean, variance = self._period(stream, scores, here)
            means.append(mean)
            variances.append(variance)
            self._squares[stream] += spread_known * (scores**2 * here).sum(axis=1)
            self._scored[stream] += spread_known * here.sum(axis=1)
        self._test.observe(np.ravel(means), np.ravel(variances), weight=weight)
        return self._test.log_evidence().reshape(self._families + 1, -1)

    def _scores(
        self, stream: int, values: Floats, chances: Floats, here: NDArray[np.bool_]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Score a cycle's items, which join a pool that is not full; also where that is so (lives)."""
        pool, places = self._pools[stream], bins_of(values)
        present = np.broadcast_to(here[:, :, np.newaxis], values.shape)
        fills = pool.sum(axis=1) < FULL_POOL
        scores = np.zeros(here.shape)
        if fills.any():
            some = pool[fills]
            scores[fills] = score_items(some, places[fills], np.ones(here[fills].shape), chances[fills], present[fills])
            pool[fills] = some
        if not fills.all():
            scores[~fills] = score_against(pool[~fills], places[~fills], chances[~fills], present[~fills])
        return scores, fills
