"""Read the trees out of fitted scikit-learn models into the arrays of `BoostedTrees`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.trees import BoostedTrees, Floats

_WORD_BITS = 32  # of scikit-learn's sets of categories


@dataclass(frozen=True, kw_only=True)
class Grown:
    """One output: a constant and the trees that are added to it."""

    baseline: float
    order: npt.NDArray[np.int64]  # the model's own columns -> columns of the rows
    trees: tuple[Any, ...] = ()  # scikit-learn's TreePredictor
    categories: tuple[Floats, ...] = ()  # by categorical column: the model's own code -> category

    @classmethod
    def constant(cls, value: float) -> "Grown":
        """Return an output without trees."""
        return cls(baseline=value, order=np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, model: Any, rounds: int, columns: npt.NDArray[np.int64]) -> "Grown":
        """Return the first rounds of a model of one output, fitted on these columns of the rows."""
        trees = tuple(one for (one,) in model._predictors[:rounds])
        baseline = float(model._baseline_prediction[0, 0])
        if model.is_categorical_ is None:
            return cls(baseline=baseline, order=columns, trees=trees)
        chosen = np.asarray(model.is_categorical_)
        encoder = model._preprocessor.named_transformers_["encoder"]
        known = tuple(np.asarray(values, dtype=np.float64) for values in encoder.categories_)
        order = np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)])
        return cls(
            baseline=baseline, order=columns[order], trees=trees, categories=tuple(v[~np.isnan(v)] for v in known)
        )  # fmt: skip

    def columns_used(self) -> npt.NDArray[np.int64]:
        """Return the columns of the rows that any split asks about, rising."""
        asked = [tree.nodes["feature_idx"][tree.nodes["is_leaf"] == 0] for tree in self.trees]
        return np.unique(self.order[np.concatenate(asked)]) if asked else self.order[:0]


@dataclass(frozen=True, kw_only=True)
class _Splits:
    """The splits of one tree, in scikit-learn's order."""

    column: npt.NDArray[np.int64]
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    categorical: npt.NDArray[np.bool_]
    kept: npt.NDArray[np.uint16]
    among: list[npt.NDArray[np.bool_]]  # of the categorical ones: by category, last what is missing or unknown


def flatten(outputs: list[Grown], columns: int) -> BoostedTrees:
    """Put the trees of all outputs into one set of arrays; trees of a single leaf join the baseline."""
    slots = _slots(outputs, columns)
    baseline = np.array([output.baseline for output in outputs], dtype=np.float64)
    splits: list[_Splits] = []
    leaves: list[Floats] = []
    trees_of = np.zeros(len(outputs), dtype=np.int64)
    for number, output in enumerate(outputs):
        for tree in output.trees:
            values = tree.nodes["value"][tree.nodes["is_leaf"].astype(bool)]
            if len(values) == 1:
                baseline[number] += values[0]
                continue
            splits.append(_splits(tree, output, slots))
            leaves.append(values.astype(np.float64))
            trees_of[number] += 1
    return _assemble(splits, leaves, trees_of, baseline, slots)


def _slots(outputs: list[Grown], columns: int) -> npt.NDArray[np.int32]:
    """Return, by column, the number above the greatest category that any output knows."""
    slots = np.zeros(columns, dtype=np.int32)
    for output in outputs:
        for column, known in zip(output.order[: len(output.categories)].tolist(), output.categories, strict=True):
            slots[column] = max(slots[column], int(known.max(initial=-1)) + 1)
    return slots


def _splits(tree: Any, output: Grown, slots: npt.NDArray[np.int32]) -> _Splits:
    nodes = tree.nodes
    inner = ~nodes["is_leaf"].astype(bool)
    # scikit-learn writes a node, then all of its left side, then its right side: leaves come from left to right.
    before = np.concatenate([[0], np.cumsum(~inner)])
    split = nodes[inner]
    first, end = before[np.flatnonzero(inner)], before[split["right"]]
    own = split["feature_idx"].astype(np.int64)
    column = output.order[own]
    categorical, missing_left = split["is_categorical"].astype(bool), split["missing_go_to_left"].astype(bool)
    sets = [
        _among(tree.raw_left_cat_bitsets[bitset], output.categories[model_column], int(slots[place]), left)
        for bitset, model_column, place, left in zip(
            split["bitset_idx"][categorical].tolist(), own[categorical].tolist(), column[categorical].tolist(),
            missing_left[categorical].tolist(), strict=True,
        )
    ]  # fmt: skip
    struck = (1 << end) - (1 << first)
    return _Splits(
        column=column, threshold=split["num_threshold"].astype(np.float64), missing_left=missing_left,
        categorical=categorical, kept=(0xFFFF & ~struck).astype(np.uint16), among=sets,
    )  # fmt: skip


def _among(words: npt.NDArray[np.uint32], known: Floats, slots: int, missing_left: bool) -> npt.NDArray[np.bool_]:
    """Return, by category and then for what is missing, whether it goes to the left."""
    codes = np.arange(len(known))
    found = np.full(slots + 1, missing_left)
    found[known.astype(np.int64)] = (words[codes // _WORD_BITS] >> (codes % _WORD_BITS).astype(np.uint32)) & 1 == 1
    return found


def _assemble(
    splits: list[_Splits], leaves: list[Floats], trees_of: npt.NDArray[np.int64], baseline: Floats,
    slots: npt.NDArray[np.int32],
) -> BoostedTrees:  # fmt: skip
    columns = len(slots)
    column = _joined([s.column + columns * s.missing_left for s in splits], np.int64)
    threshold = _joined([s.threshold for s in splits], np.float64)
    categorical = _joined([s.categorical for s in splits], np.bool_)
    asked = column[categorical] % max(columns, 1)
    among = [found for s in splits for found in s.among]
    by_column = np.argsort(asked, kind="stable")
    category_columns, asking = np.unique(asked, return_counts=True)
    first, numeric = _numeric_conditions(np.where(categorical, -1, column), threshold)
    condition = numeric
    condition[np.flatnonzero(categorical)[by_column]] = len(first) + np.arange(len(among))
    sizes = np.array([len(s.column) for s in splits], dtype=np.int64)
    trees, laid = _layout(sizes)
    ends = np.cumsum(asking)
    blocks = [
        np.stack([among[place] for place in by_column[end - count : end].tolist()], axis=1).ravel()
        for end, count in zip(ends.tolist(), asking.tolist(), strict=True)
    ]
    place_of_tree = np.argsort(trees)
    return BoostedTrees(
        columns=columns, baseline=baseline, column=column[first].astype(np.int32), threshold=threshold[first],
        category_columns=category_columns.astype(np.int32), asking=asking.astype(np.int32),
        slots=slots[category_columns], among=_joined(blocks, np.bool_), condition=condition[laid].astype(np.int32),
        kept=_joined([s.kept for s in splits], np.uint16)[laid],
        ranks=np.array([int((sizes > rank).sum()) for rank in range(int(sizes.max(initial=0)))], dtype=np.int32),
        tree=place_of_tree.astype(np.int32), first_leaf=_starts([len(values) for values in leaves]),
        leaves=_joined(leaves, np.float64), grown=np.flatnonzero(trees_of).astype(np.int32),
        first_tree=_starts(trees_of[trees_of > 0].tolist()),
    )  # fmt: skip


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


def _joined(parts: list[Any], kind: Any) -> Any:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)


def _starts(sizes: list[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32) if sizes else np.zeros(0, dtype=np.int32)
