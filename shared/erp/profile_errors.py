"""Reading a profile's YAML with line numbers, and turning validation failures into sentences a planner can act on."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from shared.errors import ProfileError

Location = tuple[str | int, ...]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" (did you mean ...?)"` for the known name most like `name`, or an empty text."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    longer = [candidate for candidate in by_folded if candidate.startswith(name.casefold())]
    close = longer[:1] or get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


def read_document(path: Path) -> tuple[Any, dict[Location, int]]:
    """Return a YAML file's content and the line of each of its fields.

    Raises:
        ProfileError: the file is missing, is no YAML, or states a field twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ProfileError(f"There is no profile file {path}.", remedy="Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} cannot be read: {error}.", remedy="Save it as UTF-8 text.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not valid YAML: {_where(error)}", remedy="Correct that line.") from error
    lines: dict[Location, int] = {}
    if node is not None:
        _note_lines(node, (), lines, path)
    return document, lines


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}."
    return f"{error}."


def _note_lines(node: yaml.Node, at: Location, lines: dict[Location, int], path: Path) -> None:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise ProfileError(
                    f"{path}, line {key.start_mark.line + 1}: {_dotted(here)} stands there twice.",
                    remedy=f"Keep one of it and line {lines[here]}.",
                )
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*at, index), lines, path)


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def explain(error: ValidationError, model: type[BaseModel], *, source: str, lines: dict[Location, int]) -> ProfileError:
    """Return the `ProfileError` that names file, line, field and the nearest known name for each failure."""
    problems = []
    for failure in error.errors(include_url=False):
        location = tuple(failure["loc"])
        shown = _known_part(location, lines)
        line = lines.get(shown)
        message = failure["msg"].removeprefix("Value error, ")
        if failure["type"] == "extra_forbidden":
            message = f"unknown field{nearest(str(location[-1]), _fields_at(model, location[:-1]))}"
        elif failure["type"] == "missing":
            message = "this field is missing"
        problems.append({"field": _dotted(location) or "(document)", "line": line, "message": message})
    said = "; ".join(_sentence(problem) for problem in problems)
    return ProfileError(f"{source}: {said}.", remedy="docs/PROFILES.md explains every field.", errors=problems)


def _sentence(problem: dict[str, Any]) -> str:
    line = f" (line {problem['line']})" if problem["line"] else ""
    return f"{problem['field']}{line}: {problem['message']}"


def _known_part(location: Location, lines: dict[Location, int]) -> Location:
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


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _model_in(annotation: Any) -> Any:
    """Return the model that an annotation is or holds, or None."""
    if _is_model(annotation):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
