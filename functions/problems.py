"""Problem documents (RFC 9457): the one place where an error becomes an HTTP answer."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.errors import InvalidInput, MalformedRequest, RoutingError

PROBLEM_TYPE = "application/problem+json"
LONGEST_NAME = 100  # of a caller's own names, which an answer repeats
MOST_FIELDS = 50
_UNION_OBJECT = "Measure"  # the one member with fields of its own
_UNION_MEMBERS = frozenset({"str", "constrained-str", "float", "int", "bool", _UNION_OBJECT})


def problem_document(error: RoutingError, *, request_id: str, instance: str) -> dict[str, Any]:
    """Describe `error` for the caller; `code` is stable, `detail` and `remedy` are for people."""
    document: dict[str, Any] = {
        "type": f"urn:routing-ml:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "instance": instance[:500],
    }
    if error.remedy:
        document["remedy"] = error.remedy
    return document | error.facts


def from_validation(error: ValidationError) -> RoutingError:
    """Turn pydantic's findings into one error that names every field; broken JSON is malformed, not invalid."""
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    for finding in findings:
        if finding["type"] == "json_invalid":
            reason = finding["msg"].removeprefix("Invalid JSON: ")
            return MalformedRequest(f"The body is not JSON: {reason}.", remedy="Send a JSON document.")
    messages: dict[str, list[str]] = {}
    for finding in findings:
        messages.setdefault(_field_of(finding), []).append(finding["msg"])
    errors = [{"field": field, "message": "; ".join(said)} for field, said in list(messages.items())[:MOST_FIELDS]]
    named = ", ".join(entry["field"] for entry in errors[:5]) + (", ..." if len(messages) > 5 else "")
    return InvalidInput(f"{len(messages)} value(s) break a rule: {named}.", errors=errors)


def _field_of(finding: ErrorDetails) -> str:
    """Name the field of a finding; a value that fits no member of a union fails once for each, at the field's end."""
    location = finding["loc"]
    if finding["type"] != "extra_forbidden" and len(location) > 1 and location[-1] in _UNION_MEMBERS:
        location = location[:-1]
    elif len(location) > 2 and location[-2] == _UNION_OBJECT:
        location = (*location[:-2], location[-1])
    return field_path(location)


def field_path(location: tuple[int | str, ...]) -> str:
    """Write a pydantic location as a path such as `items[3].attributes.OUTDIAMETER`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part[:LONGEST_NAME]}" if path else part[:LONGEST_NAME]
    return path or "body"
