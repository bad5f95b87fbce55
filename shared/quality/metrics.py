"""The figures of a quality cycle, each with how much it stands on and an honest interval.

Minutes are per order and operation at that order's quantity unless a name says per piece. Shares lie in 0 to 1. All
figures are weighted by the sample's weights, so they speak of the population and not of the sample. What could not be
measured has the value None and n = 0, never 0.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.quality.intervals import Figure, Resampling, medians, nothing, trimmed_means, wilson
from shared.quality.observations import OrderObservation, RoutingObservation, Tally

Floats = NDArray[np.float64]

INTERVAL_MISS = 0.2  # predictions state 80 % intervals
OVERALL_DRAWS = 400
GROUP_DRAWS = 200
MAX_GROUPS = 200  # families or operations reported by themselves, those with most orders first

NO_ORDERS = "no booked order could be compared with a predicted time"
NO_ROUTINGS = "no item with a routing in force was predicted"


@dataclass(frozen=True, kw_only=True)
class QualityMetrics:
    """The sixteen fields by which a cycle is known; None where nothing could be measured."""

    cycle_id: str
    sample_size: int
    strategy: str
    mae: float | None
    trim_mae: float | None
    rmse: float | None
    process_match: float | None
    outsourcing_success: float | None
    cv: float | None
    sample_count: float | None
    alerts: list[dict[str, Any]]
    timestamp: str
    duration_seconds: float
    items_evaluated: int
    items_failed: int
    metadata: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


class _Columns:
    """Order observations as columns."""

    def __init__(self, rows: Sequence[OrderObservation]) -> None:
        self.rows = rows
        numbers = np.array([row[5:] for row in rows], dtype=np.float64).reshape(len(rows), 6)
        self.weight, self.quantity, self.predicted, self.low, self.high, self.booked = numbers.T
        codes: dict[str, int] = {}
        self.item = np.array([codes.setdefault(row.item_code, len(codes)) for row in rows], dtype=np.int64)
        self.error = np.abs(self.predicted - self.booked)


def measure(
    orders: Sequence[OrderObservation],
    routings: Sequence[RoutingObservation],
    *,
    trim_share: float,
    minimum_samples: int,
    seed: int,
) -> dict[str, Any]:
    """Return every figure as JSON: `overall`, and the chief ones `by_family` and `by_operation`.

    `trim_share` is left out at each end of the trimmed MAE; an item's operation needs `minimum_samples` orders before
    its spread counts. The same observations and seed give the same figures.
    """
    overall = time_figures(orders, trim_share=trim_share, minimum_samples=minimum_samples, seed=seed)
    overall |= routing_figures(routings, seed=seed)
    return {
        "overall": {name: figure.as_json() for name, figure in overall.items()},
        "by_family": _by_family(orders, routings, trim_share, seed),
        "by_operation": _by_operation(orders, routings, trim_share, seed),
    }


def time_figures(
    orders: Sequence[OrderObservation], *, trim_share: float, minimum_samples: int, seed: int
) -> dict[str, Figure]:
    """Return the figures of predicted times against booked ones."""
    if not orders:
        names = ("mae", "trim_mae", "rmse", "mdape", "mae_per_piece", "bias", "interval_coverage", "interval_score")
        return {name: nothing(NO_ORDERS) for name in (*names, "cv", "sample_count")}
    table = _Columns(orders)
    draws = Resampling(table.item, seed=seed, draws=OVERALL_DRAWS)
    width = table.high - table.low
    below, above = np.clip(table.low - table.booked, 0, None), np.clip(table.booked - table.high, 0, None)
    inside = ((table.booked >= table.low) & (table.booked <= table.high)).astype(np.float64)
    figures = _errors(table, draws, trim_share)
    figures["mae_per_piece"] = _mean(table.error / table.quantity, table.weight, draws)
    figures["interval_coverage"] = _mean(inside, table.weight, draws, ceiling=1.0)
    figures["interval_score"] = _mean(width + (below + above) * 2 / INTERVAL_MISS, table.weight, draws)
    figures["bias"] = _bias(table, draws)
    return figures | _spread(table, minimum_samples, seed)


def _errors(table: _Columns, draws: Resampling, trim_share: float) -> dict[str, Figure]:
    """MAE, trimmed MAE, RMSE and the median absolute percentage error."""

    def trimmed(ordered: Floats, weights: Floats) -> Floats:
        return trimmed_means(ordered, weights, trim_share)

    square = _mean(table.error**2, table.weight, draws)
    booked = table.booked > 0
    figures = {
        "mae": _mean(table.error, table.weight, draws),
        "trim_mae": _sorted_figure(table.error, table.weight, draws, trimmed),
        "rmse": _root(square),
        "mdape": nothing("every booked time is zero"),
    }
    if booked.any():
        share = table.error[booked] / table.booked[booked]
        part = draws if booked.all() else Resampling(table.item[booked], seed=0, draws=GROUP_DRAWS)
        figures["mdape"] = _sorted_figure(share, table.weight[booked], part, medians)
    return figures


def _mean(values: Floats, weights: Floats, draws: Resampling, *, ceiling: float | None = None) -> Figure:
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


def _bias(table: _Columns, draws: Resampling) -> Figure:
    """Predicted over booked minutes in all: 1 is right, above 1 too long. A ratio, so never negative."""
    booked = float(table.weight @ table.booked)
    if booked <= 0:
        return nothing("every booked time is zero")
    value = float(table.weight @ table.predicted) / booked
    means = draws.means(table.predicted, table.weight), draws.means(table.booked, table.weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = draws.interval(value, means[0] / means[1])
    return Figure(value=value, n=len(table.rows), low=low, high=high)


def _spread(table: _Columns, minimum_samples: int, seed: int) -> dict[str, Figure]:
    """How much the shop floor itself varies: sd over mean of the minutes per piece, per item and operation."""
    steps: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for place, row in enumerate(table.rows):
        steps[row.item_code, row.operation_code, row.step].append(place)
    firsts = np.array([places[0] for places in steps.values()])
    counts = np.array([len(places) for places in steps.values()], dtype=np.float64)
    weights, items = table.weight[firsts], table.item[firsts]
    per_piece = table.booked / table.quantity
    mean = np.array([per_piece[places].mean() for places in steps.values()])
    deviation = np.array([per_piece[p].std(ddof=1) if len(p) > 1 else 0.0 for p in steps.values()])
    usable = (counts >= max(2, minimum_samples)) & (mean > 0)
    figures = {
        "sample_count": _mean(counts, weights, Resampling(items, seed=seed, draws=GROUP_DRAWS)),
        "cv": nothing(f"no item's operation has {minimum_samples} orders"),
    }
    if usable.any():
        part = Resampling(items[usable], seed=seed, draws=GROUP_DRAWS)
        figures["cv"] = _mean(deviation[usable] / mean[usable], weights[usable], part)
    return figures


def routing_figures(
    routings: Sequence[RoutingObservation], *, seed: int, draws: int = OVERALL_DRAWS
) -> dict[str, Figure]:
    """Return the figures of predicted routings against the routings in force."""
    names = ("process_match", "exact_top1", "exact_top3", "edit_distance", "precedence_accuracy")
    more = ("work_centre_accuracy", "in_house_accuracy", "outsourcing_success")
    if not routings:
        return {name: nothing(NO_ROUTINGS) for name in (*names, *more)}
    weights = np.array([r.weight for r in routings])
    distance = np.array([r.edit_distance for r in routings])
    sampled = Resampling(np.arange(len(routings)), seed=seed, draws=draws)
    return {
        "process_match": _share([r.matched for r in routings], weights, seed, "", draws),
        "exact_top1": wilson(np.array([float(r.exact_first) for r in routings]), weights),
        "exact_top3": wilson(np.array([float(r.exact_among_three) for r in routings]), weights),
        "edit_distance": _mean(distance, weights, sampled, ceiling=1.0),
        "precedence_accuracy": _share(
            [r.precedence for r in routings], weights, seed, "no item shares two operations with its prediction", draws
        ),
        "work_centre_accuracy": _share(
            [r.work_centres for r in routings], weights, seed, "no aligned operation names its work centre", draws
        ),
        "in_house_accuracy": _share(
            [r.in_house for r in routings], weights, seed, "no aligned operation says whether it is in-house", draws
        ),
        "outsourcing_success": _share(
            [r.outsourced for r in routings], weights, seed, "no routing in force holds an outsourced operation", draws
        ),
    }


def _share(tallies: Sequence[Tally], weights: Floats, seed: int, message: str, draws: int) -> Figure:
    """Hits over all, with whole items resampled because one item's operations are right or wrong together."""
    hits = np.array([tally.hits for tally in tallies], dtype=np.float64)
    totals = np.array([tally.total for tally in tallies], dtype=np.float64)
    used = totals > 0
    if not used.any():
        return nothing(message)
    share = hits[used] / totals[used]
    mass = weights[used] * totals[used]
    if share.min() == share.max() and share[0] in {0.0, 1.0}:
        # All right or all wrong: resampling sees no spread at all, so count items instead and stay honest.
        bounds = wilson(share, weights[used])
        return Figure(value=float(share[0]), n=int(totals.sum()), low=bounds.low, high=bounds.high)
    figure = _mean(share, mass, Resampling(np.flatnonzero(used), seed=seed, draws=draws), ceiling=1.0)
    return Figure(value=figure.value, n=int(totals.sum()), low=figure.low, high=figure.high)


