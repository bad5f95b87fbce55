"""HTTP functions: routes, keys, limits, and the shapes of requests and responses."""

import json
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from shared.azurite.service import Azurite
from tests.conformance.account import Account
from tests.conformance.hosts import MASTER, EmbeddedHost, eventually
from tests.conformance.workshop import Workshop

APP = """
    def answer(text="ok", **options):
        return func.HttpResponse(text, **options)

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return answer("pong")

    @app.route(route="plain/{line:alpha}/{n:int?}")
    def constrained(req: func.HttpRequest) -> func.HttpResponse:
        return answer(json.dumps(dict(req.route_params)))

    @app.route(route="posted", methods=["POST"])
    def posted(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="zone/{*rest}")
    def aall(req: func.HttpRequest) -> func.HttpResponse:
        return answer("aall " + req.route_params.get("rest", "-"))

    @app.route(route="zone/b")
    def zone(req: func.HttpRequest) -> func.HttpResponse:
        return answer("zone")

    @app.route(route="administration/x")
    def reserved(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="locked", auth_level=func.AuthLevel.FUNCTION)
    def locked(req: func.HttpRequest) -> func.HttpResponse:
        return answer(req.params.get("code", ""))

    @app.route(route="top", auth_level=func.AuthLevel.ADMIN)
    def top(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="bad")
    def bad(req: func.HttpRequest) -> func.HttpResponse:
        raise ValueError("broken on purpose")

    @app.route(route="quits")
    def quits(req: func.HttpRequest) -> func.HttpResponse:
        raise SystemExit(3)

    @app.route(route="off")
    def off(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="not_quite_off")
    def not_quite_off(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="shape")
    def shape(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        record(what="shape")
        return answer(json.dumps({
            "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
            "body": req.get_body().decode(), "kind": type(req.get_body()).__name__,
            "function": context.function_name, "id": context.invocation_id, "trace": context.trace_context.trace_parent,
        }))

    @app.route(route="cookies")
    def cookies(req: func.HttpRequest) -> func.HttpResponse:
        response = answer(headers={"X-House": "function", "X-Own": "1"}, status_code=201)
        response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
        response.headers.add("Set-Cookie", "b=2")
        return response

    @app.route(route="text")
    def text(req: func.HttpRequest) -> str:
        return '{"status": 418, "body": {"a": 1}, "headers": {"X-Trap": "yes"}}'

    @app.route(route="nothing")
    def nothing(req: func.HttpRequest):
        return None

    @app.route(route="slow")
    def slow(req: func.HttpRequest) -> func.HttpResponse:
        time.sleep(1)
        return answer()
"""


@pytest.fixture(scope="module")
def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedHost]:
    """One host for all tests of this file that only ask."""
    workshop = Workshop(tmp_path_factory.mktemp("http"), Account(azurite.connection_string))
    settings = {
        "AzureWebJobs.off.Disabled": "true",
        "AzureWebJobs.not_quite_off.Disabled": "yes",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(1 << 20),
    }
    host_json = {"extensions": {"http": {"customHeaders": {"X-House": "host", "X-Also": "host"}}}}
    yield workshop.run(APP, host_json=host_json, **settings)
    workshop.end()


@pytest.mark.azurite
@pytest.mark.parametrize(("prefix", "path"), [("", "/ping"), ("v1", "/v1/ping"), (None, "/api/ping")])
def test_the_route_prefix_stands_before_every_route(workshop: Workshop, prefix: str | None, path: str) -> None:
    http = {} if prefix is None else {"routePrefix": prefix}
    host = workshop.run(APP, host_json={"extensions": {"http": http}})
    answers = {tried: host.get(tried).status_code for tried in ("/ping", "/v1/ping", "/api/ping")}
    assert answers.pop(path) == 200
    assert set(answers.values()) == {404}


def test_constraints_and_optional_parameters_decide_whether_a_route_matches(host: EmbeddedHost) -> None:
    assert host.get("/api/plain/ab/7").json() == {"line": "ab", "n": "7"}
    assert host.get("/api/plain/ab").json() == {"line": "ab"}
    assert host.get("/api/plain/1/7").status_code == 404
    assert host.get("/api/plain/ab/x").status_code == 404
    assert host.get("/API/PLAIN/ab/7").status_code == 200


def test_a_wrong_method_is_not_found(host: EmbeddedHost) -> None:
    assert host.get("/api/posted").status_code == 404
    assert host.post("/api/posted").status_code == 200


def test_routes_are_tried_in_the_order_of_function_names(host: EmbeddedHost) -> None:
    assert host.get("/api/zone/b").text == "aall b"
    assert host.get("/api/zone").text == "aall -"


def test_a_reserved_route_is_an_error_of_that_function_only(host: EmbeddedHost) -> None:
    errors = host.admin("GET", "functions/reserved/status").json()["errors"]
    assert "keeps for itself" in errors[0]
    assert host.get("/api/administration/x").status_code == 404
    assert host.admin("GET", "functions/ping/status").json() == {}


def test_keys_open_what_they_should(host: EmbeddedHost) -> None:
    kept = json.loads((host.app_dir / ".funchost" / "host-keys.json").read_text())
    own, shared_key = kept["functions"]["locked"]["default"], kept["functionKeys"]["default"]
    assert (host.app_dir / ".funchost" / "host-keys.json").stat().st_mode & 0o777 == 0o600
    assert host.get("/api/locked").status_code == 401
    assert host.get("/api/locked").content == b""
    assert host.get("/api/locked?code=wrong").status_code == 401
    assert host.get("/api/locked", headers={"x-functions-key": own}).status_code == 200
    assert host.get(f"/api/locked?code={own}").text == own
    assert host.get(f"/api/locked?code={shared_key}").status_code == 200
    assert host.get(f"/api/locked?code={MASTER}").status_code == 200
    assert host.get("/api/locked?code=wrong", headers={"x-functions-key": own}).status_code == 200
    assert host.get(f"/api/locked?code={kept['functions']['ping']['default']}").status_code == 401
    assert host.get(f"/api/top?code={own}").status_code == 401
    assert host.get(f"/api/top?code={MASTER}").status_code == 200


