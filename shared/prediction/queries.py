"""From a query's attributes to the values that the encoder takes; whatever is wrong is named by its field."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.units import factor, known_units
from shared.errors import InvalidInput
from shared.prediction.answers import MAX_TEXT, Measure

_LARGEST_SIZE = 1e15


def attribute_values(
    attributes: Sequence[Attribute], given: Mapping[str, Any], field: str
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the given attributes' values by name, and one error for each attribute that is wrong."""
    known = {attribute.name: attribute for attribute in attributes}
    values: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for name, value in given.items():
        attribute = known.get(name)
        part = ""
        if attribute is None:
            message: str | None = f"No attribute has this name; the model knows {', '.join(sorted(known))}."
        else:
            own, message = _in_own_unit(attribute, value)
            part = "" if message is None else ".unit"
            if message is None:
                values[name], message = _value(attribute, own)
        if message is not None:
            errors.append({"field": f"{field}.{name[:100]}{part}", "message": message})
    return values, errors


def invalid_attributes(errors: Sequence[dict[str, str]]) -> InvalidInput:
    """Return the error that names every wrong attribute."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InvalidInput(
        f"{first['field']}: {first['message']}{more}",
        remedy="Correct or leave out the named attributes and ask again.",
        errors=list(errors),
    )


def _in_own_unit(attribute: Attribute, value: Any) -> tuple[Any, str | None]:
    """Return a size that names its unit in the attribute's unit, and any other value as it is."""
    if not isinstance(value, Measure) or attribute.kind is not AttributeKind.NUMERIC:
        return value, None
    if attribute.unit is None:
        return None, "This attribute has no unit; give a plain number."
    times = factor(value.unit, attribute.unit)
    if times is None:
        return (
            None,
            f"No unit that can be read as {attribute.unit} is spelled so; known are {', '.join(known_units())}.",
        )
    return value.value * times, None


def _value(attribute: Attribute, value: Any) -> tuple[Any, str | None]:
    if value is None:
        return None, None
    if isinstance(value, float) and not math.isfinite(value):
        return None, "Must be a finite number, not NaN or infinity."
    match attribute.kind:
        case AttributeKind.NUMERIC:
            return _size(attribute, value)
        case AttributeKind.DATE:
            return _day(value)
    return _text(value)


def _size(attribute: Attribute, value: Any) -> tuple[float | None, str | None]:
    unit = f" in {attribute.unit}" if attribute.unit else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, f"Must be a number{unit}, not {_kind(value)}."
    if abs(value) > _LARGEST_SIZE:
        return None, f"Must be a number{unit} of at most {_LARGEST_SIZE:g}."
    return (None if value == 0 and attribute.zero_is_unknown else float(value)), None


def _day(value: Any) -> tuple[date | None, str | None]:
    if isinstance(value, datetime):
        return value.date(), None
    if isinstance(value, date):
        return value, None
    if isinstance(value, str):
        if not value.strip():
            return None, None
        try:
            return datetime.fromisoformat(value.strip()).date(), None
        except ValueError:
            return None, "Must be a day such as 2026-03-31."
    return None, f"Must be a day such as 2026-03-31, not {_kind(value)}."


def _text(value: Any) -> tuple[str | None, str | None]:
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return None, f"Must have at most {MAX_TEXT} characters."
        return (value.strip() or None), None
    if isinstance(value, bool | int) and abs(value) <= _LARGEST_SIZE:
        return str(value), None
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() and abs(value) <= _LARGEST_SIZE else repr(value)), None
    return None, f"Must be text, not {_kind(value)}."


def _kind(value: Any) -> str:
    names = {
        str: "text",
        bool: "true or false",
        int: "so large a number",
        list: "a list",
        dict: "an object",
        Measure: "a size with a unit",
    }
    return names.get(type(value), type(value).__name__)
