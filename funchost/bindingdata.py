"""What the `{name}` places in the paths of bindings stand for in one invocation."""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.-]*)\}|\{|\}")


class BindingData:
    """Values by name, without regard to case: texts, and objects whose members a dotted name reaches."""

    def __init__(self, *layers: Mapping[str, Any]) -> None:
        self._values: dict[str, Any] = {}
        for layer in layers:  # a later one wins
            self._values.update({name.lower(): value for name, value in layer.items()})

    def find(self, name: str) -> str | None:
        """Return the text that a name stands for, None when it stands for nothing."""
        lower = name.lower()
        if lower in ("rand-guid", "sys.randguid"):
            return str(uuid.uuid4())
        if lower == "datetime" and lower not in self._values:
            return datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        first, *rest = lower.split(".")
        value = self._values.get(first)
        for member in rest:
            value = _lowered(value).get(member)
        return None if isinstance(value, Mapping) else as_text(value)


def fill(text: str, data: BindingData) -> str:
    """Put values into the `{name}` places of a path or a queue's name; `{{` and `}}` are real braces.

    Raises:
        ValueError: a name has no value.
    """

    def value_of(place: re.Match[str]) -> str:
        if place.group() in ("{{", "}}"):
            return place.group()[0]
        found = None if place.group(1) is None else data.find(place.group(1))
        if found is None:
            raise ValueError(f"{text!r} uses {place.group()}, which this invocation gives no value for")
        return found

    return _PLACE.sub(value_of, text)


def properties_of(text: str) -> dict[str, Any]:
    """Return the members of a text that is a JSON object: scalars as texts, objects as they are, no lists."""
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return {}
    try:
        document = json.loads(stripped)
    except (ValueError, RecursionError):  # what is no JSON, or nested beyond sense, is a text like any other
        return {}
    found = {name: value if isinstance(value, dict) else as_text(value) for name, value in document.items()}
    return {name: value for name, value in found.items() if value is not None}


def datum_of(value: Any) -> dict[str, str]:
    """Return a value in the form of trigger metadata: a text as it is, anything else as JSON."""
    is_text = isinstance(value, str)
    return {"type": "string" if is_text else "json", "value": value if is_text else json.dumps(value)}


def as_text(value: Any) -> str | None:
    """Return a scalar as the Functions host writes it; None for what is no scalar."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value) if isinstance(value, str | int) else None


def _lowered(value: Any) -> dict[str, Any]:
    return {str(name).lower(): member for name, member in value.items()} if isinstance(value, Mapping) else {}
