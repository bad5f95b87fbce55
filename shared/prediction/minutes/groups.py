"""How much more or less the orders of a group scatter than others: kinds of part and material, quantities.

Which features part the orders by their scatter is measured, one feature after the other. A group's factor is drawn
towards 1 as far as the groups' own differences say (empirical Bayes, method of moments), unless it stands out from what
chance makes of so many groups (universal threshold; Donoho and Johnstone 1994): a kind with few orders takes the
common scatter, one with hundreds its own.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints

MOST_FEATURES = 5
_CODES = 256  # the last one is for a missing value
_BANDS = 12  # of quantity, each twice the one before
_LEAST_FACTOR = 0.01  # of a group whose orders never scattered: the next ones may
_CAP = 3.0  # typical errors that one order may count for
_ROUNDS = 4
_LEAST_GAIN = 1e-4  # of the scatter's relative variance


@dataclass(frozen=True, kw_only=True)
class GroupFactors:
    """Factors on the spread: of bands of quantity, and of the codes of each chosen feature."""

    quantities: Floats  # (bands,)
    features: Ints  # (chosen,)
    factors: Floats  # (chosen, 256)

    def of_items(self, rows: npt.NDArray[np.float32]) -> Floats:
        """Return the factors of items by their rows (n, features)."""
        starts = np.arange(0, self.factors.size, _CODES)
        return np.asarray(self.factors.take(codes(rows.take(self.features, axis=1)) + starts).prod(axis=1))

    def of_quantities(self, quantity: Floats) -> Floats:
        """Return the factors of quantities."""
        return self.quantities.take(bands(quantity))

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "GroupFactors":
        """Return what `state` was made of."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})


def codes(column: npt.NDArray[np.float32]) -> Ints:
    """Return categories as whole numbers, missing ones as the last."""
    return np.where((column >= 0) & (column < _CODES - 1), column, _CODES - 1).astype(np.int64)


def bands(quantity: Floats) -> Ints:
    """Return each order's band of quantity."""
    return np.minimum(np.log2(np.maximum(quantity, 1.0)), _BANDS - 1).astype(np.int64)


def fit_groups(
    scores: Floats, rows: npt.NDArray[np.float32], categorical: npt.NDArray[np.bool_], quantity: Floats
) -> GroupFactors:
    """Choose the groupings that explain the scatter of scores best, and measure their factors.

    Args:
        scores: (orders,) errors in units of the common spread.
        rows: (orders, features) of their items.
        categorical: (features,) which are categories.
        quantity: (orders,) pieces.
    """
    rest = np.abs(scores)
    band = bands(quantity)
    by_quantity = _refined(rest, band, _BANDS)
    rest = rest / by_quantity[band]
    columns = {int(feature): codes(rows[:, feature]) for feature in np.flatnonzero(categorical)}
    numbers = {feature: np.bincount(column, minlength=_CODES) for feature, column in columns.items()}
    chosen: list[int] = []
    factors: list[Floats] = []
    while columns and len(rest) and len(chosen) < MOST_FEATURES:
        relative = _relative(rest)
        found = {feature: _shrunk(relative, column, numbers[feature])[0] for feature, column in columns.items()}
        best = max(found, key=lambda feature: (found[feature], -feature))
        if found[best] < _LEAST_GAIN:
            break
        column = columns.pop(best)
        chosen.append(best)
        factors.append(_refined(rest, column, _CODES))
        rest = rest / factors[-1][column]
    return GroupFactors(
        quantities=by_quantity, features=np.array(chosen, dtype=np.int64),
        factors=np.array(factors).reshape(len(chosen), _CODES),
    )  # fmt: skip


def _refined(rest: Floats, code: Ints, size: int) -> Floats:
    """Return each code's factor; what one order may count for depends on that factor in turn."""
    factor, number = np.ones(size), np.bincount(code, minlength=size)
    for _ in range(_ROUNDS if len(rest) else 0):
        factor = factor * _shrunk(_relative(rest / factor[code]), code, number)[1]
    return factor


def _relative(scatter: Floats) -> Floats:
    """Return scatter over its mean, no order counting for more than some typical errors; 1 where there is none."""
    scatter = np.minimum(scatter, _CAP * float(np.median(scatter)))
    return scatter / scatter.mean() if scatter.any() else np.ones_like(scatter)


def _shrunk(relative: Floats, code: Ints, numbers: Ints) -> tuple[float, Floats]:
    """Return how much of the relative scatter's variance the groups explain, and each code's factor."""
    number = numbers.astype(np.float64)
    present = number > 0
    groups = int(present.sum())
    mean = np.bincount(code, relative, len(number)) / np.maximum(number, 1)
    total = number.sum()
    apart = float((number * (mean - 1.0) ** 2).sum())
    within = max(float(((relative - 1.0) ** 2).sum()) - apart, 0.0) / max(len(code) - groups, 1)
    between = (apart - (groups - 1) * within) / max(total - float((number**2).sum()) / total, 1e-12)
    trust = number * max(between, 0.0) / (number * max(between, 0.0) + within + 1e-12)
    sure = 1.0 - 2.0 * np.log(max(groups, 2)) * within / np.maximum(number * (mean - 1.0) ** 2, 1e-12)
    trust = np.where(present, np.maximum(trust, sure), 0.0)
    factor = 1.0 + trust * (mean - 1.0)
    explained = float((number * (trust * (mean - 1.0)) ** 2).sum()) / total
    return explained, np.where(present, np.maximum(factor, _LEAST_FACTOR), 1.0)
