"""The operations that a batch's candidates consist of, each worked out once for its item, all together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.knowledge import Batch, Knowledge
from shared.prediction.memory import PLANNED_TIMES, Floats, Ints
from shared.prediction.minutes.estimates import Estimates
from shared.prediction.minutes.profiles import Strategy, order_times
from shared.prediction.nearby import Nearby
from shared.prediction.plans import Wanted
from shared.prediction.steps import OwnStep

SHOWN_SUPPORTS = 6  # near items named as evidence for or against an operation


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Wanted operations with what is known of them; arrays of equal length n."""

    asked: Ints
    task: Ints  # -1 for an operation never seen
    resource: Ints  # -1 unknown
    inside: npt.NDArray[np.int8]  # -1 unknown
    name: Ints  # of the operation, -1 unknown
    planned: Floats  # (n, 5) minutes by PLANNED_TIMES, nan unknown
    estimates: Estimates
    order: Floats  # (n, 3) low, central and high minutes of the next order
    times: Floats  # (n, 2) optimistic and safe minutes of it, by the chosen profile
    supports: npt.NDArray[np.bool_]  # (n, SHOWN_SUPPORTS) whether the nearest items do it
    used_orders: Ints  # (n, SHOWN_SUPPORTS) work orders of theirs that were used
    supporting: Ints  # near items that do it
    near: Ints  # near items in all, the item itself left out
    steps: dict[int, OwnStep]


def work_out(knowledge: Knowledge, batch: Batch, wanted: Wanted, profile: Strategy) -> Operations:
    """Find work centre, name, planned minutes, estimate and evidence of every wanted operation."""
    near, routings = batch.near, knowledge.routings
    asked, task = np.array(wanted.asked, dtype=np.int64), np.array(wanted.task, dtype=np.int64)
    own_row = np.array(wanted.own_row, dtype=np.int64)
    resource, inside = _work_centres(knowledge, batch, asked, task, own_row, wanted.steps)
    request, index = near.matching(asked, task)
    rows = near.rows[index]
    planned = _planned(near, request, index, resource, len(asked))
    name = np.where(task >= 0, routings.name_of_task[np.maximum(task, 0)], -1)
    name[request[::-1]] = routings.operation_name[rows[::-1]]  # the nearest item's comes last and stays
    mine = np.flatnonzero(own_row >= 0)
    name[mine] = routings.operation_name[own_row[mine]]
    planned[mine] = np.stack([routings.times[column][own_row[mine]] for column in PLANNED_TIMES], axis=1)
    for place, step in wanted.steps.items():
        planned[place] = [step.planned[column] for column in PLANNED_TIMES]
    known = own_row >= 0
    known[list(wanted.steps)] = True
    plan = np.where(known[:, None], planned[:, :2], np.nan)
    estimates = knowledge.minutes.estimate(
        knowledge.seen, near, batch.views, batch.vectors, batch.rows, asked, task, resource, plan, own_row
    )
    order = estimates.order(batch.quantity)
    middle = order[:, 1]
    times = order if profile == "quantiles" else order_times(estimates, batch.quantity, profile)
    return Operations(
        asked=asked, task=task, resource=resource, inside=inside, name=name, planned=planned, estimates=estimates,
        order=order, times=np.stack([np.minimum(times[:, 0], middle), np.maximum(times[:, 2], middle)], axis=1),
        steps=wanted.steps, **_evidence(knowledge, near, asked, request, index, estimates),
    )  # fmt: skip


def _work_centres(
    knowledge: Knowledge, batch: Batch, asked: Ints, task: Ints, own_row: Ints, steps: dict[int, OwnStep]
) -> tuple[Ints, npt.NDArray[np.int8]]:
    """Return each work centre and whether it is in-house: as the item's own routing says, else as predicted."""
    routings = knowledge.routings
    resource, inside = np.full(len(task), -1, dtype=np.int64), np.full(len(task), -1, dtype=np.int8)
    open_ones = own_row < 0
    open_ones[list(steps)] = False
    free = np.flatnonzero(open_ones)
    if len(free):
        resource[free], inside[free] = knowledge.candidates.work_centres(
            batch.near, batch.rows, batch.views, asked[free], task[free]
        )
    mine = np.flatnonzero(own_row >= 0)
    resource[mine], inside[mine] = routings.resource[own_row[mine]], routings.inside[own_row[mine]]
    for place, step in steps.items():
        resource[place] = step.resource
        inside[place] = -1 if step.step.inside is None else int(step.step.inside)
    return resource, inside


def _planned(near: Nearby, request: Ints, index: Ints, resource: Ints, count: int) -> Floats:
    """Return the mean planned minutes of near rows of each task, weighted by similarity.

    Rows on the same work centre count alone where there are any.
    """
    routings, rows = near.routings, near.rows[index]
    member = near.row_near[index]
    same = routings.resource[rows] == resource[request]
    some = np.bincount(request, same, count) > 0
    counted = (same | ~some[request]) & near.voters[member]
    weight = np.where(counted, np.maximum(near.similarities[member], 0.0), 0.0)
    times = np.stack([routings.times[column][rows] for column in PLANNED_TIMES], axis=1)
    has = ~np.isnan(times)
    every = has * weight[:, None]
    times[~has] = 0.0
    width = len(PLANNED_TIMES)
    cell = (request[:, None] * width + np.arange(width)).ravel()
    total = np.bincount(cell, every.ravel(), count * width)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.bincount(cell, (every * times).ravel(), count * width) / total).reshape(count, width)


def _evidence(
    knowledge: Knowledge, near: Nearby, asked: Ints, request: Ints, index: Ints, estimates: Estimates
) -> dict[str, Any]:
    """Return which of the nearest items do each operation, how many orders of theirs were used, and how many do it."""
    count, rows = len(asked), near.rows[index]
    member = near.row_near[index]
    rank = member - near.bounds[asked[request]]
    shown = rank < SHOWN_SUPPORTS
    supports = np.zeros((count, SHOWN_SUPPORTS), dtype=np.bool_)
    supports[request[shown], rank[shown]] = True
    every = len(near.routings.task)
    used = np.sort(estimates.used_request * every + estimates.used_row)
    keys = request[shown] * every + rows[shown]
    found = used[np.minimum(np.searchsorted(used, keys), len(used) - 1)] == keys if len(used) else np.zeros(len(keys))
    orders = np.zeros((count, SHOWN_SUPPORTS), dtype=np.int64)
    orders[request[shown], rank[shown]] = knowledge.seen.orders[rows[shown]] * found
    voting = near.voters
    return {
        "supports": supports, "used_orders": orders,
        "supporting": np.bincount(request, voting[member], count).astype(np.int64),
        "near": np.bincount(near.asked, voting, len(near.own)).astype(np.int64)[asked],
    }  # fmt: skip
