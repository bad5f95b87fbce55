"""Grow trees with scikit-learn's tree grower, and read them off it.

Its estimators are passed over: they check, encode and bin their rows anew for every output, which takes as long as the
growing itself where rows are few.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.binning import Bins, Column, Floats, Ints
from shared.learning.trees import MOST_LEAVES

_ALL_LEAVES = (1 << MOST_LEAVES) - 1
_FARTHEST = -37.0  # log odds below which their exponential alone is the share


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How trees are grown."""

    rounds: int = 80
    learning_rate: float = 0.15
    leaves: int = 15  # at most 16
    least_in_leaf: int = 5
    l2: float = 1.0
    screening: int = 0  # first trees that choose the columns which the others may use; 0 uses all

    def __post_init__(self) -> None:
        if not 2 <= self.leaves <= MOST_LEAVES:
            raise ValueError(f"A tree may have 2 to {MOST_LEAVES} leaves, not {self.leaves}.")


@dataclass(frozen=True, kw_only=True)
class Split:
    """What one node of a tree asks, either of numbers or of categories."""

    column: int  # of the table
    missing_left: bool
    kept: int  # leaves, a bit each, that are left for a row on the right
    threshold: float = 0.0  # numbers up to here go to the left
    known: Ints | None = None  # the categories that training saw
    chosen: npt.NDArray[np.bool_] | None = None  # which of them go to the left


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Splits, each before those below it, and the values of the leaves from left to right."""

    splits: list[Split]
    leaves: list[float]


def grow(bins: Bins, target: Floats, raw: Floats, growth: Growth, rounds: int) -> list[Tree]:
    """Grow trees one after the other on rows known to be 0 or 1; it ends where nothing is left to split.

    What the trees say is added to `raw`, the rows' log odds so far.
    """
    from sklearn.ensemble._hist_gradient_boosting.grower import TreeGrower

    columns, trees = bins.columns, list[Tree]()
    given = {
        "n_bins": bins.width, "n_bins_non_missing": np.array([column.bins for column in columns], dtype=np.uint32),
        "has_missing_values": np.array([column.missing for column in columns], dtype=np.uint8),
        "is_categorical": np.array([column.categorical for column in columns], dtype=np.uint8),
        "max_leaf_nodes": growth.leaves, "min_samples_leaf": growth.least_in_leaf, "l2_regularization": growth.l2,
        "shrinkage": growth.learning_rate, "n_threads": 1,
    }  # fmt: skip
    for _ in range(rounds if columns else 0):
        grower = TreeGrower(bins.codes, *_slopes(target, raw), **given)
        grower.grow()
        if grower.root.is_leaf:
            break
        trees.append(_read(grower.root, columns))
        ends = np.sort([leaf.partition_stop for leaf in grower.finalized_leaves])
        raw[np.asarray(grower.splitter.partition)] += np.repeat(trees[-1].leaves, np.diff(ends, prepend=0))
    return trees


def _slopes(target: Floats, raw: Floats) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return first and second derivatives of half the deviance by the log odds."""
    risen = np.exp(-np.maximum(raw, _FARTHEST))
    gradient = ((1 - target) - target * risen) / (1 + risen)
    return gradient.astype(np.float32), (risen / (1 + risen) ** 2).astype(np.float32)


def _read(node: Any, columns: list[Column], first: int = 0) -> Tree:
    """Read what hangs on one of scikit-learn's nodes, whose leaves are numbered from `first` on."""
    if node.is_leaf:
        return Tree(splits=[], leaves=[float(node.value)])
    left = _read(node.left_child, columns, first)
    end = first + len(left.leaves)
    right = _read(node.right_child, columns, end)
    split = _split(node.split_info, columns[node.split_info.feature_idx], _ALL_LEAVES & ~((1 << end) - (1 << first)))
    return Tree(splits=[split, *left.splits, *right.splits], leaves=left.leaves + right.leaves)


def _split(asked: Any, column: Column, kept: int) -> Split:
    missing_left = bool(asked.missing_go_to_left)
    if column.categorical:
        known = column.edges.astype(np.int64)
        chosen = np.unpackbits(asked.left_cat_bitset.view(np.uint8), bitorder="little")[: len(known)] == 1
        return Split(column=column.place, missing_left=missing_left, kept=kept, known=known, chosen=chosen)
    # Past the last edge all numbers go to the left, and only what is missing to the right.
    threshold = float(column.edges[asked.bin_idx]) if asked.bin_idx < column.bins - 1 else np.inf
    return Split(column=column.place, missing_left=missing_left, kept=kept, threshold=threshold)
