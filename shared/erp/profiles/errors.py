"""Turning a profile's validation failures into sentences a planner can act on: file, line, field, what to write."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from shared.errors import ProfileError

Location = tuple[str | int, ...]
# What pydantic calls a failure, to what a person has to write instead; {value} is what stands there.
_SAID = {
    "missing": "this field is missing",
    "string_type": "{value} is no text; put it in quotes",
    "bool_type": "{value} is neither true nor false",
    "bool_parsing": "{value} is neither true nor false",
    "float_type": "{value} is no number",
    "float_parsing": "{value} is no number",
    "int_type": "{value} is no whole number",
    "int_parsing": "{value} is no whole number",
    "int_from_float": "{value} is no whole number",
    "tuple_type": "{value} is no list; write [first, second]",
    "dict_type": "{value} stands where fields (name: value) belong",
    "model_type": "{value} stands where fields (name: value) belong",
    "model_attributes_type": "{value} stands where fields (name: value) belong",
    "greater_than": "{value} is too small: it must be more than {gt}",
    "greater_than_equal": "{value} is too small: it must be at least {ge}",
    "less_than_equal": "{value} is too large: it must be at most {le}",
    "string_too_long": "{value} is too long: at most {max_length} character(s)",
    "string_too_short": "an empty text",
    "too_short": "nothing is listed here",
    "string_pattern_mismatch": "{value} is no name: letters, digits and _ (a profile's: lower case, digits, - and _)",
}
_SHOWN_LENGTH = 40


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" (did you mean ...?)"` for the known name most like `name`, or an empty text."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    longer = [candidate for candidate in by_folded if folded and candidate.startswith(folded)]
    close = longer[:1] or get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


def dotted(location: Location) -> str:
    """Return a field's place as text, such as `items.columns.item_code`."""
    return ".".join(str(part) for part in location)


def explain(
    error: ValidationError, model: type[BaseModel], *, source: str, lines: Mapping[Location, int]
) -> ProfileError:
    """Return the `ProfileError` that names file, line, field and the nearest known name for each failure."""
    problems: list[dict[str, Any]] = []
    for failure in error.errors(include_url=False):
        location = tuple(failure["loc"])
        location = location[:-2] if location[-1:] == ("[key]",) else location  # a key is shown by where it stands
        problem = {
            "field": dotted(location) or "(document)",
            "line": lines.get(_known_part(location, lines)),
            "message": _message(dict(failure), location, model),
        }
        if problem not in problems:
            problems.append(problem)
    said = "; ".join(_sentence(problem) for problem in problems)
    return ProfileError(f"{source}: {said}.", remedy="docs/PROFILES.md explains every field.", errors=problems)


def _message(failure: dict[str, Any], location: Location, model: type[BaseModel]) -> str:
    kind, value = failure["type"], failure.get("input")
    if kind == "extra_forbidden":
        return _unknown_field(location, model)
    if kind in ("literal_error", "enum"):
        expected = str(failure["ctx"]["expected"])
        known = [name.strip("' ") for name in expected.replace(" or ", ",").split(",")]
        return f"{_shown(value)} is not known here{nearest(str(value), known)}; known are {expected}"
    if kind in _SAID:
        return _SAID[kind].format(value=_shown(value), **failure.get("ctx", {}))
    return str(failure["msg"]).removeprefix("Value error, ")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a group of fields"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"


def _unknown_field(location: Location, model: type[BaseModel]) -> str:
    name = str(location[-1])
    close = nearest(name, _fields_at(model, location[:-1]))
    elsewhere = sorted(_places_of(name, model), key=lambda place: (place[0] != location[0], len(place), place))
    if close or not elsewhere:
        return f"unknown field{close}"
    return f"unknown field here; it belongs to {dotted(elsewhere[0][:-1]) or 'the top'}"


def _sentence(problem: dict[str, Any]) -> str:
    line = f" (line {problem['line']})" if problem["line"] else ""
    return f"{problem['field']}{line}: {problem['message']}"


def _known_part(location: Location, lines: Mapping[Location, int]) -> Location:
    while location and location not in lines:
        location = location[:-1]
    return location


def _fields_at(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    """Return the field names of the model that stands at `location` below `model`."""
    current: Any = model
    names_are_free = False  # the next part is a key of a dictionary or an index, not a field's name
    for part in location:
        if names_are_free or isinstance(part, int):
            names_are_free = False
            continue
        field = current.model_fields.get(part) if _is_model(current) else None
        current = None if field is None else _model_in(field.annotation)
        names_are_free = field is not None and get_origin(field.annotation) is dict
    return tuple(current.model_fields) if _is_model(current) else ()


def _places_of(name: str, model: type[BaseModel], at: Location = ()) -> Iterator[Location]:
    """Yield every place below `model` where a field of this name belongs; a free name is shown as `NAME`."""
    for field_name, field in model.model_fields.items():
        if field_name == name:
            yield (*at, name)
        inner = _model_in(field.annotation)
        if inner is not None:
            free = ("NAME",) if get_origin(field.annotation) is dict else ()
            yield from _places_of(name, inner, (*at, field_name, *free))


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _model_in(annotation: Any) -> Any:
    """Return the model that an annotation is or holds, or None."""
    if _is_model(annotation):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
