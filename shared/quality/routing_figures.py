"""Figures of predicted routings against the routings in force, overall and for any part of the items."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shared.quality.intervals import Figure, Resampling, nothing, wilson
from shared.quality.observations import RoutingObservation, Tally
from shared.quality.time_figures import OVERALL_DRAWS, mean_figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_ROUTINGS = "no item with a routing in force was predicted"
ROUTING_FIGURES = (
    "process_match", "exact_top1", "exact_top3", "edit_distance", "precedence_accuracy", "work_centre_accuracy",
    "in_house_accuracy", "outsourcing_success",
)  # fmt: skip
EXACT = frozenset({"exact_top1", "exact_top3"})
UNKNOWN_SHARE = {
    "precedence_accuracy": "no item shares two operations with its prediction",
    "work_centre_accuracy": "no aligned operation names its work centre",
    "in_house_accuracy": "no aligned operation says whether it is in-house",
    "outsourcing_success": "no routing in force holds an outsourced operation",
}


@dataclass(frozen=True, kw_only=True)
class RoutingTable:
    """Routing observations as columns, one row an item; tallies are (items, 2): hits and how many there were."""

    weight: Floats
    edit_distance: Floats
    exact_top1: Floats  # 1 or 0
    exact_top3: Floats
    process_match: Floats
    precedence_accuracy: Floats
    work_centre_accuracy: Floats
    in_house_accuracy: Floats
    outsourcing_success: Floats

    @classmethod
    def of(cls, rows: Sequence[RoutingObservation]) -> Self:
        """Arrange observations."""

        def tallies(found: list[Tally]) -> Floats:
            return np.array(found, dtype=np.float64).reshape(len(rows), 2)

        return cls(
            weight=np.array([row.weight for row in rows], dtype=np.float64),
            edit_distance=np.array([row.edit_distance for row in rows], dtype=np.float64),
            exact_top1=np.array([row.exact_first for row in rows], dtype=np.float64),
            exact_top3=np.array([row.exact_among_three for row in rows], dtype=np.float64),
            process_match=tallies([row.matched for row in rows]),
            precedence_accuracy=tallies([row.precedence for row in rows]),
            work_centre_accuracy=tallies([row.work_centres for row in rows]),
            in_house_accuracy=tallies([row.in_house for row in rows]),
            outsourcing_success=tallies([row.outsourced for row in rows]),
        )

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.weight)

    def part(self, rows: Ints) -> Self:
        """Return some of the rows."""
        return replace(self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def routing_figures(
    table: RoutingTable, *, seed: int, draws: int = OVERALL_DRAWS, names: Sequence[str] = ROUTING_FIGURES
) -> dict[str, Figure]:
    """Return the figures called `names`, of those in `ROUTING_FIGURES`."""
    if not len(table):
        return dict.fromkeys(names, nothing(NO_ROUTINGS))

    def figure(name: str) -> Figure:
        column: Floats = getattr(table, name)
        if name in EXACT:
            return wilson(column, table.weight)
        if name == "edit_distance":
            every = Resampling(np.arange(len(table)), seed=seed, draws=draws)
            return mean_figure(column, table.weight, every, ceiling=1.0)
        return share_figure(column, table.weight, seed, UNKNOWN_SHARE.get(name, ""), draws)

    return {name: figure(name) for name in names}


def share_figure(tallies: Floats, weights: Floats, seed: int, message: str, draws: int) -> Figure:
    """Hits over all, with whole items resampled because one item's operations are right or wrong together.

    `tallies` is (items, 2): hits and how many there were; `message` says what is missing where there were none.
    """
    hits, totals = tallies.T
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
