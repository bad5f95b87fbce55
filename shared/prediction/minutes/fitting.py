"""Fit the minutes of every operation, and measure how far what was expected of them can be relied on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.forms.asks import Asks, Form
from shared.prediction.minutes.forms.lines import LinesForm
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.lessons import Known, Lessons
from shared.prediction.minutes.measuring import Cases, measure_scores
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.pull import Pairs, measure_pull, row_pairs
from shared.prediction.minutes.regression import fit_lines
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
from shared.prediction.nearby import Nearby, ranges

_CHECKED_ROWS = 40_000
_NEWEST = 6  # orders of one row that a measurement takes


@dataclass(frozen=True, kw_only=True)
class FittedForm:
    """A form, and how rows differ from what each view expects without the row's own part."""

    form: Form
    sample: Sample  # rows that errors are known of, without plans
    errors: Singles  # (views, sample, 2) target less what was expected; nan where a view may not know the row
    calm: Singles | None  # (views, sample, 2) targets drawn in; None where near items are not to pull


def fit_minutes(known: Known, near: Nearby, places: Ints, seed: int) -> MinutesModel:
    """Fit the minutes of every task, each view without its fold.

    Args:
        known: the factory's routings, work orders and attributes.
        near: the items near a sample of withheld items, found without these and their sisters.
        places: the withheld items' places.
        seed: of every draw.
    """
    lessons = Lessons.of(known, near, places, seed)
    return minutes_of(lessons, fit_own_form(lessons))


def fit_own_form(lessons: Lessons) -> FittedForm:
    """Fit the product's own form: one line a task, and what all tasks share."""
    sample = lessons.regression_sample()
    fitted = fit_lines(lessons.turned(sample), lessons.views)
    lines, slopes = fitted.lines, np.matmul(lessons.directions, fitted.lines.slopes)
    form = LinesForm(design=lessons.design, slopes=slopes, base=lines.base, effect=lines.effect)
    return FittedForm(form=form, sample=sample.without_plans(), errors=fitted.errors, calm=fitted.calm)


def minutes_of(lessons: Lessons, fitted: FittedForm) -> MinutesModel:
    """Measure all that stands around a form: scatter, pull of near items, plans, intervals."""
    known, views = lessons.known, lessons.views
    residuals = _residuals(lessons, fitted)
    pairs = row_pairs(lessons.near, lessons.places, known.routings)
    apart = deviations(known.orders, known.seen)
    found = [_measured(lessons, view, fitted, residuals[view], pairs, apart) for view in range(views.count)]
    return MinutesModel(
        form=fitted.form, by_results=lessons.by_results, residuals=residuals,
        groups=tuple(one.groups for one in found), idle=np.stack([one.idle for one in found]),
        prior=np.stack([one.prior for one in found]), within=np.stack([one.within for one in found]),
        between=np.stack([one.between for one in found]), pull=np.stack([one.pull for one in found]),
        planned_bias=np.stack([one.planned_bias for one in found]),
        planned_variance=np.stack([one.planned_variance for one in found]),
        typical=np.stack([one.typical for one in found]),
        typical_variance=np.stack([one.typical_variance for one in found]),
        scores=np.stack([one.scores for one in found]),
    )  # fmt: skip


def _residuals(lessons: Lessons, fitted: FittedForm) -> Singles:
    """Return each known row's difference from a form of each view that has not seen it (views, rows, 2).

    0 where near items are not to pull: rows then only tell what is known of an operation's like.
    """
    views, target = lessons.views, lessons.target
    found = np.full((views.count, len(target), 2), np.nan, dtype=np.float32)
    if fitted.calm is None:
        for view in range(views.count):
            kept = views.outside(view)[lessons.owner]
            found[view, kept] = np.where(np.isnan(target[kept]), np.nan, 0.0)
        return found
    sample = fitted.sample
    found[:, sample.row] = fitted.calm - (sample.target - fitted.errors)
    rest = ~np.isnan(target[:, 1])
    rest[sample.row] = False
    rows = np.flatnonzero(rest)
    folds = lessons.known.items.folds.astype(np.int64)
    for mine in np.array_split(rows, -(-len(rows) // _CHECKED_ROWS)) if len(rows) else []:
        off = target[mine] - _expected_by_folds(lessons, fitted.form, mine)
        for view in range(views.fold_count):
            own = folds[lessons.owner[mine]] == view
            found[view, mine] = np.where(own[:, None], np.nan, off[view])
            found[views.fold_count, mine[own]] = off[view, own]
    return found


def _expected_by_folds(lessons: Lessons, form: Form, rows: Ints) -> Floats:
    """Return what the view of every fold expects of rows (folds, rows, 2)."""
    known, folds = lessons.known, lessons.views.fold_count
    items, which = np.unique(lessons.owner[rows], return_inverse=True)
    asks = Asks(
        vectors=known.vectors_of(items), rows=known.rows_of(items), asked=np.tile(which, folds),
        task=np.tile(known.routings.task[rows], folds), resource=np.tile(known.routings.resource[rows], folds),
        view=np.repeat(np.arange(folds), len(rows)),
    )  # fmt: skip
    return form.expected(asks).reshape(folds, len(rows), 2)


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
    lessons: Lessons, view: int, fitted: FittedForm, residuals: Singles, pairs: Pairs, apart: Deviations
) -> _Measured:
    known, views, by_results, sample = lessons.known, lessons.views, lessons.by_results, fitted.sample
    task, seen, tasks = known.routings.task, known.seen, known.routings.tasks
    outside = views.outside(view)[lessons.owner]
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
    cases = cases_of(lessons, fitted, view, idle, np.sqrt(total))
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


def cases_of(lessons: Lessons, fitted: FittedForm, view: int, idle: Floats, spread: Floats) -> Cases:
    """Return the newest orders of the rows that a view is measured on; one planned piece where plans are learned.

    Args:
        lessons: what was learned from.
        fitted: the form and its errors.
        view: the view.
        idle: (tasks,) shares of orders without setup.
        spread: (tasks, 2) standard deviations expected.
    """
    known, sample = lessons.known, fitted.sample
    check = np.flatnonzero(lessons.views.outside_parts(view)[sample.part])
    check = check[:: max(1, -(-len(check) // _CHECKED_ROWS))]  # evenly spread
    expected = (sample.target - fitted.errors[view])[check]
    ready = ~np.isnan(expected[:, 1])
    check, expected = check[ready], expected[ready]
    orders, row = known.orders, sample.row[check]
    booked = lessons.by_results[sample.task[check]]
    sizes = np.where(booked, np.minimum(orders.start[row + 1] - orders.start[row], _NEWEST), 0)
    picked = ranges(orders.start[row], sizes)
    entry = np.concatenate([np.repeat(np.arange(len(row)), sizes), np.flatnonzero(~booked)])
    plan = np.exp(known.seen.planned[row[~booked]].astype(np.float64))
    task = sample.task[check[entry]]
    return Cases(
        item=lessons.owner[row[entry]],
        quantity=np.concatenate([orders.quantity[picked], np.ones(len(plan))]),
        setup=np.concatenate([orders.setup[picked], np.nan_to_num(plan[:, 0])]),
        run=np.concatenate([orders.run[picked], plan[:, 1]]),
        logs=expected[entry], idle=idle[task], spread=spread[task],
    )  # fmt: skip
