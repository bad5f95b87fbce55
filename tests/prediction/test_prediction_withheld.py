"""The figures of a model's metrics file."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from shared.prediction.withheld import Labels, weighted_scores


def _each(labels: str) -> Labels:
    """Return one label an item: letters from A on."""
    return Labels(item=np.arange(len(labels)), label=np.array([ord(letter) - ord("A") for letter in labels]))


def test_the_weighted_scores_of_the_reference_check() -> None:
    scores = weighted_scores(_each("ABACB"), _each("ABAAB"))
    assert scores["accuracy"] == pytest.approx(0.8)
    assert scores["precision_weighted"] == pytest.approx(0.6667, abs=1e-4)
    assert scores["recall_weighted"] == pytest.approx(0.8)
    assert scores["f1_weighted"] == pytest.approx(0.72)


def test_the_weighted_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    true, given = (rng.integers(0, 6, 300) for _ in range(2))
    items = np.arange(300)
    found = weighted_scores(Labels(item=items, label=true), Labels(item=items, label=given))
    wanted = precision_recall_fscore_support(true, given, average="weighted", zero_division=0)
    assert list(found.values()) == pytest.approx([accuracy_score(true, given), *wanted[:3]])


def test_several_labels_an_item() -> None:
    true = Labels(item=np.array([0, 0, 1]), label=np.array([0, 1, 0]))
    given = Labels(item=np.array([0, 0, 1]), label=np.array([0, 2, 1]))
    scores = weighted_scores(true, given)
    assert scores["accuracy"] == pytest.approx(1 / 3)
    assert scores["precision_weighted"] == pytest.approx(2 / 3)  # label 0: always right where given; 1: never
    assert scores["recall_weighted"] == pytest.approx(1 / 3)


def test_nothing_to_score_is_no_error() -> None:
    none = Labels(item=np.zeros(0, dtype=np.int64), label=np.zeros(0, dtype=np.int64))
    assert weighted_scores(none, none)["accuracy"] == 0.0
