"""The operations that a batch's candidates consist of, each worked out once for its item, all together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.knowledge import Batch, Knowledge
from shared.prediction.memory import PLANNED_TIMES, Floats, Ints
from shared.prediction.minutes.estimates import Estimates
from shared.prediction.minutes.profiles import Strategy, order_times
from shared.prediction.nearby import Matches, Nearby
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
    known = own_row >= 0
    mine = known.nonzero()[0]
    known[list(wanted.steps)] = True
    resource, inside = _work_centres(knowledge, batch, asked, task, own_row, wanted.steps)
    found = near.matching(asked, task)
    planned = _planned(near, found, resource)
    name = np.where(task >= 0, routings.name_of_task.take(task, mode="clip"), -1)
    name[found.request[::-1]] = routings.operation_name.take(found.row[::-1])  # the nearest item's stays
    plan = np.full((len(task), 2), np.nan)
    if known.any():
        name[mine] = routings.operation_name[own_row[mine]]
        planned[mine] = routings.times[own_row[mine]]
        for place, step in wanted.steps.items():
            planned[place] = [step.planned[column] for column in PLANNED_TIMES]
        plan[known] = planned[known, :2]
    estimates = knowledge.minutes.estimate(
        knowledge.seen, near, batch.views, batch.vectors, batch.rows, asked, task, resource, plan, own_row
    )
    order = estimates.order(batch.quantity)
    middle = order[:, 1:2]
    times = order if profile == "quantiles" else order_times(estimates, batch.quantity, profile)
    times = np.concatenate([np.minimum(times[:, 0:1], middle), np.maximum(times[:, 2:3], middle)], axis=1)
    return Operations(
        asked=asked, task=task, resource=resource, inside=inside, name=name, planned=planned, estimates=estimates,
        order=order, times=times, steps=wanted.steps, **_evidence(knowledge, near, asked, found, estimates),
    )  # fmt: skip


def _work_centres(
    knowledge: Knowledge, batch: Batch, asked: Ints, task: Ints, own_row: Ints, steps: dict[int, OwnStep]
) -> tuple[Ints, npt.NDArray[np.int8]]:
    """Return each work centre and whether it is in-house: as the item's own routing says, else as predicted."""
    routings = knowledge.routings
    open_ones = own_row < 0
    open_ones[list(steps)] = False
    if open_ones.all():
        return knowledge.candidates.work_centres(batch.near, batch.rows, batch.views, asked, task)
    resource, inside = np.full(len(task), -1, dtype=np.int64), np.full(len(task), -1, dtype=np.int8)
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


def _planned(near: Nearby, found: Matches, resource: Ints) -> Floats:
    """Return the mean planned minutes of near rows of each task, weighted by similarity.

    Rows on the same work centre count alone where there are any.
    """
    routings, request, count = near.routings, found.request, len(resource)
    same = routings.resource.take(found.row) == resource.take(request)
    some = np.bincount(request, same, count) > 0
    counted = (same | ~some.take(request)) & near.voters.take(found.member)
    weight = np.maximum(near.similarities.take(found.member), 0.0) * counted
    times = routings.times.take(found.row, axis=0)
    has = times == times  # nan is no number to itself
    every = has * weight[:, None]
    width = len(PLANNED_TIMES)
    cell = ((request * width)[:, None] + np.arange(width)).ravel()
    total = np.bincount(cell, every.ravel(), count * width)
    minutes = np.bincount(cell, (every * np.where(has, times, 0.0)).ravel(), count * width)
    return np.asarray(minutes / np.where(total > 0, total, np.nan)).reshape(count, width)


def _evidence(knowledge: Knowledge, near: Nearby, asked: Ints, found: Matches, estimates: Estimates) -> dict[str, Any]:
    """Return which of the nearest items do each operation, how many orders of theirs were used, and how many do it."""
    count, every = len(asked), len(near.routings.task)
    rank = found.member - near.bounds.take(asked).take(found.request)
    shown = (rank < SHOWN_SUPPORTS).nonzero()[0]
    request, row, rank = found.request.take(shown), found.row.take(shown), rank.take(shown)
    supports = np.zeros((count, SHOWN_SUPPORTS), dtype=np.bool_)
    orders = np.zeros((count, SHOWN_SUPPORTS), dtype=np.int64)
    supports[request, rank] = True
    used = estimates.used_request * every + estimates.used_row
    if len(used):
        used.sort()
        keys = request * every + row
        known = used.take(used.searchsorted(keys), mode="clip") == keys
        orders[request, rank] = knowledge.seen.orders.take(row) * known
    voting = near.voters
    return {
        "supports": supports, "used_orders": orders,
        "supporting": np.bincount(found.request, voting.take(found.member), count).astype(np.int64),
        "near": np.bincount(near.asked, voting, len(near.own)).astype(np.int64).take(asked),
    }  # fmt: skip
