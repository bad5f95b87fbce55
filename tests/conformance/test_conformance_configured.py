"""What host.json, settings and local.settings.json change in a host, and what the admin API tells of its functions."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shared.platform import free_ports
from tests.conformance.hosts import MASTER, Host, eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

APP = """
    def register(name, **options):
        @app.function_name(name)
        @app.route(route=name, **options)
        def answer(req: func.HttpRequest) -> func.HttpResponse:
            logging.debug("a detail of " + name)
            logging.info("a word of " + name)
            logging.warning("a warning of " + name)
            if req.params.get("fail"):
                raise ValueError("asked to fail")
            return func.HttpResponse(name)

    register("posted", methods=["POST"])
    register("locked", auth_level=func.AuthLevel.FUNCTION)
    register("quiet")
    register("loud")
    register("left_out")

    @app.route(route="slowly")
    def slowly(req: func.HttpRequest) -> func.HttpResponse:
        record(what="began")
        time.sleep(0.2)
        record(what="ended")
        return func.HttpResponse("done")

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    def yearly(timer: func.TimerRequest) -> None:
        record(what="yearly")
"""
HOST_JSON = """// comments may stand anywhere
{
    "version": "2.0", /* and in
    two lines */
    "functions": ["posted", "LOCKED", "quiet", "loud", "slowly", "yearly"],
    "logging": {"logLevel": {
        "default": "Information",
        "Function.quiet": "Error", "Function.quiet.User": "None",
        "Function.loud.User": "Debug"
    }},
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
    "extensions": {"http": {"hsts": {"isEnabled": true}, "dynamicThrottlesEnabled": true, "routePrefix": "v1"}}
}"""
LOCAL_SETTINGS = {
    "IsEncrypted": False,
    "Values": {"AzureWebJobsDisableHomepage": "true", "FUNCTIONS_WORKER_RUNTIME": "python"},
    "Host": {"CORS": "https://plant.example, https://office.example/", "CORSCredentials": True},
}


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop) -> Any:
    """One host for all tests of this file that only ask."""
    app_dir = shared_workshop.write(APP, host_json="\ufeff" + HOST_JSON)
    (app_dir / "local.settings.json").write_text(json.dumps(LOCAL_SETTINGS))
    settings = {
        "AzureFunctionsJobHost__logging__logLevel__Function.quiet": "Error",
        "PYTHON_THREADPOOL_THREAD_COUNT": "1",
    }
    return shared_workshop.start(app_dir, settings=settings)


def test_only_the_functions_of_the_list_run(host: Host) -> None:
    assert host.post("/v1/posted").text == "posted"
    assert host.get("/v1/left_out").status_code == 404
    assert host.admin("GET", "functions/left_out").status_code == 404


def test_no_more_sync_functions_run_at_once_than_there_are_threads(host: Host) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert [answer.text for answer in pool.map(host.get, ["/v1/slowly"] * 3)] == ["done"] * 3
    order = [record["what"] for record in host.records() if record["what"] in ("began", "ended")]
    assert order == ["began", "ended"] * 3


def test_the_homepage_may_be_switched_off(host: Host) -> None:
    answer = host.get("/")
    assert (answer.status_code, answer.content) == (204, b"")


def test_cors_is_answered_for_the_origins_of_the_local_settings(host: Host) -> None:
    asked = {"origin": "https://plant.example", "access-control-request-method": "POST"}
    preflight = httpx.options(host.url + "/v1/posted", headers={**asked, "access-control-request-headers": "x-a"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://plant.example"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"].lower() == "x-a"
    answered = host.get("/v1/loud", headers={"origin": "https://office.example"})
    assert answered.headers["access-control-allow-origin"] == "https://office.example"
    assert answered.headers["access-control-allow-credentials"] == "true"
    stranger = httpx.get(host.url + "/v1/loud", headers={"origin": "https://other.example"})
    assert stranger.text == "loud"
    assert "access-control-allow-origin" not in stranger.headers


def test_the_admin_api_tells_of_the_functions(host: Host) -> None:
    listed = {function["name"]: function for function in host.admin("GET", "functions").json()}
    assert set(listed) == {"posted", "locked", "quiet", "loud", "slowly", "yearly"}
    assert host.admin("GET", "functions/YEARLY").json()["name"] == "yearly"
    (binding,) = listed["yearly"]["config"]["bindings"]
    assert (binding["type"], binding["schedule"], binding["name"]) == ("timerTrigger", "0 0 0 1 1 *", "timer")
    assert host.admin("GET", "functions/nobody").status_code == 404
    assert host.admin("GET", "functions/nobody/status").status_code == 404
    assert host.admin("GET", "functions/loud/status").json() == {}


def test_the_admin_api_wants_the_master_key(host: Host) -> None:
    for path in ("host/status", "functions", "functions/loud", "functions/loud/status", "host/drain/status", "nowhere"):
        assert host.get(f"/admin/{path}").status_code == 401
        assert host.get(f"/admin/{path}?code={host.host_key()}").status_code == 401
    assert host.get("/admin/host/status", headers={"x-functions-key": MASTER}).status_code == 200
    assert host.get(f"/admin/host/status?code={MASTER}").status_code == 200
    assert host.post("/admin/functions/yearly", json={"input": ""}).status_code == 401
    for answer in (host.get("/admin/host/ping"), host.post("/admin/host/ping")):
        assert answer.status_code == 200


@pytest.mark.embedded("a log of one JSON object a line")
def test_log_lines_are_written_by_category(host: Any) -> None:
    for name in ("quiet", "loud"):
        assert host.get(f"/v1/{name}").status_code == 200
        assert host.get(f"/v1/{name}?fail=1").status_code == 500
    assert eventually(lambda: host.events("function.failed", function="loud"))
    of_loud = {line["event"] for line in host.log() if line.get("function") == "loud"}
    assert of_loud >= {"a detail of loud", "a word of loud", "a warning of loud", "function.succeeded"}
    assert {line["event"] for line in host.log() if line.get("function") == "quiet"} == {"function.failed"}
    host.post("/v1/posted")
    assert eventually(lambda: host.events("function.succeeded", function="posted"))
    of_posted = {line["event"] for line in host.log() if line.get("function") == "posted"}
    assert of_posted == {"a word of posted", "a warning of posted", "function.succeeded"}


@pytest.mark.embedded("Microsoft's host says nothing of them")
def test_what_has_no_effect_here_is_said_once(host: Any) -> None:
    reasons = [line["reason"] for line in host.events("configuration.warning")]
    for key in ("extensions.http.hsts", "extensions.http.dynamicThrottlesEnabled"):
        assert len([reason for reason in reasons if f'"{key}" has no effect here' in reason]) == 1
    assert "strict-transport-security" not in host.get("/v1/loud").headers


def test_a_function_wants_its_key_unless_told_otherwise(workshop: Workshop) -> None:
    source = """
        app = func.FunctionApp()

        @app.route(route="unsaid")
        def unsaid(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("opened")
    """
    host = workshop.run(source)
    assert host.get("/api/unsaid").status_code == 401
    assert host.get(f"/api/unsaid?CODE={host.function_key('unsaid')}").text == "opened"
    if workshop.kind == "embedded":
        host.stop()
        host = workshop.start(host.app_dir, settings={"FUNCHOST_DISABLE_AUTH": "true"})
        assert host.get("/api/unsaid").text == "opened"
        assert host.get("/admin/host/status").status_code == 401


@pytest.mark.embedded("its HTTP worker is a process that a test can end")
def test_requests_wait_while_the_host_starts_and_while_its_worker_is_replaced(workshop: Workshop) -> None:
    source = """
        time.sleep(1)

        @app.route(route="ping")
        def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")

        @app.route(route="crash")
        def crash(req: func.HttpRequest) -> func.HttpResponse:
            os._exit(9)
    """
    port = free_ports(1)[0]
    host = workshop.start(workshop.write(source), "--port", str(port), ready=False)
    assert eventually(lambda: _is_listening(port))
    early = httpx.get(f"http://127.0.0.1:{port}/api/ping", timeout=15)
    assert early.text == "pong"
    host.wait_ready()
    with ThreadPoolExecutor(1) as pool, pytest.raises(httpx.TransportError):
        pool.submit(host.get, "/api/crash").result()
    assert host.get("/api/ping").text == "pong"


def _is_listening(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0
