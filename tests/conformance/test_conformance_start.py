"""Starts, crashes and storage that is away: what the embedded host promises beyond the scenarios."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import MASTER, eventually, is_alive
from tests.conformance.workshop import Workshop

pytestmark = [pytest.mark.azurite, pytest.mark.embedded("its exit, its log's events, its folder of keys")]

MIXED = """
    import subprocess

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        asked = msg.get_json()
        record(what="work", attempt=msg.dequeue_count, **asked)
        if asked["do"] == "crash":
            os._exit(9)
        if asked["do"] == "child":
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            record(what="child", child=child.pid)
            child.wait()
        record(what="done", **asked)
"""


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


def test_a_crash_takes_neither_http_nor_host_down_and_leaves_no_children(workshop: Workshop, account: Account) -> None:
    host = workshop.run(MIXED)
    pid = host.get("/api/ping").text
    account.send("in", '{"do": "child", "own_session": true}')
    child = eventually(lambda: host.records("child"))[0]["child"]
    account.send("in", '{"do": "crash"}')
    assert eventually(lambda: len([r for r in host.records("work") if r["do"] == "crash"]) == 3, seconds=15)
    assert eventually(lambda: not is_alive(child), seconds=5)
    poison = f"in-{account.tag}-poison"
    assert eventually(lambda: '{"do": "crash"}' in account.waiting(poison, full=True))
    assert host.get("/api/ping").text == pid
    assert host.admin("GET", "host/status").json()["workers"]["event"]["restarts"] >= 3
    account.queue("in").clear_messages()


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
