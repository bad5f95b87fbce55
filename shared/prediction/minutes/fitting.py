"""Fit the minutes of every operation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.minutes.design import Design
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.measuring import Cases, measure_scores
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import Observations
from shared.prediction.minutes.orders import Orders
from shared.prediction.minutes.pull import Pairs, measure_pull, row_pairs
from shared.prediction.minutes.regression import Fitted, fit_lines, thinned
from shared.prediction.minutes.sample import Sample, Singles
from shared.prediction.minutes.variances import (
    CONSTANT_VARIANCE,
    Deviations,
    by_task,
    deviations,
    idle_shares,
    never_scatters,
    plan_errors,
    split,
)  # fmt: skip
from shared.prediction.minutes.views import Views
from shared.prediction.nearby import Nearby, ranges

_LEAST_RESULTS = 5  # routing rows with results from which a task's minutes are learned from them, not from its plans
_FEW_ROWS = 6_000  # of one task, up to which plans are learned from beside results
_MORE_SHARE = 0.25  # as many plans of items never booked there must be, beside one booked, to learn from plans
_PLAN_WEIGHT = 0.5  # as much as one order of today
_DESIGN_ITEMS = 20_000
_CHECKED_ROWS = 40_000
_NEWEST = 6  # orders of one row that a measurement takes

RowsOf = Callable[[Ints], Singles]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What minutes are learned from."""

    orders: Orders
    seen: Observations
    routings: Routings
    items: Items
    vectors_of: RowsOf  # of items with a routing, by their places
    rows_of: RowsOf  # their features
    categorical: npt.NDArray[np.bool_]  # (features,)

    @property
    def owner(self) -> Ints:
        """Return each routing row's item."""
        return np.repeat(np.arange(len(self.items.codes)), np.diff(self.routings.offsets))


def fit_minutes(known: Known, near: Nearby, places: Ints, seed: int) -> MinutesModel:
    """Fit the minutes of every task, each view without its fold.

    Args:
        known: the factory's routings, work orders and attributes.
        near: the items near a sample of withheld items, found without these and their sisters.
        places: the withheld items' places.
        seed: of every draw.
    """
    views, seen, tasks = Views.of(known.items), known.seen, known.routings.tasks
    task, owner = known.routings.task, known.owner
    booked, planned = (np.bincount(task[~np.isnan(of[:, 1])], minlength=tasks) for of in (seen.results, seen.planned))
    by_results = (booked >= _LEAST_RESULTS) | ((booked > 0) & (planned == 0))
    learned = by_results[task]
    target = np.where(learned[:, None], seen.results, seen.planned).astype(np.float64)
    design = _design(known)
    lessons = _sample(known, views, design, owner, target, learned, seed)
    fitted = fit_lines(lessons, views)
    sample = lessons.without_plans()
    residuals = _residuals(known, sample, views, fitted, design, owner, target)
    pairs = row_pairs(near, places, known.routings)
    apart = deviations(known.orders, seen)
    found = [
        _measured(known, sample, views, view, fitted, residuals[view], pairs, apart, by_results)
        for view in range(views.count)
    ]
    return MinutesModel(
        design=design, slopes=fitted.lines.slopes, base=fitted.lines.base, effect=fitted.lines.effect,
        by_results=by_results, residuals=residuals,
        groups=tuple(one.groups for one in found), idle=np.stack([one.idle for one in found]),
        prior=np.stack([one.prior for one in found]), within=np.stack([one.within for one in found]),
        between=np.stack([one.between for one in found]), pull=np.stack([one.pull for one in found]),
        planned_bias=np.stack([one.planned_bias for one in found]),
        planned_variance=np.stack([one.planned_variance for one in found]),
        typical=np.stack([one.typical for one in found]),
        typical_variance=np.stack([one.typical_variance for one in found]),
        scores=np.stack([one.scores for one in found]),
    )  # fmt: skip


