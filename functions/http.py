"""The edge of every HTTP function: identity, parsing, one service call, and every error as a problem document.

A blueprint declares an endpoint with `endpoint(...)`; the handler receives a `Call` and returns a `Reply`. The
declarations are also what the OpenAPI document and the access tests are made from, so there is one source of truth.
"""

import asyncio
import inspect
import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import azure.functions as func
import orjson
import structlog
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from functions.access import Access, asks_the_database, caller_of, origin_of
from functions.auditing import acting_caller, is_worth_a_record, record_refusal
from functions.credentials import Credentials
from functions.problems import LONGEST_NAME, MOST_FIELDS, PROBLEM_TYPE, from_validation, problem_document
from functions.running import running_services
from shared.database.engine import database_trouble
from shared.errors import InvalidInput, MalformedRequest, RoutingError, TooLarge
from shared.identity.callers import Caller

if TYPE_CHECKING:
    from shared.bootstrap import Services

API = "api"  # what every endpoint's address begins with; the pages have addresses of their own
MAX_BODY_BYTES = 5 * 1024 * 1024
_QUICKLY_READ_BYTES = 32 * 1024  # read and checked in less than a millisecond: so long may all other requests wait
MAX_PARAMETER = 200  # characters of a code or id in a path
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, parsed: what a handler needs and nothing of the transport."""

    request_id: str
    caller: Caller
    credentials: Credentials
    params: dict[str, str]
    query: BaseModel | None
    body: Any
    services: "Services"

    @property
    def actor(self) -> str:
        """The caller's name, as rows and reasons keep it."""
        return self.caller.name


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a handler answers: a pydantic model, a dataclass, plain JSON values, or text with its media type."""

    body: Any = None
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    model_version: str | None = None


Handler = Callable[[Call], Any]  # returns a `Reply`, or awaits one where it is `async`


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One declared HTTP function."""

    name: str
    method: str
    route: str
    access: Access
    summary: str
    handler: Handler
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    body_optional: bool
    body_bytes: bool  # the body is a file, handed over as it came
    answer: type[Any] | None  # a pydantic model or a dataclass
    status: int
    media_type: str


ENDPOINTS: dict[str, Endpoint] = {}


def endpoint(
    blueprint: func.Blueprint,
    method: str,
    route: str,
    *,
    access: Access,
    summary: str,
    query: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    body_optional: bool = False,
    body_bytes: bool = False,
    answer: type[Any] | None = None,
    status: int = 200,
    media_type: str = "application/json",
) -> Callable[[Handler], Handler]:
    """Declare the decorated handler as the HTTP function of the same name."""

    def declare(handler: Handler) -> Handler:
        declared = Endpoint(
            name=handler.__name__,
            method=method,
            route=route,
            access=access,
            summary=summary,
            handler=handler,
            query=query,
            body=body,
            body_optional=body_optional,
            body_bytes=body_bytes,
            answer=answer,
            status=status,
            media_type=media_type,
        )
        ENDPOINTS[declared.name] = declared

        def answering_at_once(req: func.HttpRequest) -> func.HttpResponse:
            return serve(declared, req)

        async def waiting(req: func.HttpRequest) -> func.HttpResponse:
            return await serve_waiting(declared, req)

        function = waiting if inspect.iscoroutinefunction(handler) else answering_at_once
        function.__name__ = function.__qualname__ = declared.name
        function.__doc__ = handler.__doc__
        routed = blueprint.route(route=f"{API}/{route}", methods=[method], auth_level=func.AuthLevel.ANONYMOUS)(
            function
        )
        blueprint.function_name(declared.name)(routed)
        return handler

    return declare


def serve(declared: Endpoint, req: func.HttpRequest) -> func.HttpResponse:
    """Answer one request on the calling thread."""
    with _Answering(declared, req) as answering:
        call = answering.call()
        with acting_caller(call.caller, call.request_id):
            answering.take(declared.handler(call))
    answering.record_refusal()
    return answering.response()


