"""One row of a batch, whatever file it came from."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.prediction.answers import ItemQuery, Quantity

_QUANTITY: TypeAdapter[float] = TypeAdapter(Quantity)


@dataclass(frozen=True, kw_only=True)
class BatchRow:
    """One asked item: a query with its order's pieces, or what is wrong with the row."""

    number: int  # as a spreadsheet program counts, the header being row 1; in JSON, the item's place from 1
    item_code: str
    query: ItemQuery | None
    quantity: float
    problem: str | None = None


def make_row(number: int, item_code: Any, attributes: Any, quantity: Any) -> BatchRow:
    """Return a row of these values; a value that breaks a rule becomes the row's problem and names its field."""
    code = item_code if isinstance(item_code, str) else str(item_code)
    try:
        query = ItemQuery.model_validate({"item_code": item_code, "attributes": attributes}, strict=True)
        pieces = _QUANTITY.validate_python(quantity, strict=True)
    except ValidationError as wrong:
        return refused_row(number, code, _said(wrong))
    return BatchRow(number=number, item_code=query.item_code, query=query, quantity=pieces)


def refused_row(number: int, item_code: str, problem: str) -> BatchRow:
    """Return a row that cannot be asked."""
    return BatchRow(number=number, item_code=item_code[:200], query=None, quantity=0.0, problem=problem)


def _said(wrong: ValidationError) -> str:
    messages: dict[str, str] = {}
    for finding in wrong.errors(include_url=False, include_context=False, include_input=False):
        place = [str(part) for part in finding["loc"]]
        field = place[1] if place[:1] == ["attributes"] and len(place) > 1 else (place or ["quantity"])[0]
        messages.setdefault(field[:100], finding["msg"])
    return "; ".join(f"{field}: {message}" for field, message in list(messages.items())[:5])
