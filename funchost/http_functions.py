"""HTTP functions as the HTTP worker knows them: route, level, plan, and the order in which routes are tried."""

import http.cookies
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as func
from azure.functions.meta import Datum

from funchost.bindingdata import properties_of
from funchost.invocation import Plan
from funchost.logs import LineTemplate
from funchost.routes import Route

RawHeaders = list[tuple[bytes, bytes]]
_MEMORY_LIMIT = 4096
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e]*").fullmatch


@dataclass(frozen=True, kw_only=True)
class HttpFunction:
    """One function that answers requests."""

    plan: Plan
    route: Route
    methods: frozenset[str]
    level: str
    keys: tuple[bytes, ...]  # that open it; none are needed where the level is anonymous
    disabled: bool
    has_outputs: bool
    has_places: bool  # in the paths of its bindings, which each request gives values for
    answered: LineTemplate  # its log line of a request that went well: invocation id, milliseconds, status


def answered_line(function: str) -> LineTemplate:
    """Return the log line of a request that a function has answered."""
    return LineTemplate(
        "info",
        "function.succeeded",
        ids=("invocation_id",),
        numbers=("duration_ms", "status"),
        function=function,
        trigger="http",
        attempt=1,
        outcome="succeeded",
    )


class RouteTable:
    """Functions in the order of their names; the first whose template and method fit answers."""

    def __init__(self, functions: Sequence[HttpFunction]) -> None:
        self._functions = sorted(functions, key=lambda function: function.plan.name.lower())
        self._known: dict[tuple[str, str], HttpFunction] = {}

    def find(self, method: str, path: str) -> tuple[HttpFunction, dict[str, str]] | None:
        """Return the function for a path without leading slash and its route values."""
        known = self._known.get((method, path))
        if known is not None:
            return known, {}
        for function in self._functions:
            if function.methods and method not in function.methods:
                continue
            values = function.route.match(path)
            if values is None:
                continue
            if function.route.is_literal and len(self._known) < _MEMORY_LIMIT:
                self._known[(method, path)] = function
            return function, values
        return None


def parse_query(query: bytes) -> dict[str, str]:
    """Return the query values; empty ones are left out and repeated ones joined by a comma."""
    if not query:
        return {}
    values: dict[str, str] = {}
    spelled: dict[str, str] = {}  # names by their lower case: the first spelling is the one that the function sees
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=False):
        first = spelled.setdefault(name.lower(), name)
        values[first] = f"{values[first]},{value}" if first in values else value
    return values