def _design(known: Known) -> Design:
    routed = np.flatnonzero(np.diff(known.routings.offsets) > 0)
    routed = routed[:: max(1, -(-len(routed) // _DESIGN_ITEMS))]
    return Design.of(known.rows_of(routed), known.categorical)


def _sample(
    known: Known, views: Views, design: Design, owner: Ints, target: Floats, learned: npt.NDArray[np.bool_],
    seed: int,
) -> Sample:  # fmt: skip
    rows = np.flatnonzero(~np.isnan(target[:, 1]))
    task = known.routings.task
    rows = rows[thinned(task[rows], known.routings.tasks, seed)]
    recent = np.where(learned[rows][:, None], known.seen.recent[rows], 1.0).astype(np.float64)
    plans = _plans(known, rows, learned, seed)
    every = np.concatenate([rows, plans])

    def design_of(entries: Ints) -> Singles:
        items = owner[every[entries]]
        return design.rows(known.vectors_of(items), known.rows_of(items))

    return Sample(
        row=every, task=task[every], resource=known.routings.resource[every], part=views.parts[owner[every]],
        group=known.items.groups[owner[every]],
        target=np.concatenate([target[rows], known.seen.planned[plans]]),
        weight=np.concatenate([recent / (recent + 1.0), np.full((len(plans), 2), _PLAN_WEIGHT)]),
        design_of=design_of, tasks=known.routings.tasks, resources=len(known.routings.resources), plans=len(plans),
    )  # fmt: skip


def _plans(known: Known, rows: Ints, learned: npt.NDArray[np.bool_], seed: int) -> Ints:
    """Return rows whose plans may help: of tasks that few of `rows` and many items never booked tell of."""
    task, tasks = known.routings.task, known.routings.tasks
    planned = learned & ~np.isnan(known.seen.planned[:, 1])
    booked = np.bincount(task[rows], minlength=tasks)
    more = np.bincount(task[planned & np.isnan(known.seen.results[:, 1])], minlength=tasks)
    plans = np.flatnonzero(planned & ((booked <= _FEW_ROWS) & (more >= _MORE_SHARE * booked))[task])
    return plans[thinned(task[plans], tasks, seed, _FEW_ROWS)]


def _residuals(
    known: Known, sample: Sample, views: Views, fitted: Fitted, design: Design, owner: Ints, target: Floats
) -> Singles:
    """Return each known row's difference from a line of each view that has not seen it (views, rows, 2)."""
    found = np.full((views.count, len(target), 2), np.nan, dtype=np.float32)
    found[:, sample.row] = fitted.calm - (sample.target - fitted.errors)
    rest = ~np.isnan(target[:, 1])
    rest[sample.row] = False
    folds, routings = known.items.folds.astype(np.int64), known.routings
    rows = np.flatnonzero(rest)
    for mine in np.array_split(rows, -(-len(rows) // _CHECKED_ROWS)) if len(rows) else []:
        items, which = np.unique(owner[mine], return_inverse=True)
        reads = design.rows(known.vectors_of(items), known.rows_of(items))
        off = target[mine] - fitted.lines.expected(reads, which, routings.task[mine], routings.resource[mine])
        for view in range(views.fold_count):
            own = folds[owner[mine]] == view
            found[view, mine] = np.where(own[:, None], np.nan, off[view])
            found[views.fold_count, mine[own]] = off[view, own]
    return found


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What one view measured."""

    groups: GroupFactors
    scores: Floats
    idle: Floats
    prior: Floats
    within: Floats
    between: Floats
    pull: Floats
    planned_bias: Floats
    planned_variance: Floats
    typical: Floats
    typical_variance: Floats


def _measured(
    known: Known, sample: Sample, views: Views, view: int, fitted: Fitted,
    residuals: Singles, pairs: Pairs, apart: Deviations, by_results: npt.NDArray[np.bool_],
) -> _Measured:  # fmt: skip
    task, seen, tasks = known.routings.task, known.seen, known.routings.tasks
    outside = views.outside(view)[known.owner]
    own = outside[apart.row]
    within = by_task(task[apart.row[own]], apart.apart[own], tasks)
    total = _totals(sample, fitted.errors[view], apart, tasks, task, by_results)
    prior, within = split(total, within)
    idle = idle_shares(task, seen.idle.astype(np.float64), seen.orders.astype(np.float64), outside, tasks)
    bias, planned = plan_errors(task, seen, outside, tasks)
    noise = np.where(by_results[task][:, None], within[task] / np.maximum(seen.recent, 1e-3), 0.0)
    kept = outside[pairs.row]
    mine = Pairs(row=pairs.row[kept], other=pairs.other[kept], similarity=pairs.similarity[kept])
    between, pull = measure_pull(mine, residuals, noise, prior[task])
    cases = _cases(known, sample, view, fitted, _checked(sample, views, view), idle, np.sqrt(total), by_results)
    groups, scores = measure_scores(cases, known.rows_of(cases.item), known.categorical)
    taught = sample.target[outside[sample.row]]
    return _Measured(
        groups=groups, scores=scores, idle=idle, prior=prior, within=within, between=between, pull=pull,
        planned_bias=bias, planned_variance=planned, typical=_over(taught, np.mean),
        typical_variance=_over(taught, np.var),
    )  # fmt: skip


def _over(values: Floats, figure: Callable[..., Floats]) -> Floats:
    known = (values[~np.isnan(values[:, out]), out] for out in range(2))
    return np.array([float(figure(one)) if len(one) else 0.0 for one in known])


def _totals(
    sample: Sample, errors: Singles, apart: Deviations, tasks: int, task: Ints, by_results: npt.NDArray[np.bool_]
) -> Floats:
    """Return each task's variance of an order about what its line expects, robustly measured."""
    entry = np.full(len(task), -1, dtype=np.int64)
    entry[sample.row] = np.arange(len(sample.row))
    expected = sample.target - errors
    planned = ~by_results[sample.task]
    mine = entry[apart.row]
    known = (mine >= 0) & by_results[task[apart.row]]
    off = apart.logs[known] - expected[mine[known]]
    booked = task[apart.row[known]]
    total = by_task(np.concatenate([booked, sample.task[planned]]), np.concatenate([off, errors[planned]]), tasks)
    return np.where(never_scatters(booked, off, tasks), CONSTANT_VARIANCE, total)


def _checked(sample: Sample, views: Views, view: int) -> Ints:
    """Return evenly spread entries that the errors of a view are measured on."""
    entries = np.flatnonzero(views.outside_parts(view)[sample.part])
    return entries[:: max(1, -(-len(entries) // _CHECKED_ROWS))]


def _cases(
    known: Known, sample: Sample, view: int, fitted: Fitted, check: Ints, idle: Floats,
    spread: Floats, by_results: npt.NDArray[np.bool_],
) -> Cases:  # fmt: skip
    """Return the newest orders of the rows that a view is measured on; one planned piece where plans are learned."""
    expected = (sample.target - fitted.errors[view])[check]
    ready = ~np.isnan(expected[:, 1])
    check, expected = check[ready], expected[ready]
    orders, row = known.orders, sample.row[check]
    booked = by_results[sample.task[check]]
    sizes = np.where(booked, np.minimum(orders.start[row + 1] - orders.start[row], _NEWEST), 0)
    picked = ranges(orders.start[row], sizes)
    entry = np.concatenate([np.repeat(np.arange(len(row)), sizes), np.flatnonzero(~booked)])
    plan = np.exp(known.seen.planned[row[~booked]].astype(np.float64))
    task = sample.task[check[entry]]
    item = known.owner[row[entry]]
    return Cases(
        item=item,
        quantity=np.concatenate([orders.quantity[picked], np.ones(len(plan))]),
        setup=np.concatenate([orders.setup[picked], np.nan_to_num(plan[:, 0])]),
        run=np.concatenate([orders.run[picked], plan[:, 1]]),
        logs=expected[entry], idle=idle[task], spread=spread[task],
    )  # fmt: skip