def _chief(orders: Sequence[OrderObservation], trim_share: float, seed: int) -> dict[str, Any]:
    if not orders:
        return {name: nothing(NO_ORDERS).as_json() for name in ("mae", "trim_mae", "rmse", "mdape")}
    table = _Columns(orders)
    draws = Resampling(table.item, seed=seed, draws=GROUP_DRAWS)
    return {name: figure.as_json() for name, figure in _errors(table, draws, trim_share).items()}


def _by_family(
    orders: Sequence[OrderObservation], routings: Sequence[RoutingObservation], trim_share: float, seed: int
) -> dict[str, Any]:
    grouped: dict[str, tuple[list[OrderObservation], list[RoutingObservation]]] = defaultdict(lambda: ([], []))
    for order in orders:
        grouped[order.family][0].append(order)
    for routing in routings:
        grouped[routing.family][1].append(routing)
    largest = sorted(grouped, key=lambda name: (-len(grouped[name][0]), name))[:MAX_GROUPS]
    answer = {}
    for name in sorted(largest):
        times, items = grouped[name]
        shares = routing_figures(items, seed=seed, draws=GROUP_DRAWS)
        kept = {key: shares[key].as_json() for key in ("process_match", "exact_top1", "work_centre_accuracy")}
        answer[name] = _chief(times, trim_share, seed) | kept
    return answer


def _by_operation(
    orders: Sequence[OrderObservation], routings: Sequence[RoutingObservation], trim_share: float, seed: int
) -> dict[str, Any]:
    times: dict[str, list[OrderObservation]] = defaultdict(list)
    for order in orders:
        times[order.operation_code].append(order)
    matches: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for routing in routings:
        for code, found in routing.matched_by_operation:
            matches[code].append((float(found), routing.weight))
    names = sorted(times.keys() | matches.keys(), key=lambda name: (-len(times.get(name, ())), name))[:MAX_GROUPS]
    answer = {}
    for name in sorted(names):
        pairs = np.array(matches.get(name, []), dtype=np.float64).reshape(-1, 2)
        answer[name] = _chief(times.get(name, []), trim_share, seed)
        answer[name]["process_match"] = wilson(pairs[:, 0], pairs[:, 1]).as_json()
    return answer
