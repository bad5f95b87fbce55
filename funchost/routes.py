"""ASP.NET route templates: `{x}`, `{x?}`, `{*x}` and inline constraints, matched without regard to case."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

_PARAMETER = re.compile(
    r"^(?P<all>\*{1,2})?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<constraints>(?::[^?=]+)?)(?P<optional>\?)?$"
)
_GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SIMPLE = {
    "int": r"[+-]?0{0,99}\d{1,10}",
    "long": r"[+-]?0{0,99}\d{1,19}",
    "bool": r"(?:true|false)",
    "alpha": r"[a-z]*",
    "guid": rf"(?:{_GUID}|\{{{_GUID}\}}|\({_GUID}\)|[0-9a-f]{{32}})",
    "decimal": r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+)[+-]?",
    "double": r"(?:[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|-?infinity)",
    "float": r"(?:[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|-?infinity)",
    "required": r"[^/]+",
}
_WITH_LENGTH = re.compile(r"^(length|minlength|maxlength)\(\s*(\d{1,9})\s*(?:,\s*(\d{1,9})\s*)?\)$")
_WITH_NUMBER = re.compile(r"^(min|max|range)\(\s*([+-]?\d{1,18})\s*(?:,\s*([+-]?\d{1,18})\s*)?\)$")
_TAKES_TWO = {"length": (1, 2), "range": (2, 2)}
_SLASH = re.compile(r"(%2[fF])")
_RESERVED = ("admin", "runtime")

Check = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True)
class Route:
    """A compiled template."""

    template: str
    pattern: re.Pattern[str]
    checks: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    is_literal: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route values of a path without leading slash, or None; absent optional ones are left out.

        A slash at the end counts for nothing, but a catch-all takes it.
        """
        found = self.pattern.fullmatch(path)
        if found is None and path.endswith("/"):
            found = self.pattern.fullmatch(path[:-1])
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        for name, checks in self.checks.items():
            if name in values and not all(check(values[name]) for check in checks):
                return None
        return values


def full_template(prefix: str, route: str) -> str:
    """Join the route prefix and a function's route."""
    return "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)


def check_not_reserved(route: str) -> None:
    """Refuse a route that begins like the host's own.

    Raises:
        ValueError: it does.
    """
    if route.strip("/").lower().startswith(_RESERVED):
        raise ValueError(f"the route {route!r} begins with a name that the host keeps for itself (admin, runtime)")


def decoded_path(raw_path: bytes) -> str:
    """Return a request's path decoded as Kestrel does, without its first slash: an encoded one (`%2F`) stays as it is.

    So a value with a slash in it is one segment; the function decodes it.
    """
    path = raw_path.decode("latin-1")
    if "%" in path:
        path = "".join(part if part.lower() == "%2f" else unquote(part) for part in _SLASH.split(path))
    return path.removeprefix("/")


def compile_route(template: str) -> Route:
    """Compile a whole template, prefix included.

    Raises:
        ValueError: a segment cannot be read, or uses a default value or an unknown constraint.
    """
    segments = [segment for segment in template.strip("/").split("/") if segment]
    pattern, checks = "", dict[str, tuple[Check, ...]]()
    for position, segment in enumerate(segments):
        separator = "/" if position else ""
        if "{" not in segment and "}" not in segment:
            pattern += separator + _literal(template, segment)
            continue
        piece, catches_all, optional = _segment(template, segment, checks)
        if catches_all and position != len(segments) - 1:
            raise ValueError(f"the route {template!r} has {segment} before its end; a catch-all must come last")
        if optional and position != len(segments) - 1:
            raise ValueError(f"the route {template!r} has the optional {segment} before its end")
        if catches_all:
            pattern += f"(?:{separator}{piece})?" if separator else piece
        elif optional:
            pattern += f"(?:{separator}{piece})?"
        else:
            pattern += separator + piece
    compiled = re.compile(pattern, re.IGNORECASE | re.DOTALL)
    return Route(template=template, pattern=compiled, checks=checks, is_literal=not compiled.groupindex)


def _literal(template: str, text: str) -> str:
    if "}" in text:
        raise ValueError(f"the route {template!r} has a brace that was not opened")
    if "?" in text:
        raise ValueError(f"the route {template!r} has a question mark outside of braces; no path holds one")
    return re.escape(text)


