"""The OpenAPI document and its page, made from the declared endpoints and their pydantic models."""

import html
import inspect
import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from functions.access import Access
from functions.credentials import COOKIE, KEY_HEADER
from functions.http import ENDPOINTS, Endpoint
from functions.problems import PROBLEM_TYPE

VERSION = "0.1.0"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "instance": {"type": "string"},
        "remedy": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every declared endpoint."""
    endpoints = sorted(ENDPOINTS.values(), key=lambda declared: (declared.route, declared.method))
    models = {m for e in endpoints for m in (e.body, e.answer) if m is not None}
    _, definitions = TypeAdapter.json_schemas(
        [
            (model.__name__, "validation", TypeAdapter(model))
            for model in sorted(models, key=lambda model: model.__name__)
        ],
        ref_template=_REFERENCE,
    )
    paths: dict[str, dict[str, Any]] = {}
    for declared in endpoints:
        paths.setdefault(f"/api/{declared.route}", {})[declared.method.lower()] = _operation(declared)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Routing ML", "version": VERSION, "description": __doc__},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}) | {"Problem": _PROBLEM},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _operation(declared: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": declared.name,
        "summary": declared.summary,
        "description": _description(declared),
        "parameters": _parameters(declared),
        "responses": {
            str(declared.status): {
                "description": declared.summary,
                "content": {declared.media_type: {"schema": _schema_of(declared.answer)}},
            },
            "default": {
                "description": "A problem document",
                "content": {PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}},
            },
        },
    }
    if declared.body is not None:
        content = {"application/json": {"schema": _schema_of(declared.body)}}
        operation["requestBody"] = {"required": not declared.body_optional, "content": content}
    if declared.body_bytes:
        file = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": file}}
    if declared.access.least_role is not None:
        nobody: list[dict[str, Any]] = [{}] if declared.access is Access.READ else []
        operation["security"] = [*nobody, {"key": []}, {"session": []}]
        operation["x-least-role"] = declared.access.least_role
    return operation


def _description(declared: Endpoint) -> str:
    """Return what the handler says of itself; Python 3.13 keeps it without its indentation, earlier ones with it."""
    return inspect.getdoc(declared.handler) or ""


def _parameters(declared: Endpoint) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(declared.route)
    ]
    if declared.query is not None:
        properties = declared.query.model_json_schema().get("properties", {})
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    return parameters


def _schema_of(model: type[Any] | None) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(model=model.__name__)} if model is not None else {}


_STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2rem;border-bottom:1px solid #8884}details{border:1px solid #8884;border-radius:6px;margin:.4rem 0}
summary{cursor:pointer;padding:.5rem .8rem}code,pre{font:13px ui-monospace,monospace}pre{overflow:auto;padding:.8rem;
background:#8881;margin:.5rem}.m{display:inline-block;min-width:4.2rem;font-weight:600}.k{float:right;opacity:.7}
section{padding:0 .8rem .6rem}
"""


@cache
def documentation_page() -> str:
    """Return the documentation as one self-contained page, without a script."""
    groups: dict[str, list[Endpoint]] = {}
    for declared in sorted(ENDPOINTS.values(), key=lambda e: (e.route, e.method)):
        groups.setdefault(declared.route.split("/")[0], []).append(declared)
    sections = "".join(
        f"<h2>{html.escape(group)}</h2>{''.join(_entry(declared) for declared in members)}"
        for group, members in groups.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Routing ML API</title>"
        f"<style>{_STYLE}</style><h1>Routing ML API {VERSION}</h1>"
        "<p>Machine-readable: <a href=openapi.json>openapi.json</a>. "
        f"Send a key in the header <code>{KEY_HEADER}</code>.</p>{sections}</html>"
    )


def _lock(access: Access) -> str:
    if access.least_role is None:
        return "open"
    return f"{access.least_role}, open on loopback" if access is Access.READ else access.least_role


def _entry(declared: Endpoint) -> str:
    import json

    bodies = ""
    for label, model in (("Body", declared.body), ("Query", declared.query), ("Answer", declared.answer)):
        if model is not None:
            schema = html.escape(json.dumps(TypeAdapter(model).json_schema(), indent=1, ensure_ascii=False))
            bodies += f"<details><summary>{label}: {html.escape(model.__name__)}</summary><pre>{schema}</pre></details>"
    return (
        f"<details><summary><span class=m>{declared.method}</span><code>/api/{html.escape(declared.route)}</code> "
        f"{html.escape(declared.summary)}<span class=k>{_lock(declared.access)}</span></summary>"
        f"<section><p>{html.escape(_description(declared))}</p>{bodies}</section></details>"
    )
