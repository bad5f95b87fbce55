"""A function app over a real SQLite file, called through azure.functions' own request and response types."""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
import pytest

import function_app  # noqa: F401 - declares the endpoints
from functions import http, triggers
from functions.http import ENDPOINTS, serve, serve_waiting
from shared.bootstrap import Services
from shared.prediction.model import RoutingModel
from shared.settings import Settings
from tests.databases import set_up
from tests.functions.predicting import let_serve, tiny_model

ADMINISTRATOR_KEY = "test-administrator-key"
Ask = Callable[..., func.HttpResponse]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Services of an empty installation; storage is somewhere that refuses connections at once."""
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;"
        "BlobEndpoint=http://127.0.0.1:9/none;QueueEndpoint=http://127.0.0.1:9/none;"
    )
    settings = Settings(data_dir=tmp_path, ROUTING_STORAGE_CONNECTION=nowhere)
    set_up(settings.database)
    settings.keys.mkdir()
    made = Services(settings)
    adopt_administrator(made)
    monkeypatch.setattr(http, "running_services", lambda: made)
    monkeypatch.setattr(triggers, "current_services", lambda: made)
    yield made
    made.recognition.close()
    made.engine.dispose()


def adopt_administrator(services: Services) -> None:
    """Give an installation the administrator key of the tests, as its first start would."""
    services.settings.administrator_key.write_text(ADMINISTRATOR_KEY)
    services.api_keys.adopt_file(by="test")


@pytest.fixture
def ask(services: Services) -> Ask:
    """Call one endpoint by its function's name."""

    def call(
        name: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        query: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = None,
        host: str = "127.0.0.1:7071",
    ) -> func.HttpResponse:
        declared = ENDPOINTS[name]
        sent = raw if raw is not None else (json.dumps(body).encode() if body is not None else b"")
        all_headers = {"host": host, "content-length": str(len(sent)), **(headers or {})}
        if key:
            all_headers["x-api-key"] = key
        request = func.HttpRequest(
            method=declared.method,
            url=f"http://{host}/api/{declared.route}?{urlencode(query or {})}",
            headers=all_headers,
            params=query or {},
            route_params=params or {},
            body=sent,
        )
        if inspect.iscoroutinefunction(declared.handler):
            return asyncio.run(serve_waiting(declared, request))
        return serve(declared, request)

    return call


@pytest.fixture
def administrator() -> str:
    """The administrator key."""
    return ADMINISTRATOR_KEY


@pytest.fixture(scope="module")
def model() -> RoutingModel:
    """A model of rings, kits and glands."""
    return tiny_model()


@pytest.fixture
def predicting(services: Services, model: RoutingModel) -> Iterator[None]:
    """Let the services answer with the model; what they record and look up ends with the test."""
    let_serve(services, model)
    yield
    services.prediction_log.close()
    services.item_lookup.close()
