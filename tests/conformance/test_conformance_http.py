"""Scenarios 1 to 14: routes, keys, limits, and the shapes of requests and responses."""

import json
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from tests.conformance.hosts import MASTER, Host, eventually
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

PING = """
    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("pong")
"""
APP = (
    PING
    + """
    import threading

    go_on = threading.Event()

    def answer(text="ok", **options):
        return func.HttpResponse(text, **options)

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

    @app.route(route="other_lock", auth_level=func.AuthLevel.FUNCTION)
    def other_lock(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="top", auth_level=func.AuthLevel.ADMIN)
    def top(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="bad")
    def bad(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        record(what="bad", id=context.invocation_id)
        raise ValueError("broken on purpose")

    @app.route(route="off")
    def off(req: func.HttpRequest) -> func.HttpResponse:
        return answer()

    @app.route(route="off_too")
    def off_too(req: func.HttpRequest) -> func.HttpResponse:
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
        }))

    @app.route(route="cookies")
    def cookies(req: func.HttpRequest) -> func.HttpResponse:
        response = answer(headers={"X-House": "function", "X-Own": "1"}, status_code=201)
        response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
        response.headers.add("Set-Cookie", "b=2")
        return response

    @app.route(route="waits")
    def waits(req: func.HttpRequest) -> func.HttpResponse:
        go_on.clear()
        record(what="waits")
        return answer(str(go_on.wait(20)))

    @app.route(route="computes")
    def computes(req: func.HttpRequest) -> func.HttpResponse:
        go_on.clear()
        record(what="computes")
        end = time.monotonic() + 20
        while not go_on.is_set() and time.monotonic() < end:
            sum(range(1000))
        return answer(str(go_on.is_set()))

    @app.route(route="release")
    async def release(req: func.HttpRequest) -> func.HttpResponse:
        go_on.set()
        return answer()
"""
)


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop) -> Any:
    """One host for all tests of this file that only ask."""
    settings = {
        "AzureWebJobs.off.Disabled": "true",
        "AzureWebJobs_off_too_Disabled": "1",
        "AzureWebJobs.not_quite_off.Disabled": "yes",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(1 << 20),
    }
    host_json = {"extensions": {"http": {"customHeaders": {"X-House": "host", "X-Also": "host"}}}}
    return shared_workshop.run(APP, host_json=host_json, **settings)


@scenario(1)
@pytest.mark.parametrize(("prefix", "path"), [("", "/ping"), ("v1", "/v1/ping"), (None, "/api/ping")])
def test_the_route_prefix_stands_before_every_route(workshop: Workshop, prefix: str | None, path: str) -> None:
    http = {} if prefix is None else {"routePrefix": prefix}
    host = workshop.run(PING, host_json={"extensions": {"http": http}})
    answers = {tried: host.get(tried).status_code for tried in ("/ping", "/v1/ping", "/api/ping", "/api/v1/ping")}
    assert answers.pop(path) == 200
    assert set(answers.values()) == {404}


@scenario(2)
def test_constraints_and_optional_parameters_decide_whether_a_route_matches(host: Host) -> None:
    assert host.get("/api/plain/ab/7").json() == {"line": "ab", "n": "7"}
    assert host.get("/api/plain/ab").json() == {"line": "ab"}
    assert host.get("/api/plain/1/7").status_code == 404
    assert host.get("/api/plain/ab/x").status_code == 404
    assert host.get("/api/PLAIN/ab/7").status_code == 200
    assert host.get("/API/plain/AB/-7").json() == {"line": "AB", "n": "-7"}


@scenario(3)
def test_a_wrong_method_is_not_found(host: Host) -> None:
    assert host.post("/api/posted").status_code == 200
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        answer = httpx.request(method, host.url + "/api/posted", timeout=15)
        assert (method, answer.status_code, answer.content) == (method, 404, b"")


@scenario(4)
def test_routes_are_tried_in_the_order_of_function_names(host: Host) -> None:
    assert host.get("/api/zone/b").text == "aall b"
    assert host.get("/api/zone").text == "aall -"
    assert host.get("/api/zone/a/b/c").text == "aall a/b/c"


