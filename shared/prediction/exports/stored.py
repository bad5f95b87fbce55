"""Answers as the prediction log stored them, read back for showing and exporting."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.tables import ModelVersion, Prediction
from shared.errors import NotFound
from shared.prediction.answers import ItemPrediction
from shared.prediction.exports.entries import Entry, Head, entry_of


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """The answer to one request, as it was given."""

    head: Head
    entries: list[Entry]
    fingerprint: str | None  # of the data that the answering version was trained on; None when the version is gone


def find_stored(engine: Engine, prediction_id: str) -> StoredAnswer | None:
    """Return a stored answer with its items in the order in which they were asked, or None where there is none.

    Raises:
        NotFound: it was stored by another release in a form that this one cannot read.
    """
    asked = select(Prediction).where(col(Prediction.prediction_id) == prediction_id).order_by(col(Prediction.id))
    with reading(engine) as session:
        rows = list(session.exec(asked).all())
        version = session.get(ModelVersion, rows[0].model_version) if rows else None
    if not rows:
        return None
    head = Head(
        model_version=rows[0].model_version,
        data_as_of=version.data_as_of if version else None,
        as_if_unknown=rows[0].as_if_unknown,
        prediction_id=prediction_id,
        created_at=rows[0].created_at,
    )
    return StoredAnswer(
        head=head, entries=[_entry(row) for row in rows], fingerprint=version.fingerprint if version else None
    )


def _entry(row: Prediction) -> Entry:
    try:
        answer = TypeAdapter(ItemPrediction).validate_python(row.answer)
    except ValidationError as unreadable:
        raise NotFound(
            f"The prediction {row.prediction_id} was stored by another release and cannot be read.",
            remedy="Ask for the items' predictions again.",
        ) from unreadable
    return entry_of(answer, row.quantity)
