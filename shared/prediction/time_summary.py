"""The time summary: what a list of operations adds up to for an order of some pieces.

One plain loop over dataclasses: from ten to ten thousand operations it is the fastest of those that
`benchmarks/time_summary.py` compares, since gathering columns costs more than adding them up. Operations are pydantic
dataclasses and not models, whose attributes take twice as long to read.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from shared.prediction.answers import Quantity

MAX_OPERATIONS = 10_000

Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class SummaryOperation:
    """One operation's minutes: setup, wait, move and queue of an order, run of a piece."""

    sequence: Annotated[int, Field(ge=0, le=10**9)] | None = None
    operation_code: Annotated[str, Field(max_length=200)] | None = None
    setup_minutes: Amount = 0.0
    run_minutes_per_unit: Amount = 0.0
    wait_minutes: Amount = 0.0
    move_minutes: Amount = 0.0
    queue_minutes: Amount = 0.0


class TimeSummaryRequest(BaseModel):
    """The body of `POST /api/time-summaries`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operations: Annotated[list[SummaryOperation], Field(max_length=MAX_OPERATIONS)]
    quantity: Quantity = 1.0
    include_breakdown: bool = False


class OperationTimes(BaseModel):
    """One operation's share of a summary, for the whole order."""

    model_config = ConfigDict(frozen=True)

    sequence: int | None
    operation_code: str | None
    setup_minutes: float
    run_minutes: float
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    total_minutes: float


class TimeSummaryResponse(BaseModel):
    """The answer of `POST /api/time-summaries`: minutes of one order of the asked quantity."""

    model_config = ConfigDict(frozen=True)

    setup_minutes: float
    run_minutes: float
    wait_minutes: float
    move_minutes: float
    queue_minutes: float
    lead_minutes: float = Field(description="the sum of the five")
    operation_count: int
    breakdown: list[OperationTimes] | None = Field(None, description="present when it was asked for")


def summarise_times(
    operations: Sequence[SummaryOperation], quantity: float = 1.0, include_breakdown: bool = False
) -> dict[str, Any]:
    """Return the members of a `TimeSummaryResponse`; no operations give zeros.

    Args:
        operations: in any order; the breakdown keeps it.
        quantity: pieces of the order; only run minutes grow with it.
        include_breakdown: whether to add each operation's share.
    """
    setup = run = wait = move = queue = 0.0
    breakdown: list[dict[str, Any]] = []
    for operation in operations:
        order_run = operation.run_minutes_per_unit * quantity
        setup += operation.setup_minutes
        run += order_run
        wait += operation.wait_minutes
        move += operation.move_minutes
        queue += operation.queue_minutes
        if include_breakdown:
            breakdown.append(_share(operation, order_run))
    summary: dict[str, Any] = {
        "setup_minutes": setup, "run_minutes": run, "wait_minutes": wait, "move_minutes": move, "queue_minutes": queue,
        "lead_minutes": setup + run + wait + move + queue, "operation_count": len(operations),
    }  # fmt: skip
    if include_breakdown:
        summary["breakdown"] = breakdown
    return summary


def _share(operation: SummaryOperation, order_run: float) -> dict[str, Any]:
    total = (
        operation.setup_minutes + order_run + operation.wait_minutes + operation.move_minutes + operation.queue_minutes
    )
    return {
        "sequence": operation.sequence, "operation_code": operation.operation_code,
        "setup_minutes": operation.setup_minutes, "run_minutes": order_run, "wait_minutes": operation.wait_minutes,
        "move_minutes": operation.move_minutes, "queue_minutes": operation.queue_minutes, "total_minutes": total,
    }  # fmt: skip
