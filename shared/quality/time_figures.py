"""Figures of predicted times against booked ones, overall and for any part of the orders."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.quality.intervals import Figure, Resampling, medians, nothing, numbered, trimmed_means
from shared.quality.observations import OrderObservation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INTERVAL_MISS = 0.2  # predictions state 80 % intervals
NO_ORDERS = "no booked order could be compared with a predicted time"
OVERALL_DRAWS, GROUP_DRAWS = 400, 200
GROUP_FIGURES = ("mae", "trim_mae", "rmse", "mdape", "interval_coverage", "interval_score", "cv")
ALL_FIGURES = (*GROUP_FIGURES, "mae_per_piece", "bias", "sample_count")


class OrderTable:
    """Order observations as columns."""

    def __init__(self, rows: Sequence[OrderObservation]) -> None:
        self.rows = rows
        numbers = np.array([row[5:] for row in rows], dtype=np.float64).reshape(len(rows), 6)
        self.weight, self.quantity, self.predicted, self.low, self.high, self.booked = numbers.T
        self.item, _ = numbered([row.item_code for row in rows])
        self.error = np.abs(self.predicted - self.booked)
        self.inside = ((self.booked >= self.low) & (self.booked <= self.high)).astype(np.float64)
        missed = np.clip(self.low - self.booked, 0, None) + np.clip(self.booked - self.high, 0, None)
        self.score = self.high - self.low + missed * 2 / INTERVAL_MISS

    def steps(self) -> tuple[Ints, Floats, Floats]:
        """Return, for each item's operation, its first order's place, its number of orders, and their sd over mean.

        The sd is that of the minutes a piece; it is nan for a single order, or where nothing was booked.
        """
        of_row, _ = numbered([(row.item_code, row.operation_code, row.step) for row in self.rows])
        per_piece = self.booked / self.quantity
        counts = np.bincount(of_row).astype(np.float64)
        mean = np.bincount(of_row, per_piece) / counts
        square = np.bincount(of_row, (per_piece - mean[of_row]) ** 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt(square / (counts - 1)) / mean
        firsts = np.unique(of_row, return_index=True)[1]
        return firsts, counts, np.where((counts > 1) & (mean > 0), spread, np.nan)


def time_figures(
    orders: Sequence[OrderObservation],
    *,
    trim_share: float,
    minimum_samples: int,
    seed: int,
    draws: int = OVERALL_DRAWS,
) -> dict[str, Figure]:
    """Return every figure of `ALL_FIGURES`."""
    if not orders:
        return {name: nothing(NO_ORDERS) for name in ALL_FIGURES}
    table = OrderTable(orders)
    resampled = Resampling(table.item, seed=seed, draws=draws)
    figures = _errors(table, resampled, trim_share)
    figures["mae_per_piece"] = mean_figure(table.error / table.quantity, table.weight, resampled)
    figures["bias"] = _bias(table, resampled)
    return figures | _spread(table, minimum_samples, seed)


def group_figures(
    orders: Sequence[OrderObservation], *, trim_share: float, minimum_samples: int, seed: int
) -> dict[str, Figure]:
    """Return the figures of `GROUP_FIGURES` for the orders of one family or operation."""
    if not orders:
        return {name: nothing(NO_ORDERS) for name in GROUP_FIGURES}
    table = OrderTable(orders)
    figures = _errors(table, Resampling(table.item, seed=seed, draws=GROUP_DRAWS), trim_share)
    return figures | {"cv": _spread(table, minimum_samples, seed)["cv"]}


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
    value = float(np.average(values, weights=weights))
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
    return Figure(value=value, n=len(table.rows), low=low, high=high)


def _spread(table: OrderTable, minimum_samples: int, seed: int) -> dict[str, Figure]:
    """How much the shop floor itself varies: sd over mean of the minutes per piece, per item and operation."""
    firsts, counts, spread = table.steps()
    weights, items = table.weight[firsts], table.item[firsts]
    usable = (counts >= max(2, minimum_samples)) & np.isfinite(spread)
    figures = {
        "sample_count": mean_figure(counts, weights, Resampling(items, seed=seed, draws=GROUP_DRAWS)),
        "cv": nothing(f"no item's operation has {minimum_samples} orders"),
    }
    if usable.any():
        part = Resampling(items[usable], seed=seed, draws=GROUP_DRAWS)
        figures["cv"] = mean_figure(spread[usable], weights[usable], part)
    return figures
