"""The host itself: settings, host.json, time-outs, crashes, drain, storage trouble, and no orphans."""

import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from funchost.errors import ConfigurationError
from funchost.hostjson import read_host_json
from funchost.settings import apply_local_settings, find_connection, is_disabled, resolve_names
from shared.azurite.account import StorageAccount
from shared.azurite.service import start_azurite, wait_until_ready
from shared.platform import free_ports
from tests.conformance.account import Account
from tests.conformance.hosts import MASTER, EmbeddedHost, eventually
from tests.conformance.workshop import FAST, Workshop

MIXED = """
    import subprocess, sys

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="hang")
    def hang(req: func.HttpRequest) -> func.HttpResponse:
        time.sleep(60)
        return func.HttpResponse("late")

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        asked = msg.get_json()
        record(what="work", attempt=msg.dequeue_count, **asked)
        if asked["do"] == "crash":
            os._exit(9)
        if asked["do"] == "sleep":
            time.sleep(asked["seconds"])
        if asked["do"] == "child":
            child = subprocess.Popen(["sleep", "300"], start_new_session=asked["own_session"])
            record(what="child", child=child.pid)
            child.wait()
        record(what="done", **asked)
"""


# -------------------------------------------------------------------------------------------------- configuration


def _app_with(folder: Path, host_json: Any = None, local: Any = None) -> Path:
    text = host_json if isinstance(host_json, str) else json.dumps(FAST if host_json is None else host_json)
    (folder / "host.json").write_text(text)
    if local is not None:
        (folder / "local.settings.json").write_text(json.dumps(local))
    return folder


