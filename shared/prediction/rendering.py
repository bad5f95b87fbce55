"""From arrays to answers: candidates with operations, minutes, totals and evidence."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from shared.configuration import PredictionConfiguration
from shared.prediction.answers import (
    SIGNATURE_SEPARATOR,
    AttributeContribution,
    Candidate,
    Minutes,
    PredictedOperation,
    SimilarItem,
    Source,
    Support,
    Tier,
    Totals,
)
from shared.prediction.knowledge import Batch, Memory, Singles
from shared.prediction.memory import Floats, Ints
from shared.prediction.operations import Operations
from shared.prediction.plans import Plan

DECIMALS = 6  # of a minute: sums of votes end in ...0000004 otherwise, and no planner wants to read that
_PART_DECIMALS = 8  # of a similarity: dozens of parts still sum to it
SHOWN_ITEMS = 5  # near items named as evidence for a candidate


def similar_items(memory: Memory, vectors: Singles, places: Ints, similarities: Floats) -> list[SimilarItem]:
    """Return items as evidence, each similarity split by attribute, the greatest part first.

    Args:
        memory: the items.
        vectors: (n, size) of the asked items, one for each place.
        places: (n,) of the similar items.
        similarities: (n,) of them.
    """
    parts = np.round(memory.encoder.split(vectors, memory.vectors_of(places)), _PART_DECIMALS)
    because = _contributions([attribute.name for attribute in memory.encoder.attributes], parts)
    codes, work_orders = memory.items.codes, memory.item_orders(places)
    return [
        SimilarItem(item_code=codes[place], similarity=similarity, work_orders=orders, because=mine)
        for place, similarity, orders, mine in zip(
            places.tolist(), similarities.tolist(), work_orders, because, strict=True
        )
    ]


def _contributions(names: Sequence[str], parts: Floats) -> list[list[AttributeContribution]]:
    """Return what each attribute added to each similarity, the greatest part first and without those of 0.

    Args:
        names: of the attributes.
        parts: (similar items, attributes).
    """
    order = np.argsort(-parts, axis=1, kind="stable")
    parts = np.take_along_axis(parts, order, axis=1)
    counts = parts != 0
    every: list[AttributeContribution] = [
        {"attribute": names[attribute], "contribution": part}
        for attribute, part in zip(order[counts].tolist(), parts[counts].tolist(), strict=True)
    ]
    ends = np.cumsum(counts.sum(axis=1)).tolist()
    return [every[start:end] for start, end in pairwise([0, *ends])]


class Rendering:
    """Writes the answers of one batch."""

    def __init__(
        self, memory: Memory, batch: Batch, operations: Operations, plans: Sequence[Sequence[Plan]],
        settings: PredictionConfiguration, *, evidence: bool = True,
    ) -> None:  # fmt: skip
        """Take the worked-out operations and the candidates that consist of them.

        Without `evidence` no answer names the items that speak for it: writing them down takes half the time.
        """
        self._memory, self._batch, self._operations, self._settings = memory, batch, operations, settings
        self._plans, self._evidence = plans, evidence
        self._answers: dict[int, PredictedOperation] = {}

    def candidates(self) -> list[list[Candidate]]:
        """Return every asked item's candidates, best first."""
        return [[self._candidate(rank, plan) for rank, plan in enumerate(mine, 1)] for mine in self._plans]

    def _candidate(self, rank: int, plan: Plan) -> Candidate:
        operations = [
            self._operation(index, sequence) for index, sequence in zip(plan.operations, plan.sequences, strict=True)
        ]
        choice = plan.choice
        probability = 1.0 if choice is None else round(choice.probability, DECIMALS)
        similarity = 1.0 if choice is None else min(max(choice.similarity, -1.0), 1.0)
        members = plan.own if choice is None else choice.members
        return Candidate(
            rank=rank, source=Source.ERP if choice is None else Source.PREDICTED,
            routing_signature=SIGNATURE_SEPARATOR.join([operation.operation_code for operation in operations]),
            probability=probability, similarity=similarity, tier=self._tier(probability), operations=operations,
            totals=_totals(operations, self._batch.quantity),
            evidence=[self._similar[member] for member in members[:SHOWN_ITEMS].tolist()] if self._evidence else [],
        )  # fmt: skip

    def _tier(self, probability: float) -> Tier:
        if probability >= self._settings.high_probability:
            return Tier.HIGH
        return Tier.MEDIUM if probability >= self._settings.medium_probability else Tier.LOW

    @cached_property
    def _similar(self) -> dict[int, SimilarItem]:
        """Return the near items that any candidate shows, by their index among the near."""
        shown = [
            (plan.own if plan.choice is None else plan.choice.members)[:SHOWN_ITEMS]
            for mine in self._plans
            for plan in mine
        ]
        near = self._batch.near
        members = np.unique(np.concatenate([near.places[:0], *shown]))
        vectors = self._batch.vectors[near.asked[members]]
        if self._batch.factors is not None:
            vectors = vectors * self._batch.factors
        found = similar_items(self._memory, vectors, near.places[members], near.similarities[members])
        return dict(zip(members.tolist(), found, strict=True))

    def _operation(self, index: int, sequence: int) -> PredictedOperation:
        """Answer one operation; but for its number it is answered alike in each candidate of its item."""
        known = self._answers.get(index)
        if known is None:
            known = self._answers[index] = self._first_answer(index, sequence)
        return known if known.sequence == sequence else _numbered(known, sequence)

    def _first_answer(self, index: int, sequence: int) -> PredictedOperation:
        code, name, resource, resource_name, inside = self._names(index)
        known = [None if value != value else value for value in self._figures[index]]  # nan is no number to itself
        plan_setup, plan_run, wait, move, queue, mean, std = known[12:]
        (setup, run, setup_low, run_low, setup_high, run_high, low, middle, high, optimistic, safe, confidence) = (
            self._figures[index][:12]
        )
        samples, trimmed, supporting, disagreeing = self._counts[index]
        plan_order = None
        if plan_setup is not None and plan_run is not None:
            plan_order = round(plan_setup + plan_run * self._batch.quantity, DECIMALS)
        return PredictedOperation(
            sequence=sequence, operation_code=code, operation_name=name, resource_code=resource,
            resource_name=resource_name, inside=inside,
            setup_minutes=Minutes(setup, setup_low, setup_high, plan_setup),
            run_minutes_per_unit=Minutes(run, run_low, run_high, plan_run),
            order_minutes=Minutes(middle, low, high, plan_order), optimistic_minutes=optimistic, safe_minutes=safe,
            wait_minutes=wait or 0.0, move_minutes=move or 0.0, queue_minutes=queue or 0.0, samples=samples,
            trimmed=trimmed, trimmed_mean=mean, std=std, confidence=confidence, supporting=supporting,
            disagreeing=disagreeing, evidence=self._supports(index) if self._evidence else [],
        )  # fmt: skip

    def _names(self, index: int) -> tuple[str, str | None, str | None, str | None, bool | None]:
        told = self._operations.steps.get(index)
        if told is not None:
            step = told.step
            return step.operation_code, step.operation_name, step.resource_code, step.resource_name, step.inside
        routings = self._memory.routings
        task, name, resource, inside = self._numbers[index]
        return (
            routings.operations[routings.operation_of_task(task)],
            routings.operation_names[name] if name >= 0 else None,
            routings.resources[resource] if resource >= 0 else None,
            routings.resource_names[resource] if resource >= 0 else None,
            None if inside < 0 else bool(inside),
        )

    @cached_property
    def _numbers(self) -> list[list[int]]:
        """Return each operation's task, name, work centre and whether it is in-house."""
        found = self._operations
        numbers: list[list[int]] = np.stack([found.task, found.name, found.resource, found.inside], axis=1).tolist()
        return numbers

    @cached_property
    def _counts(self) -> list[list[int]]:
        """Return each operation's work orders used and left out, and how many near items do it and do not."""
        found = self._operations
        columns = [found.estimates.samples, found.estimates.trimmed, found.supporting, found.near - found.supporting]
        counts: list[list[int]] = np.stack(columns, axis=1).tolist()
        return counts

    @cached_property
    def _figures(self) -> list[list[float]]:
        """Return each operation's figures, rounded, in the order in which `_first_answer` takes them; nan unknown."""
        found, times = self._operations, self._operations.estimates
        alone = np.stack([times.confidence, times.trimmed_mean, times.std], axis=1)
        parts = [
            times.minutes,
            times.low,
            times.high,
            found.order,
            found.times,
            alone[:, :1],
            found.planned,
            alone[:, 1:],
        ]
        figures: list[list[float]] = np.round(np.concatenate(parts, axis=1), DECIMALS).tolist()
        return figures

    def _supports(self, index: int) -> list[Support]:
        """Return the nearest items, and whether each one's routing holds the operation at this place."""
        codes = self._shown_codes[self._operations.asked[index]]
        orders, holds = self._support_columns
        return [
            {"item_code": code, "orders": used, "supports": held}
            for code, used, held in zip(codes, orders[index], holds[index], strict=False)  # fewer where few are near
        ]

    @cached_property
    def _support_columns(self) -> tuple[list[list[int]], list[list[bool]]]:
        return self._operations.used_orders.tolist(), self._operations.supports.tolist()

    @cached_property
    def _shown_codes(self) -> list[list[str]]:
        near, codes = self._batch.near, self._memory.items.codes
        most = self._operations.supports.shape[1]
        bounds, places = near.bounds.tolist(), near.places.tolist()
        return [[codes[place] for place in places[start : min(end, start + most)]] for start, end in pairwise(bounds)]


def _numbered(operation: PredictedOperation, sequence: int) -> PredictedOperation:
    """Return the operation under another number: `copy` and `replace` take five times as long."""
    other = object.__new__(PredictedOperation)
    other.__dict__.update(operation.__dict__)
    other.sequence = sequence
    return other


def _totals(operations: Sequence[PredictedOperation], quantity: float) -> Totals:
    setup = sum([operation.setup_minutes.value for operation in operations])
    run = sum([operation.run_minutes_per_unit.value for operation in operations]) * quantity
    wait = sum([operation.wait_minutes for operation in operations])
    move = sum([operation.move_minutes for operation in operations])
    queue = sum([operation.queue_minutes for operation in operations])
    return Totals(
        setup_minutes=round(setup, DECIMALS), run_minutes=round(run, DECIMALS), wait_minutes=round(wait, DECIMALS),
        move_minutes=round(move, DECIMALS), queue_minutes=round(queue, DECIMALS),
        lead_minutes=round(setup + run + wait + move + queue, DECIMALS),
    )  # fmt: skip
