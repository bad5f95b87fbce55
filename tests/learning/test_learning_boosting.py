"""Boosted trees served from arrays say what scikit-learn says."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from shared.learning.boosting import Growth, Loss, fit_boosted
from shared.learning.trees import BoostedTrees

CATEGORICAL = np.array([False, True, False, True, False])


def _rows(count: int, seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 5)).astype(np.float32)
    rows[:, 1] = rng.integers(0, 40, count) * 3 + 2  # codes with gaps, up to 119
    rows[:, 3] = rng.integers(0, 3, count)
    rows[rng.random(rows.shape) < 0.15] = np.nan
    return rows


def _score(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    known = np.nan_to_num(rows.astype(np.float64), nan=0.7)
    return np.asarray(known[:, 0] + (known[:, 1] % 9 < 4) * known[:, 2] + (known[:, 3] == 1) - 0.5)


def _estimator(loss: Loss, rounds: int) -> Any:
    kind = HistGradientBoostingClassifier if loss == "log_loss" else HistGradientBoostingRegressor
    return kind(
        loss=loss, max_iter=rounds, learning_rate=0.2, max_leaf_nodes=16, min_samples_leaf=3, l2_regularization=1.0,
        categorical_features=CATEGORICAL, early_stopping=False,
    )  # fmt: skip


def _strange() -> npt.NDArray[np.float32]:
    """Rows with what training never saw: nothing at all, unknown categories, numbers beyond all others."""
    nothing = np.full((6, 5), np.nan, dtype=np.float32)
    nothing[1], nothing[2], nothing[3] = 254, -1, [1e30, 7, -1e30, 5, 0]
    nothing[4], nothing[5] = 3, 0.0
    return nothing


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "absolute_error"])
def test_values_are_scikit_learns_raw_predictions(loss: Loss) -> None:
    rows, asked = _rows(900, 1), np.concatenate([_rows(300, 2), _strange()])
    target = (_score(rows) > 0).astype(np.float64) if loss == "log_loss" else _score(rows)
    growth = Growth(loss=loss, rounds=25, learning_rate=0.2, leaves=16, least_in_leaf=3)
    trees = fit_boosted(rows, np.stack([target, -target + 1], axis=1), CATEGORICAL, growth=growth)
    model = _estimator(loss, 25).fit(rows, target)
    expected = model.decision_function(asked) if loss == "log_loss" else model.predict(asked)
    np.testing.assert_allclose(trees.values(asked)[:, 0], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(trees.values(asked)[:, 1], _estimator(loss, 25).fit(rows, 1 - target)._raw_predict(
        asked.astype(np.float64))[:, 0], rtol=1e-12, atol=1e-12)  # fmt: skip


def test_one_row_is_answered_like_many() -> None:
    rows = _rows(400, 3)
    trees = fit_boosted(rows, (_score(rows) > 0)[:, None], CATEGORICAL, growth=Growth(rounds=40))
    together = trees.values(rows[:70])
    np.testing.assert_array_equal(together[:, 0], [trees.values(rows[[place]])[0, 0] for place in range(70)])
    assert trees.values(rows[:0]).shape == (0, 1)


def test_columns_without_categories_are_served_too() -> None:
    rows = _rows(300, 4)[:, [0, 2, 4]]
    target = np.nan_to_num(rows[:, 0]) ** 2
    growth = Growth(loss="squared_error", rounds=12)
    trees = fit_boosted(rows, target[:, None], np.zeros(3, dtype=bool), growth=growth)
    model = HistGradientBoostingRegressor(
        max_iter=12, learning_rate=0.15, max_leaf_nodes=15, min_samples_leaf=5, l2_regularization=1.0,
        early_stopping=False,
    ).fit(rows, target)  # fmt: skip
    np.testing.assert_allclose(trees.values(rows)[:, 0], model.predict(rows), rtol=1e-12, atol=1e-12)


def test_outputs_that_never_differ_are_constants() -> None:
    rows = _rows(50, 5)
    unknown, always, never = np.full(50, np.nan), np.ones(50), np.zeros(50)
    always[:10] = np.nan
    trees = fit_boosted(rows, np.stack([unknown, always, never], axis=1), CATEGORICAL, growth=Growth())
    np.testing.assert_allclose(trees.values(rows[:2]), [[0.0, np.log(40.5 / 0.5), np.log(0.5 / 50.5)]] * 2)
    means = fit_boosted(rows, np.full((50, 1), 7.5), CATEGORICAL, growth=Growth(loss="squared_error"))
    np.testing.assert_array_equal(means.values(rows[:1]), [[7.5]])


def test_rows_with_unknown_targets_do_not_count() -> None:
    rows = _rows(600, 6)
    target = _score(rows)
    target[400:] = np.nan
    growth = Growth(loss="squared_error", rounds=10)
    found = fit_boosted(rows, target[:, None], CATEGORICAL, growth=growth)
    expected = fit_boosted(rows[:400], target[:400, None], CATEGORICAL, growth=growth)
    np.testing.assert_array_equal(found.values(rows), expected.values(rows))


def test_a_column_without_values_changes_nothing() -> None:
    rows = _rows(300, 7)
    more = np.concatenate([rows, np.full((300, 2), np.nan, dtype=np.float32)], axis=1)
    target = (_score(rows) > 0)[:, None]
    without = fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=8))
    with_empty = fit_boosted(more, target, np.append(CATEGORICAL, [True, False]), growth=Growth(rounds=8))
    np.testing.assert_array_equal(without.values(rows), with_empty.values(more))


def test_growing_stops_where_nothing_is_to_be_learned() -> None:
    rows = _rows(800, 8)
    noise = np.random.default_rng(9).integers(0, 2, (800, 1))
    stopped = fit_boosted(rows, noise, CATEGORICAL, growth=Growth(rounds=60, patience=4))
    all_rounds = fit_boosted(rows, noise, CATEGORICAL, growth=Growth(rounds=60))
    assert len(stopped.first_leaf) < len(all_rounds.first_leaf) / 2


def test_trees_come_back_from_their_state() -> None:
    rows = _rows(300, 10)
    trees = fit_boosted(rows, (_score(rows) > 0)[:, None], CATEGORICAL, growth=Growth(rounds=6))
    again = BoostedTrees.from_state(trees.state())
    np.testing.assert_array_equal(trees.values(_rows(40, 11)), again.values(_rows(40, 11)))


def test_more_leaves_than_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="16 leaves"):
        Growth(leaves=17)


def test_screening_leaves_out_columns_that_say_nothing() -> None:
    rows = _rows(5_500, 12)
    target = (np.nan_to_num(rows[:, 0]) > 0).astype(np.float64)[:, None]
    trees = fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=30, leaves=2, screening=1))
    assert set((trees.column % 5).tolist()) == {0}
    assert not len(trees.category_columns)
    right = (trees.values(rows)[:, 0] > 0) == target[:, 0]
    assert right.mean() > 0.95


def test_outputs_grown_together_are_as_if_grown_alone() -> None:
    rows = _rows(500, 13)
    score = _score(rows)
    targets = np.stack([score > 0, score > 1, score > 0.5, score < 0.2], axis=1).astype(np.float64)
    targets[:150, 1:3] = np.nan
    growth = Growth(rounds=5)
    together = fit_boosted(rows, targets, CATEGORICAL, growth=growth).values(rows)
    alone = [fit_boosted(rows, targets[:, [place]], CATEGORICAL, growth=growth).values(rows) for place in range(4)]
    np.testing.assert_array_equal(together, np.concatenate(alone, axis=1))
