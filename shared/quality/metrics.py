"""The figures of a quality cycle, each with how much it stands on and an honest interval.

Minutes are per order and operation at that order's quantity unless a name says per piece. Shares lie in 0 to 1. All
figures are weighted by the sample's weights, so they speak of the population and not of the sample. What could not be
measured has the value None and n = 0, never 0.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

from shared.quality.intervals import Figure
from shared.quality.observations import OrderObservation, RoutingObservation
from shared.quality.routing_figures import operation_figures, routing_figures
from shared.quality.time_figures import GROUP_DRAWS, group_figures, time_figures

MAX_GROUPS = 200  # families or operations reported by themselves, those with most orders first
FAMILY_FIGURES = (
    "process_match", "exact_top1", "precedence_accuracy", "work_centre_accuracy", "in_house_accuracy",
    "outsourcing_success",
)  # fmt: skip

Observation = TypeVar("Observation", OrderObservation, RoutingObservation)


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
    overall = time_figures(orders, trim_share=trim_share, minimum_samples=minimum_samples, seed=seed)
    overall |= routing_figures(routings, seed=seed)
    return {
        "overall": _plain(overall),
        "by_family": _by_family(orders, routings, of_times, seed),
        "by_operation": _by_operation(orders, routings, of_times),
    }


OfTimes = Callable[[Sequence[OrderObservation]], dict[str, Figure]]


def _by_family(
    orders: Sequence[OrderObservation], routings: Sequence[RoutingObservation], of_times: OfTimes, seed: int
) -> dict[str, Any]:
    times, items = _grouped(orders), _grouped(routings)
    answer = {}
    for name in _largest(times, items.keys() | times.keys()):
        shares = routing_figures(items.get(name, []), seed=seed, draws=GROUP_DRAWS)
        answer[name] = _plain(of_times(times.get(name, [])) | {key: shares[key] for key in FAMILY_FIGURES})
    return answer


def _by_operation(
    orders: Sequence[OrderObservation], routings: Sequence[RoutingObservation], of_times: OfTimes
) -> dict[str, Any]:
    times: dict[str, list[OrderObservation]] = defaultdict(list)
    for order in orders:
        times[order.operation_code].append(order)
    shares = operation_figures(routings, times.keys())
    return {name: _plain(of_times(times.get(name, [])) | shares[name]) for name in _largest(times, shares.keys())}


def _grouped(rows: Sequence[Observation]) -> dict[str, list[Observation]]:
    grouped: dict[str, list[Observation]] = defaultdict(list)
    for row in rows:
        grouped[row.family].append(row)
    return grouped


def _largest(times: Mapping[str, Sequence[OrderObservation]], names: Collection[str]) -> list[str]:
    """Return the names with most orders, as many as are reported, in order."""
    return sorted(sorted(names, key=lambda name: (-len(times.get(name, ())), name))[:MAX_GROUPS])


def _plain(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: figure.as_json() for name, figure in figures.items()}
