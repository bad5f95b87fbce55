"""Grow trees with the compiled parts of scikit-learn's boosting: its histograms and its search for splits.

What stands above those parts is passed over. Its estimators check, encode and bin their rows anew for every output,
and its grower keeps all histograms as wide as the widest column's: where rows are few, either takes longer than the
growing itself.
"""

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.binning import Bins, Column, Floats, Ints
from shared.learning.trees import MOST_LEAVES

Singles = npt.NDArray[np.float32]

_ALL_LEAVES = (1 << MOST_LEAVES) - 1
_FARTHEST = -37.0  # log odds below which their exponential alone is the share


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How trees are grown."""

    rounds: int = 80
    learning_rate: float = 0.15
    leaves: int = 15  # at most 16
    least_in_leaf: int = 5
    least_hessian: float = 1e-3  # sum of second derivatives in a leaf: how many rows it has that are not yet certain
    l2: float = 1.0
    most_step: float = np.inf  # log odds that a tree may move a row by, before the learning rate
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


def grow(bins: list[Bins], target: Floats, raw: Floats, growth: Growth, rounds: int) -> list[Tree]:
    """Grow trees one after the other on rows known to be 0 or 1; it ends where nothing is left to split.

    What the trees say is added to `raw`, the rows' log odds so far.
    """
    groups, trees = [_Group(group, growth) for group in bins], list[Tree]()
    for _ in range(rounds if groups else 0):
        one = _Growing(groups, growth, *_slopes(target, raw))
        if one.root.split is None:
            break
        trees.append(_read(one.root, growth))
        sizes = [leaf.stop - leaf.start for leaf in _leaves(one.root)]
        raw[one.partition] += np.repeat(trees[-1].leaves, sizes)
    return trees


class _Group:
    """Some columns, and scikit-learn's search for the best split of a node among them."""

    def __init__(self, bins: Bins, growth: Growth) -> None:
        from sklearn.ensemble._hist_gradient_boosting.splitting import Splitter

        self.bins, columns = bins, bins.columns
        self.search = Splitter(
            bins.codes, np.array([column.bins for column in columns], dtype=np.uint32), bins.width - 1,
            np.array([column.missing for column in columns], dtype=np.uint8),
            np.array([column.categorical for column in columns], dtype=np.uint8),
            np.zeros(len(columns), dtype=np.int8), growth.l2, growth.least_hessian, growth.least_in_leaf, n_threads=1,
        )  # fmt: skip

    def builder(self, slope: Singles, bend: Singles) -> Any:
        """Return what counts histograms of rows' first and second derivatives."""
        from sklearn.ensemble._hist_gradient_boosting.histogram import HistogramBuilder

        return HistogramBuilder(self.bins.codes, self.bins.width, slope, bend, False, 1)


@dataclass(eq=False)
class _Node:
    """Rows of a tree under way, from where to where they reach; without a split it is a leaf."""

    start: int
    stop: int
    slope: float  # sum of the first derivatives
    bend: float  # of the second ones
    value: float
    histograms: list[Any] | None = None
    split: Any = None  # the best one found
    group: "_Group | None" = None  # that it is of
    left: "_Node | None" = None
    right: "_Node | None" = None


class _Growing:
    """One tree: the node whose split gains most is split next, until there are as many leaves as may be."""

    def __init__(self, groups: list[_Group], growth: Growth, slope: Singles, bend: Singles) -> None:
        self._groups, self._least_rows, self._least_bend = groups, 2 * growth.least_in_leaf, 2 * growth.least_hessian
        self._builders = [group.builder(slope, bend) for group in groups]
        self.partition = np.arange(len(slope), dtype=np.uint32)
        total, curve = (float(one.sum(dtype=np.float64)) for one in (slope, bend))
        self.root = _Node(start=0, stop=len(slope), slope=total, bend=curve, value=0.0)
        self._open: list[tuple[float, int, _Node]] = []
        if self._may_split(self.root):
            self.root.histograms = self._counted(self.root)
            self._search(self.root)
        left = growth.leaves - 1
        while self._open and left:
            left -= 1
            self._split(heappop(self._open)[2], last=not left)

    def _may_split(self, node: _Node) -> bool:
        """Tell whether there is enough in a node for two leaves."""
        return node.stop - node.start >= self._least_rows and node.bend >= self._least_bend

    def _rows(self, node: _Node) -> Any:
        return self.partition[node.start : node.stop]

    def _counted(self, node: _Node) -> list[Any]:
        return [builder.compute_histograms_brute(self._rows(node)) for builder in self._builders]

    def _search(self, node: _Node) -> None:
        """Find the node's best split; the first group's where several gain the same."""
        assert node.histograms is not None
        size = node.stop - node.start
        for group, counted in zip(self._groups, node.histograms, strict=True):
            found = group.search.find_node_split(size, counted, node.slope, node.bend, node.value)
            if found.gain > 0 and (node.split is None or found.gain > node.split.gain):
                node.split, node.group = found, group
        if node.split is not None:
            heappush(self._open, (-node.split.gain, node.start, node))

    def _split(self, node: _Node, *, last: bool) -> None:
        """Split a node; if it is not the last split, look for splits of what it falls into."""
        asked, group = node.split, node.group
        assert group is not None
        *_, middle = group.search.split_indices(asked, self._rows(node))
        middle += node.start
        left = _Node(node.start, middle, asked.sum_gradient_left, asked.sum_hessian_left, asked.value_left)
        right = _Node(middle, node.stop, asked.sum_gradient_right, asked.sum_hessian_right, asked.value_right)
        node.left, node.right = left, right
        if not group.bins.columns[asked.feature_idx].missing:  # what comes to be missing goes where most rows go
            asked.missing_go_to_left = middle - node.start > node.stop - middle
        parts = [one for one in (left, right) if self._may_split(one)]
        if parts and not last:
            self._count_both(node, left, right)
            for one in parts:
                self._search(one)
        node.histograms = None

    def _count_both(self, node: _Node, left: _Node, right: _Node) -> None:
        """Count the smaller part's histograms; the other's are what is left of the node's."""
        few, many = (left, right) if left.stop - left.start < right.stop - right.start else (right, left)
        few.histograms = self._counted(few)
        many.histograms = [
            builder.compute_histograms_subtraction(*both)
            for builder, *both in zip(self._builders, node.histograms or [], few.histograms, strict=True)
        ]


def _slopes(target: Floats, raw: Floats) -> tuple[Singles, Singles]:
    """Return first and second derivatives of half the deviance by the log odds."""
    risen = np.exp(-np.maximum(raw, _FARTHEST))
    gradient = ((1 - target) - target * risen) / (1 + risen)
    return gradient.astype(np.float32), (risen / (1 + risen) ** 2).astype(np.float32)


def _leaves(node: _Node) -> list[_Node]:
    """Return the leaves below a node, from left to right."""
    if node.left is None or node.right is None:
        return [node]
    return [*_leaves(node.left), *_leaves(node.right)]


def _read(node: _Node, growth: Growth, first: int = 0) -> Tree:
    """Read what hangs on a node, whose leaves are numbered from `first` on."""
    if node.left is None or node.right is None or node.group is None:
        step = min(max(node.value, -growth.most_step), growth.most_step)
        return Tree(splits=[], leaves=[growth.learning_rate * step])
    left = _read(node.left, growth, first)
    end = first + len(left.leaves)
    right = _read(node.right, growth, end)
    column = node.group.bins.columns[node.split.feature_idx]
    split = _split(node.split, column, _ALL_LEAVES & ~((1 << end) - (1 << first)))
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
