"""The steps of one item's own routing, in the model's terms where the model knows them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from shared.prediction.memory import PLANNED_TIMES, Routings, choose_current, planned_minutes


class Step(NamedTuple):
    """What an operation is called and where it is done, as an answer says it."""

    sequence: int
    operation_code: str
    operation_name: str | None
    resource_code: str | None
    resource_name: str | None
    inside: bool | None


@dataclass(frozen=True, kw_only=True)
class OwnStep:
    """One step of a routing that is not among the model's."""

    step: Step
    task: int  # -1 for an operation that the model has never seen
    resource: int  # -1 for a work centre that it has never seen
    planned: dict[str, float]  # minutes by column, nan where the ERP has none


@dataclass(frozen=True, kw_only=True)
class NewItem:
    """An item that the model's data lacks, as the ERP has it."""

    values: Mapping[str, Any] = field(default_factory=dict)  # by attribute
    steps: tuple[OwnStep, ...] = ()  # of its current routing


def own_steps(frame: pl.DataFrame, routings: Routings, day: date) -> tuple[OwnStep, ...]:
    """Return the steps of one item's current routing on a day; none where no routing is valid.

    Args:
        frame: canonical steps of all its routings.
        routings: the model's.
        day: the day on which a routing must be valid.
    """
    chosen = choose_current(frame, day).filter("chosen")
    times = {name: planned_minutes(chosen[name]) for name in PLANNED_TIMES}
    resources = {code: place for place, code in enumerate(routings.resources)}
    seen: Counter[str] = Counter()
    steps = []
    for place, row in enumerate(chosen.iter_rows(named=True)):
        code = row["operation_code"]
        steps.append(
            OwnStep(
                step=Step(
                    row["sequence"] or 0, code, row["operation_name"], row["resource_code"], row["resource_name"],
                    row["inside"],
                ),
                task=routings.task_of(code, seen[code]), resource=resources.get(row["resource_code"], -1),
                planned={name: float(values[place]) for name, values in times.items()},
            )
        )  # fmt: skip
        seen[code] += 1
    return tuple(steps)
