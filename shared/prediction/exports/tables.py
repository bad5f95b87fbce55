"""Predictions as tables: their columns, and the rows of one entry.

Minutes are per order but for `run_…`, which are per piece; `low` and `high` bound the 80 % interval.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shared.prediction.answers import Candidate, Minutes, PredictedOperation
from shared.prediction.exports.entries import Entry
from shared.prediction.exports.working import WorkingMinutes, WorkingOperation, WorkingRouting

Cell = str | float | int | bool | None
Row = tuple[Cell, ...]

_ITEM = ("item_code", "status", "message", "quantity")
_CANDIDATE = ("candidate", "source", "routing_signature", "probability", "similarity", "tier")
_TOTALS = ("setup_minutes", "run_minutes", "wait_minutes", "move_minutes", "queue_minutes", "lead_minutes")
_OPERATION = (
    "sequence", "operation_code", "operation_name", "resource_code", "resource_name", "inside",
    "setup_minutes", "setup_low", "setup_high", "setup_planned",
    "run_minutes_per_unit", "run_low", "run_high", "run_planned",
    "order_minutes", "order_low", "order_high", "order_planned", "optimistic_minutes", "safe_minutes",
    "wait_minutes", "move_minutes", "queue_minutes", "samples", "trimmed", "trimmed_mean", "std", "confidence",
    "supporting", "disagreeing", "evidence",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of an export."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[Entry], Iterable[Row]]  # of one entry, each as long as `columns`


def _item_cells(entry: Entry) -> Row:
    return entry.item_code, entry.status, entry.message, entry.quantity


def _candidate_cells(candidate: Candidate | WorkingRouting) -> Row:
    return (
        candidate.rank, str(candidate.source), candidate.routing_signature, candidate.probability,
        candidate.similarity, None if candidate.tier is None else str(candidate.tier),
    )  # fmt: skip


def _minutes_cells(minutes: Minutes | WorkingMinutes) -> Row:
    return minutes.value, minutes.low, minutes.high, minutes.planned


def _operation_cells(operation: PredictedOperation | WorkingOperation) -> Row:
    return (
        operation.sequence, operation.operation_code, operation.operation_name, operation.resource_code,
        operation.resource_name, operation.inside, *_minutes_cells(operation.setup_minutes),
        *_minutes_cells(operation.run_minutes_per_unit), *_minutes_cells(operation.order_minutes),
        operation.optimistic_minutes, operation.safe_minutes, operation.wait_minutes, operation.move_minutes,
        operation.queue_minutes, operation.samples, operation.trimmed, operation.trimmed_mean, operation.std,
        operation.confidence, operation.supporting, operation.disagreeing, _supports(operation),
    )  # fmt: skip


def _supports(operation: PredictedOperation | WorkingOperation) -> str:
    """Return who speaks for an operation and who against it, in words."""
    return "; ".join(
        f"{each['item_code']} ({each['orders']} order{'' if each['orders'] == 1 else 's'})"
        if each["supports"]
        else f"not {each['item_code']}"
        for each in operation.evidence
    )


def _because(candidate: Candidate | WorkingRouting) -> str:
    """Return the items that a candidate rests on, each with what makes it similar."""
    said = []
    for item in candidate.evidence:
        parts = ", ".join(f"{part['attribute']} {part['contribution']:.2f}" for part in item.because[:3])
        said.append(f"{item.item_code} {item.similarity:.2f}" + (f" ({parts})" if parts else ""))
    return "; ".join(said)


def _flat_rows(entry: Entry) -> Iterator[Row]:
    item = _item_cells(entry)
    if not entry.candidates:
        yield (*item, *([None] * (len(_CANDIDATE) + len(_OPERATION))))
    for candidate in entry.candidates:
        cells = (*item, *_candidate_cells(candidate))
        yield from ((*cells, *_operation_cells(operation)) for operation in candidate.operations)


def _operation_rows(entry: Entry) -> Iterator[Row]:
    for candidate in entry.candidates:
        cells = (entry.item_code, entry.quantity, candidate.rank)
        yield from ((*cells, *_operation_cells(operation)) for operation in candidate.operations)


def _candidate_rows(entry: Entry) -> Iterator[Row]:
    item = _item_cells(entry)
    if not entry.candidates:
        yield (*item, *([None] * (len(_CANDIDATE) + len(_TOTALS) + 2)))
    for candidate in entry.candidates:
        totals = candidate.totals
        yield (
            *item, *_candidate_cells(candidate), len(candidate.operations), totals.setup_minutes, totals.run_minutes,
            totals.wait_minutes, totals.move_minutes, totals.queue_minutes, totals.lead_minutes, _because(candidate),
        )  # fmt: skip


FLAT = Table(name="predictions", columns=(*_ITEM, *_CANDIDATE, *_OPERATION), rows=_flat_rows)
OPERATIONS = Table(name="operations", columns=("item_code", "quantity", "candidate", *_OPERATION), rows=_operation_rows)
CANDIDATES = Table(
    name="candidates", columns=(*_ITEM, *_CANDIDATE, "operations", *_TOTALS, "because"), rows=_candidate_rows
)