def test_the_environment_wins_over_the_local_settings_with_a_warning(tmp_path: Path) -> None:
    values = {"A": "file", "B": "file", "EMPTY_OUTSIDE": "file", "NOTHING": None, "BLANK": ""}
    app_dir = _app_with(tmp_path, local={"IsEncrypted": False, "Values": values, "ConnectionStrings": {"Db": "x"}})
    environment = {"A": "outside", "EMPTY_OUTSIDE": ""}
    found = apply_local_settings(app_dir, environment)
    assert environment == {
        "A": "outside",
        "B": "file",
        "EMPTY_OUTSIDE": "file",
        "BLANK": "",
        "ConnectionStrings:Db": "x",
    }
    assert [warning for warning in found.warnings if '"A"' in warning]


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        ({"Values": {}}, "IsEncrypted"),
        ({"IsEncrypted": True, "Values": {}}, "IsEncrypted"),
        ({"IsEncrypted": False, "Values": {"A": {"b": 1}}}, "Values.A"),
        ({"IsEncrypted": False, "Host": {"LocalHttpPort": "x"}}, "LocalHttpPort"),
    ],
)
def test_local_settings_that_mean_something_else_are_refused(tmp_path: Path, local: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        apply_local_settings(_app_with(tmp_path, local=local), {})
    assert "local.settings.json" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "key", "reason"),
    [
        ({"version": "3.0"}, "version", "2.0"),
        ({}, "version", "missing"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize", "1 to 32"),
        (
            {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.010"}}},
            "extensions.queues.maxPollingInterval",
            "at least 0.1",
        ),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": "many"}}}, "batchSize", "whole number"),
        ({"version": "2.0", "singleton": {"listenerLockPeriod": "00:05:00"}}, "listenerLockPeriod", "15 to 60"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout", "at least 1"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 3}}}, "routePrefix", "text"),
        ('{"version": "2.0",', "host.json", "JSON"),
    ],
)
def test_a_host_json_that_cannot_be_meant_names_file_key_and_reason(
    tmp_path: Path, document: Any, key: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_host_json(_app_with(tmp_path, document), {})
    assert "host.json" in str(caught.value)
    assert key in str(caught.value)
    assert reason in str(caught.value)


def test_comments_are_allowed_unknown_keys_warn_and_settings_override(tmp_path: Path) -> None:
    text = """{ // the version
        "VERSION-is-not-this": "//", /* two
        lines */ "version": "2.0", "Extensions": {"Queues": {"BatchSize": 4, "surprise": 1}},
        "logging": {"logLevel": {"default": "Warning"}}}"""
    found = read_host_json(_app_with(tmp_path, text), {})
    assert (found.batch_size, found.route_prefix, found.max_dequeue_count) == (4, "api", 5)
    assert (found.log_level, found.visibility_timeout.total_seconds()) == ("Warning", 0)
    assert found.new_batch_threshold == 2 * (os.cpu_count() or 1)
    assert any("surprise" in warning for warning in found.warnings)
    environment = {
        "AzureFunctionsJobHost__extensions__queues__batchSize": "1",
        "AzureFunctionsJobHost__functionTimeout": "-1",
        "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
    }
    over = read_host_json(tmp_path, environment)
    assert (over.batch_size, over.function_timeout, over.new_batch_threshold) == (1, None, 0)
    with pytest.raises(ConfigurationError, match="AzureFunctionsJobHost__extensions__queues__batchSize"):
        read_host_json(tmp_path, {"AzureFunctionsJobHost__extensions__queues__batchSize": "99"})


def test_settings_are_found_by_the_names_the_real_host_uses() -> None:
    environment = {
        "AzureWebJobsMine": "one",
        "Plain": "two",
        "ConnectionStrings:Both": "three",
        "AzureWebJobs.f.Disabled": "1",
    }
    assert find_connection("Mine", environment) == "one"
    assert find_connection("Plain", environment) == "two"
    assert find_connection("Both", environment) == "three"
    with pytest.raises(ValueError, match="AzureWebJobsStorage"):
        find_connection(None, environment)
    with pytest.raises(ValueError, match="identity"):
        find_connection("Id", {"Id__queueServiceUri": "https://x"})
    assert is_disabled("f", environment)
    assert is_disabled("g", {"AzureWebJobs_g_Disabled": "True"})
    assert not is_disabled("g", {"AzureWebJobs.g.Disabled": "yes"})
    assert resolve_names("%Plain%/x", environment) == "two/x"
    with pytest.raises(ValueError, match="NOPE"):
        resolve_names("%NOPE%", environment)


# ------------------------------------------------------------------------------------------------------- starting


@pytest.mark.azurite
def test_a_bad_start_ends_with_one_sentence(workshop: Workshop) -> None:
    app_dir = workshop.write("raise RuntimeError('not today')")
    failed = workshop.start(app_dir, ready=False)
    assert failed.process.wait(20) == 1
    assert "not today" in failed.log_text()
    workshop.write("")
    taken = workshop.start(app_dir, settings={"AzureWebJobsStorage": ""})
    port = taken.url.rsplit(":", 1)[1]
    refused = workshop.start(app_dir, "--port", port, ready=False)
    assert refused.process.wait(20) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in refused.log_text()
    workshop.write("second = app")
    twice = workshop.start(app_dir, ready=False)
    assert twice.process.wait(20) == 1
    assert "exactly one" in twice.log_text()
    workshop.write(MIXED, host_json={"version": "1"})
    old = workshop.start(app_dir, ready=False)
    assert old.process.wait(20) == 1
    assert re.search(r"^funchost: .*host\.json.*2\.0", old.log_text(), re.MULTILINE)


@pytest.mark.azurite
def test_one_bad_function_is_listed_and_the_rest_runs(workshop: Workshop) -> None:
    source = """
        @app.route(route="ping")
        def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")

        @app.route(route="other")
        @app.queue_output(arg_name="my_out", queue_name="out-TAG", connection="AzureWebJobsStorage")
        def named_badly(req: func.HttpRequest, my_out: func.Out[str]) -> func.HttpResponse:
            return func.HttpResponse("x")

        @app.route(route="{broken")
        def routed_badly(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("x")

        @app.service_bus_queue_trigger(arg_name="msg", queue_name="x", connection="Y")
        def foreign(msg: func.ServiceBusMessage) -> None:
            pass

        @app.route(route="ping")
        def zz_same_route(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("x")
    """
    host = workshop.run(source)
    assert host.get("/api/ping").text == "pong"
    for name, reason in (
        ("named_badly", "letters and digits"),
        ("routed_badly", "brace"),
        ("foreign", "serviceBusTrigger"),
        ("zz_same_route", "taken by 'ping'"),
    ):
        assert reason in host.admin("GET", f"functions/{name}/status").json()["errors"][0]
    status = host.admin("GET", "host/status").json()
    assert len(status["errors"]) == 4
    assert host.events("host.ready")[0]["functions"] == ["ping"]
    assert host.admin("GET", "functions/ping").json()["config"]["bindings"][0]["type"] == "httpTrigger"
    strict = workshop.start(host.app_dir, "--strict", ready=False)
    assert strict.process.wait(20) == 1
    assert "named_badly" in strict.log_text()


# ---------------------------------------------------------------------------------------- time-outs and crashes


@pytest.mark.azurite
def test_a_time_out_ends_the_event_worker_and_counts_against_the_message(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED, host_json={"functionTimeout": "00:00:02"})
    pid = host.get("/api/ping").text
    account.send("in", '{"do": "sleep", "seconds": 10}')
    assert eventually(lambda: len(host.records("work")) == 2, seconds=10)
    first, second = host.records("work")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["pid"] != second["pid"]
    assert 2 <= second["at"] - first["at"] <= 8
    assert host.events("function.timed_out")
    assert host.get("/api/ping").text == pid
    account.queue("in").clear_messages()


@pytest.mark.azurite
def test_an_http_function_that_outlives_its_time_is_ended_and_others_answer_again(workshop: Workshop) -> None:
    host = workshop.run(MIXED, host_json={"functionTimeout": "00:00:01"})
    pid = host.get("/api/ping").text
    with pytest.raises(httpx.TransportError):
        host.get("/api/hang")
    began = time.monotonic()
    assert host.get("/api/ping").text != pid
    assert time.monotonic() - began < 5


@pytest.mark.azurite
def test_a_crash_takes_neither_http_nor_host_down_and_leaves_no_children(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    pid = host.get("/api/ping").text
    account.send("in", '{"do": "child", "own_session": true}')
    child = eventually(lambda: host.records("child"))[0]["child"]
    account.send("in", '{"do": "crash"}')
    assert eventually(lambda: len([r for r in host.records("work") if r["do"] == "crash"]) == 3, seconds=15)
    assert eventually(lambda: not _alive(child), seconds=5)
    poison = f"in-{account.tag}-poison"
    assert eventually(lambda: '{"do": "crash"}' in account.waiting(poison, full=True))
    assert host.get("/api/ping").text == pid
    assert host.admin("GET", "host/status").json()["workers"]["event"]["restarts"] >= 3
    account.queue("in").clear_messages()


@pytest.mark.azurite
def test_no_process_survives_a_killed_host(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    account.send("in", '{"do": "child", "own_session": true}', '{"do": "child", "own_session": false}')
    assert eventually(lambda: len(host.records("child")) == 2)
    family = [record["child"] for record in host.records("child")]
    family += [record["pid"] for record in host.records("work")] + [int(host.get("/api/ping").text)]
    workers = host.admin("GET", "host/status").json()["workers"]
    family += [worker["processId"] for worker in workers.values()]
    assert all(_alive(pid) for pid in family)
    host.kill()
    assert eventually(lambda: not any(_alive(pid) for pid in family), seconds=5)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


# --------------------------------------------------------------------------------------------- status and drain


@pytest.mark.azurite
def test_status_drain_and_resume(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    status = host.admin("GET", "host/status").json()
    assert (status["state"], status["id"]) == ("Running", account.host_id)
    assert host.admin("GET", "host/drain/status").json()["state"] == "Disabled"
    assert host.admin("POST", "host/drain").status_code == 202
    time.sleep(1)
    account.send("in", '{"do": "nothing"}')
    assert host.admin("GET", "host/drain/status").json()["state"] == "Completed"
    time.sleep(1)
    assert host.records("work") == []
    assert host.get("/api/ping").status_code == 200
    assert host.admin("POST", "host/resume").status_code == 200
    assert eventually(lambda: host.records("done"), seconds=3)
    assert host.admin("POST", "host/resume").status_code == 409
    metrics = eventually(lambda: (found := host.admin("GET", "host/metrics").json()) and found)
    counted = {(row["function"], row["outcome"]): row["count"] for row in metrics["invocations"]}
    assert counted[("work", "succeeded")] == 1
    assert counted[("ping", "succeeded")] == 1


@pytest.mark.azurite
def test_the_master_key_is_made_at_the_first_start_and_kept(workshop: Workshop, tmp_path: Path) -> None:
    app_dir = workshop.write(MIXED)
    state = tmp_path / "state"
    host = workshop.start(app_dir, "--state-dir", str(state), settings={"FUNCHOST_MASTER_KEY": ""})
    path = state / "host-keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    master = json.loads(path.read_text())["masterKey"]
    assert len(master) >= 32
    asked = httpx.get(f"{host.url}/admin/host/status?code={master}")
    assert asked.status_code == 200
    assert httpx.get(f"{host.url}/admin/host/status?code={MASTER}").status_code == 401
    assert host.stop() == 0
    again = workshop.start(app_dir, "--state-dir", str(state), settings={"FUNCHOST_MASTER_KEY": ""})
    assert json.loads(path.read_text())["masterKey"] == master
    assert master not in again.log_text()


@pytest.mark.azurite
def test_http_goes_on_without_storage_and_listeners_come_back(workshop: Workshop, tmp_path: Path) -> None:
    ports, secret = free_ports(3), StorageAccount.random()
    folder = tmp_path / "azurite"
    folder.mkdir()
    account = Account(secret.connection_string(ports))
    source = MIXED.replace("TAG", account.tag)
    app_dir = workshop.write(source)
    settings = {"AzureWebJobsStorage": account.connection_string}
    host = workshop.start(app_dir, settings=settings)
    assert host.get("/api/ping").status_code == 200
    assert eventually(lambda: host.events("queue.unreachable"))
    for round_number in range(2):
        running = start_azurite(folder, secret, ports)
        try:
            wait_until_ready(running)
            account.send("in", json.dumps({"do": "nothing", "round": round_number}))
            assert eventually(partial(_handled, host, round_number), seconds=10)
        finally:
            running.stop()
        assert host.get("/api/ping").status_code == 200
    assert host.stop() == 0


def _handled(host: EmbeddedHost, round_number: int) -> bool:
    return any(record["round"] == round_number for record in host.records("done"))


@pytest.mark.azurite
def test_an_app_with_http_only_needs_no_storage_and_keeps_no_event_worker(workshop: Workshop) -> None:
    source = """
        @app.route(route="ping")
        def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")
    """
    host = workshop.run(source, AzureWebJobsStorage="", FUNCHOST_HTTP_WORKERS="2")
    assert host.get("/api/ping").text == "pong"
    assert eventually(lambda: host.admin("GET", "host/status").json()["workers"]["event"]["processId"] is None)
    assert len(host.admin("GET", "host/status").json()["workers"]) == 3


def test_the_host_process_imports_neither_the_app_nor_the_rest_of_the_project() -> None:
    code = (
        "import sys, funchost.supervisor, funchost.listeners\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'shared', 'functions', 'cli', 'function_app', 'uvicorn'}))\n"
        "print('azure.functions' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert printed[:2] == ["[]", "False"]