@scenario(5)
def test_a_reserved_route_is_an_error_of_that_function_only(host: Host) -> None:
    assert len(host.errors_of("reserved")) == 1
    assert "route" in host.errors_of("reserved")[0].lower()
    assert host.get("/api/administration/x").status_code == 404
    assert host.get("/api/ping").text == "pong"
    assert host.errors_of("ping") == []


@scenario(6)
def test_keys_open_what_they_should(host: Host) -> None:
    own, other, of_all = host.function_key("locked"), host.function_key("other_lock"), host.host_key()
    for shown, status in (
        ({}, 401),
        ({"header": "wrong"}, 401),
        ({"code": "wrong"}, 401),
        ({"code": other}, 401),
        ({"header": own}, 200),
        ({"code": own}, 200),
        ({"header": of_all}, 200),
        ({"code": of_all}, 200),
        ({"header": MASTER}, 200),
        ({"code": MASTER}, 200),
        ({"header": own, "code": "wrong"}, 200),
        ({"header": "wrong", "code": own}, 401),
    ):
        answer = _with_keys(host, "locked", shown)
        assert (shown, answer.status_code) == (shown, status)
        assert status == 200 or answer.content == b""
    assert _with_keys(host, "locked", {"code": own}).text == own  # the function sees what it was opened with
    for shown, status in (({"header": own}, 401), ({"code": of_all}, 401), ({"code": MASTER}, 200)):
        assert _with_keys(host, "top", shown).status_code == status


def _with_keys(host: Host, route: str, shown: dict[str, str]) -> httpx.Response:
    headers = {"x-functions-key": shown["header"]} if "header" in shown else {}
    params = {"code": shown["code"]} if "code" in shown else {}
    return host.get(f"/api/{route}", headers=headers, params=params)


@scenario(7)
def test_an_exception_is_an_empty_500_and_a_traceback_in_the_log(host: Host) -> None:
    answer = host.get("/api/bad")
    assert (answer.status_code, answer.content) == (500, b"")
    invocation = host.records("bad")[-1]["id"]
    assert eventually(lambda: invocation in host.log_text())
    assert eventually(lambda: "ValueError: broken on purpose" in host.log_text())
    assert "in bad" in host.log_text()


@scenario(7)
@pytest.mark.embedded("a log of one JSON object a line")
def test_the_log_line_of_an_exception_holds_all_of_it(host: Any) -> None:
    host.get("/api/bad")
    invocation = host.records("bad")[-1]["id"]
    line = eventually(lambda: host.events("function.failed", function="bad", invocation_id=invocation))[-1]
    assert "ValueError: broken on purpose" in line["exception"]
    assert (line["trigger"], line["attempt"], line["outcome"], line["status"]) == ("http", 1, "failed", 500)
    assert line["duration_ms"] > 0


@scenario(8)
def test_a_disabled_function_answers_only_the_master_key(host: Host) -> None:
    for route in ("off", "off_too"):
        assert host.get(f"/api/{route}").status_code == 404
        assert host.get(f"/api/{route}", headers={"x-functions-key": host.host_key()}).status_code == 404
        assert host.get(f"/api/{route}", headers={"x-functions-key": MASTER}).status_code == 200
    assert host.get("/api/not_quite_off").status_code == 200


@scenario(9)
def test_too_many_requests_are_turned_away_at_once(workshop: Workshop) -> None:
    source = """
        @app.route(route="slow")
        def slow(req: func.HttpRequest) -> func.HttpResponse:
            record(what="began")
            time.sleep(1)
            record(what="ended")
            return func.HttpResponse("ok")
    """
    limits = {"extensions": {"http": {"maxConcurrentRequests": 1, "maxOutstandingRequests": 2}}}
    host = workshop.run(source, host_json=limits)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(host.get, "/api/slow") for _ in range(5)]
        assert eventually(lambda: sum(future.done() for future in asked) == 3)
        assert host.get("/admin/host/ping").status_code == 200
        assert not all(future.done() for future in asked)
        answers = [future.result() for future in asked]
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429]
    assert {answer.headers.get("x-function-scaleout") for answer in answers if answer.status_code == 429} == {"1"}
    assert [record["what"] for record in host.records()] == ["began", "ended"] * 2
    assert host.get("/api/slow").status_code == 200


