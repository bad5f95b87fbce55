"""How minutes scatter: between orders of an item, between items about their line, and between actual and plan."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.observations import Observations, log_minutes
from shared.prediction.minutes.one_task import ALIKE
from shared.prediction.minutes.orders import Orders
from shared.prediction.minutes.robust import robust_spread

LEAST_VARIANCE = 1e-4
CONSTANT_VARIANCE = 1e-10  # of minutes that never differed: what rounding leaves
_TRUST = 10.0  # values' worth of trust in what all tasks have in common
_SURE_ORDERS = 20  # from which on minutes that never differed are taken for constant
_LEAST_SHARE = 0.05  # of a task's scatter that stays between items, and between orders

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Deviations:
    """Believed orders of rows: logarithms, and how far each lies from the mean of its row's orders."""

    row: Ints
    logs: Floats  # (orders, 2), nan without setup
    apart: Floats  # (orders, 2) from the row's mean, made up for its few orders; nan where there is but one


def deviations(orders: Orders, seen: Observations) -> Deviations:
    """Return how orders lie about their rows' means."""
    kept = np.flatnonzero(orders.kept)
    row = orders.row[kept]
    logs = log_minutes(np.stack([orders.setup[kept], orders.run[kept]], axis=1))
    booked = np.stack([seen.orders - seen.idle, seen.orders], axis=1)[row].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.where(booked > 1, np.sqrt(booked / (booked - 1)), np.nan)
    return Deviations(row=row, logs=logs, apart=(logs - seen.results[row]) * more)


def by_task(task: Ints, values: Floats, tasks: int) -> Floats:
    """Return each task's robust variance (tasks, 2) of values (n, 2), drawn towards all tasks' where there are few."""
    found = np.empty((tasks, 2))
    order = np.argsort(task, kind="stable")
    bounds = np.searchsorted(task[order], np.arange(tasks + 1))
    for out in range(2):
        overall = robust_spread(values[:, out]) ** 2
        for one in range(tasks):
            mine = values[order[bounds[one] : bounds[one + 1]], out]
            number = int((~np.isnan(mine)).sum())
            found[one, out] = (number * robust_spread(mine) ** 2 + _TRUST * overall) / (number + _TRUST)
    return np.maximum(found, LEAST_VARIANCE)


def never_scatters(task: Ints, off: Floats, tasks: int) -> Flags:
    """Tell which tasks' orders (tasks, 2) all lie where they were expected: off (orders, 2), nan unknown."""
    number = np.stack([np.bincount(task, ~np.isnan(off[:, out]), tasks) for out in range(2)], axis=1)
    moved = np.stack([np.bincount(task, np.abs(off[:, out]) > ALIKE, tasks) for out in range(2)], axis=1)
    return np.asarray((number >= _SURE_ORDERS) & (moved == 0))


def split(total: Floats, within: Floats) -> tuple[Floats, Floats]:
    """Return the variance between items and that between orders, which together make the total."""
    orders = np.clip(within, _LEAST_SHARE * total, (1 - _LEAST_SHARE) * total)
    return total - orders, orders


def idle_shares(task: Ints, idle: Floats, orders: Floats, kept: Flags, tasks: int) -> Floats:
    """Return each task's share of orders without setup, drawn towards all tasks' where there are few orders."""
    overall = float((idle * kept).sum() / max((orders * kept).sum(), 1.0))
    number = np.bincount(task, orders * kept, tasks)
    return np.asarray((np.bincount(task, idle * kept, tasks) + _TRUST * overall) / (number + _TRUST))


def plan_errors(task: Ints, seen: Observations, kept: Flags, tasks: int) -> tuple[Floats, Floats]:
    """Return each task's median logarithm of actual over planned minutes, and its robust variance about that."""
    apart = np.where(kept[:, None], seen.results.astype(np.float64) - seen.planned, np.nan)
    bias = np.empty((tasks, 2))
    order = np.argsort(task, kind="stable")
    bounds = np.searchsorted(task[order], np.arange(tasks + 1))
    for out in range(2):
        overall = _median(apart[:, out])
        for one in range(tasks):
            mine = apart[order[bounds[one] : bounds[one + 1]], out]
            number = int((~np.isnan(mine)).sum())
            bias[one, out] = (number * _median(mine) + _TRUST * overall) / (number + _TRUST)
    return bias, by_task(task, apart - bias[task], tasks)


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0
