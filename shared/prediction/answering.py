"""One question to the model: neighbours, candidates, times and evidence for one item."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.configuration import PredictionConfiguration
from shared.features.encoder import ItemEncoder
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
from shared.prediction.cells import Cells
from shared.prediction.memory import Ints, Items, Routings
from shared.prediction.neighbourhood import Neighbourhood
from shared.prediction.presence import Forest
from shared.prediction.steps import OwnStep, Step, plan_logs
from shared.prediction.timing import OFFSETS, Estimate, Observations, TimeEstimator, TimeModel
from shared.prediction.voting import Choice, VoteModel, choose, vote_weights

DECIMALS = 6  # of a minute: sums of votes end in ...0000004 otherwise, and no planner wants to read that
_CANDIDATE_EVIDENCE = 5
_OPERATION_EVIDENCE = 6
_LEAST_PROBABILITY = 0.005  # a candidate rarer than this is noise


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """Everything an answer is made of; never changed once built."""

    configuration: PredictionConfiguration
    encoder: ItemEncoder
    items: Items
    routings: Routings
    cells: Cells
    seen: Observations
    votes: VoteModel
    forests: tuple[Forest, ...]  # one a view
    times: TimeModel


@dataclass(frozen=True, kw_only=True)
class Question:
    """One item asked about, with its neighbours found."""

    knowledge: Knowledge
    near: Neighbourhood
    vector: npt.NDArray[np.float32]
    vectors: npt.NDArray[np.float32]  # the neighbours'
    view: int
    quantity: float
    own: int = -1  # the item's place where its own routing and results may be used
    steps: tuple[OwnStep, ...] = ()  # its own routing where only the ERP has it
    _similar: dict[int, SimilarItem] = field(default_factory=dict)
    _operations: dict[tuple[int, int, int], PredictedOperation] = field(default_factory=dict)

    @cached_property
    def votes(self) -> npt.NDArray[np.float64]:
        """Return each neighbour's weight, the same for every operation of every candidate."""
        return vote_weights(self.near, self.knowledge.votes, self.view)

    @cached_property
    def estimator(self) -> TimeEstimator:
        """Return what estimates this item's minutes."""
        return TimeEstimator(
            model=self.knowledge.times, seen=self.knowledge.seen, near=self.near, view=self.view,
            vector=self.vector, vectors=self.vectors,
        )  # fmt: skip

    def candidates(self, count: int) -> list[Candidate]:
        """Return the item's own routing, if it may be used and there is one, then predicted ones, best first."""
        found: list[Candidate] = []
        own_signature = -1
        if self.own >= 0 and self.knowledge.routings.signature[self.own] >= 0:
            own_signature = int(self.knowledge.routings.signature[self.own])
            found.append(self._own_candidate(own_signature))
        elif self.steps:
            own_signature = self._signature_of_steps()
            found.append(self._new_candidate(own_signature))
        least = self.knowledge.configuration.minimum_similarity
        odds = self.knowledge.forests[self.view].logits(self.vector[None, :])[0]
        for choice in choose(self.near, odds, self.knowledge.votes, self.view):
            if len(found) >= count:
                break
            if choice.signature == own_signature or choice.similarity < least:
                continue
            if choice.probability < _LEAST_PROBABILITY and found:
                continue
            found.append(self._predicted_candidate(len(found) + 1, choice))
        return found

    def _own_candidate(self, signature: int) -> Candidate:
        offsets = self.knowledge.routings.offsets
        rows = np.arange(offsets[self.own], offsets[self.own + 1])
        operations = [self._operation(int(row), int(row)) for row in rows]
        members = np.flatnonzero(self.near.places == self.own)
        text = self.knowledge.routings.text(signature, SIGNATURE_SEPARATOR)
        return self._candidate(1, Source.ERP, text, 1.0, 1.0, Tier.HIGH, operations, members)

    def _signature_of_steps(self) -> int:
        """Return the number under which the neighbours know the item's own sequence of operations, -1 if none does."""
        routings = self.knowledge.routings
        codes = [own.step.operation_code for own in self.steps]
        for number in np.unique(routings.signature[self.near.places]).tolist():
            if [routings.operations[operation] for operation in routings.signatures[number]] == codes:
                return int(number)
        return -1

    def _new_candidate(self, signature: int) -> Candidate:
        text = SIGNATURE_SEPARATOR.join(own.step.operation_code for own in self.steps)
        operations = [self._new_operation(own) for own in self.steps]
        alike = (self.knowledge.routings.signature[self.near.places] == signature) & (signature >= 0)
        return self._candidate(1, Source.ERP, text, 1.0, 1.0, Tier.HIGH, operations, np.flatnonzero(alike))

    def _new_operation(self, own: OwnStep) -> PredictedOperation:
        plan = plan_logs(own, OFFSETS)
        if own.task < 0:
            nothing = np.zeros(0, dtype=np.int64)
            return self._answer(own.step, self.estimator.of_plan(plan), own.planned, nothing)
        estimate = self.estimator.estimate(own.task, own.resource, plan)
        return self._answer(own.step, estimate, own.planned, self.near.doing(own.task))

    def _predicted_candidate(self, rank: int, choice: Choice) -> Candidate:
        place = int(self.near.places[choice.members[0]])
        offsets = self.knowledge.routings.offsets
        operations = [self._operation(int(row), -1) for row in range(offsets[place], offsets[place + 1])]
        settings = self.knowledge.configuration
        tier = (
            Tier.HIGH if choice.probability >= settings.high_probability
            else Tier.MEDIUM if choice.probability >= settings.medium_probability else Tier.LOW
        )  # fmt: skip
        probability, similarity = round(choice.probability, 6), choice.similarity
        text = self.knowledge.routings.text(choice.signature, SIGNATURE_SEPARATOR)
        return self._candidate(rank, Source.PREDICTED, text, probability, similarity, tier, operations, choice.members)

    def _candidate(
        self, rank: int, source: Source, signature: str, probability: float, similarity: float, tier: Tier,
        operations: list[PredictedOperation], members: Ints,
    ) -> Candidate:  # fmt: skip
        setup = sum(operation.setup_minutes.value for operation in operations)
        run = sum(operation.run_minutes_per_unit.value for operation in operations) * self.quantity
        wait = sum(operation.wait_minutes for operation in operations)
        move = sum(operation.move_minutes for operation in operations)
        queue = sum(operation.queue_minutes for operation in operations)
        return Candidate(
            rank=rank, source=source, routing_signature=signature,
            probability=probability, similarity=min(max(similarity, -1.0), 1.0), tier=tier, operations=operations,
            totals=Totals(
                setup_minutes=round(setup, DECIMALS), run_minutes=round(run, DECIMALS),
                wait_minutes=round(wait, DECIMALS), move_minutes=round(move, DECIMALS),
                queue_minutes=round(queue, DECIMALS),
                lead_minutes=round(setup + run + wait + move + queue, DECIMALS),
            ),
            evidence=[self.similar(int(member)) for member in members[:_CANDIDATE_EVIDENCE]],
        )  # fmt: skip

    def similar(self, member: int) -> SimilarItem:
        """Return a neighbour as evidence, its similarity split by attribute."""
        if member not in self._similar:
            knowledge, place = self.knowledge, int(self.near.places[member])
            split = knowledge.encoder.split(self.vector, self.vectors[member : member + 1])[0].tolist()
            because = [
                AttributeContribution(attribute=attribute.name, contribution=part)
                for attribute, part in zip(knowledge.encoder.attributes, split, strict=True)
                if part != 0
            ]
            because.sort(key=lambda part: -part.contribution)
            self._similar[member] = SimilarItem(
                item_code=knowledge.items.codes[place], similarity=float(self.near.similarities[member]),
                work_orders=int(knowledge.cells.item_orders[place]), because=because,
            )  # fmt: skip
        return self._similar[member]

    def _operation(self, pattern: int, own_row: int) -> PredictedOperation:
        """Answer one operation; `pattern` is the routing row that shows its code and place in the routing.

        Candidates share most of their operations, and but for its place an operation is answered alike in each.
        """
        routings = self.knowledge.routings
        key = (int(routings.task[pattern]), int(routings.operation_name[pattern]), own_row)
        if key not in self._operations:
            self._operations[key] = self._first_answer(pattern, own_row)
        known, sequence = self._operations[key], int(routings.sequence[pattern])
        return known if known.sequence == sequence else replace(known, sequence=sequence)

    def _first_answer(self, pattern: int, own_row: int) -> PredictedOperation:
        routings = self.knowledge.routings
        task = int(routings.task[pattern])
        picked = self.near.doing(task)
        rows = self.near.rows[picked]
        votes = self.votes[self.near.row_neighbour[picked]]
        if own_row >= 0:
            resource, inside = int(routings.resource[pattern]), int(routings.inside[pattern])
            planned = {name: float(values[own_row]) for name, values in routings.times.items()}
        else:
            resource, inside = self._work_centre(rows, votes)
            planned = {name: _mean(values[rows], votes) for name, values in routings.times.items()}
        plan = self.knowledge.seen.planned[own_row] if own_row >= 0 else None
        estimate = self.estimator.estimate(task, resource, plan)
        return self._answer(self._step(pattern, resource, inside), estimate, planned, picked)

    def _step(self, pattern: int, resource: int, inside: int) -> Step:
        routings = self.knowledge.routings
        name = int(routings.operation_name[pattern])
        return Step(
            int(routings.sequence[pattern]), routings.operations[routings.operation[pattern]],
            routings.operation_names[name] if name >= 0 else None,
            routings.resources[resource] if resource >= 0 else None,
            routings.resource_names[resource] if resource >= 0 else None,
            None if inside < 0 else bool(inside),
        )  # fmt: skip

    def _work_centre(self, rows: Ints, votes: npt.NDArray[np.float64]) -> tuple[int, int]:
        """Return the work centre with most votes and whether it is in-house; in-house wins where votes are equal."""
        routings = self.knowledge.routings
        sums: dict[tuple[int, int], float] = {}
        keys = zip(routings.resource[rows].tolist(), routings.inside[rows].tolist(), votes.tolist(), strict=True)
        for resource, inside, vote in keys:
            sums[resource, inside] = sums.get((resource, inside), 0.0) + vote
        return max(sums, key=lambda key: (round(sums[key], 9), key[1], -key[0]))

    def _answer(self, step: Step, estimate: Estimate, planned: dict[str, float], picked: Ints) -> PredictedOperation:
        low, high = self.knowledge.times.quantiles[self.view].tolist()
        order_low, order_value, order_high = estimate.order_range(self.quantity, (low, high))
        setup_low, setup_high = estimate.range(0, (low, high))
        run_low, run_high = estimate.range(1, (low, high))
        plan_setup, plan_run = planned["setup_minutes"], planned["run_minutes_per_unit"]
        plan_order = plan_setup + plan_run * self.quantity
        return PredictedOperation(
            sequence=step.sequence, operation_code=step.operation_code, operation_name=step.operation_name,
            resource_code=step.resource_code, resource_name=step.resource_name, inside=step.inside,
            setup_minutes=_minutes(estimate.minutes(0), setup_low, setup_high, plan_setup),
            run_minutes_per_unit=_minutes(estimate.minutes(1), run_low, run_high, plan_run),
            order_minutes=_minutes(order_value, order_low, order_high, plan_order),
            optimistic_minutes=round(order_low, DECIMALS), safe_minutes=round(order_high, DECIMALS),
            wait_minutes=_number(planned["wait_minutes"]) or 0.0, move_minutes=_number(planned["move_minutes"]) or 0.0,
            queue_minutes=_number(planned["queue_minutes"]) or 0.0, samples=estimate.samples, trimmed=estimate.trimmed,
            trimmed_mean=estimate.trimmed_mean, std=estimate.std, confidence=estimate.confidence(),
            evidence=self._supports(estimate, picked),
        )  # fmt: skip

    def _supports(self, estimate: Estimate, picked: Ints) -> list[Support]:
        """Return the nearest items, and whether each one's routing holds the operation at this place."""
        holding = set(self.near.row_neighbour[picked].tolist())
        owner = np.searchsorted(self.knowledge.routings.offsets, estimate.rows, side="right") - 1
        orders = dict(zip(owner.tolist(), self.knowledge.seen.orders[estimate.rows].tolist(), strict=True))
        used = orders if estimate.samples else {}
        return [
            Support(
                item_code=self.knowledge.items.codes[place], orders=int(used.get(place, 0)), supports=member in holding
            )
            for member, place in enumerate(self.near.places[:_OPERATION_EVIDENCE].tolist())
        ]


