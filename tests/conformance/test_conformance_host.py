"""Scenarios 41 to 47, 49 and 50: settings, host.json, time-outs, runs by hand, drain, bad functions, no orphans."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import PROJECT, Host, eventually, is_alive
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

MIXED = """
    import subprocess

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="hang")
    def hang(req: func.HttpRequest) -> func.HttpResponse:
        record(what="hang")
        time.sleep(60)
        return func.HttpResponse("late")

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        asked = msg.get_json()
        record(what="work", attempt=msg.dequeue_count, **asked)
        if asked["do"] == "sleep":
            time.sleep(asked["seconds"])
        if asked["do"] == "child":
            child = subprocess.Popen(["sleep", "300"], start_new_session=asked["own_session"])
            record(what="child", child=child.pid)
            child.wait()
        record(what="done", **asked)

    @app.queue_trigger(arg_name="msg", queue_name="other-TAG", connection="AzureWebJobsStorage")
    def other(msg: func.QueueMessage) -> None:
        record(what="other", text=msg.get_body().decode())
"""
ONE_BAD = """
    @app.route(route="ping")
    def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("pong")

    @app.route(route="other")
    @app.queue_output(arg_name="my_out", queue_name="out-TAG", connection="AzureWebJobsStorage")
    def named_badly(req: func.HttpRequest, my_out: func.Out[str]) -> func.HttpResponse:
        return func.HttpResponse("x")