def test_an_exception_is_an_empty_500_and_a_traceback_in_the_log(host: EmbeddedHost) -> None:
    answer = host.get("/api/bad")
    assert (answer.status_code, answer.content) == (500, b"")
    line = eventually(lambda: host.events("function.failed", function="bad"))[-1]
    assert "broken on purpose" in line["exception"]
    assert len(line["invocation_id"]) == 36
    assert line["trigger"] == "http"
    assert line["attempt"] == 1


def test_a_function_that_exits_does_not_end_the_worker(host: EmbeddedHost) -> None:
    restarts = host.admin("GET", "host/status").json()["workers"]["http"]["restarts"]
    assert host.get("/api/quits").status_code == 500
    assert host.get("/api/ping").text == "pong"
    assert host.admin("GET", "host/status").json()["workers"]["http"]["restarts"] == restarts


def test_a_disabled_function_answers_only_the_master_key(host: EmbeddedHost) -> None:
    assert host.get("/api/off").status_code == 404
    assert host.get("/api/off", headers={"x-functions-key": MASTER}).status_code == 200
    assert host.get("/api/not_quite_off").status_code == 200


def test_a_body_over_the_limit_never_reaches_the_function(host: EmbeddedHost) -> None:
    before = len(host.records("shape"))
    assert host.post("/api/shape", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert host.post("/api/shape", content=b"x" * (1 << 20)).status_code == 200
    assert len(host.records("shape")) == before + 1


def test_a_chunked_body_arrives_empty(host: EmbeddedHost) -> None:
    answer = host.post("/api/shape", content=iter([b"one", b"two"]))
    assert answer.status_code == 200
    assert answer.json()["body"] == ""


def test_the_function_sees_the_request_as_the_real_host_shows_it(host: EmbeddedHost) -> None:
    address = httpx.URL(host.url)
    body = b"hello"
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(
            b"POST /api/shape?a=1&a=2&empty=&b=%C3%BC HTTP/1.1\r\nHost: factory\r\nX-Twice: one\r\nX-TWICE: two\r\n"
            b"traceparent: 00-1-2-01\r\nContent-Length: 5\r\nConnection: close\r\n\r\n" + body
        )
        raw = b""
        while part := connection.recv(65536):
            raw += part
    seen = json.loads(raw.split(b"\r\n\r\n", 1)[1])
    assert seen["headers"]["x-twice"] == "one,two"
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert seen["params"] == {"a": "1,2", "b": "ü"}
    assert seen["url"] == "http://factory/api/shape?a=1&a=2&empty=&b=%C3%BC"
    assert (seen["body"], seen["kind"], seen["method"]) == ("hello", "bytes", "POST")
    assert seen["function"] == "shape"
    assert seen["trace"] == "00-1-2-01"
    assert eventually(lambda: host.events("function.succeeded", invocation_id=seen["id"]))


def test_cookies_are_kept_apart_and_the_functions_own_header_wins(host: EmbeddedHost) -> None:
    answer = host.get("/api/cookies")
    assert answer.status_code == 201
    assert answer.headers.get_list("set-cookie") == ["a=1; HttpOnly; Path=/", "b=2"]
    assert answer.headers.get_list("x-house") == ["function"]
    assert answer.headers["x-also"] == "host"
    assert host.get("/api/nowhere").headers["x-house"] == "host"


def test_a_text_that_looks_like_a_response_is_taken_for_one(host: EmbeddedHost) -> None:
    answer = host.get("/api/text")
    assert (answer.status_code, answer.json(), answer.headers["x-trap"]) == (418, {"a": 1}, "yes")


def test_returning_nothing_is_an_error(host: EmbeddedHost) -> None:
    assert host.get("/api/nothing").status_code == 500


def test_the_root_is_a_homepage_and_ping_needs_no_key(host: EmbeddedHost) -> None:
    assert "running" in host.get("/").text
    assert host.get("/admin/host/ping").status_code == 200
    assert host.get("/admin/host/status").status_code == 401


def test_a_sync_function_that_runs_does_not_hold_up_async_ones(host: EmbeddedHost) -> None:
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=host.url) as client:
        client.get("/api/ping")
        slow = pool.submit(host.get, "/api/slow")
        time.sleep(0.1)
        durations = []
        for _ in range(50):
            began = time.perf_counter()
            assert client.get("/api/ping").text == "pong"
            durations.append(time.perf_counter() - began)
        assert not slow.done()
        assert slow.result().status_code == 200
    assert statistics.median(durations) < 0.05


@pytest.mark.azurite
def test_too_many_requests_are_turned_away_at_once(workshop: Workshop) -> None:
    limits = {"extensions": {"http": {"maxConcurrentRequests": 1, "maxOutstandingRequests": 2}}}
    host = workshop.run(APP, host_json=limits)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(host.get, "/api/slow") for _ in range(5)]
        time.sleep(0.3)
        assert host.get("/admin/host/ping").status_code == 200
        answers = [future.result() for future in asked]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429]
    assert {answer.headers.get("x-function-scaleout") for answer in answers if answer.status_code == 429} == {"1"}


@pytest.mark.azurite
def test_cors_is_answered_for_the_origins_of_the_local_settings(workshop: Workshop, tmp_path: Path) -> None:
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


@pytest.mark.azurite
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