def _mean(values: npt.NDArray[np.float64], votes: npt.NDArray[np.float64]) -> float:
    kept = ~np.isnan(values)
    total = float(votes[kept].sum())
    return float(votes[kept] @ values[kept]) / total if total > 0 else float("nan")


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DECIMALS)


def _minutes(value: float, low: float, high: float, planned: float) -> Minutes:
    return Minutes(
        value=round(value, DECIMALS), low=round(low, DECIMALS), high=round(high, DECIMALS), planned=_number(planned)
    )


def unusual(
    knowledge: Knowledge, vector: npt.NDArray[np.float32], nearest: npt.NDArray[np.float32] | None
) -> list[str]:
    """Name the attributes that keep an item away from all others, the most unusual first."""
    unseen = knowledge.encoder.unseen(vector)
    if nearest is None:
        return unseen
    split = knowledge.encoder.split(vector, nearest[None, :])[0]
    lost = knowledge.encoder.scales.astype(np.float64) ** 2 - split
    ordered = np.argsort(-lost, kind="stable")
    rest = [knowledge.encoder.attributes[place].name for place in ordered if lost[place] > 0]
    return [*unseen, *(name for name in rest if name not in unseen)]


def missing_everything(encoder: ItemEncoder, values: dict[str, object]) -> bool:
    """Tell whether no attribute that counts has a value."""
    return all(values.get(a.name) is None for a in encoder.attributes if encoder.weights[a.name] > 0)


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return up to `most` names as part of a sentence."""
    return ", ".join(names[:most])
