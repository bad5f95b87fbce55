"""Interval scores: how far withheld orders lay from what was expected of them, by group, in units of their spread."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.estimates import order_spread
from shared.prediction.minutes.groups import GroupFactors, fit_groups
from shared.prediction.minutes.observations import log_minutes
from shared.prediction.minutes.sample import Singles
from shared.prediction.minutes.scatter import NINE_TENTHS, SPREAD, order_score, setup_score
from shared.prediction.minutes.variances import CONSTANT_VARIANCE
from shared.prediction.minutes.views import halves

_LEAST_CASES = 20


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Withheld orders and what was expected of them."""

    item: Ints
    quantity: Floats
    setup: Floats  # booked minutes
    run: Floats  # booked minutes of a piece
    logs: Floats  # (orders, 2) expected; setup nan where no order has one
    idle: Floats  # share of orders without setup
    spread: Floats  # (orders, 2) standard deviations expected


def measure_scores(
    cases: Cases, rows: Singles, categorical: npt.NDArray[np.bool_]
) -> tuple[GroupFactors, Floats]:  # fmt: skip
    """Return the factors of groups, and the 10 % and 90 % scores (3, 2) of setup, run and whole order.

    Orders of operations that never scatter tell nothing of those that do. The quantiles are those of scores under
    factors fitted on the other half of the items (cross-conformal; Vovk 2015).

    Args:
        cases: withheld orders.
        rows: (orders, features) of their items.
        categorical: (features,) which are categories.
    """
    cases, rows = _scattered(cases, rows)
    idle = np.where(np.isnan(cases.logs[:, 0]), 1.0, cases.idle)
    setup = np.where(np.isnan(cases.logs[:, 0]), 0.0, np.exp(np.nan_to_num(cases.logs[:, 0])))
    run = np.exp(cases.logs[:, 1]) * cases.quantity
    spread = SPREAD * order_spread(setup, run, cases.spread)
    minutes = cases.setup + cases.run * cases.quantity
    raw = order_score(minutes, setup, run, idle, spread)
    groups = fit_groups(raw, rows, categorical, cases.quantity)
    if len(raw) < _LEAST_CASES:
        return groups, np.tile(np.array([-NINE_TENTHS, NINE_TENTHS]), (3, 1))
    whole, parts = np.ones(len(raw)), np.ones(len(raw))
    for half in range(2):
        mine = halves(cases.item) == half
        rest = ~mine
        other = fit_groups(raw[rest], rows[rest], categorical, cases.quantity[rest])
        parts[mine] = other.of_items(rows[mine])
        whole[mine] = parts[mine] * other.of_quantities(cases.quantity[mine])
    booked = log_minutes(np.stack([cases.setup, cases.run], axis=1))
    part = SPREAD * cases.spread * parts[:, None]
    scores = (
        setup_score(booked[:, 0], np.nan_to_num(cases.logs[:, 0]), idle, part[:, 0])[idle < 1],
        (booked[:, 1] - cases.logs[:, 1]) / part[:, 1],
        order_score(minutes, setup, run, idle, spread * whole),
    )
    return groups, np.stack([conformal(score) for score in scores])


def _scattered(cases: Cases, rows: Singles) -> tuple[Cases, Singles]:
    spread = np.where(np.isnan(cases.logs), 0.0, cases.spread).max(axis=1)
    kept = np.flatnonzero(spread**2 > 2 * CONSTANT_VARIANCE)
    return Cases(**{field.name: getattr(cases, field.name)[kept] for field in fields(cases)}), rows[kept]


def conformal(scores: Floats) -> Floats:
    """Return the 10 % and 90 % quantiles, a step wider for the finite number of scores."""
    number = len(scores)
    if number < _LEAST_CASES:
        return np.array([-NINE_TENTHS, NINE_TENTHS])
    ordered = np.sort(scores)
    low = max(int(np.floor(0.1 * (number + 1))) - 1, 0)
    high = min(int(np.ceil(0.9 * (number + 1))) - 1, number - 1)
    return np.array([min(ordered[low], 0.0), max(ordered[high], 0.0)])
