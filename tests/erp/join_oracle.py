"""The join of plan and actuals once more, a row at a time in plain Python, to hold the fast one against."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA


class Step(NamedTuple):
    """A planned step."""

    item: str
    routing: str
    sequence: int
    operation: str
    valid_from: date | None = None
    valid_to: date | None = None
    created_at: date | None = None


class Result(NamedTuple):
    """A work result."""

    item: str
    routing: str | None
    sequence: int | None
    operation: str
    day: date | None = None


class Outcome(NamedTuple):
    """What became of one result."""

    match: str
    step: Step | None
    ambiguous: bool


def routings_of(steps: Sequence[Step]) -> pl.DataFrame:
    """Return steps as a canonical table."""
    names = ("item_code", "routing_no", "sequence", "operation_code", "valid_from", "valid_to", "created_at")
    rows = [dict(zip(names, step, strict=True)) for step in steps]
    return pl.DataFrame([dict.fromkeys(ROUTING_SCHEMA) | row for row in rows], schema=ROUTING_SCHEMA)


def results_of(results: Sequence[Result]) -> pl.DataFrame:
    """Return results as a canonical table; each has a quantity of its own."""
    names = ("item_code", "routing_no", "sequence", "operation_code", "reported_at")
    rows = [dict(zip(names, result, strict=True)) for result in results]
    own = [{"quantity": float(number + 1), "run_minutes": 1.0} for number in range(len(rows))]
    blank = dict.fromkeys(WORK_RESULT_SCHEMA)
    return pl.DataFrame([blank | row | own[place] for place, row in enumerate(rows)], schema=WORK_RESULT_SCHEMA)


def oracle(steps: Sequence[Step], results: Sequence[Result]) -> list[Outcome]:
    """Join every result by the rules as they are written down."""
    named = [_naming_the_only_routing(steps, result) for result in results]
    return [_joined(steps, named, result) for result in named]


def _naming_the_only_routing(steps: Sequence[Step], result: Result) -> Result:
    routings = {step.routing for step in steps if step.item == result.item}
    if result.routing is None and len(routings) == 1:
        return result._replace(routing=routings.pop())
    return result


def _joined(steps: Sequence[Step], results: Sequence[Result], result: Result) -> Outcome:
    of_item = [step for step in steps if step.item == result.item]
    same = [step for step in of_item if step.operation == result.operation]
    own = [step for step in same if step.routing == result.routing]
    if any(step.sequence == result.sequence for step in own):
        return Outcome("exact", next(step for step in own if step.sequence == result.sequence), ambiguous=False)
    if own:
        step, ambiguous = _occurrence(own, results, result)
        return Outcome("by operation" if result.sequence is None else "renumbered", step, ambiguous)
    if same:
        return _elsewhere(of_item, same, results, result)
    return Outcome(_why_not(of_item, result), None, ambiguous=False)


def _elsewhere(of_item: list[Step], same: list[Step], results: Sequence[Result], result: Result) -> Outcome:
    at_sequence = [step for step in same if step.sequence == result.sequence]
    ranked = [(_fitness(step, of_item, result.day), step) for step in at_sequence or same]
    best = max(rank for rank, _ in ranked)
    routings = {step.routing for rank, step in ranked if rank == best}
    chosen = [step for step in at_sequence or same if step.routing == max(routings)]
    step, ambiguous = (chosen[0], False) if at_sequence else _occurrence(chosen, results, result)
    if result.routing is None or result.sequence is None:
        kind = "by operation"
    else:
        kind = "other routing" if at_sequence else "other routing, renumbered"
    return Outcome(kind, step, ambiguous or len(routings) > 1)


def _fitness(step: Step, steps: list[Step], day: date | None) -> tuple[bool, date]:
    created = [other.created_at for other in steps if other.routing == step.routing and other.created_at]
    begun = day is None or step.valid_from is None or step.valid_from <= day
    lasts = day is None or step.valid_to is None or day <= step.valid_to
    return begun and lasts, max(created, default=date.min)


def _occurrence(occurrences: list[Step], results: Sequence[Result], result: Result) -> tuple[Step, bool]:
    planned = sorted(occurrences, key=lambda step: step.sequence)
    if result.sequence is None:
        return planned[0], len(planned) > 1
    group = (result.item, result.routing, result.operation)
    all_reported = {other.sequence for other in results if (other.item, other.routing, other.operation) == group}
    reported = sorted(sequence for sequence in all_reported if sequence is not None)
    unknown = [sequence for sequence in reported if sequence not in {step.sequence for step in planned}]
    for numbers in (reported, unknown):
        if len(numbers) == len(planned):
            return planned[numbers.index(result.sequence)], False
    wanted = result.sequence
    return min(planned, key=lambda step: (abs(step.sequence - wanted), step.sequence)), len(planned) > 1


def _why_not(of_item: list[Step], result: Result) -> str:
    if not of_item:
        return "the item has no routing"
    if result.sequence is None:
        return "operation not planned"
    own = [step for step in of_item if step.routing == result.routing]
    taken = any(step.sequence == result.sequence for step in own or of_item)
    return "another operation at this sequence" if taken else "no step at this sequence"
