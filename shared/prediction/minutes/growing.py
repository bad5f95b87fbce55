"""Boosted trees for the run of a piece, followed as far as they improve on the lines."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.learning.boosting import MOST_CATEGORIES, Growth, fit_boosted
from shared.learning.trees import BoostedTrees
from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.sample import Left, Sample, Singles
from shared.prediction.minutes.views import Views

_LEAST_ROWS = 3_000  # below that trees find too little that lines have not found
_MOST_ROWS = 60_000
_LEAST_GAIN = 0.01  # of the squared error
_GROWTH = Growth(loss="squared_error", rounds=30, learning_rate=0.3, leaves=15, least_in_leaf=20, l2=2.0)


@dataclass(frozen=True, kw_only=True)
class Grown:
    """Trees of every view, how far each is followed, and what they expect of rows they have not seen."""

    trees: tuple[BoostedTrees, ...]
    blend: Floats  # (views,)
    expected: dict[int, tuple[Ints, Floats]]  # view -> entries of its check, and what trees expect of them


@dataclass(frozen=True, kw_only=True)
class Table:
    """What trees read: the item's features, the task, the work centre."""

    rows: Singles  # (sample, features + 2)
    categorical: npt.NDArray[np.bool_]


def ranked_codes(values: Ints, count: int) -> Singles:
    """Return, for each of `count` codes, its rank by frequency, the rarest sharing one; the last is for unknown ones.

    Args:
        values: codes of the sample, -1 unknown.
        count: how many codes there are.
    """
    number = np.bincount(values[values >= 0], minlength=count)
    rank = np.empty(count, dtype=np.int64)
    rank[np.argsort(-number, kind="stable")] = np.arange(count)
    return np.append(np.minimum(rank, MOST_CATEGORIES - 2), np.nan).astype(np.float32)


def checks(sample: Sample, views: Views, most: int) -> dict[int, Ints]:
    """Return, for each view, entries on which its figures are measured: seen by none of those it is measured with."""
    found = {}
    for view in range(views.count):
        parts = range(views.part_count) if view == views.fold_count else [views.check_part(view)]
        entries = np.flatnonzero(np.isin(sample.part, list(parts)))
        found[view] = entries[:: max(1, -(-len(entries) // most))]
    return found


def grow(
    sample: Sample, table: Table, views: Views, errors: Singles, calm: Singles, check: dict[int, Ints], seed: int
) -> Grown | None:  # fmt: skip
    """Grow trees for every view; None where they are too few or gain too little.

    Args:
        sample: rows with known minutes.
        table: what trees read of them.
        views: which parts each view sees.
        errors: (views, sample, 2) of the lines.
        calm: (views, sample, 2) targets drawn in.
        check: entries on which each view is measured.
        seed: of the growth.
    """
    if len(sample.row) < _LEAST_ROWS:
        return None
    trees = [_grow(sample, table, calm[view, :, 1], views.without(view), seed) for view in range(views.fold_count)]
    expected: dict[int, tuple[Ints, Floats]] = {}
    entries = check[views.fold_count]
    found = np.empty(len(entries))
    for part in range(views.part_count):
        mine = sample.part[entries] == part
        found[mine] = trees[views.fold_of(part)].values(table.rows[entries[mine]])[:, 0]
    expected[views.fold_count] = (entries, found)
    blend = np.zeros(views.count)
    blend[-1], gain = _follow(sample, errors[-1], calm[-1], entries, found)
    if gain < _LEAST_GAIN:
        return None
    for view in range(views.fold_count):
        left = views.apart(view, views.check_part(view))
        one = _grow(sample, table, calm[view, :, 1], left, seed)
        expected[view] = (check[view], one.values(table.rows[check[view]])[:, 0])
        blend[view], _ = _follow(sample, errors[view], calm[view], *expected[view])
    trees.append(_grow(sample, table, calm[-1, :, 1], frozenset(), seed))
    return Grown(trees=tuple(trees), blend=blend, expected=expected)


def _grow(sample: Sample, table: Table, goal: Singles, left: Left, seed: int) -> BoostedTrees:
    entries = np.flatnonzero(~np.isin(sample.part, list(left)) & ~np.isnan(goal))
    entries = entries[:: max(1, -(-len(entries) // _MOST_ROWS))]
    return fit_boosted(
        table.rows[entries], goal[entries][:, None].astype(np.float64), table.categorical, growth=_GROWTH, seed=seed,
        weights=sample.weight[entries, 1],
    )  # fmt: skip


def _follow(sample: Sample, errors: Singles, calm: Singles, entries: Ints, expected: Floats) -> tuple[float, float]:
    """Return how far to follow trees from the line, by least squares, and how much of the squared error that saves."""
    target, weight = calm[entries, 1].astype(np.float64), sample.weight[entries, 1]
    line = sample.target[entries, 1] - errors[entries, 1]
    known = ~np.isnan(target) & ~np.isnan(line)
    off, step, weight = (target - line)[known], (expected - line)[known], weight[known]
    before = float((weight * off**2).sum())
    far = float(np.clip((weight * off * step).sum() / max(float((weight * step**2).sum()), 1e-12), 0.0, 1.0))
    after = float((weight * (off - far * step) ** 2).sum())
    return far, 1.0 - after / before if before > 0 else 0.0
