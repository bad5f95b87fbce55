"""Grow boosted trees: a sum of them for each output."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.binning import Bins, Column, Floats, Ints, Ranked
from shared.learning.export import Grown, flatten
from shared.learning.growing import Growth, Tree, grow
from shared.learning.trees import BoostedTrees

_SCREENED = 5_000  # rows on which columns are screened
_FAST = 0.3  # learning rate of the screening of more


def fit_boosted(
    rows: npt.NDArray[np.float32], targets: npt.NDArray[Any], categorical: npt.NDArray[np.bool_], *,
    growth: Growth, seed: int = 0,
) -> BoostedTrees:  # fmt: skip
    """Grow one sum of trees for each output, on one thread.

    Args:
        rows: (n, columns), NaN where missing; categorical columns hold codes of 0 to 254.
        targets: (n, outputs) of 0 and 1, NaN where unknown.
        categorical: (columns,) which columns are categories.
        growth: how trees are grown.
        seed: draws the rows that columns are screened on.

    Returns:
        Trees whose `values` are log odds. An output whose known targets are all alike is a constant, with half a row of
        doubt on each side; one without known targets is 0.
    """
    ranked = Ranked(rows, categorical)
    grown = [Grown(baseline=0.0) for _ in range(targets.shape[1])]
    for places, outputs in _known_alike(targets):
        grower = _Grower(ranked, places, growth, seed)
        for output in outputs:
            grown[output] = grower.grow(targets[places, output].astype(np.float64))
    return flatten(grown, ranked.slots)


def _known_alike(targets: npt.NDArray[Any]) -> Iterator[tuple[Ints, list[int]]]:
    """Yield the rows of which some outputs are known, with these outputs."""
    outputs: dict[bytes, list[int]] = {}
    known = ~np.isnan(targets.astype(np.float32))
    for output in range(targets.shape[1]):
        outputs.setdefault(known[:, output].tobytes(), []).append(output)
    for alike in outputs.values():
        places = np.flatnonzero(known[:, alike[0]])
        if len(places):
            yield places, alike


class _Grower:
    """Grows the outputs that are known of the same rows."""

    def __init__(self, ranked: Ranked, places: Ints, growth: Growth, seed: int) -> None:
        self._ranked, self._places, self._growth, self._seed = ranked, places, growth, seed

    @cached_property
    def _columns(self) -> list[Column]:
        return self._ranked.columns(self._places)

    @cached_property
    def _bins(self) -> list[Bins]:
        return Bins.in_groups(self._columns)

    @cached_property
    def _sample(self) -> tuple[Ints, list[Bins]]:
        """Return the rows, of many, that columns are screened on."""
        chosen = np.sort(np.random.default_rng(self._seed).permutation(len(self._places))[:_SCREENED])
        return chosen, Bins.in_groups(self._ranked.columns(self._places[chosen]))

    def grow(self, target: Floats) -> Grown:
        """Grow the trees of one output."""
        share = float(target.mean())
        if share in (0.0, 1.0):
            right, wrong = target.sum() + 0.5, (1 - target).sum() + 0.5
            return Grown(baseline=float(np.log(right / wrong)))
        baseline = float(np.log(share / (1 - share)))
        raw = np.full(len(target), baseline)
        first, bins = self._screened(target, raw) if self._growth.screening else ([], self._bins)
        rounds = self._growth.rounds - len(first)
        return Grown(baseline=baseline, trees=[*first, *grow(bins, target, raw, self._growth, rounds)])

    def _screened(self, target: Floats, raw: Floats) -> tuple[list[Tree], list[Bins]]:
        """Return the first trees, which stay where rows are few, and the columns that they split on."""
        growth, bins = self._growth, self._bins
        if len(target) <= _SCREENED:
            trees = kept = grow(bins, target, raw, growth, growth.screening)
        else:
            chosen, sample = self._sample
            fast = replace(growth, learning_rate=_FAST)
            trees, kept = grow(sample, target[chosen], raw[chosen], fast, growth.screening), []
        used = {split.column for tree in trees for split in tree.splits}
        return kept, Bins.in_groups([column for column in self._columns if column.place in used]) if used else bins