@scenario(10)
def test_a_body_over_the_limit_never_reaches_the_function(host: Host) -> None:
    before = len(host.records("shape"))
    assert host.post("/api/shape", content=b"x" * ((1 << 20) + 1)).status_code == 413
    assert host.post("/api/shape", content=b"x" * (1 << 20)).status_code == 200
    assert len(host.records("shape")) == before + 1


@scenario(11)
def test_a_chunked_body_arrives_empty(host: Host) -> None:
    answer = host.post("/api/shape", content=iter([b"one", b"two"]))
    assert answer.status_code == 200
    assert answer.json()["headers"]["transfer-encoding"] == "chunked"
    assert answer.json()["body"] == ""


@scenario(12)
def test_the_function_sees_the_request_as_it_should(host: Host) -> None:
    request = (
        b"POST /api/shape?a=1&a=2&empty=&b=%C3%BC+x&blank HTTP/1.1\r\nHost: factory\r\nX-Twice: one\r\nX-TWICE: two\r\n"
        b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    )
    seen = json.loads(_raw(host, request).split(b"\r\n\r\n", 1)[1])
    assert seen["headers"]["x-twice"] == "one,two"
    assert all(name == name.lower() for name in seen["headers"])
    assert seen["params"] == {"a": "1,2", "b": "ü x"}
    assert seen["url"] == "http://factory/api/shape?a=1&a=2&empty=&b=%C3%BC+x&blank"
    assert (seen["body"], seen["kind"], seen["method"]) == ("hello", "bytes", "POST")


def _raw(host: Host, request: bytes) -> bytes:
    address = httpx.URL(host.url)
    with socket.create_connection((address.host, address.port or 80), timeout=15) as connection:
        connection.sendall(request)
        raw = b""
        while part := connection.recv(65536):
            raw += part
    return raw


@scenario(13)
def test_cookies_are_kept_apart_and_the_functions_own_header_wins(host: Host) -> None:
    answer = host.get("/api/cookies")
    assert answer.status_code == 201
    first, second = (
        sorted(part.strip().lower() for part in text.split(";")) for text in answer.headers.get_list("set-cookie")
    )
    assert first == ["a=1", "httponly", "path=/"]
    assert "b=2" in second
    assert answer.headers.get_list("x-house") == ["function"]
    assert (answer.headers["x-own"], answer.headers["x-also"]) == ("1", "host")
    assert host.get("/api/nowhere").headers["x-house"] == "host"


@scenario(14)
@pytest.mark.parametrize("route", ["waits", "computes"])
def test_a_sync_function_that_runs_does_not_hold_up_async_ones(host: Host, route: str) -> None:
    """What is promised is a time: held against the same calls alone, and given three tries, for a machine stalls."""
    tries: list[tuple[float, float]] = []
    for _ in range(3):
        with httpx.Client(base_url=host.url, timeout=15) as client, ThreadPoolExecutor(1) as pool:
            alone = _p99_seconds(client)
            sync = pool.submit(host.get, f"/api/{route}")
            assert eventually(partial(_began_as_often, host, route, len(tries) + 1))
            beside = _p99_seconds(client)
            assert not sync.done()
            client.get("/api/release")
            assert sync.result().text == "True"
        tries.append((alone, beside))
        if beside < max(0.05, 3 * alone):
            return
    pytest.fail(f"p99 of 50 calls in seconds (alone, beside a sync function): {tries}")


def _began_as_often(host: Host, route: str, times: int) -> bool:
    return len(host.records(route)) == times


def _p99_seconds(client: httpx.Client) -> float:
    durations = []
    for _ in range(50):
        began = time.perf_counter()
        assert client.get("/api/ping").text == "pong"
        durations.append(time.perf_counter() - began)
    return statistics.quantiles(durations, n=100, method="inclusive")[98]
