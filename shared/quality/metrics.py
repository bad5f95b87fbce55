"""The figures of a quality cycle, each with how much it stands on and an honest interval.

Minutes are per order and operation at that order's quantity unless a name says per piece. Shares lie in 0 to 1. All
figures are weighted by the sample's weights, so they speak of the population and not of the sample. What could not be
measured has the value None and n = 0, never 0.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from shared.quality.intervals import Figure, numbered
from shared.quality.observations import OrderObservation, RoutingObservation
from shared.quality.routing_figures import Ints, RoutingTable, operation_figures, routing_figures
from shared.quality.time_figures import GROUP_DRAWS, OrderTable, group_figures, time_figures

MAX_GROUPS = 200  # families or operations reported by themselves, those with most orders first
FAMILY_FIGURES = (
    "process_match", "exact_top1", "precedence_accuracy", "work_centre_accuracy", "in_house_accuracy",
    "outsourcing_success",
)  # fmt: skip
NONE: Ints = np.zeros(0, dtype=np.int64)


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
    of_times = partial(group_figures, trim_share=trim_share, minimum_samples=minimum_samples, seed=seed)
    times, shares = OrderTable.of(orders), RoutingTable.of(routings)
    overall = time_figures(times, trim_share=trim_share, minimum_samples=minimum_samples, seed=seed)
    overall |= routing_figures(shares, seed=seed)
    return {
        "overall": _plain(overall),
        "by_family": _by_family(
            times, _places([row.family for row in orders]), shares, _places([row.family for row in routings]),
            of_times, seed,
        ),
        "by_operation": _by_operation(times, _places([row.operation_code for row in orders]), routings, of_times),
    }  # fmt: skip


OfTimes = Callable[[OrderTable], dict[str, Figure]]
Places = Mapping[str, Ints]  # group to its rows, rising


def _by_family(
    times: OrderTable, orders_of: Places, shares: RoutingTable, items_of: Places, of_times: OfTimes, seed: int
) -> dict[str, Any]:
    answer = {}
    for name in _largest(orders_of, items_of.keys() | orders_of.keys()):
        own = shares.part(items_of.get(name, NONE))
        of_routings = routing_figures(own, seed=seed, draws=GROUP_DRAWS, names=FAMILY_FIGURES)
        answer[name] = _plain(of_times(times.part(orders_of.get(name, NONE))) | of_routings)
    return answer


def _by_operation(
    times: OrderTable, orders_of: Places, routings: Sequence[RoutingObservation], of_times: OfTimes
) -> dict[str, Any]:
    shares = operation_figures(routings, orders_of.keys())
    return {
        name: _plain(of_times(times.part(orders_of.get(name, NONE))) | shares[name])
        for name in _largest(orders_of, shares.keys())
    }


def _places(groups: Sequence[str]) -> Places:
    number, names = numbered(groups)
    rows = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    return dict(zip(names, rows, strict=False))  # without any row there is one part of none


def _largest(orders_of: Places, names: Collection[str]) -> list[str]:
    """Return the names with most orders, as many as are reported, in order."""
    return sorted(sorted(names, key=lambda name: (-len(orders_of.get(name, NONE)), name))[:MAX_GROUPS])


def _plain(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: figure.as_json() for name, figure in figures.items()}