async def serve_waiting(declared: Endpoint, req: func.HttpRequest) -> func.HttpResponse:
    """Answer one request of an endpoint whose handler waits on the event loop."""
    with _Answering(declared, req) as answering:
        takes_long = len(req.get_body()) > _QUICKLY_READ_BYTES or asks_the_database(req.headers, running_services())
        call = await asyncio.to_thread(answering.call) if takes_long else answering.call()
        with acting_caller(call.caller, call.request_id):
            answering.take(await declared.handler(call))
    if answering.was_refused:
        await asyncio.to_thread(answering.record_refusal)
    return answering.response()


class _Answering:
    """One request being answered; whatever goes wrong becomes a problem document and a log line, never a trace."""

    def __init__(self, declared: Endpoint, req: func.HttpRequest) -> None:
        self._started = time.perf_counter()
        self._declared, self._req = declared, req
        self._request_id = _request_id(req)
        self._caller: Caller | None = None
        self._refusal: RoutingError | None = None

    def __enter__(self) -> Self:
        structlog.contextvars.bind_contextvars(request_id=self._request_id, function=self._declared.name)
        return self

    def call(self) -> Call:
        """Read the request."""
        services = running_services()
        self._caller = caller_of(
            self._req.headers, self._req.url, self._declared.access, services, method=self._declared.method
        )
        return _call(self._declared, self._req, self._request_id, self._caller, services)

    def take(self, reply: Reply) -> None:
        """Take the handler's reply."""
        self._reply = replace(reply, body=_written(reply))

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Exception):
            named = self._named(error)
            if is_worth_a_record(self._declared.method, self._declared.access, named):
                self._refusal = named
            self._reply = _problem(named, self._req, self._request_id)
        structlog.contextvars.unbind_contextvars("request_id", "function")
        return isinstance(error, Exception)

    def _named(self, error: Exception) -> RoutingError:
        match error:
            case ValidationError():
                return from_validation(error)
            case RoutingError():
                return error
        return _unexpected(error, self._request_id)

    @property
    def was_refused(self) -> bool:
        """Whether a change, or a look into what the caller may not see, was refused."""
        return self._refusal is not None

    def record_refusal(self) -> None:
        """Put a refusal into the audit."""
        if self._refusal is not None:
            record_refusal(
                running_services().audit, self._declared.name, _path(self._req.url), self._refusal, caller=self._caller,
                origin=origin_of(self._req.headers), request_id=self._request_id,
            )  # fmt: skip

    def response(self) -> func.HttpResponse:
        """Return the answer, counted and logged."""
        response = _response(self._reply, self._request_id)
        latency = time.perf_counter() - self._started
        _observe(self._declared.name, self._reply, self._request_id, latency)
        return response


def refuse(name: str, req: func.HttpRequest, error: RoutingError) -> func.HttpResponse:
    """Answer `error` for a function that is no declared endpoint, with the same document and log line."""
    started = time.perf_counter()
    request_id = _request_id(req)
    reply = _problem(error, req, request_id)
    _observe(name, reply, request_id, time.perf_counter() - started)
    return _response(reply, request_id)


def _problem(error: RoutingError, req: func.HttpRequest, request_id: str) -> Reply:
    document = problem_document(error, request_id=request_id, instance=_path(req.url))
    wait = error.facts.get("retry_after_seconds", 5 if error.status == 503 else None)
    headers = {"retry-after": str(wait)} if wait is not None else {}
    return Reply(body=orjson.dumps(document), status=error.status, media_type=PROBLEM_TYPE, headers=headers)


def _unexpected(error: Exception, request_id: str) -> RoutingError:
    """Name a database that is away; anything else that no service raised on purpose is a defect."""
    unavailable = database_trouble(error) if isinstance(error, SQLAlchemyError) else None
    if unavailable is not None:
        log.warning("database.unavailable", error=str(error.__cause__ or type(error).__name__)[:300])
        return unavailable
    # The host's own 500 has no body: a defect must still give the caller something to quote.
    log.exception("http.defect")
    return RoutingError(
        "An unexpected error stopped the request; the log holds its details.",
        remedy=f"Report request {request_id}.",
    )


