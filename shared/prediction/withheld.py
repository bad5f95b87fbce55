"""Ask a sample of items as if they were unknown: what the model is calibrated on and what it is measured by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.candidates.model import Choice
from shared.prediction.knowledge import Knowledge, Memory, Singles
from shared.prediction.memory import Floats, Ints, Items
from shared.prediction.minutes.orders import Orders
from shared.prediction.nearby import Nearby, ranges

Flags = npt.NDArray[np.bool_]

_ORDERS = 6  # newest orders of one operation of one item that are compared


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """Items asked as if unknown. What is near them is found on first use: only then the index has to be ready."""

    places: Ints
    views: Ints  # each item's own fold
    rows: Singles  # (items, features)
    memory: Callable[[], Memory]
    neighbours: int

    @cached_property
    def vectors(self) -> Singles:
        """Return the items' vectors."""
        return self.memory().vectors_of(self.places)

    @cached_property
    def near(self) -> Nearby:
        """Return what is near the items, neither they themselves nor a sister among it."""
        memory = self.memory()
        sisters = [memory.items.sisters(place) for place in self.places.tolist()]
        nobody = np.full(len(self.places), -1, dtype=np.int64)
        return memory.near(self.vectors, self.neighbours, without=sisters, own=nobody)


def withhold(
    memory: Callable[[], Memory], items: Items, routed: Ints, rows: Singles, *, neighbours: int, sample: int, seed: int
) -> Withheld:
    """Draw the items to withhold among those with a routing; `rows` are the features of all `routed` ones."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(routed))[:sample])
    places = routed[chosen]
    return Withheld(
        places=places, views=items.folds[places].astype(np.int64), rows=rows[chosen], memory=memory,
        neighbours=neighbours,
    )  # fmt: skip


def measure(knowledge: Knowledge, withheld: Withheld, orders: Orders, minimum_similarity: float) -> dict[str, Any]:
    """Return how well the withheld items are answered; every figure has its n."""
    near = withheld.near
    truth = knowledge.routings.signature[withheld.places]
    choices = knowledge.candidates.choose(near, withheld.rows, withheld.views, 3)
    least = knowledge.candidates.least_similarity(withheld.views, minimum_similarity)
    answered = np.array([bool(found) for found in choices]) & (near.nearest >= least)
    ranks = np.array([_rank(found, signature) for found, signature in zip(choices, truth.tolist(), strict=True)])
    firsts = np.array([found[0].signature if found else -1 for found in choices])
    count = max(int(answered.sum()), 1)
    kinds = weighted_scores(Labels(item=np.flatnonzero(answered), label=truth[answered]),
                            Labels(item=np.flatnonzero(answered), label=firsts[answered]))  # fmt: skip
    operations = weighted_scores(*_operations(knowledge, withheld, choices, answered))
    return {
        "withheld_items": len(truth), "abstained": int((~answered).sum()), "answered": int(answered.sum()),
        **operations,
        "routing_accuracy": float((ranks[answered] == 0).sum() / count),
        "routing_top_3_accuracy": float(((ranks[answered] >= 0) & (ranks[answered] < 3)).sum() / count),
        "routing_precision_weighted": kinds["precision_weighted"], "routing_recall_weighted": kinds["recall_weighted"],
        "routing_f1_weighted": kinds["f1_weighted"],
        **_measure_times(knowledge, withheld, orders),
    }  # fmt: skip


def _operations(
    knowledge: Knowledge, withheld: Withheld, choices: Sequence[Sequence[Choice]], answered: Flags
) -> "tuple[Labels, Labels]":
    """Return the operations that the answered items have, and those of the first answer."""
    routings, items = knowledge.routings, np.flatnonzero(answered)
    starts = routings.offsets[withheld.places[items]]
    sizes = routings.offsets[withheld.places[items] + 1] - starts
    given = [choices[item][0].tasks for item in items.tolist()]
    true = Labels(item=np.repeat(items, sizes), label=routings.task[ranges(starts, sizes)])
    return true, Labels(
        item=np.repeat(items, [len(tasks) for tasks in given]),
        label=np.array([task for tasks in given for task in tasks], dtype=np.int64),
    )


def _rank(choices: list[Any], signature: int) -> int:
    return next((rank for rank, choice in enumerate(choices) if choice.signature == signature), -1)


def _measure_times(knowledge: Knowledge, withheld: Withheld, orders: Orders) -> dict[str, Any]:
    """Compare the newest orders of the withheld items' own operations with what they were expected to take."""
    routings = knowledge.routings
    sizes = routings.offsets[withheld.places + 1] - routings.offsets[withheld.places]
    row = ranges(routings.offsets[withheld.places], sizes)
    asked = np.repeat(np.arange(len(withheld.places)), sizes)
    none = np.full(len(row), -1, dtype=np.int64)
    estimates = knowledge.minutes.estimate(
        knowledge.seen, withheld.near, withheld.views, withheld.vectors, withheld.rows, asked,
        routings.task[row].astype(np.int64), routings.resource[row].astype(np.int64), np.full((len(row), 2), np.nan),
        none,
    )  # fmt: skip
    booked, expected = [], []
    for newest in range(_ORDERS):
        place = orders.start[row] + newest
        here = np.flatnonzero(place < orders.start[row + 1])
        quantity = np.ones(len(row))
        quantity[here] = orders.quantity[place[here]]
        booked.append(orders.minutes[place[here]])
        expected.append(estimates.order(quantity)[here])
    return _time_figures(np.concatenate(booked), np.concatenate(expected))


def _time_figures(booked: Floats, expected: Floats) -> dict[str, Any]:
    figures: dict[str, Any] = {"withheld_orders": len(booked)}
    some = booked > 0
    if some.any():
        low, middle, high = expected[some].T
        figures |= {
            "time_median_absolute_percentage_error": float(np.median(np.abs(middle / booked[some] - 1))),
            "time_interval_coverage": float(((low <= booked[some]) & (booked[some] <= high)).mean()),
            "time_mean_log_ratio": float(np.log(booked[some] / np.maximum(middle, 1e-6)).mean()),
        }
    return figures


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of items; an item may have several, each once."""

    item: Ints
    label: Ints  # -1: none


def weighted_scores(true: Labels, given: Labels) -> dict[str, float]:
    """Return how well labels were foretold; each counts by how often it is true.

    Accuracy is the share of the true labels that were given. With one label an item these are the figures of
    scikit-learn's `accuracy_score` and its precision, recall and F1 with `average="weighted"`.
    """
    wide = int(max(true.label.max(initial=-1), given.label.max(initial=-1))) + 2
    right = np.isin(given.item * wide + given.label, true.item * wide + true.label)
    support, claimed, hits = (
        np.bincount(labels + 1, minlength=wide).astype(np.float64)
        for labels in (true.label, given.label, given.label[right])
    )
    share = support / max(float(support.sum()), 1.0)
    precision, recall = hits / np.maximum(claimed, 1.0), hits / np.maximum(support, 1.0)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {
        "accuracy": float(hits.sum() / max(float(support.sum()), 1.0)),
        "precision_weighted": float(share @ precision), "recall_weighted": float(share @ recall),
        "f1_weighted": float(share @ f1),
    }  # fmt: skip
