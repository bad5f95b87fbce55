"""Grow boosted trees with scikit-learn's HistGradientBoosting, one model an output."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from shared.learning.export import Grown, flatten
from shared.learning.sharing import Prepared
from shared.learning.trees import MOST_LEAVES, BoostedTrees, Floats

Loss = Literal["log_loss", "squared_error", "absolute_error"]
Ints = npt.NDArray[np.int64]
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

    grower = _Grower(rows, categorical, growth, seed, weights)
    with threadpool_limits(1):
        grown = [grower.grow(targets[:, output].astype(np.float64)) for output in range(targets.shape[1])]
    return flatten(grown, rows.shape[1])


class _Grower:
    """Grows one output after the other; those that are known of the same rows share what is made of these."""

    def __init__(
        self, rows: npt.NDArray[np.float32], categorical: npt.NDArray[np.bool_], growth: Growth, seed: int,
        weights: Floats | None,
    ) -> None:  # fmt: skip
        self._rows, self._categorical, self._weights = rows, categorical, weights
        self._growth, self._seed = growth, seed
        self._screened, self._prepared = Prepared(), Prepared()

    def grow(self, target: Floats) -> Grown:
        known = np.flatnonzero(~np.isnan(target))
        target = target[known]
        if not len(target):
            return Grown.constant(0.0)
        if target.min() == target.max():
            if self._growth.loss != "log_loss":
                return Grown.constant(float(target[0]))
            right, wrong = target.sum() + 0.5, (1 - target).sum() + 0.5
            return Grown.constant(float(np.log(right / wrong)))
        columns = self._columns(known, target)
        held = _held_out(target, self._growth, self._seed)
        if held is None:
            model = self._fitted(self._prepared, known, target, columns, self._growth)
            return Grown.of(model, self._growth.rounds, columns)
        checked = self._given(known[held], columns)
        checked = {"X_val": checked["X"], "y_val": target[held], "sample_weight_val": checked["sample_weight"]}
        model = self._fitted(self._prepared, known[~held], target[~held], columns, self._growth, checked)
        return Grown.of(model, int(np.argmax(model.validation_score_)), columns)

    def _columns(self, known: Ints, target: Floats) -> Ints:
        """Return the columns on which the first trees, grown fast on a sample, split; of few rows all that differ."""
        rows = self._rows[known]
        differ = np.flatnonzero(~((rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))).all(axis=0))
        columns = differ if len(differ) else np.arange(1)
        if not self._growth.screening or len(target) <= _SCREENED:
            return columns
        chosen = np.sort(np.random.default_rng(self._seed).permutation(len(target))[:_SCREENED])
        if self._growth.loss == "log_loss" and target[chosen].min() == target[chosen].max():
            return columns
        fast = replace(self._growth, rounds=self._growth.screening, learning_rate=_FAST, patience=0)
        model = self._fitted(self._screened, known[chosen], target[chosen], columns, fast)
        found = Grown.of(model, fast.rounds, columns).columns_used()
        return found if len(found) else columns[:1]

    def _fitted(
        self, prepared: Prepared, places: Ints, target: Floats, columns: Ints, growth: Growth,
        checked: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        model = _estimator(growth, self._categorical[columns], self._seed, stops=checked is not None)
        prepared.lend(model, (places.tobytes(), columns.tobytes()))
        return model.fit(**self._given(places, columns), y=target, **(checked or {}))

    def _given(self, places: Ints, columns: Ints) -> dict[str, Any]:
        weights = None if self._weights is None else self._weights[places]
        return {"X": _filled(self._rows[np.ix_(places, columns)]), "sample_weight": weights}


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
