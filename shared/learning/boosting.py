"""Grow boosted trees with scikit-learn's HistGradientBoosting, one model an output."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from shared.learning.export import Grown, flatten
from shared.learning.trees import MOST_LEAVES, BoostedTrees, Floats

Loss = Literal["log_loss", "squared_error", "absolute_error"]
MOST_CATEGORIES = 255  # that scikit-learn tells apart in one column
_HELD_OUT = 0.1


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How trees are grown."""

    loss: Loss = "log_loss"
    rounds: int = 80
    learning_rate: float = 0.15
    leaves: int = 15  # at most 16
    least_in_leaf: int = 5
    l2: float = 1.0
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
    return flatten(grown, categorical)


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
    model = _estimator(growth, categorical, seed, target).fit(_filled(rows), target, sample_weight=weights)
    scores = model.validation_score_
    return Grown.of(model, int(np.argmax(scores)) if len(scores) else model.n_iter_)


def _filled(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return rows whose columns without any value hold 0: scikit-learn cannot bin them, and nothing splits on them."""
    empty = np.isnan(rows).all(axis=0)
    return np.where(empty, np.float32(0), rows) if empty.any() else rows


def _estimator(growth: Growth, categorical: npt.NDArray[np.bool_], seed: int, target: Floats) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if growth.loss == "log_loss" else HistGradientBoostingRegressor
    # Held-out rows of a class are drawn by class, which takes at least two rows of each.
    rare = growth.loss == "log_loss" and min(target.sum(), (1 - target).sum()) < 2 / _HELD_OUT
    return kind(
        loss=growth.loss, max_iter=growth.rounds, learning_rate=growth.learning_rate, max_leaf_nodes=growth.leaves,
        min_samples_leaf=growth.least_in_leaf, l2_regularization=growth.l2,
        categorical_features=categorical if categorical.any() else None,
        early_stopping=growth.patience > 0 and not rare and len(target) >= 2 / _HELD_OUT,
        n_iter_no_change=max(growth.patience, 1), tol=0.0, validation_fraction=_HELD_OUT, random_state=seed,
    )  # fmt: skip