def shown_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key that a request shows: that of the header, even an empty one, before that of the query."""
    if (key := headers.get("x-functions-key")) is not None:
        return key
    return next((value for name, value in query.items() if name.lower() == "code"), None)


def parse_headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the headers with lower-case names; repeated ones are joined by a comma."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1").lower(), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def name_client(scope: Mapping[str, Any], headers: dict[str, str]) -> None:
    """Add the client's address as the last of `x-forwarded-for`, as the service's front end does."""
    if scope.get("client"):
        address = scope["client"][0]
        before = headers.get("x-forwarded-for")
        headers["x-forwarded-for"] = f"{before}, {address}" if before else address


def request_datum(
    scope: Mapping[str, Any],
    headers: Mapping[str, str],
    query: Mapping[str, str],
    route: Mapping[str, str],
    body: bytes,
) -> Datum:
    """Build the value that the HTTP converter decodes."""
    raw_path = scope.get("raw_path") or scope["path"].encode()
    text = scope["query_string"].decode("latin-1")
    host = headers.get("host", "localhost")
    url = f"{scope['scheme']}://{host}{raw_path.decode('latin-1')}{'?' + text if text else ''}"
    return Datum(
        {
            "method": Datum(scope["method"], "string"),
            "url": Datum(url, "string"),
            "headers": {name: Datum(value, "string") for name, value in headers.items()},
            "query": {name: Datum(value, "string") for name, value in query.items()},
            "params": {name: Datum(value, "string") for name, value in route.items()},
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def given_names(request: Datum) -> dict[str, Any]:
    """Return what a request gives to the `{name}` places of paths: members of its body, query and route values."""
    parts = {
        part: {name: item.value for name, item in request.value[part].items()}
        for part in ("headers", "query", "params")
    }
    body = properties_of(bytes(request.value["body"].value).decode("utf-8", "replace"))
    return {"headers": parts["headers"], "query": parts["query"], **body, **parts["query"], **parts["params"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """Status, headers and body as they go out."""

    status: int
    headers: RawHeaders
    body: bytes


def answer_from(plan: Plan, returned: Any) -> HttpAnswer:
    """Convert what an HTTP function returned.

    Raises:
        TypeError: it returned nothing, or a kind of value that is no HTTP response.
        ValueError: its status or a header cannot be sent.
    """
    answer = _converted(plan, returned)
    if not 200 <= answer.status <= 599:
        raise ValueError(f"function {plan.name!r} answered with status {answer.status}; it must be from 200 to 599")
    for name, value in answer.headers:
        if not _HEADER_NAME(name) or not _HEADER_VALUE(value):
            raise ValueError(
                f"function {plan.name!r} answered with a header that cannot be sent: {name!r}: {value!r}; a name is a "
                "word, and a value holds printable ASCII only"
            )
    return answer


def _converted(plan: Plan, returned: Any) -> HttpAnswer:
    converter = plan.returned.converter if plan.returned is not None else None
    if converter is None:
        raise TypeError(f"function {plan.name!r} has no HTTP output")
    if type(returned) is func.HttpResponse and (answer := _from_plain(returned)) is not None:
        return answer
    try:
        datum = converter.encode(returned, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f"function {plan.name!r} returned {type(returned).__name__}; it must return an HttpResponse or a text"
        ) from None
    if datum.type == "http":
        return _from_response(datum.value)
    return _from_text(datum.value)


def _from_plain(response: func.HttpResponse) -> HttpAnswer | None:
    """Return what the converter makes of a response without cookies, in a fifth of its time; None where it has some."""
    headers: RawHeaders = []
    has_type = False
    for name, value in dict(iter(response.headers)).items():
        lowered = name.lower()
        if lowered == "set-cookie":
            return None
        if lowered in ("content-length", "transfer-encoding"):
            continue
        has_type |= lowered == "content-type"
        headers.append((lowered.encode("latin-1"), value.encode("latin-1")))
    if not has_type:
        kind = response.mimetype
        kind = f"{kind}; charset={response.charset}" if kind.startswith("text/") else kind
        headers.append((b"content-type", kind.encode("latin-1")))
    return HttpAnswer(status=int(response.status_code), headers=headers, body=response.get_body())


def _from_response(value: Mapping[str, Any]) -> HttpAnswer:
    headers: RawHeaders = [
        (name.lower().encode("latin-1"), str(header.value).encode("latin-1"))
        for name, header in value["headers"].items()
        if name.lower() not in ("content-length", "transfer-encoding")
    ]
    for cookie in value["cookies"] or ():
        headers.extend(_cookie_headers(cookie))
    return HttpAnswer(status=int(value["status_code"].value), headers=headers, body=value["body"].value)


def _cookie_headers(cookie: "http.cookies.SimpleCookie") -> RawHeaders:
    return [(b"set-cookie", morsel.OutputString().encode("latin-1")) for morsel in cookie.values()]


def _from_text(text: str) -> HttpAnswer:
    """A text that is a JSON object with a `body` is taken for a whole response, as the real host does."""
    document: Any = None
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError:
            document = None
    document = {name.lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
    if "body" not in document:
        return HttpAnswer(status=200, headers=[(b"content-type", b"text/plain; charset=utf-8")], body=text.encode())
    body = "" if document["body"] is None else document["body"]
    is_text = isinstance(body, str)
    headers: RawHeaders = [
        (str(name).lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in (document.get("headers") or {}).items()
    ]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append(
            (b"content-type", b"text/plain; charset=utf-8" if is_text else b"application/json; charset=utf-8")
        )
    encoded = (body if is_text else json.dumps(body)).encode()
    status = str(document.get("statuscode", document.get("status", "")))
    return HttpAnswer(status=int(status) if status.isdecimal() else 200, headers=headers, body=encoded)
