"""What an export holds: a head, and one entry for each asked item, whether or not it got a routing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.prediction.answers import Candidate, ItemPrediction
from shared.prediction.exports.working import WORKING_COPY, WorkingCopy, WorkingRouting, routings_of

INVALID = "invalid"  # the status of an item of a batch whose own values break a rule


@dataclass(frozen=True, kw_only=True)
class Head:
    """Where the predictions of an export come from."""

    model_version: str | None
    data_as_of: datetime | None = None  # when the model's data was read
    as_if_unknown: bool = False
    prediction_id: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One item's answer, and the pieces of the order that its minutes are for."""

    item_code: str
    status: str
    quantity: float | None
    candidates: Sequence[Candidate | WorkingRouting] = ()
    message: str | None = None


def entries_of_copies(copies: Sequence[WorkingCopy]) -> list[Entry]:
    """Return the entry of every working copy."""
    return [
        Entry(item_code=copy.item_code, status=WORKING_COPY, quantity=copy.quantity, candidates=(routing,))
        for copy, routing in zip(copies, routings_of(copies), strict=True)
    ]


def entry_of(answer: ItemPrediction, quantity: float) -> Entry:
    """Return the entry of one answered item."""
    return Entry(
        item_code=answer.item_code,
        status=str(answer.status),
        quantity=quantity,
        candidates=tuple(answer.candidates),
        message=answer.message,
    )
