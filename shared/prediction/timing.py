"""Minutes of an operation: a regression on the item's vector, corrected by what near items really took.

All of it happens on logarithms, for setup (of an order) and run (of a piece) apart:

1. A ridge regression on the item's vector and the work centre, one for each task (an operation at an occurrence),
   gives a first estimate.
2. Each near item with results of the operation pulls it by its own difference from that regression, with the weight
   1 / (variance between items of that similarity + variance between orders / its recent orders).
3. What remains uncertain is the variance between orders plus that of the estimate. Quantiles of the errors of
   withheld items, measured in units of that spread, make the interval.

Every fitted figure exists once without each fold and once with everything (`view`), so that an item asked as if
unknown is answered by figures in which it had no part. An operation with too few results uses planned times.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.cells import RUN_OFFSET, SETUP_OFFSET, Cells
from shared.prediction.memory import Floats, Ints, Routings
from shared.prediction.neighbourhood import Neighbourhood

OFFSETS = (SETUP_OFFSET, RUN_OFFSET)
_FULL_CONFIDENCE_ORDERS = 3.0
_TYPICAL_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class TimeModel:
    """The fitted figures; the first axis of each array is the view, the last (where 2) is setup, run."""

    by_results: npt.NDArray[np.bool_]  # (views, tasks) whether results, not planned times, were learned from
    slopes: npt.NDArray[np.float32]  # (views, tasks, vector size, 2)
    base: Floats  # (views, tasks, 2)
    resource_effect: npt.NDArray[np.float32]  # (views, tasks, resources + 1, 2); the last is an unknown one
    prior_variance: Floats  # (views, tasks, 2) of the regression for items it has not seen
    between: Floats  # (views, 2, 2) variance between items: constant, and per unit of dissimilarity
    within: Floats  # (views, tasks, 3) variance between orders: setup, run, whole order
    planned_bias: Floats  # (views, tasks, 2) mean logarithm of actual over planned
    planned_variance: Floats  # (views, tasks, 2)
    quantiles: Floats  # (views, 2) 10 % and 90 % quantiles of errors in units of the spread

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What is known of each routing row's minutes: logarithms from results and from plans, nan where unknown."""

    results: Floats  # (rows, 2)
    recent: Floats  # (rows,) recency-weighted orders behind `results`
    planned: Floats  # (rows, 2)
    orders: Floats
    trimmed: Floats
    trimmed_mean: Floats
    std: Floats