def _path(url: str) -> str:
    """Return a URL's path; its host may be nothing that `urlsplit` can read."""
    _, _, rest = url.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path.partition("?")[0]


def _call(declared: Endpoint, req: func.HttpRequest, request_id: str, caller: Caller, services: "Services") -> Call:
    return Call(
        request_id=request_id,
        caller=caller,
        credentials=Credentials.of(req.headers, req.url),
        params=_parameters(req.route_params),
        query=_query(declared.query, req.params),
        body=_body(declared, req),
        services=services,
    )


def _parameters(values: Mapping[str, str]) -> dict[str, str]:
    """Return the path's parameters; none that is longer, or holds what no code or id holds, reaches a service.

    A slash within a parameter arrives encoded: the host decodes everything else of a path.
    """
    values = {name: value.replace("%2F", "/").replace("%2f", "/") for name, value in values.items()}
    for name, value in values.items():
        if len(value) > MAX_PARAMETER:
            message = f"must have at most {MAX_PARAMETER} characters"
        elif any(unicodedata.category(character) == "Cc" for character in value):
            message = "must hold no control characters"
        else:
            continue
        raise InvalidInput(f"The path's {name} {message}.", errors=[{"field": name, "message": message}])
    return values


def _query(model: type[BaseModel] | None, params: Any) -> BaseModel | None:
    if model is None:
        return None
    known = {name: value for name, value in params.items() if name in model.model_fields}
    unknown = sorted(set(params) - set(known) - {"code"})
    if unknown:
        errors = [{"field": name[:LONGEST_NAME], "message": "no such parameter"} for name in unknown[:MOST_FIELDS]]
        raise InvalidInput(f"Unknown query parameter(s): {', '.join(unknown)[:200]}.", errors=errors)
    return model.model_validate(known)


def _body(declared: Endpoint, req: func.HttpRequest) -> BaseModel | bytes | None:
    if declared.body is None and not declared.body_bytes:
        return None
    raw = req.get_body()
    if len(raw) > MAX_BODY_BYTES:
        raise TooLarge(f"The body has {len(raw):,} bytes; the limit is {MAX_BODY_BYTES:,}.", remedy="Send fewer items.")
    if declared.body is None:
        return raw
    if not raw.strip():
        if declared.body_optional:
            return declared.body()
        chunked = "chunked" in req.headers.get("transfer-encoding", "")
        detail = "A chunked request without Content-Length arrives empty here." if chunked else "The body is empty."
        raise MalformedRequest(detail, remedy="Send a JSON document with its Content-Length.")
    # Strict: true is no quantity, and "3" no number of candidates.
    return declared.body.model_validate_json(raw, strict=True)


def _request_id(req: func.HttpRequest) -> str:
    sent = req.headers.get("x-request-id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid4().hex


def _written(reply: Reply) -> str | bytes:
    if isinstance(reply.body, BaseModel):
        return reply.body.model_dump_json()
    if isinstance(reply.body, (str, bytes)):
        return reply.body
    return b"" if reply.status == 204 else orjson.dumps(reply.body, default=_plain, option=orjson.OPT_UTC_Z)


def _response(reply: Reply, request_id: str) -> func.HttpResponse:
    headers = {"x-request-id": request_id, "x-content-type-options": "nosniff", **reply.headers}
    if reply.model_version:
        headers["x-model-version"] = reply.model_version
    return func.HttpResponse(reply.body, status_code=reply.status, headers=headers, mimetype=reply.media_type)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _observe(name: str, reply: Reply, request_id: str, latency_seconds: float) -> None:
    from shared.operations.meters import observe_request

    observe_request(name, reply.status, latency_seconds)
    log.info(
        "http.answered",
        request_id=request_id,
        function=name,
        status=reply.status,
        latency_ms=round(latency_seconds * 1000, 3),
        model_version=reply.model_version,
    )
