"""Fit the time model: ridge regressions, variances and interval quantiles, each with and without every fold.

A view is a set of folds left out: one view a fold, then everything, then, used only here, each fold together with the
next one. The last measure the intervals of a view on items that neither it nor its regressions have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import FOLDS, Floats, Ints, Items, Routings
from shared.prediction.timing import Observations, TimeModel
from shared.prediction.voting import EVERYTHING, VIEWS

_LEAST_RESULTS = 5
_MOST_ROWS = 20_000  # rows of one task that its regression learns from
_PENALTIES = (0.3, 3.0)
_MOST_RESOURCES = 24
_TRUST = 5.0  # orders' worth of trust in the overall variance
_LEAST_VARIANCE = 1e-4
_NORMAL = (-1.2816, 1.2816)  # the 10 % and 90 % quantiles of a normal error, while none could be measured

VectorsOf = Callable[[Ints], npt.NDArray[np.float32]]
LEFT_OUT: tuple[frozenset[int], ...] = (
    *(frozenset({fold}) for fold in range(FOLDS)), frozenset(),
    *(frozenset({fold, (fold + 1) % FOLDS}) for fold in range(FOLDS)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    slopes: npt.NDArray[np.float32]
    base: Floats
    effect: npt.NDArray[np.float32]
    residuals: Floats  # (views, rows, 2) out of fold


def fit_times(
    routings: Routings, items: Items, seen: Observations, squares: Floats, vectors_of: VectorsOf
) -> tuple[TimeModel, Floats]:
    """Fit everything but the interval quantiles, which `with_quantiles` measures.

    Args:
        routings: current routings.
        items: the items and their folds.
        seen: what is known of each routing row.
        squares: (rows, 3) sums of squares between orders: setup, run, whole order.
        vectors_of: returns the vectors of items with a routing by their places.

    Returns the model, whose variances between items `with_between` adds, and the rows' errors (views, rows, 2) under
    regressions that saw neither them nor the view's own fold, nan where there are none.
    """
    owner = np.repeat(np.arange(len(items.codes)), np.diff(routings.offsets))
    folds = items.folds[owner].astype(np.int64)
    count = routings.tasks
    has = ~np.isnan(seen.results).any(axis=1)
    by_results = np.array(
        [
            np.bincount(routings.task[has & _outside(folds, left)], minlength=count) >= _LEAST_RESULTS
            for left in LEFT_OUT
        ]
    )
    size, views, resources = vectors_of(owner[:1]).shape[1], len(LEFT_OUT), len(routings.resources) + 1
    slopes = np.zeros((views, count, size, 2), dtype=np.float32)
    base, effect = np.zeros((views, count, 2)), np.zeros((views, count, resources, 2), dtype=np.float32)
    residuals = np.full((VIEWS, len(owner), 2), np.nan)
    for task in range(count):
        rows = np.flatnonzero(routings.task == task)
        for basis in sorted(set(by_results[:, task].tolist())):
            known = seen.results[rows] if basis else seen.planned[rows]
            used = rows[~np.isnan(known).any(axis=1)]
            used = used[:: max(1, len(used) // _MOST_ROWS)]
            if not len(used):
                continue
            weight = seen.recent[used] / (seen.recent[used] + 1) if basis else np.ones(len(used))
            target = (seen.results if basis else seen.planned)[used]
            picked = vectors_of(owner[used])
            fitted = _fit_task(picked, routings.resource[used], target, weight, folds[used], resources)
            mine = by_results[:, task] == basis
            slopes[mine, task], base[mine, task] = fitted.slopes[mine], fitted.base[mine]
            effect[mine, task] = fitted.effect[mine]
            for view in np.flatnonzero(mine[:VIEWS]):
                residuals[view, used] = fitted.residuals[view]
    return _with_variances(routings, seen, squares, folds, by_results, slopes, base, effect, residuals), residuals


def _outside(folds: Ints, left: frozenset[int]) -> npt.NDArray[np.bool_]:
    return ~np.isin(folds, list(left)) if left else np.ones(len(folds), dtype=bool)


def _fit_task(
    vectors: npt.NDArray[np.float32], resource: Ints, target: Floats, weight: Floats, folds: Ints, resources: int
) -> _Fitted:
    from scipy.linalg import solve as solve_symmetric

    codes, frequency = np.unique(resource, return_counts=True)
    named = codes[np.argsort(-frequency, kind="stable")][:_MOST_RESOURCES]
    design = np.concatenate([vectors, resource[:, None] == named[None, :], np.ones((len(vectors), 1))], axis=1)
    design = design.astype(np.float64)
    weighted = design * weight[:, None]
    present = sorted(set(folds.tolist()))
    grams = {fold: weighted[folds == fold].T @ design[folds == fold] for fold in present}
    sums = {fold: weighted[folds == fold].T @ target[folds == fold] for fold in present}
    solved: dict[tuple[frozenset[int], float], Floats] = {}

    def solve(left: frozenset[int], penalty: float) -> Floats:
        key = (left & frozenset(present), penalty)
        if key not in solved:
            kept = [fold for fold in present if fold not in left] or present
            gram = sum((grams[fold] for fold in kept), start=np.zeros_like(grams[present[0]]))
            ridge = np.full(len(gram), penalty)
            ridge[-1] = 1e-6
            right = sum((sums[fold] for fold in kept), start=np.zeros_like(sums[present[0]]))
            solved[key] = solve_symmetric(gram + np.diag(ridge), right, assume_a="pos", check_finite=False)
        return solved[key]

    residuals = np.full((VIEWS, len(target), 2), np.nan)
    penalties = []
    for view in range(VIEWS):
        errors, best = {}, np.inf
        for penalty in _PENALTIES:
            found = np.full_like(target, np.nan)
            for fold in present:
                if fold not in LEFT_OUT[view]:
                    mine = folds == fold
                    found[mine] = target[mine] - design[mine] @ solve(LEFT_OUT[view] | {fold}, penalty)
            errors[penalty] = float(np.nansum(weight[:, None] * found**2))
            if errors[penalty] < best:
                best, residuals[view] = errors[penalty], found
        penalties.append(min(_PENALTIES, key=lambda penalty: errors[penalty]))
    penalties += penalties[:FOLDS]
    coefficients = np.stack([solve(left, penalties[view]) for view, left in enumerate(LEFT_OUT)])
    size = vectors.shape[1]
    effect = np.zeros((len(LEFT_OUT), resources, 2), dtype=np.float32)
    effect[:, named] = coefficients[:, size:-1]
    return _Fitted(
        slopes=coefficients[:, :size].astype(np.float32), base=coefficients[:, -1], effect=effect, residuals=residuals
    )


def _with_variances(
    routings: Routings, seen: Observations, squares: Floats, folds: Ints, by_results: npt.NDArray[np.bool_],
    slopes: npt.NDArray[np.float32], base: Floats, effect: npt.NDArray[np.float32], residuals: Floats,
) -> TimeModel:  # fmt: skip
    count = routings.tasks
    within = np.stack([_within(routings, seen, squares, _outside(folds, left)) for left in LEFT_OUT[:VIEWS]])
    prior, bias, planned = np.empty((VIEWS, count, 2)), np.empty((VIEWS, count, 2)), np.empty((VIEWS, count, 2))
    for view in range(VIEWS):
        kept = ~np.isnan(residuals[view]).any(axis=1)
        noise = np.where(by_results[view][routings.task][:, None], within[view][routings.task, :2], 0.0)
        squared = np.nan_to_num(residuals[view]) ** 2 - noise / seen.recent[:, None]
        prior[view] = _pooled(routings.task, squared, kept, count)
        difference = seen.results - seen.planned
        both = ~np.isnan(difference).any(axis=1) & _outside(folds, LEFT_OUT[view])
        bias[view] = _pooled(routings.task, np.nan_to_num(difference), both, count, least=-np.inf)
        off = np.nan_to_num(difference) - bias[view][routings.task]
        planned[view] = _pooled(routings.task, off**2, both, count)
    again = [*range(VIEWS), *range(FOLDS)]
    return TimeModel(
        by_results=by_results, slopes=slopes, base=base, resource_effect=effect, prior_variance=prior[again],
        between=np.zeros((len(LEFT_OUT), 2, 2)), within=within[again], planned_bias=bias[again],
        planned_variance=planned[again], quantiles=np.tile(np.array(_NORMAL), (len(LEFT_OUT), 1)),
    )  # fmt: skip


def _within(routings: Routings, seen: Observations, squares: Floats, kept: npt.NDArray[np.bool_]) -> Floats:
    count = routings.tasks
    freedom = np.where(kept, np.maximum(seen.orders - 1, 0), 0.0)
    total = np.maximum(freedom.sum(), 1e-9)
    result = np.empty((count, 3))
    for part in range(3):
        overall = float((squares[:, part] * kept).sum() / total)
        sums = np.bincount(routings.task, squares[:, part] * kept, count)
        result[:, part] = (sums + _TRUST * overall) / (np.bincount(routings.task, freedom, count) + _TRUST)
    return np.maximum(result, _LEAST_VARIANCE)


def _pooled(
    task: Ints, values: Floats, kept: npt.NDArray[np.bool_], count: int, least: float = _LEAST_VARIANCE
) -> Floats:
    """Return each task's mean, drawn towards the overall mean where there is little."""
    number = np.bincount(task, kept, count)
    result = np.empty((count, 2))
    for part in range(2):
        masked = np.where(kept, values[:, part], 0.0)
        overall = masked.sum() / max(kept.sum(), 1)
        result[:, part] = (np.bincount(task, masked, count) + _TRUST * overall) / (number + _TRUST)
    return np.maximum(result, least)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Routing rows of the same task in a withheld item and a near one."""

    row: Ints
    other: Ints
    similarity: Floats


def with_between(model: TimeModel, pairs: Pairs, residuals: Floats, seen: Observations, task: Ints) -> TimeModel:
    """Return the model with the variance between items, a constant and a slope over dissimilarity, from pairs."""
    between = np.zeros_like(model.between)
    for view in range(VIEWS):
        off = residuals[view, pairs.row] - residuals[view, pairs.other]
        kept = ~np.isnan(off).any(axis=1)
        used = model.by_results[view][task[pairs.row]]
        noise = (
            model.within[view][task[pairs.row], :2]
            * (1 / seen.recent[pairs.row] + 1 / seen.recent[pairs.other])[:, None]
        )
        squared = off**2 - np.where(used[:, None], noise, 0.0)
        for part in range(2):
            between[view, :, part] = _line(1 - pairs.similarity[kept], squared[kept, part])
    between[VIEWS:] = between[:FOLDS]
    return replace(model, between=between)


def _line(distance: Floats, squared: Floats) -> Floats:
    """Return (constant, slope), neither below zero, of mean squared difference over distance."""
    if not len(distance):
        return np.array([_LEAST_VARIANCE, 1.0])
    middle = max(float(squared.mean()), _LEAST_VARIANCE)
    off = distance - distance.mean()
    spread = float(off @ off)
    slope = float(off @ squared) / spread if spread > 1e-9 else 0.0
    slope = min(max(slope, 0.0), middle / max(float(distance.mean()), 1e-9))
    return np.array([max(middle - slope * float(distance.mean()), _LEAST_VARIANCE), slope])


def with_quantiles(model: TimeModel, errors: Floats, folds: Ints) -> TimeModel:
    """Return the final views of a model with interval quantiles of `errors`, in units of their spread.

    `errors` of a fold are those under the view that leaves out that fold and the one before it.
    """
    quantiles = model.quantiles[:VIEWS].copy()
    for view in range(VIEWS):
        used = errors if view == EVERYTHING else errors[folds == (view + 1) % FOLDS]
        if len(used) >= 20:
            quantiles[view] = conformal(used)
    cut = {field.name: getattr(model, field.name)[:VIEWS] for field in fields(TimeModel) if field.name != "quantiles"}
    return TimeModel(**cut, quantiles=quantiles)


def conformal(errors: Floats) -> Floats:
    """Return the 10 % and 90 % quantiles, a step wider for the finite number of errors."""
    ordered = np.sort(errors)
    number = len(ordered)
    low = max(int(np.floor(0.1 * (number + 1))) - 1, 0)
    high = min(int(np.ceil(0.9 * (number + 1))) - 1, number - 1)
    return np.array([min(ordered[low], 0.0), max(ordered[high], 0.0)])
