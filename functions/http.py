"""The edge of every HTTP function: identity, parsing, one service call, and every error as a problem document.

A blueprint declares an endpoint with `endpoint(...)`; the handler receives a `Call` and returns a `Reply`. The
declarations are also what the OpenAPI document and the access tests are made from, so there is one source of truth.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import azure.functions as func
import orjson
import structlog
from pydantic import BaseModel, ValidationError

from functions.access import Access, actor_of
from functions.problems import PROBLEM_TYPE, from_validation, problem_document
from functions.running import running_services
from shared.errors import InvalidInput, MalformedRequest, RoutingError, TooLarge

if TYPE_CHECKING:
    from shared.bootstrap import Services

MAX_BODY_BYTES = 5 * 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, parsed: what a handler needs and nothing of the transport."""

    request_id: str
    actor: str
    params: dict[str, str]
    query: BaseModel | None
    body: Any
    services: "Services"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a handler answers; a pydantic model, plain JSON values, or text with its media type."""

    body: Any = None
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    model_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One declared HTTP function."""

    name: str
    method: str
    route: str
    access: Access
    summary: str
    handler: Callable[[Call], Reply]
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    body_optional: bool
    answer: type[BaseModel] | None
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
    answer: type[BaseModel] | None = None,
    status: int = 200,
    media_type: str = "application/json",
) -> Callable[[Callable[[Call], Reply]], Callable[[Call], Reply]]:
    """Declare the decorated handler as the HTTP function of the same name."""

    def declare(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
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
            answer=answer,
            status=status,
            media_type=media_type,
        )
        ENDPOINTS[declared.name] = declared

        def function(req: func.HttpRequest) -> func.HttpResponse:
            return serve(declared, req)

        function.__name__ = function.__qualname__ = declared.name
        function.__doc__ = handler.__doc__
        routed = blueprint.route(route=route, methods=[method], auth_level=func.AuthLevel.ANONYMOUS)(function)
        blueprint.function_name(declared.name)(routed)
        return handler

    return declare


def serve(declared: Endpoint, req: func.HttpRequest) -> func.HttpResponse:
    """Answer one request; whatever goes wrong becomes a problem document and a log line, never a stack trace."""
    started = time.perf_counter()
    request_id = _request_id(req)
    structlog.contextvars.bind_contextvars(request_id=request_id, function=declared.name)
    try:
        reply = _reply(declared, req, request_id)
    finally:
        structlog.contextvars.unbind_contextvars("request_id", "function")
    response = _response(reply, request_id)
    latency = time.perf_counter() - started
    _observe(declared, reply, request_id, latency)
    return response


def _reply(declared: Endpoint, req: func.HttpRequest, request_id: str) -> Reply:
    instance = urlsplit(req.url).path
    try:
        return declared.handler(_call(declared, req, request_id))
    except ValidationError as invalid:
        error: RoutingError = from_validation(invalid)
    except RoutingError as known:
        error = known
    except Exception:
        # The host's own 500 has no body: a defect must still give the caller something to quote.
        log.exception("http.defect")
        error = RoutingError(
            "An unexpected error stopped the request; the log holds its details.",
            remedy=f"Report request {request_id}.",
        )
    document = problem_document(error, request_id=request_id, instance=instance)
    headers = {"retry-after": "5"} if error.status == 503 else {}
    return Reply(body=document, status=error.status, media_type=PROBLEM_TYPE, headers=headers)


def _call(declared: Endpoint, req: func.HttpRequest, request_id: str) -> Call:
    services = running_services()
    actor = actor_of(req.headers, req.url, declared.access, services.settings)
    return Call(
        request_id=request_id,
        actor=actor,
        params=dict(req.route_params),
        query=_query(declared.query, req.params),
        body=_body(declared, req),
        services=services,
    )


def _query(model: type[BaseModel] | None, params: Any) -> BaseModel | None:
    if model is None:
        return None
    known = {name: value for name, value in params.items() if name in model.model_fields}
    unknown = sorted(set(params) - set(known) - {"code"})
    if unknown:
        errors = [{"field": name, "message": "no such parameter"} for name in unknown]
        raise InvalidInput(f"Unknown query parameter(s): {', '.join(unknown)[:200]}.", errors=errors)
    return model.model_validate(known)


def _body(declared: Endpoint, req: func.HttpRequest) -> BaseModel | None:
    if declared.body is None:
        return None
    raw = req.get_body()
    if len(raw) > MAX_BODY_BYTES:
        raise TooLarge(f"The body has {len(raw):,} bytes; the limit is {MAX_BODY_BYTES:,}.", remedy="Send fewer items.")
    if not raw.strip():
        if declared.body_optional:
            return declared.body()
        chunked = "chunked" in req.headers.get("transfer-encoding", "")
        detail = "A chunked request without Content-Length arrives empty here." if chunked else "The body is empty."
        raise MalformedRequest(detail, remedy="Send a JSON document with its Content-Length.")
    return declared.body.model_validate_json(raw)


def _request_id(req: func.HttpRequest) -> str:
    sent = req.headers.get("x-request-id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid4().hex


def _response(reply: Reply, request_id: str) -> func.HttpResponse:
    body: str | bytes
    if isinstance(reply.body, BaseModel):
        body = reply.body.model_dump_json()
    elif isinstance(reply.body, (str, bytes)):
        body = reply.body
    elif reply.status == 204:
        body = b""
    else:
        body = orjson.dumps(reply.body, default=_plain)
    headers = {"x-request-id": request_id, "x-content-type-options": "nosniff", **reply.headers}
    if reply.model_version:
        headers["x-model-version"] = reply.model_version
    return func.HttpResponse(body, status_code=reply.status, headers=headers, mimetype=reply.media_type)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _observe(declared: Endpoint, reply: Reply, request_id: str, latency_seconds: float) -> None:
    from shared.operations.meters import observe_request

    observe_request(declared.name, reply.status, latency_seconds)
    log.info(
        "http.answered",
        request_id=request_id,
        function=declared.name,
        status=reply.status,
        latency_ms=round(latency_seconds * 1000, 3),
        model_version=reply.model_version,
    )
