"""Reading a profile's YAML file with the line of each of its fields."""

from pathlib import Path
from typing import Any

import yaml

from shared.erp.profiles.errors import Location, dotted
from shared.errors import ProfileError


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
    lines: dict[Location, int] = {}
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _note_lines(node, (), lines, path)  # first: constructing merges what `<<` names into the node
        return loader.construct_document(node), lines
    except yaml.YAMLError as error:
        raise ProfileError(f"{path} is not valid YAML: {_where(error)}", remedy="Correct that line.") from error
    except ValueError as error:  # a day that no calendar has
        raise ProfileError(
            f"{path} holds a value that cannot be read: {error}.", remedy="Put it in quotes, or correct it."
        ) from error


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
                    f"{path}, line {key.start_mark.line + 1}: {dotted(here)} stands there twice.",
                    remedy=f"Keep one of it and line {lines[here]}.",
                )
            lines[here] = key.start_mark.line + 1
            _note_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*at, index), lines, path)
