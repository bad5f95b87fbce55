"""Put the trees of all outputs into the arrays of `BoostedTrees`."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shared.learning.growing import Split, Tree
from shared.learning.trees import BoostedTrees, Floats


@dataclass(frozen=True, kw_only=True)
class Grown:
    """One output: a constant and the trees that are added to it."""

    baseline: float
    trees: list[Tree] = field(default_factory=list)


def flatten(outputs: list[Grown], slots: npt.NDArray[np.int32]) -> BoostedTrees:
    """Put all trees into one set of arrays; `slots` is, by column, the number above its greatest category."""
    grown = [tree for output in outputs for tree in output.trees]
    splits = [split for tree in grown for split in tree.splits]
    columns = len(slots)
    column = np.array([split.column + columns * split.missing_left for split in splits], dtype=np.int64)
    threshold = np.array([split.threshold for split in splits], dtype=np.float64)
    categorical = np.array([split.known is not None for split in splits], dtype=np.bool_)
    asked = np.flatnonzero(categorical)
    asked = asked[np.argsort(column[asked] % max(columns, 1), kind="stable")]
    category_columns, asking = np.unique(column[asked] % max(columns, 1), return_counts=True)
    first, condition = _numeric_conditions(np.where(categorical, -1, column), threshold)
    condition[asked] = len(first) + np.arange(len(asked))
    among = [_among(splits[place], slots) for place in asked.tolist()]
    ends = np.cumsum(asking)
    blocks = [
        np.stack(among[end - count : end], axis=1).ravel()
        for end, count in zip(ends.tolist(), asking.tolist(), strict=True)
    ]
    sizes = np.array([len(tree.splits) for tree in grown], dtype=np.int64)
    trees, laid = _layout(sizes)
    trees_of = np.array([len(output.trees) for output in outputs], dtype=np.int64)
    return BoostedTrees(
        columns=columns, baseline=np.array([output.baseline for output in outputs], dtype=np.float64),
        column=column[first].astype(np.int32), threshold=threshold[first],
        category_columns=category_columns.astype(np.int32), asking=asking.astype(np.int32),
        slots=slots[category_columns], among=np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.bool_),
        condition=condition[laid].astype(np.int32),
        kept=np.array([split.kept for split in splits], dtype=np.uint16)[laid],
        ranks=np.array([int((sizes > rank).sum()) for rank in range(int(sizes.max(initial=0)))], dtype=np.int32),
        tree=np.argsort(trees).astype(np.int32), first_leaf=_starts([len(tree.leaves) for tree in grown]),
        leaves=np.array([value for tree in grown for value in tree.leaves], dtype=np.float64),
        grown=np.flatnonzero(trees_of).astype(np.int32), first_tree=_starts(trees_of[trees_of > 0].tolist()),
    )  # fmt: skip


def _among(split: Split, slots: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return, by category and then for those that training never saw, whether it goes to the left."""
    found = np.full(int(slots[split.column]) + 1, split.missing_left)
    found[split.known] = split.chosen
    return found


def _numeric_conditions(
    column: npt.NDArray[np.int64], threshold: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return one split for each distinct condition, and each split's condition; a column of -1 is not numeric."""
    numeric = np.flatnonzero(column >= 0)
    order = numeric[np.lexsort((threshold[numeric], column[numeric]))]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(column[order]) != 0) | (threshold[order][1:] != threshold[order][:-1])
    condition = np.full(len(column), -1, dtype=np.int64)
    condition[order] = np.cumsum(new) - 1
    return order[new], condition


def _layout(sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the trees, largest first, and the splits in their order by rank; splits come in tree by tree."""
    trees = np.argsort(-sizes, kind="stable")
    place = np.empty_like(trees)
    place[trees] = np.arange(len(trees))
    starts = np.cumsum(sizes) - sizes
    rank = np.arange(int(sizes.sum())) - np.repeat(starts, sizes)
    return trees, np.lexsort((np.repeat(place, sizes), rank))


def _starts(sizes: list[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32) if sizes else np.zeros(0, dtype=np.int32)
