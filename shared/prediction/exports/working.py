"""A planner's working copies: routings as they were edited, in the shape that every form of an export is written from.

What only a model can say of a routing (probability, similarity, intervals, samples) is None in them.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.prediction.answers import SIGNATURE_SEPARATOR, ItemCode, Quantity, Totals
from shared.prediction.exports.text import lawful
from shared.prediction.time_summary import Amount, SummaryOperation, summarise_times

MAX_COPIES = 1_000
MAX_COPY_OPERATIONS = 100
WORKING_COPY = "working_copy"  # the status of its entry
PLANNER: Final = "planner"  # the source of its routing


def _writable(text: str) -> str:
    """Refuse what a workbook or XML cannot hold, so that every form holds the same text."""
    if any(unicodedata.category(character) == "Cc" for character in text) or lawful(text) != text:
        raise ValueError("must hold no control characters and no half characters")
    return text


def _nothing_is_none(text: str) -> str | None:
    """A table has one empty cell for both."""
    return text or None


_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_writable)]
_OptionalText = Annotated[_Text, AfterValidator(_nothing_is_none)] | None
_Code = Annotated[_Text, Field(min_length=1)]


class CopyOperation(BaseModel):
    """One operation as a planner left it; setup, wait, move and queue minutes are per order, run per piece."""

    model_config = ConfigDict(extra="forbid")

    sequence: Annotated[int, Field(ge=0, le=10**9)]
    operation_code: _Code
    operation_name: _OptionalText = None
    resource_code: _OptionalText = None
    inside: bool | None = Field(None, description="in-house; false is outsourced")
    setup_minutes: Amount | None = None
    run_minutes_per_unit: Amount | None = None
    wait_minutes: Amount | None = None
    move_minutes: Amount | None = None
    queue_minutes: Amount | None = None


class WorkingCopy(BaseModel):
    """One item's routing as a planner left it."""

    model_config = ConfigDict(extra="forbid")

    item_code: Annotated[ItemCode, AfterValidator(_writable)]
    quantity: Quantity = 1.0
    operations: Annotated[list[CopyOperation], Field(min_length=1, max_length=MAX_COPY_OPERATIONS)]


class WorkingCopies(BaseModel):
    """The body of `POST /api/routings/exports/{form}`."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[WorkingCopy], Field(min_length=1, max_length=MAX_COPIES)]
    model_version: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="the version that the copies began from; named in the file where its form has a place for it"
    )


@dataclass(frozen=True, kw_only=True)
class WorkingMinutes:
    """A time that a person wrote: no interval, and nothing that was planned beside it."""

    value: float | None
    low: None = None
    high: None = None
    planned: None = None


@dataclass(frozen=True, kw_only=True)
class WorkingOperation:
    """One operation, with the members of a predicted one."""

    sequence: int
    operation_code: str
    operation_name: str | None
    resource_code: str | None
    resource_name: None = None
    inside: bool | None
    setup_minutes: WorkingMinutes
    run_minutes_per_unit: WorkingMinutes
    order_minutes: WorkingMinutes  # of an order of the copy's quantity
    optimistic_minutes: None = None
    safe_minutes: None = None
    wait_minutes: float | None
    move_minutes: float | None
    queue_minutes: float | None
    samples: None = None
    trimmed: None = None
    trimmed_mean: None = None
    std: None = None
    confidence: None = None
    supporting: None = None
    disagreeing: None = None
    evidence: Sequence[Any] = ()


@dataclass(frozen=True, kw_only=True)
class WorkingRouting:
    """A routing that a planner wrote, with the members of a candidate."""

    rank: int  # how often its item came before it in the export, and 1
    source: Literal["planner"] = PLANNER
    routing_signature: str
    probability: None = None
    similarity: None = None
    tier: None = None
    operations: Sequence[WorkingOperation]
    totals: Totals
    evidence: Sequence[Any] = field(default=())


def routings_of(copies: Sequence[WorkingCopy]) -> list[WorkingRouting]:
    """Return the routing of every copy."""
    seen: Counter[str] = Counter()
    routings = []
    for copy in copies:
        seen[copy.item_code] += 1
        routings.append(_routing(copy, seen[copy.item_code]))
    return routings


def _routing(copy: WorkingCopy, rank: int) -> WorkingRouting:
    summary = summarise_times([_times(operation) for operation in copy.operations], copy.quantity)
    return WorkingRouting(
        rank=rank,
        routing_signature=SIGNATURE_SEPARATOR.join(operation.operation_code for operation in copy.operations),
        operations=[_operation(operation, copy.quantity) for operation in copy.operations],
        totals=Totals(**{name: minutes for name, minutes in summary.items() if name.endswith("_minutes")}),
    )


def _times(operation: CopyOperation) -> SummaryOperation:
    known = operation.model_dump(exclude_none=True, include=set(SummaryOperation.__dataclass_fields__))
    return SummaryOperation(**known)


def _operation(operation: CopyOperation, quantity: float) -> WorkingOperation:
    setup, run = operation.setup_minutes, operation.run_minutes_per_unit
    of_order = None if setup is None and run is None else (setup or 0.0) + (run or 0.0) * quantity
    return WorkingOperation(
        sequence=operation.sequence, operation_code=operation.operation_code, operation_name=operation.operation_name,
        resource_code=operation.resource_code, inside=operation.inside, setup_minutes=WorkingMinutes(value=setup),
        run_minutes_per_unit=WorkingMinutes(value=run), order_minutes=WorkingMinutes(value=of_order),
        wait_minutes=operation.wait_minutes, move_minutes=operation.move_minutes,
        queue_minutes=operation.queue_minutes,
    )  # fmt: skip