"""
MANY_BAD = (
    ONE_BAD
    + """
    @app.route(route="{broken")
    def routed_badly(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x")

    @app.route(route="r/{x:regex([)}")
    def constrained_badly(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x")

    @app.service_bus_queue_trigger(arg_name="msg", queue_name="x", connection="Y")
    def foreign(msg: func.ServiceBusMessage) -> None:
        pass

    @app.route(route="ping")
    def zz_same_route(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x")
"""
)
SETTINGS = """
    @app.route(route="settings")
    async def settings(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(json.dumps({name: os.environ.get(name) for name in ("A", "B", "C", "BLANK")}))
"""


# -------------------------------------------------------------------------------------------------- configuration


@scenario(41)
def test_a_schedule_that_names_no_setting_is_an_error_of_that_timer_only(workshop: Workshop) -> None:
    source = """
        @app.route(route="ping")
        async def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")

        @app.timer_trigger(arg_name="timer", schedule="%NO_SUCH_SCHEDULE%")
        def unplanned(timer: func.TimerRequest) -> None:
            record(what="unplanned")

        @app.timer_trigger(arg_name="timer", schedule="%OFTEN%")
        def planned(timer: func.TimerRequest) -> None:
            record(what="planned")
    """
    host = workshop.run(source, OFTEN="*/1 * * * * *")
    assert "NO_SUCH_SCHEDULE" in host.errors_of("unplanned")[0]
    assert host.errors_of("planned") == []
    assert host.get("/api/ping").text == "pong"
    assert eventually(lambda: len(host.records("planned")) >= 2)
    assert host.records("unplanned") == []


def _with_local_settings(workshop: Workshop, document: dict[str, Any]) -> Path:
    app_dir = workshop.write(SETTINGS)
    (app_dir / "local.settings.json").write_text(json.dumps(document))
    return app_dir


@scenario(42)
def test_the_environment_wins_over_the_values_of_the_local_settings(workshop: Workshop) -> None:
    values = {"A": "file", "B": "file", "C": None, "BLANK": "", "FUNCTIONS_WORKER_RUNTIME": "python"}
    app_dir = _with_local_settings(workshop, {"IsEncrypted": False, "Values": values})
    host = workshop.start(app_dir, settings={"A": "environment"})
    assert host.get("/api/settings").json() == {"A": "environment", "B": "file", "C": None, "BLANK": ""}
    warnings = [line for line in host.log_text().splitlines() if "environment" in line and "A" in line]
    assert warnings
    assert not any('"B"' in line or "'B'" in line for line in warnings)


@scenario(42)
@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"Values": {"A": "file"}}, "IsEncrypted"),
        ({"IsEncrypted": False, "Values": {"A": {"nested": "value"}}}, "A"),
    ],
)
def test_local_settings_that_mean_something_else_are_refused(
    workshop: Workshop, document: dict[str, Any], hint: str
) -> None:
    host = workshop.start(_with_local_settings(workshop, document), ready=False)
    said = host.refusal()
    assert "local.settings.json" in said
    assert hint in said


@scenario(43)
@pytest.mark.parametrize(
    ("host_json", "key"),
    [
        ({"version": "3.0"}, "version"),
        ({"extensions": {"queues": {"batchSize": 33}}}, "batchSize"),
        ({"extensions": {"queues": {"maxPollingInterval": "00:00:00.010"}}}, "maxPollingInterval"),
        ('{"version": "2.0", "extensions": {', "host.json"),
    ],
)
def test_a_host_json_that_cannot_be_meant_stops_the_start(workshop: Workshop, host_json: Any, key: str) -> None:
    app_dir = workshop.write(MIXED, host_json=host_json)
    said = workshop.start(app_dir, ready=False).refusal()
    assert key.lower() in said.lower()
    if workshop.kind == "embedded":  # which names the file too, and says why in one sentence
        (sentence,) = [line for line in said.splitlines() if line.startswith("funchost: ")]
        assert str(app_dir / "host.json") in sentence
        reasons = {"version": '"3.0"', "batchSize": "1 to 32", "maxPollingInterval": "0.1", "host.json": "not JSON"}
        assert reasons[key].strip('"') in sentence


@scenario(43)
def test_settings_override_host_json(workshop: Workshop, account: Account) -> None:
    host = workshop.run(
        MIXED,
        host_json={"extensions": {"http": {"routePrefix": "v1"}, "surprise": {"batchSize": 1}}},
        AzureFunctionsJobHost__extensions__queues__batchSize="1",
        AzureFunctionsJobHost__extensions__queues__newBatchThreshold="0",
        AzureFunctionsJobHost__extensions__http__routePrefix="v2",
    )
    assert host.get("/v2/ping").status_code == 200
    assert host.get("/v1/ping").status_code == 404
    account.send("in", *['{"do": "sleep", "seconds": 0.2}'] * 3)
    assert eventually(lambda: len(host.records("done")) == 3)
    order = [record["what"] for record in host.records() if record["what"] in ("work", "done")]
    assert order == ["work", "done"] * 3


@scenario(43)
@pytest.mark.embedded("Microsoft's host ignores an unknown key without a word")
def test_an_unknown_key_of_host_json_warns(workshop: Workshop) -> None:
    host = workshop.run(SETTINGS, host_json={"extensions": {"queues": {"bachSize": 1}}})
    assert [line for line in host.events("configuration.warning") if "extensions.queues.bachSize" in line["reason"]]


# --------------------------------------------------------------------------------------------------------- time-outs


@scenario(44)
def test_a_time_out_replaces_the_worker_and_counts_against_the_message(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED, host_json={"functionTimeout": "00:00:02"})
    account.send("in", '{"do": "sleep", "seconds": 10}')
    assert eventually(lambda: len(host.records("work")) == 2, seconds=15)
    first, second = host.records("work")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["pid"] != second["pid"]
    assert 2 <= second["at"] - first["at"] <= 8  # time-out, grace, the message's visibility time-out, a new worker
    account.queue("in").clear_messages()
    account.send("other", "hello")
    assert eventually(lambda: host.records("other"), seconds=10)
    assert host.get("/api/ping").status_code == 200
    assert host.records("done") == []


@scenario(44)
@pytest.mark.embedded("it runs HTTP functions in a process of their own")
def test_a_time_out_of_a_queue_function_leaves_http_alone(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED, host_json={"functionTimeout": "00:00:01"})
    pid = host.get("/api/ping").text
    account.send("in", '{"do": "sleep", "seconds": 10}')
    assert eventually(lambda: host.events("function.timed_out", function="work"))
    failed = eventually(lambda: host.events("function.failed", function="work"))[0]
    assert failed["duration_ms"] >= 1000
    assert "functionTimeout" in failed["failure"]
    assert failed["invocation_id"] == host.events("function.timed_out")[0]["invocation_id"]
    assert host.get("/api/ping").text == pid
    account.queue("in").clear_messages()


@scenario(44)
def test_an_http_function_that_outlives_its_time_is_ended_and_others_answer_again(workshop: Workshop) -> None:
    host = workshop.run(MIXED, host_json={"functionTimeout": "00:00:01"})
    pid = host.get("/api/ping").text
    try:
        assert host.get("/api/hang").status_code >= 500
    except httpx.TransportError:
        assert host.records("hang")  # a connection that is closed is an answer too
    began = time.monotonic()
    assert eventually(lambda: _answer(host) not in ("", pid))
    assert time.monotonic() - began < 5


def _answer(host: Host) -> str:
    try:
        return host.get("/api/ping").text
    except httpx.TransportError:
        return ""


# --------------------------------------------------------------------------------------------------------- admin API


@scenario(45)
def test_functions_are_run_by_hand(workshop: Workshop, account: Account) -> None:
    source = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        def yearly(timer: func.TimerRequest) -> None:
            record(what="yearly", past_due=timer.past_due)

        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        def work(msg: func.QueueMessage) -> None:
            record(what="work", text=msg.get_body().decode())
            raise ValueError("a run by hand knows no second try")

        @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}.txt", connection="AzureWebJobsStorage")
        def read(blob: func.InputStream) -> None:
            record(what="read", name=blob.name, text=blob.read().decode())
    """
    host = workshop.run(source)
    assert httpx.post(f"{host.url}/admin/functions/yearly", json={"input": ""}).status_code == 401
    assert host.admin("POST", "functions/nobody", json={"input": ""}).status_code == 404
    assert host.admin("POST", "functions/work").status_code == 400
    assert host.admin("POST", "functions/work", content=b"{").status_code == 400
    assert host.admin("POST", "functions/yearly", json={"input": "x"}).status_code == 202
    assert host.admin("POST", "functions/work", json={"input": '{"a":1}'}).status_code == 202
    assert eventually(lambda: host.records("yearly") and host.records("work"))
    assert host.records("work")[0]["text"] == '{"a":1}'
    assert host.records("yearly")[0]["past_due"] is False
    account.put("a.txt", b"of a blob")
    assert eventually(lambda: host.records("read"))  # by its trigger
    assert host.admin("POST", "functions/read", json={"input": f"drop-{account.tag}/a.txt"}).status_code == 202
    assert eventually(lambda: len(host.records("read")) == 2)
    by_trigger, by_hand = host.records("read")
    assert (by_hand["name"], by_hand["text"]) == (by_trigger["name"], by_trigger["text"])
    assert (len(host.records("yearly")), len(host.records("work"))) == (1, 1)
    assert account.depth("in") in (-1, 0)
    assert account.waiting("in-poison") == []


@scenario(46)
def test_status_drain_and_resume(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    status = host.admin("GET", "host/status").json()
    assert (status["state"], status["id"]) == ("Running", account.host_id)
    assert status["processUptime"] > 0
    assert status["version"]
    assert host.admin("GET", "host/drain/status").json()["state"] == "Disabled"
    account.send("in", '{"do": "sleep", "seconds": 1.5}')
    assert eventually(lambda: host.records("work"))
    assert host.admin("POST", "host/drain").status_code == 202
    under_way = host.admin("GET", "host/drain/status").json()
    assert (under_way["state"], under_way["outstandingInvocations"]) == ("InProgress", 1)
    account.send("in", '{"do": "nothing"}')
    assert host.get("/api/ping").status_code == 200
    assert eventually(lambda: host.admin("GET", "host/drain/status").json()["state"] == "Completed")
    assert [record["do"] for record in host.records("done")] == ["sleep"]
    time.sleep(1)  # two polls' worth
    assert len(host.records("work")) == 1
    assert host.get("/api/ping").status_code == 200
    assert host.admin("POST", "host/resume").status_code == 200
    assert eventually(lambda: len(host.records("done")) == 2)
    assert host.admin("POST", "host/resume").status_code == 409
    assert host.admin("GET", "host/drain/status").json()["state"] == "Disabled"


# ------------------------------------------------------------------------------------------------------ bad functions


@scenario(47)
def test_one_bad_function_is_listed_and_the_rest_runs(workshop: Workshop) -> None:
    host = workshop.run(ONE_BAD)
    assert host.get("/api/ping").text == "pong"
    assert host.get("/api/other").status_code == 404
    assert "my_out" in host.errors_of("named_badly")[0]
    assert host.errors_of("ping") == []


@scenario(47)
@pytest.mark.embedded("its words, and its strict start")
def test_each_bad_function_is_listed_with_its_reason_and_refuses_a_strict_start(workshop: Workshop) -> None:
    host = workshop.run(MANY_BAD)
    assert host.get("/api/ping").text == "pong"
    for name, reason in (
        ("named_badly", "letters and digits"),
        ("routed_badly", "brace"),
        ("constrained_badly", "regular expression"),
        ("foreign", "serviceBusTrigger"),
        ("zz_same_route", "taken by 'ping'"),
    ):
        assert reason in host.errors_of(name)[0]
    assert len(host.admin("GET", "host/status").json()["errors"]) == 5
    assert host.events("host.ready")[0]["functions"] == ["ping"]
    assert host.admin("GET", "functions/ping").json()["config"]["bindings"][0]["type"] == "httpTrigger"
    strict = workshop.start(host.app_dir, "--strict", ready=False)
    assert "named_badly" in strict.refusal()


# ------------------------------------------------------------------------------------------------- import and orphans


@scenario(49)
def test_this_projects_app_is_imported_lightly() -> None:
    """Held against processor seconds: on a busy machine the clock says nothing about what an import does."""
    code = (
        "import sys, time, json; import function_app\n"
        "print(json.dumps({'seconds': time.process_time(), 'modules': sorted({n.split('.')[0] for n in sys.modules})}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["seconds"] < 3
    learning = {"sklearn", "scipy", "lightgbm", "xgboost", "torch", "tensorflow", "onnxruntime", "hnswlib", "joblib"}
    assert not learning & set(found["modules"])


@scenario(50)
def test_no_process_survives_a_killed_host(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    account.send("in", '{"do": "child", "own_session": true}', '{"do": "child", "own_session": false}')
    assert eventually(lambda: len(host.records("child")) == 2)
    family = [record["child"] for record in host.records("child")]
    family += [record["pid"] for record in host.records("work")] + [int(host.get("/api/ping").text)]
    if workshop.kind == "embedded":
        workers = host.admin("GET", "host/status").json()["workers"]
        family += [worker["processId"] for worker in workers.values()]
    assert all(is_alive(pid) for pid in family)
    host.kill()
    assert eventually(lambda: not any(is_alive(pid) for pid in family), seconds=5)