def _segment(template: str, segment: str, checks: dict[str, tuple[Check, ...]]) -> tuple[str, bool, bool]:
    """Return the regular expression of one segment with parameters, and whether it catches all or is optional."""
    tokens = _split(template, segment)
    catches_all = optional = False
    piece = ""
    for is_parameter, text in tokens:
        if not is_parameter:
            piece += _literal(template, text)
            continue
        match = _PARAMETER.match(text)
        if match is None:
            reason = "default values are not supported" if "=" in text else "it cannot be read"
            raise ValueError(f"the route {template!r} holds {{{text}}}: {reason}")
        catches_all, optional = bool(match["all"]), bool(match["optional"])
        if (catches_all or optional) and len(tokens) > 1:
            raise ValueError(f"the route {template!r} mixes {{{text}}} with other text in one segment")
        if f"(?P<{match['name']}>" in piece or match["name"] in checks:
            raise ValueError(f"the route {template!r} uses the name {match['name']} twice")
        expression, extra = _constraints(template, match["constraints"], ".*" if catches_all else "[^/]+")
        checks[match["name"]] = extra
        piece += f"(?P<{match['name']}>{expression})"
    return piece, catches_all, optional


def _split(template: str, segment: str) -> list[tuple[bool, str]]:
    tokens: list[tuple[bool, str]] = []
    position = 0
    while position < len(segment):
        if segment[position] == "{":
            end = _closing(segment, position)
            if end < 0:
                raise ValueError(f"the route {template!r} has a brace that is not closed")
            tokens.append((True, segment[position + 1 : end]))
            position = end + 1
        elif segment[position] == "}":
            raise ValueError(f"the route {template!r} has a brace that was not opened")
        else:
            end = segment.find("{", position)
            end = len(segment) if end < 0 else end
            tokens.append((False, segment[position:end]))
            position = end
    return tokens


def _closing(segment: str, start: int) -> int:
    depth = 0
    for index in range(start, len(segment)):
        depth += {"{": 1, "}": -1}.get(segment[index], 0)
        if depth == 0:
            return index
    return -1


def _constraints(template: str, text: str, anything: str) -> tuple[str, tuple[Check, ...]]:
    expression = anything
    checks: list[Check] = []
    for name in [part for part in re.split(r":(?![^(]*\))", text) if part]:
        lowered = name.lower()
        if lowered in _SIMPLE:
            expression = _SIMPLE[lowered] if expression == anything else expression
            checks.append(_expression_check(_SIMPLE[lowered]))
        elif (match := _WITH_LENGTH.match(lowered) or _WITH_NUMBER.match(lowered)) is not None:
            numbers = [int(text) for text in match.groups()[1:] if text is not None]
            if len(numbers) not in _TAKES_TWO.get(match[1], (1, 1)):
                raise ValueError(f"the route {template!r} gives {match[1]} {len(numbers)} numbers in {name!r}")
            checks.append(_number_check(match[1], numbers[0], numbers[-1]))
        elif lowered.startswith("regex(") and name.endswith(")"):
            checks.append(_search_check(template, name[6:-1].replace("{{", "{").replace("}}", "}")))
        else:
            raise ValueError(f"the route {template!r} uses the constraint {name!r}, which this host does not know")
        if lowered in ("int", "long"):
            limit = 2**31 if lowered == "int" else 2**63
            checks.append(lambda value, limit=limit: -limit <= int(value) < limit)  # type: ignore[misc]
    return expression, tuple(checks)


def _expression_check(expression: str) -> Check:
    compiled = re.compile(expression, re.IGNORECASE | re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _search_check(template: str, expression: str) -> Check:
    try:
        compiled = re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the route {template!r} has a regular expression that cannot be read: {error}") from error
    return lambda value: compiled.search(value) is not None


def _number_check(kind: str, first: int, last: int) -> Check:
    def whole(value: str) -> int | None:
        return int(value) if re.fullmatch(_SIMPLE["long"], value, re.ASCII) else None

    table: dict[str, Check] = {
        "length": lambda value: first <= len(value) <= last,
        "minlength": lambda value: len(value) >= first,
        "maxlength": lambda value: len(value) <= first,
        "min": lambda value: (number := whole(value)) is not None and number >= first,
        "max": lambda value: (number := whole(value)) is not None and number <= first,
        "range": lambda value: (number := whole(value)) is not None and first <= number <= last,
    }
    return table[kind]
