"""Figures of predicted times against booked ones, overall and for any part of the orders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.quality.intervals import Figure, Resampling, dense, medians, nothing, numbered, trimmed_means, weighted_mean
from shared.quality.observations import OrderObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INTERVAL_MISS = 0.2  # predictions state 80 % intervals
NO_ORDERS = "no booked order could be compared with a predicted time"
OVERALL_DRAWS, GROUP_DRAWS = 400, 200
GROUP_FIGURES = ("mae", "trim_mae", "rmse", "mdape", "interval_coverage", "interval_score", "cv")
ALL_FIGURES = (*GROUP_FIGURES, "mae_per_piece", "bias", "sample_count")


@dataclass(frozen=True, kw_only=True)
class OrderTable:
    """Order observations as columns, one row an order and operation."""

    item: Ints  # numbers of the items, and of each item's operations
    step: Ints
    weight: Floats
    quantity: Floats
    predicted: Floats  # minutes of the order, as all that follow
    booked: Floats
    error: Floats
    inside: Floats  # 1 where the booked minutes lie in the stated interval, else 0
    score: Floats  # the interval's

    @classmethod
    def of(cls, rows: Sequence[OrderObservation]) -> Self:
        """Arrange observations."""
        numbers = np.array([row[5:] for row in rows], dtype=np.float64).reshape(len(rows), 6)
        weight, quantity, predicted, low, high, booked = numbers.T
        missed = np.clip(low - booked, 0, None) + np.clip(booked - high, 0, None)
        return cls(
            item=numbered([row.item_code for row in rows])[0],
            step=numbered([(row.item_code, row.operation_code, row.step) for row in rows])[0],
            weight=weight,
            quantity=quantity,
            predicted=predicted,
            booked=booked,
            error=np.abs(predicted - booked),
            inside=((booked >= low) & (booked <= high)).astype(np.float64),
            score=high - low + missed * 2 / INTERVAL_MISS,
        )

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.item)

    def part(self, rows: Ints) -> Self:
        """Return some of the rows."""
        return replace(self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def steps(self) -> tuple[Ints, Floats, Floats]:
        """Return, for each item's operation, its first order's place, its number of orders, and their sd over mean.

        The sd is that of the minutes a piece; it is nan for a single order, or where nothing was booked.
        """
        of_row, firsts = dense(self.step)
        per_piece = self.booked / self.quantity
        counts = np.bincount(of_row).astype(np.float64)
        mean = np.bincount(of_row, per_piece) / counts
        square = np.bincount(of_row, (per_piece - mean[of_row]) ** 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(square / (counts - 1)) / mean
        return firsts, counts, np.where((counts > 1) & (mean > 0), spread, np.nan)


def time_figures(
    table: OrderTable, *, trim_share: float, minimum_samples: int, seed: int, draws: int = OVERALL_DRAWS
) -> dict[str, Figure]:
    """Return every figure of `ALL_FIGURES`."""
    if not len(table):
        return {name: nothing(NO_ORDERS) for name in ALL_FIGURES}
    resampled = Resampling(table.item, seed=seed, draws=draws)
    figures = _errors(table, resampled, trim_share)
    figures["mae_per_piece"] = mean_figure(table.error / table.quantity, table.weight, resampled)
    figures["bias"] = _bias(table, resampled)
    figures["sample_count"] = _sample_count(table, seed)
    return figures | {"cv": _spread(table, minimum_samples, seed)}


def group_figures(table: OrderTable, *, trim_share: float, minimum_samples: int, seed: int) -> dict[str, Figure]:
    """Return the figures of `GROUP_FIGURES` for the orders of one family or operation."""
    if not len(table):
        return {name: nothing(NO_ORDERS) for name in GROUP_FIGURES}
    figures = _errors(table, Resampling(table.item, seed=seed, draws=GROUP_DRAWS), trim_share)
    return figures | {"cv": _spread(table, minimum_samples, seed)}


def _errors(table: OrderTable, draws: Resampling, trim_share: float) -> dict[str, Figure]:
    """MAE, trimmed MAE, RMSE, the median absolute percentage error, and how good the intervals are."""

    def trimmed(ordered: Floats, weights: Floats) -> Floats:
        return trimmed_means(ordered, weights, trim_share)

    square = mean_figure(table.error**2, table.weight, draws)
    booked = table.booked > 0
    figures = {
        "mae": mean_figure(table.error, table.weight, draws),
        "trim_mae": _sorted_figure(table.error, table.weight, draws, trimmed),
        "rmse": _root(square),
        "mdape": nothing("every booked time is zero"),
        "interval_coverage": mean_figure(table.inside, table.weight, draws, ceiling=1.0),
        "interval_score": mean_figure(table.score, table.weight, draws),
    }
    if booked.any():
        share = table.error[booked] / table.booked[booked]
        part = draws if booked.all() else Resampling(table.item[booked], seed=0, draws=GROUP_DRAWS)
        figures["mdape"] = _sorted_figure(share, table.weight[booked], part, medians)
    return figures


def mean_figure(values: Floats, weights: Floats, draws: Resampling, *, ceiling: float | None = None) -> Figure:
    """Return the weighted mean of `values` with its interval."""
    value = weighted_mean(values, weights)
    low, high = draws.interval(value, draws.means(values, weights), ceiling=ceiling)
    return Figure(value=value, n=len(values), low=low, high=high)


def _sorted_figure(
    values: Floats, weights: Floats, draws: Resampling, statistic: Callable[[Floats, Floats], Floats]
) -> Figure:
    order = np.argsort(values, kind="stable")
    value = float(statistic(values[order], weights[order][np.newaxis, :])[0])
    low, high = draws.interval(value, draws.of_sorted(values, weights, statistic))
    return Figure(value=value, n=len(values), low=low, high=high)


def _root(square: Figure) -> Figure:
    def root(value: float | None) -> float | None:
        return None if value is None else value**0.5

    return Figure(value=root(square.value), n=square.n, low=root(square.low), high=root(square.high))


def _bias(table: OrderTable, draws: Resampling) -> Figure:
    """Predicted over booked minutes in all: 1 is right, above 1 too long. A ratio, so never negative."""
    booked = float(table.weight @ table.booked)
    if booked <= 0:
        return nothing("every booked time is zero")
    value = float(table.weight @ table.predicted) / booked
    means = draws.means(table.predicted, table.weight), draws.means(table.booked, table.weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = draws.interval(value, means[0] / means[1])
    return Figure(value=value, n=len(table), low=low, high=high)


def _sample_count(table: OrderTable, seed: int) -> Figure:
    """How many orders an item's operation has."""
    firsts, counts, _ = table.steps()
    draws = Resampling(table.item[firsts], seed=seed, draws=GROUP_DRAWS)
    return mean_figure(counts, table.weight[firsts], draws)


def _spread(table: OrderTable, minimum_samples: int, seed: int) -> Figure:
    """How much the shop floor itself varies: sd over mean of the minutes per piece, per item and operation."""
    firsts, counts, spread = table.steps()
    usable = (counts >= max(2, minimum_samples)) & np.isfinite(spread)
    if not usable.any():
        return nothing(f"no item's operation has {minimum_samples} orders")
    rows = firsts[usable]
    draws = Resampling(table.item[rows], seed=seed, draws=GROUP_DRAWS)
    return mean_figure(spread[usable], table.weight[rows], draws)
