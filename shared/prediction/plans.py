"""Candidate routings of a batch: which operations each consists of, in which order, under which numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.prediction.candidates.model import Choice
from shared.prediction.knowledge import Batch
from shared.prediction.memory import Ints, Routings
from shared.prediction.nearby import Nearby
from shared.prediction.steps import OwnStep

_USUAL_STEP = 10  # between the numbers of two operations, where no near item has two


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One candidate of one asked item: which operations it has, and what they are numbered."""

    asked: int
    choice: Choice | None  # None for the item's own routing
    operations: list[int]  # indexes into `Operations`
    sequences: list[int]
    own: Ints  # near items that are the asked one, or have its own sequence of operations


@dataclass(kw_only=True)
class Wanted:
    """Operations asked for, gathered one by one; each predicted task of an item is there once."""

    asked: list[int] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    own_row: list[int] = field(default_factory=list)
    steps: dict[int, OwnStep] = field(default_factory=dict)  # by index: operations that only the ERP has told
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def predicted(self, asked: int, task: int) -> int:
        """Return the index of a task that the model proposes for an item."""
        if (asked, task) not in self._known:
            self._known[asked, task] = self._add(asked, task, -1)
        return self._known[asked, task]

    def own(self, asked: int, task: int, row: int) -> int:
        """Return the index of an operation of the item's own routing, by its routing row."""
        return self._add(asked, task, row)

    def told(self, asked: int, step: OwnStep) -> int:
        """Return the index of an operation of the item's own routing that only the ERP has told."""
        index = self._add(asked, step.task, -1)
        self.steps[index] = step
        return index

    def _add(self, asked: int, task: int, row: int) -> int:
        self.asked.append(asked)
        self.task.append(task)
        self.own_row.append(row)
        return len(self.task) - 1


def usual_numbers(near: Nearby, asked: int) -> tuple[int, int]:
    """Return how the factory numbers operations: the middle first number and the middle step of near items."""
    first, last = near.row_bounds[asked : asked + 2].tolist()
    owner = near.row_near[first:last]
    numbers = near.routings.sequence.take(near.rows[first:last])
    same = owner[1:] == owner[:-1]
    starts, apart = numbers[1:][~same], (numbers[1:] - numbers[:-1])[same]
    starts = np.concatenate([numbers[:1], starts])
    return _middle(starts, _USUAL_STEP), max(_middle(apart, _USUAL_STEP), 1)


def _middle(numbers: Ints, otherwise: int) -> int:
    return sorted(numbers.tolist())[len(numbers) // 2] if len(numbers) else otherwise


def plans_of(
    batch: Batch, steps: Sequence[tuple[OwnStep, ...]], wanted: Wanted, *,
    choices: Sequence[Sequence[Choice]], count: int, least_probability: float,
) -> list[list[Plan]]:  # fmt: skip
    """Return every asked item's candidates: its own routing, if it may be used and there is one, then predicted ones.

    Args:
        batch: the asked items.
        steps: their own routings, where only the ERP has them.
        wanted: gathers the candidates' operations.
        choices: predicted candidates, best first.
        count: candidates at most.
        least_probability: rarer ones are shown only where there is no other.
    """
    plans = []
    usual: dict[int, tuple[int, int]] = {}  # by asked item, found for its first new candidate
    for asked, found in enumerate(choices):
        own = _own_plan(batch, asked, steps[asked], wanted)
        mine = [] if own is None else [own[0]]
        for choice in found:
            if len(mine) >= count:
                break
            if choice.probability < least_probability and mine:
                continue
            if own is not None and _codes(batch.near.routings, choice) == own[1]:
                continue
            mine.append(_predicted_plan(batch, asked, choice, wanted, usual))
        plans.append(mine)
    return plans


def _codes(routings: Routings, choice: Choice) -> list[str]:
    return [routings.operations[routings.operation_of_task(task)] for task in choice.tasks]


def _own_plan(batch: Batch, asked: int, steps: tuple[OwnStep, ...], wanted: Wanted) -> tuple[Plan, list[str]] | None:
    near, routings, place = batch.near, batch.near.routings, int(batch.near.own[asked])
    members = np.arange(near.bounds[asked], near.bounds[asked + 1])
    if place >= 0 and routings.signature[place] >= 0:
        rows = range(int(routings.offsets[place]), int(routings.offsets[place + 1]))
        codes = [routings.operations[routings.operation[row]] for row in rows]
        operations = [wanted.own(asked, int(routings.task[row]), row) for row in rows]
        sequences = [int(routings.sequence[row]) for row in rows]
        own = members[near.places[members] == place]
        return Plan(asked=asked, choice=None, operations=operations, sequences=sequences, own=own), codes
    if not steps:
        return None
    codes = [one.step.operation_code for one in steps]
    alike = [routings.codes_of(signature) == codes for signature in routings.signature[near.places[members]].tolist()]
    plan = Plan(
        asked=asked, choice=None, operations=[wanted.told(asked, one) for one in steps],
        sequences=[one.step.sequence for one in steps], own=members[np.array(alike, dtype=np.bool_)],
    )  # fmt: skip
    return plan, codes


def _predicted_plan(
    batch: Batch, asked: int, choice: Choice, wanted: Wanted, usual: dict[int, tuple[int, int]]
) -> Plan:
    routings = batch.near.routings
    operations = [wanted.predicted(asked, task) for task in choice.tasks]
    if len(choice.members):
        place = int(batch.near.places[choice.members[0]])
        sequences = routings.sequence[routings.offsets[place] : routings.offsets[place + 1]].tolist()
    else:
        if asked not in usual:
            usual[asked] = usual_numbers(batch.near, asked)
        first, step = usual[asked]
        sequences = [first + step * number for number in range(len(operations))]
    return Plan(asked=asked, choice=choice, operations=operations, sequences=sequences, own=choice.members[:0])
