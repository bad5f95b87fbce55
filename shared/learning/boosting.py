"""Grow boosted trees with scikit-learn's HistGradientBoosting, one model an output."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from shared.learning.export import Grown, flatten
from shared.learning.trees import MOST_LEAVES, BoostedTrees, Floats

Loss = Literal["log_loss", "squared_error", "absolute_error"]
MOST_CATEGORIES = 255  # that scikit-learn tells apart in one column
_HELD_OUT = 0.1
_SCREENED = 5_000  # rows on which columns are screened
_FAST = 0.3  # learning rate of the screening
_LEAST_TO_HOLD_OUT = 20  # rows, of each class


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How trees are grown."""

    loss: Loss = "log_loss"
    rounds: int = 80
    learning_rate: float = 0.15
    leaves: int = 15  # at most 16
    least_in_leaf: int = 5
    l2: float = 1.0
    screening: int = 0  # trees on a sample of many rows that choose the columns which the others may use; 0 uses all
    patience: int = 0  # rounds without gain on a held-out tenth before growing stops; 0 grows all rounds on all rows

    def __post_init__(self) -> None:
        if not 2 <= self.leaves <= MOST_LEAVES:
            raise ValueError(f"A tree may have 2 to {MOST_LEAVES} leaves, not {self.leaves}.")


def fit_boosted(
    rows: npt.NDArray[np.float32], targets: npt.NDArray[Any], categorical: npt.NDArray[np.bool_], *,
    growth: Growth, seed: int = 0, weights: Floats | None = None,
) -> BoostedTrees:  # fmt: skip
    """Grow one sum of trees for each output, on one thread.

    Args:
        rows: (n, columns), NaN where missing; categorical columns hold codes of 0 to 254.
        targets: (n, outputs), NaN where unknown; 0 and 1 for `log_loss`.
        categorical: (columns,) which columns are categories.
        growth: how trees are grown.
        seed: draws the held-out rows.
        weights: (n,) how much each row counts.

    Returns:
        Trees whose `values` are scikit-learn's raw predictions: log odds for `log_loss`. An output whose known targets
        are all alike is a constant (for `log_loss` its log odds with half a row of doubt on each side), one without
        known targets is 0.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        grown = [
            _grow(rows, targets[:, output].astype(np.float64), categorical, growth, seed, weights)
            for output in range(targets.shape[1])
        ]
    return flatten(grown, rows.shape[1])


def _grow(
    rows: npt.NDArray[np.float32], target: Floats, categorical: npt.NDArray[np.bool_], growth: Growth, seed: int,
    weights: Floats | None,
) -> Grown:  # fmt: skip
    known = ~np.isnan(target)
    if not known.any():
        return Grown.constant(0.0)
    if not known.all():
        rows, target, weights = rows[known], target[known], None if weights is None else weights[known]
    if target.min() == target.max():
        if growth.loss != "log_loss":
            return Grown.constant(float(target[0]))
        right, wrong = target.sum() + 0.5, (1 - target).sum() + 0.5
        return Grown.constant(float(np.log(right / wrong)))
    columns = np.arange(rows.shape[1])
    if growth.screening and len(target) > _SCREENED:
        columns = _useful(rows, target, categorical, growth, seed, weights)
        rows, categorical = rows[:, columns], categorical[columns]
    held = _held_out(target, growth, seed)
    model = _estimator(growth, categorical, seed, stops=held is not None)
    if held is None:
        return Grown.of(model.fit(_filled(rows), target, sample_weight=weights), growth.rounds, columns)
    checked = {"X_val": rows[held], "y_val": target[held]}
    if weights is not None:
        checked["sample_weight_val"] = weights[held]
    kept = None if weights is None else weights[~held]
    model.fit(_filled(rows[~held]), target[~held], sample_weight=kept, **checked)
    return Grown.of(model, int(np.argmax(model.validation_score_)), columns)


def _useful(
    rows: npt.NDArray[np.float32], target: Floats, categorical: npt.NDArray[np.bool_], growth: Growth, seed: int,
    weights: Floats | None,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """Return the columns on which the first trees, grown fast on a sample, split; the first column if none does."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(target))[:_SCREENED])
    if growth.loss == "log_loss" and target[chosen].min() == target[chosen].max():
        return np.arange(rows.shape[1])
    fast = replace(growth, rounds=growth.screening, learning_rate=_FAST, patience=0)
    model = _estimator(fast, categorical, seed, stops=False)
    model.fit(_filled(rows[chosen]), target[chosen], sample_weight=None if weights is None else weights[chosen])
    found = Grown.of(model, fast.rounds, np.arange(rows.shape[1])).columns_used()
    return found if len(found) else np.arange(1)


def _held_out(target: Floats, growth: Growth, seed: int) -> npt.NDArray[np.bool_] | None:
    """Mark the rows that tell when to stop; None where growing is not to stop or rows are too few to tell."""
    classes = np.unique(target, return_counts=True)[1] if growth.loss == "log_loss" else np.array([len(target)])
    if not growth.patience or classes.min() < _LEAST_TO_HOLD_OUT:
        return None
    found = np.zeros(len(target), dtype=np.bool_)
    found[np.random.default_rng(seed).permutation(len(target))[: int(len(target) * _HELD_OUT)]] = True
    return found


def _filled(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return rows whose columns without any value hold 0: scikit-learn cannot bin them, and nothing splits on them."""
    empty = np.isnan(rows).all(axis=0)
    return np.where(empty, np.float32(0), rows) if empty.any() else rows


def _estimator(growth: Growth, categorical: npt.NDArray[np.bool_], seed: int, *, stops: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if growth.loss == "log_loss" else HistGradientBoostingRegressor
    return kind(
        loss=growth.loss, max_iter=growth.rounds, learning_rate=growth.learning_rate, max_leaf_nodes=growth.leaves,
        min_samples_leaf=growth.least_in_leaf, l2_regularization=growth.l2,
        categorical_features=categorical if categorical.any() else None,
        early_stopping=stops,
        n_iter_no_change=max(growth.patience, 1), tol=0.0, random_state=seed,
    )  # fmt: skip
