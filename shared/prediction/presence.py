"""Which operations an item calls for: a forest of randomised trees on the item's vector, one set a view.

Neighbours say which whole routings exist near an item. The forest says which operations attributes like these bring
with them, also where attributes act together (a large part of a hard material), which similarity alone blurs. It is
grown with scikit-learn and served from its arrays.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import FOLDS, Floats, Ints

TREES = 24
_MOST_ITEMS = 20_000  # that one forest is grown from
_MANY_ITEMS = 10_000
_MOST_LEAVES = 4_096  # of one tree, where there are many items
_CERTAIN = 0.01  # no operation is taken for more certain than this


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Trees as flat arrays; a leaf is its own successor."""

    roots: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]  # (nodes,)
    threshold: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    leaf: npt.NDArray[np.int32]  # node -> row of `shares`
    shares: npt.NDArray[np.float16]  # (leaves, tasks) share of the leaf's items that have the task
    depth: int

    def logits(self, vectors: npt.NDArray[np.float32]) -> Floats:
        """Return, for vectors (items, size), each task's log odds (items, tasks)."""
        items = np.arange(len(vectors))[:, None]
        node = np.repeat(self.roots[None, :], len(vectors), axis=0)
        for _ in range(self.depth):
            below = vectors[items, self.feature[node]] <= self.threshold[node]
            node = np.where(below, self.left[node], self.right[node])
        chance = self.shares[self.leaf[node]].astype(np.float64).mean(axis=1)
        chance = np.clip(chance, _CERTAIN, 1 - _CERTAIN)
        return np.asarray(np.log(chance / (1 - chance)))

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def task_table(task: Ints, offsets: Ints, routed: Ints, tasks: int) -> npt.NDArray[np.float32]:
    """Return which tasks each routed item has: (items, tasks) of 0 and 1."""
    sizes = offsets[routed + 1] - offsets[routed]
    table = np.zeros((len(routed), tasks), dtype=np.float32)
    table[np.repeat(np.arange(len(routed)), sizes), task] = 1
    return table


def grow_forests(
    vectors: npt.NDArray[np.float32], table: npt.NDArray[np.float32], folds: npt.NDArray[np.int8], seed: int
) -> tuple[Forest, ...]:
    """Grow one forest without each fold, then one of everything, from vectors and `task_table`."""
    return tuple(
        _grow(vectors[folds != view], table[folds != view], seed) if view < FOLDS else _grow(vectors, table, seed)
        for view in range(FOLDS + 1)
    )


def _grow(vectors: npt.NDArray[np.float32], table: npt.NDArray[np.float32], seed: int) -> Forest:
    if len(vectors) < 2:
        return _ignorant(table.shape[1])
    from sklearn.ensemble import ExtraTreesRegressor

    if len(vectors) > _MOST_ITEMS:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:_MOST_ITEMS])
        vectors, table = vectors[chosen], table[chosen]
    leaves = _MOST_LEAVES if len(vectors) > _MANY_ITEMS else None
    grown = ExtraTreesRegressor(
        n_estimators=TREES, max_features=0.33, min_samples_leaf=2, max_leaf_nodes=leaves, random_state=seed, n_jobs=1
    ).fit(vectors, table)
    trees = [estimator.tree_ for estimator in grown.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])
    parts: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("feature", "threshold", "left", "right", "shares")
    }
    leaf, leaves_before = [], 0
    for tree, start in zip(trees, starts[:-1], strict=True):
        own, end = np.arange(tree.node_count), tree.children_left < 0
        parts["feature"].append(np.where(end, 0, tree.feature))
        parts["threshold"].append(np.where(end, 0.0, tree.threshold))
        parts["left"].append(np.where(end, own, tree.children_left) + start)
        parts["right"].append(np.where(end, own, tree.children_right) + start)
        parts["shares"].append(tree.value[end].reshape(-1, table.shape[1]))
        leaf.append(np.where(end, np.cumsum(end) - 1 + leaves_before, 0))
        leaves_before += int(end.sum())
    return Forest(
        roots=starts[:-1].astype(np.int32), feature=np.concatenate(parts["feature"]).astype(np.int32),
        threshold=np.concatenate(parts["threshold"]), left=np.concatenate(parts["left"]).astype(np.int32),
        right=np.concatenate(parts["right"]).astype(np.int32), leaf=np.concatenate(leaf).astype(np.int32),
        shares=np.concatenate(parts["shares"]).astype(np.float16), depth=max(tree.max_depth for tree in trees),
    )  # fmt: skip


def _ignorant(tasks: int) -> Forest:
    """Return a forest that takes every task for as likely as not."""
    nothing = np.zeros(1, dtype=np.int32)
    return Forest(
        roots=nothing, feature=nothing, threshold=np.zeros(1), left=nothing, right=nothing, leaf=nothing,
        shares=np.full((1, tasks), 0.5, dtype=np.float16), depth=0,
    )  # fmt: skip
