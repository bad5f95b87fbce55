"""Problem documents (RFC 9457): the one place where an error becomes an HTTP answer."""

from typing import Any

from pydantic import ValidationError

from shared.errors import InvalidInput, MalformedRequest, RoutingError

PROBLEM_TYPE = "application/problem+json"


def problem_document(error: RoutingError, *, request_id: str, instance: str) -> dict[str, Any]:
    """Describe `error` for the caller; `code` is stable, `detail` and `remedy` are for people."""
    document: dict[str, Any] = {
        "type": f"urn:routing-ml:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "instance": instance,
    }
    if error.remedy:
        document["remedy"] = error.remedy
    return document | error.facts


def from_validation(error: ValidationError) -> RoutingError:
    """Turn pydantic's findings into one error that names every field; broken JSON is malformed, not invalid."""
    findings = error.errors(include_url=False, include_context=False, include_input=False)
    if any(finding["type"] == "json_invalid" for finding in findings):
        return MalformedRequest(f"The body is not JSON: {findings[0]['msg']}.", remedy="Send a JSON document.")
    errors = [{"field": field_path(finding["loc"]), "message": finding["msg"]} for finding in findings[:50]]
    named = ", ".join(sorted({entry["field"] for entry in errors})[:5])
    return InvalidInput(f"{len(findings)} value(s) break a rule: {named}.", errors=errors)


def field_path(location: tuple[int | str, ...]) -> str:
    """Write a pydantic location as a path such as `items[3].attributes.OUTDIAMETER`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in {"str", "float", "int", "bool"}:  # the members of a union are no fields
            path += f".{part}" if path else part
    return path or "body"
