"""Fitted forests as the arrays that they are served as."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.prediction.minutes.forms.forest import Forest


def exported_forests(learners: Sequence[Any]) -> Forest:
    """Return `RandomForestRegressor`s, one a view, as one set of arrays; they answer alike."""
    parts: list[tuple[Any, Any, Any, Any]] = []
    roots, start, depth = [], 0, 0
    for learner in learners:
        for estimator in learner.estimators_:
            roots.append(start)
            parts.append(_one_tree(estimator.tree_, start))
            start += estimator.tree_.node_count
            depth = max(depth, int(estimator.tree_.max_depth))
    column, threshold, first, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Forest(
        roots=np.array(roots, dtype=np.int32).reshape(len(learners), -1), depth=depth, column=column,
        threshold=threshold, first=first, value=value,
    )  # fmt: skip


def _one_tree(tree: Any, start: int) -> tuple[Any, Any, Any, Any]:
    """Return column, threshold, first and value of a tree's nodes, level by level, so that siblings lie together."""
    order, place = [0], 0
    while place < len(order):
        node = order[place]
        if tree.children_left[node] >= 0:
            order += [int(tree.children_left[node]), int(tree.children_right[node])]
        place += 1
    nodes = np.array(order)
    number = np.empty(len(nodes), dtype=np.int32)
    number[nodes] = np.arange(len(nodes), dtype=np.int32)
    left = tree.children_left[nodes]
    leaf = left < 0
    threshold = tree.threshold[nodes].astype(np.float32)
    # A row's float32 is at most a float64 threshold just when it is at most the next float32 not above that.
    threshold = np.where(threshold > tree.threshold[nodes], np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return (
        np.where(leaf, 0, tree.feature[nodes]).astype(np.int32),
        np.where(leaf, np.float32(np.inf), threshold).astype(np.float32),
        (start + np.where(leaf, np.arange(len(nodes)), number[left])).astype(np.int32),
        tree.value[nodes, 0, 0],
    )
