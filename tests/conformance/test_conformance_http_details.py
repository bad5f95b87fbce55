"""What HTTP functions may rely on beyond the scenarios: responses, limits, context, whole applications."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.azurite.service import Azurite
from tests.conformance.account import Account
from tests.conformance.hosts import Host
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

APP = """
    def answer(text="ok", **options):
        return func.HttpResponse(text, **options)

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return answer("pong")

    @app.route(route="posted", methods=["POST"])
    def posted(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="quits")
    def quits(req: func.HttpRequest) -> func.HttpResponse:
        raise SystemExit(3)

    @app.route(route="text")
    def text(req: func.HttpRequest) -> str:
        return '{"status": 418, "body": {"a": 1}, "headers": {"X-Trap": "yes"}}'

    @app.route(route="nothing")
    def nothing(req: func.HttpRequest):
        return None
"""


@pytest.fixture(scope="module")
def host(azurite: Azurite, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One host for all tests of this file that only ask."""
    account = Account(azurite.connection_string)
    workshop = Workshop(tmp_path_factory.mktemp("http-details"), account, kind)
    yield workshop.run(APP)
    workshop.end()
    account.close()


@pytest.mark.embedded("its status tells of restarts")
def test_a_function_that_exits_does_not_end_the_worker(host: Any) -> None:
    restarts = host.admin("GET", "host/status").json()["workers"]["http"]["restarts"]
    assert host.get("/api/quits").status_code == 500
    assert host.get("/api/ping").text == "pong"
    assert host.admin("GET", "host/status").json()["workers"]["http"]["restarts"] == restarts


def test_a_text_that_looks_like_a_response_is_taken_for_one(host: Host) -> None:
    answer = host.get("/api/text")
    assert (answer.status_code, answer.json(), answer.headers["x-trap"]) == (418, {"a": 1}, "yes")


def test_returning_nothing_is_an_error(host: Host) -> None:
    assert host.get("/api/nothing").status_code == 500


def test_the_root_is_a_homepage_and_ping_needs_no_key(host: Host) -> None:
    assert "running" in host.get("/").text
    assert host.get("/admin/host/ping").status_code == 200
    assert host.get("/admin/host/status").status_code == 401


def test_cors_is_answered_for_the_origins_of_the_local_settings(workshop: Workshop) -> None:
    app_dir = workshop.write(APP)
    settings = '{"IsEncrypted": false, "Host": {"CORS": "https://plant.example"}}'
    (app_dir / "local.settings.json").write_text(settings)
    host = workshop.start(app_dir)
    asked = {"origin": "https://plant.example", "access-control-request-method": "POST"}
    preflight = httpx.options(host.url + "/api/posted", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://plant.example"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    stranger = httpx.get(host.url + "/api/ping", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in stranger.headers


def test_an_asgi_application_runs_whole(workshop: Workshop) -> None:
    host = workshop.run(
        """
        del app

        async def inner(scope, receive, send):
            if scope["type"] == "lifespan":
                while True:
                    message = await receive()
                    await send({"type": message["type"] + ".complete"})
                    if message["type"].endswith("shutdown"):
                        return
            await send({"type": "http.response.start", "status": 207, "headers": [(b"x-inner", b"1")]})
            await send({"type": "http.response.body", "body": scope["path"].encode()})

        outer = func.AsgiFunctionApp(inner, http_auth_level=func.AuthLevel.ANONYMOUS)
        """,
        host_json={"extensions": {"http": {"routePrefix": ""}}},
    )
    answer = host.get("/deep/path")
    assert (answer.status_code, answer.headers["x-inner"], answer.text) == (207, "1", "/deep/path")