def observe(routings: Routings, cells: Cells) -> Observations:
    """Join cells to routing rows."""
    has = cells.of_row >= 0
    cell = np.maximum(cells.of_row, 0)

    def column(name: str, missing: float) -> Floats:
        values = cells.values[name]
        return np.where(has, values[cell], missing) if len(values) else np.full(len(has), missing)

    planned = np.stack([routings.times["setup_minutes"], routings.times["run_minutes_per_unit"]], axis=1)
    return Observations(
        results=np.stack([column("log_setup", np.nan), column("log_run", np.nan)], axis=1),
        recent=np.maximum(column("weight", 0.0), 1e-3), planned=np.log(planned + np.array(OFFSETS)),
        orders=column("orders", 0.0), trimmed=column("trimmed", 0.0),
        trimmed_mean=column("trimmed_mean", 0.0), std=column("std", 0.0),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """An operation's time on logarithmic scale, and what it rests on."""

    logs: tuple[float, float]
    variances: tuple[float, float]  # of the estimates
    spreads: tuple[float, float, float]  # variance between orders
    rows: Ints  # neighbour rows used
    samples: int
    trimmed: int
    trimmed_mean: float | None
    std: float | None
    similarity: float  # of the items used, weighted

    def minutes(self, part: int) -> float:
        """Return the central setup (0) or run per piece (1)."""
        return max(math.exp(self.logs[part]) - OFFSETS[part], 0.0)

    def range(self, part: int, quantiles: tuple[float, float]) -> tuple[float, float]:
        """Return the 80 % interval of setup (0) or run per piece (1) of the next order."""
        spread = math.sqrt(self.variances[part] + self.spreads[part])
        value = self.minutes(part)
        low, high = (max(math.exp(self.logs[part] + q * spread) - OFFSETS[part], 0.0) for q in quantiles)
        return min(low, value), max(high, value)

    def order_spread(self, quantity: float) -> float:
        """Return the standard deviation of the logarithm of the next order's minutes."""
        setup, run = self.minutes(0), self.minutes(1) * quantity
        share = setup / (setup + run) if setup + run > 0 else 0.5
        estimate = share**2 * self.variances[0] + (1 - share) ** 2 * self.variances[1]
        return math.sqrt(estimate + self.spreads[2])

    def order_range(self, quantity: float, quantiles: tuple[float, float]) -> tuple[float, float, float]:
        """Return low, central and high minutes of the next order."""
        value = self.minutes(0) + self.minutes(1) * quantity
        spread = self.order_spread(quantity)
        low, high = ((value + SETUP_OFFSET) * math.exp(q * spread) - SETUP_OFFSET for q in quantiles)
        return max(min(low, value), 0.0), value, max(high, value)

    def confidence(self) -> float:
        """Grade 0 to 1: near items x enough orders x agreement.

        The weighted similarity of the items used, times n / (n + 3) for n orders (half of that grade is given
        without any), times 1 / (1 + standard deviation of the logarithm).
        """
        enough = 0.5 + 0.5 * self.samples / (self.samples + _FULL_CONFIDENCE_ORDERS)
        spread = math.sqrt(self.spreads[2] + max(self.variances))
        return max(0.0, min(1.0, self.similarity * enough / (1.0 + spread)))


@dataclass(frozen=True, kw_only=True)
class TimeEstimator:
    """Estimates minutes for one asked item."""

    model: TimeModel
    seen: Observations
    near: Neighbourhood
    view: int
    vector: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]  # the neighbours'

    def estimate(self, task: int, resource: int, plan: Floats | None = None) -> Estimate:
        """Return a task's time on a work centre; `plan` are the asked item's own planned logarithms, if usable."""
        model, view = self.model, self.view
        by_results = bool(model.by_results[view, task])
        known = self.seen.results if by_results else self.seen.planned
        picked = self.near.doing(task)
        rows = self.near.rows[picked]
        kept = ~np.isnan(known[rows]).any(axis=1)
        picked, rows = picked[kept], rows[kept]
        neighbour = self.near.row_neighbour[picked]
        similarity = self.near.similarities[neighbour]
        recent = self.seen.recent[rows] if by_results else np.ones(len(rows))
        own = self.near.places[neighbour] == self.near.own
        slopes = model.slopes[view, task]
        base = model.base[view, task]
        effect = model.resource_effect[view, task]
        first = self.vector @ slopes + base + effect[resource]
        expected = self.vectors[neighbour] @ slopes + base + effect[self.near.routings.resource[rows]]
        apart = np.where(own, 0.0, 1.0)[:, None] * (
            model.between[view, 0] + model.between[view, 1] * (1 - similarity)[:, None]
        )
        weights = 1.0 / (apart + model.within[view, task, :2] / recent[:, None] + 1e-9)
        total = weights.sum(axis=0) + 1.0 / model.prior_variance[view, task]
        pull = (weights * (known[rows] - expected)).sum(axis=0)
        if plan is not None and by_results and not np.isnan(plan).any():
            weight = 1.0 / (model.planned_variance[view, task] + 1e-9)
            pull = pull + weight * (plan + model.planned_bias[view, task] - first)
            total = total + weight
        elif plan is not None and self.near.own < 0 and not np.isnan(plan).any():  # else its own row is among the near
            weight = 1.0 / (model.within[view, task, :2] + 1e-9)
            pull = pull + weight * (plan - first)
            total = total + weight
        logs = first + pull / total
        return self._summary(task, rows, similarity, weights, logs, 1.0 / total, by_results)

    def of_plan(self, plan: Floats) -> Estimate:
        """Return the time of an operation that the model has never seen: as planned, or as most operations take.

        It is as uncertain as plans of other operations turned out to be, and rests on nothing.
        """
        model, view = self.model, self.view
        used = model.by_results[view] if model.by_results[view].any() else np.ones(len(model.base[view]), dtype=bool)
        error = (model.planned_bias[view, used] ** 2 + model.planned_variance[view, used]).mean(axis=0)
        middle, spread = self._typical()
        unplanned = np.isnan(plan)
        logs, variances = np.where(unplanned, middle, plan), np.where(unplanned, spread, error)
        within = model.within[view, used].mean(axis=0)
        return Estimate(
            logs=(float(logs[0]), float(logs[1])), variances=(float(variances[0]), float(variances[1])),
            spreads=(float(within[0]), float(within[1]), float(within[2])), rows=np.zeros(0, dtype=np.int64),
            samples=0, trimmed=0, trimmed_mean=None, std=None, similarity=0.0,
        )  # fmt: skip

    def _typical(self) -> tuple[Floats, Floats]:
        """Return mean and variance of the logarithms of all operations' minutes, from a part of them."""
        known = np.where(np.isnan(self.seen.results), self.seen.planned, self.seen.results)
        known = known[:: max(1, len(known) // _TYPICAL_ROWS)]
        known = known[~np.isnan(known).any(axis=1)]
        if not len(known):
            return np.log(np.array(OFFSETS)), np.zeros(2)
        return known.mean(axis=0), known.var(axis=0)

    def _summary(
        self, task: int, rows: Ints, similarity: Floats, weights: Floats, logs: Floats, variance: Floats,
        used: bool,
    ) -> Estimate:  # fmt: skip
        spread = self.model.within[self.view, task]
        orders = self.seen.orders[rows] if used else np.zeros(len(rows))
        samples = int(orders.sum())
        mean = std = None
        if samples:
            share = weights[:, 1] * (orders > 0)
            share = share / share.sum()
            means = self.seen.trimmed_mean[rows]
            mean = float(share @ means)
            std = math.sqrt(float(share @ (self.seen.std[rows] ** 2 + (means - mean) ** 2)))
        near = float(weights[:, 1] @ similarity / weights[:, 1].sum()) if len(rows) else 0.0
        return Estimate(
            logs=(float(logs[0]), float(logs[1])), variances=(float(variance[0]), float(variance[1])),
            spreads=(float(spread[0]), float(spread[1]), float(spread[2])), rows=rows, samples=samples,
            trimmed=int(self.seen.trimmed[rows].sum()) if used else 0, trimmed_mean=mean, std=std, similarity=near,
        )  # fmt: skip
