"""Figures of predicted routings against the routings in force, overall and for any part of the items."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.quality.intervals import Figure, Resampling, nothing, wilson
from shared.quality.observations import RoutingObservation, Tally
from shared.quality.time_figures import OVERALL_DRAWS, mean_figure

Floats = NDArray[np.float64]

NO_ROUTINGS = "no item with a routing in force was predicted"
ROUTING_FIGURES = (
    "process_match", "exact_top1", "exact_top3", "edit_distance", "precedence_accuracy", "work_centre_accuracy",
    "in_house_accuracy", "outsourcing_success",
)  # fmt: skip


def routing_figures(
    routings: Sequence[RoutingObservation], *, seed: int, draws: int = OVERALL_DRAWS
) -> dict[str, Figure]:
    """Return the figures of `ROUTING_FIGURES`."""
    if not routings:
        return {name: nothing(NO_ROUTINGS) for name in ROUTING_FIGURES}
    weights = np.array([r.weight for r in routings])
    distance = np.array([r.edit_distance for r in routings])
    sampled = Resampling(np.arange(len(routings)), seed=seed, draws=draws)
    shares = {
        "process_match": ([r.matched for r in routings], ""),
        "precedence_accuracy": ([r.precedence for r in routings], "no item shares two operations with its prediction"),
        "work_centre_accuracy": ([r.work_centres for r in routings], "no aligned operation names its work centre"),
        "in_house_accuracy": ([r.in_house for r in routings], "no aligned operation says whether it is in-house"),
        "outsourcing_success": ([r.outsourced for r in routings], "no routing in force holds an outsourced operation"),
    }
    return {
        **{name: share_figure(tallies, weights, seed, said, draws) for name, (tallies, said) in shares.items()},
        "exact_top1": wilson(np.array([float(r.exact_first) for r in routings]), weights),
        "exact_top3": wilson(np.array([float(r.exact_among_three) for r in routings]), weights),
        "edit_distance": mean_figure(distance, weights, sampled, ceiling=1.0),
    }


def share_figure(tallies: Sequence[Tally], weights: Floats, seed: int, message: str, draws: int) -> Figure:
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
    figure = mean_figure(share, mass, Resampling(np.flatnonzero(used), seed=seed, draws=draws), ceiling=1.0)
    return Figure(value=figure.value, n=int(totals.sum()), low=figure.low, high=figure.high)


def operation_figures(
    routings: Sequence[RoutingObservation], more: Collection[str] = ()
) -> dict[str, dict[str, Figure]]:
    """Return, by operation code, how often it was predicted where it is done, and how right its place of work was.

    `more` are operations that no routing in force holds; nothing is known of them.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    centres: dict[str, list[tuple[float, float]]] = {}
    inside: dict[str, list[tuple[float, float]]] = {}
    for routing in routings:
        for code, was_found in routing.matched_by_operation:
            found.setdefault(code, []).append((float(was_found), routing.weight))
        for code, centre_right, inside_right in routing.places_by_operation:
            if centre_right is not None:
                centres.setdefault(code, []).append((float(centre_right), routing.weight))
            if inside_right is not None:
                inside.setdefault(code, []).append((float(inside_right), routing.weight))
    return {
        code: {
            "process_match": _wilson_of(found.get(code, [])),
            "work_centre_accuracy": _wilson_of(centres.get(code, [])),
            "in_house_accuracy": _wilson_of(inside.get(code, [])),
        }
        for code in found.keys() | set(more)
    }


def _wilson_of(pairs: Sequence[tuple[float, float]]) -> Figure:
    columns = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return wilson(columns[:, 0], columns[:, 1])
