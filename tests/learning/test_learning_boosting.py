"""Boosted trees served from arrays say what scikit-learn says."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from shared.learning.binning import MISSING, Bins, Ranked
from shared.learning.boosting import fit_boosted
from shared.learning.growing import Growth
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


def _estimator(rounds: int, **more: Any) -> Any:
    return HistGradientBoostingClassifier(
        max_iter=rounds, learning_rate=0.2, max_leaf_nodes=16, min_samples_leaf=3, l2_regularization=1.0,
        early_stopping=False, **more,
    )  # fmt: skip


def _strange() -> npt.NDArray[np.float32]:
    """Rows with what training never saw: nothing at all, unknown categories, numbers beyond all others."""
    nothing = np.full((6, 5), np.nan, dtype=np.float32)
    nothing[1], nothing[2], nothing[3] = 254, -1, [1e30, 7, -1e30, 5, 0]
    nothing[4], nothing[5] = 3, 0.0
    return nothing


def test_values_are_scikit_learns_raw_predictions() -> None:
    rows, asked = _rows(900, 1), np.concatenate([_rows(300, 2), _strange()])
    target = _score(rows) > 0
    growth = Growth(rounds=25, learning_rate=0.2, leaves=16, least_in_leaf=3)
    trees = fit_boosted(rows, np.stack([target, ~target], axis=1), CATEGORICAL, growth=growth)
    for output, true in enumerate([target, ~target]):
        model = _estimator(25, categorical_features=CATEGORICAL).fit(rows, true)
        expected = model.decision_function(asked)
        np.testing.assert_allclose(trees.values(asked)[:, output], expected, rtol=1e-12, atol=1e-12)


def test_a_category_beside_missing_values_is_told_from_them() -> None:
    rows = _rows(600, 14)
    rows[:, 3] = np.where(rows[:, 3] == 1, 7, np.nan)
    target = (rows[:, 3] == 7) == (np.nan_to_num(rows[:, 1]) % 2 == 0)
    trees = fit_boosted(rows, target[:, None], CATEGORICAL, growth=Growth(rounds=20, leaves=16))
    assert ((trees.values(rows)[:, 0] > 0) == target).mean() > 0.95


def test_one_row_is_answered_like_many() -> None:
    rows = _rows(400, 3)
    trees = fit_boosted(rows, (_score(rows) > 0)[:, None], CATEGORICAL, growth=Growth(rounds=40))
    together = trees.values(rows[:70])
    np.testing.assert_array_equal(together[:, 0], [trees.values(rows[[place]])[0, 0] for place in range(70)])
    assert trees.values(rows[:0]).shape == (0, 1)


def test_columns_without_categories_are_served_too() -> None:
    rows = _rows(300, 4)[:, [0, 2, 4]]
    target = np.nan_to_num(rows[:, 0]) ** 2 > 0.5
    growth = Growth(rounds=12, learning_rate=0.2, leaves=16, least_in_leaf=3)
    trees = fit_boosted(rows, target[:, None], np.zeros(3, dtype=bool), growth=growth)
    expected = _estimator(12).fit(rows, target).decision_function(rows)
    np.testing.assert_allclose(trees.values(rows)[:, 0], expected, rtol=1e-12, atol=1e-12)


def test_outputs_that_never_differ_are_constants() -> None:
    rows = _rows(50, 5)
    unknown, always, never = np.full(50, np.nan), np.ones(50), np.zeros(50)
    always[:10] = np.nan
    trees = fit_boosted(rows, np.stack([unknown, always, never], axis=1), CATEGORICAL, growth=Growth())
    np.testing.assert_allclose(trees.values(rows[:2]), [[0.0, np.log(40.5 / 0.5), np.log(0.5 / 50.5)]] * 2)


def test_rows_with_unknown_targets_do_not_count() -> None:
    rows = _rows(600, 6)
    target = np.where(_score(rows) > 0, 1.0, 0.0)
    target[400:] = np.nan
    growth = Growth(rounds=10)
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


def test_growing_ends_where_nothing_is_left_to_split() -> None:
    rows = _rows(9, 8)
    trees = fit_boosted(rows, np.arange(9)[:, None] < 3, CATEGORICAL, growth=Growth(rounds=60))
    assert not len(trees.leaves)
    np.testing.assert_allclose(trees.values(rows), np.log(3 / 6))


def test_trees_come_back_from_their_state() -> None:
    rows = _rows(300, 10)
    trees = fit_boosted(rows, (_score(rows) > 0)[:, None], CATEGORICAL, growth=Growth(rounds=6))
    again = BoostedTrees.from_state(trees.state())
    np.testing.assert_array_equal(trees.values(_rows(40, 11)), again.values(_rows(40, 11)))


def test_more_leaves_than_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="16 leaves"):
        Growth(leaves=17)


@pytest.mark.parametrize("count", [900, 5_500], ids=["all rows", "a sample"])
def test_screening_leaves_out_columns_that_say_nothing(count: int) -> None:
    rows = _rows(count, 12)
    target = (np.nan_to_num(rows[:, 0]) > 0).astype(np.float64)[:, None]
    trees = fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=30, leaves=2, screening=1))
    assert set((trees.column % 5).tolist()) == {0}
    assert not len(trees.category_columns)
    right = (trees.values(rows)[:, 0] > 0) == target[:, 0]
    assert right.mean() > 0.95


def test_screening_of_few_rows_begins_with_the_trees_that_stay() -> None:
    rows = _rows(700, 15)
    target = (_score(rows) > 0)[:, None]
    alone = fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=4))
    screened = fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=4, screening=4))
    np.testing.assert_array_equal(alone.values(rows), screened.values(rows))


def test_columns_of_very_many_numbers_are_grown_as_scikit_learn_grows_them() -> None:
    rows = _rows(3_000, 16)
    target = _score(rows) > 0
    trees = fit_boosted(rows, target[:, None], CATEGORICAL, growth=Growth(
        rounds=6, learning_rate=0.2, leaves=16, least_in_leaf=3))  # fmt: skip
    expected = _estimator(6, categorical_features=CATEGORICAL).fit(rows, target).decision_function(rows)
    np.testing.assert_allclose(trees.values(rows)[:, 0], expected, rtol=1e-12, atol=1e-12)


def test_outputs_grown_together_are_as_if_grown_alone() -> None:
    rows = _rows(500, 13)
    score = _score(rows)
    targets = np.stack([score > 0, score > 1, score > 0.5, score < 0.2], axis=1).astype(np.float64)
    targets[:150, 1:3] = np.nan
    growth = Growth(rounds=5)
    together = fit_boosted(rows, targets, CATEGORICAL, growth=growth).values(rows)
    alone = [fit_boosted(rows, targets[:, [place]], CATEGORICAL, growth=growth).values(rows) for place in range(4)]
    np.testing.assert_array_equal(together, np.concatenate(alone, axis=1))


def test_no_tree_moves_a_row_farther_than_it_may() -> None:
    rows = _rows(500, 30)
    target = (_score(rows) > 0)[:, None]
    free, held = (
        fit_boosted(rows, target, CATEGORICAL, growth=Growth(rounds=1, learning_rate=0.5, l2=0.0, most_step=step))
        for step in (np.inf, 1.5)
    )
    moved = free.values(rows) - free.baseline
    assert np.abs(moved).max() > 0.5 * 1.5
    np.testing.assert_allclose(held.values(rows) - held.baseline, np.clip(moved, -0.75, 0.75))


def test_rows_that_are_nearly_certain_are_not_split_further() -> None:
    rows = _rows(500, 31)
    target = (_score(rows) > 0)[:, None]

    def leaves(least: float) -> int:
        growth = Growth(rounds=12, learning_rate=0.5, least_hessian=least)
        return len(fit_boosted(rows, target, CATEGORICAL, growth=growth).leaves)

    assert leaves(1e-3) > leaves(1.0) > leaves(20.0) > 0
    assert leaves(1_000.0) == 0  # more than all rows have together


def test_narrow_columns_and_wide_ones_are_counted_apart() -> None:
    columns = Ranked(_rows(900, 32), CATEGORICAL).columns(np.arange(900))
    groups = Bins.in_groups(columns)
    assert sorted(c.place for group in groups for c in group.columns) == [0, 1, 2, 3, 4]
    assert [group.width for group in groups] == sorted(max(c.bins for c in group.columns) + 1 for group in groups)
    together = Bins.of(columns)
    assert sum(len(g.columns) * g.width for g in groups) < len(together.columns) * together.width
    for group in groups:
        for column, codes in zip(group.columns, group.codes.T, strict=True):
            expected = np.where(column.codes == MISSING, group.width - 1, column.codes)
            assert np.array_equal(codes, expected)


def test_without_columns_there_is_no_group() -> None:
    assert Bins.in_groups([]) == []
