"""Several worker processes, crash loops, and the counters that an app may show among its own."""

from functools import partial
from typing import Any

import httpx
import pytest

from funchost.workers import CrashLoop
from tests.conformance.account import Account
from tests.conformance.hosts import EmbeddedHost, eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

APP = """
    class Shown:
        read = None

        def offer(self, read):
            Shown.read = staticmethod(read)

    host_counters = Shown()

    @app.route(route="counters")
    def counters(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(json.dumps(Shown.read()))

    @app.route(route="who")
    def who(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="hang")
    def hang(req: func.HttpRequest) -> func.HttpResponse:
        time.sleep(30)
        return func.HttpResponse("late")

    @app.route(route="die")
    def die(req: func.HttpRequest) -> func.HttpResponse:
        os._exit(9)

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        record(what="begun", seconds=msg.get_json(), attempt=msg.dequeue_count)
        time.sleep(msg.get_json())
        record(what="done", seconds=msg.get_json())
"""


def test_processes_share_the_work_and_a_time_out_takes_down_only_its_own(workshop: Workshop, account: Account) -> None:
    host = workshop.run(APP, host_json={"functionTimeout": "00:00:03"}, FUNCTIONS_WORKER_PROCESS_COUNT="2")
    workers = host.admin("GET", "host/status").json()["workers"]
    assert sorted(workers) == ["event", "event-1", "http", "http-1"]
    assert eventually(
        lambda: all(worker["ready"] for worker in host.admin("GET", "host/status").json()["workers"].values())
    )
    account.send("in", "30", "1")
    assert eventually(lambda: len(host.records("begun")) == 2)
    stuck, quick = sorted(host.records("begun"), key=lambda row: -row["seconds"])
    assert stuck["pid"] != quick["pid"]
    account.send("in", "0", "0")
    assert eventually(lambda: host.events("function.timed_out"), seconds=10)
    assert quick["pid"] in {row["pid"] for row in host.records("done") if row["seconds"] == 1}
    assert eventually(lambda: len([row for row in host.records("begun") if row["seconds"] == 30]) == 2, seconds=10)
    assert len([row for row in host.records("begun") if row["seconds"] == 1]) == 1
    shown = host.get("/api/counters").json()
    counted = {(row["function"], row["outcome"]): row["count"] for row in shown["invocations"]}
    assert counted["work", "succeeded"] == 3
    assert counted["work", "failed"] == 1
    assert shown["counters"]["function_timeouts"] == 1
    account.queue("in").clear_messages()


def test_http_workers_that_end_again_and_again_end_the_host(workshop: Workshop) -> None:
    host = workshop.run(APP)
    for _ in range(3):
        before = len(host.events("worker.ended"))
        assert eventually(partial(_dies, host), seconds=10)
        assert eventually(partial(_more_ended, host, before))
    assert host.process.wait(20) == 1
    assert "3 HTTP workers in a row" in host.log_text()


def test_a_call_that_a_time_out_ends_has_its_line_and_is_counted(workshop: Workshop) -> None:
    host = workshop.run(APP, host_json={"functionTimeout": "00:00:01"}, AzureWebJobsStorage="")
    with pytest.raises(httpx.TransportError):
        host.get("/api/hang")
    failed = eventually(lambda: host.events("function.failed", function="hang"))[0]
    assert (failed["trigger"], failed["attempt"], failed["outcome"]) == ("http", 1, "failed")
    assert failed["duration_ms"] > 1000
    assert "functionTimeout" in failed["failure"]
    assert failed["invocation_id"] == host.events("function.timed_out")[0]["invocation_id"]
    shown = eventually(partial(_counted, host))
    assert {"function": "hang", "outcome": "failed", "count": 1} in [
        {key: row[key] for key in ("function", "outcome", "count")} for row in shown["invocations"]
    ]
    assert shown["counters"]["function_timeouts"] == 1


def _counted(host: EmbeddedHost) -> Any:
    try:
        return host.get("/api/counters").json()
    except httpx.TransportError:
        return None  # nobody answers yet


def _dies(host: EmbeddedHost) -> bool:
    try:
        host.get("/api/die")
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return True
    except httpx.TransportError:
        return False  # nobody answers yet
    return False


def _more_ended(host: EmbeddedHost, before: int) -> bool:
    return len(host.events("worker.ended")) > before


def test_a_worker_that_lasted_begins_the_count_anew() -> None:
    loop = CrashLoop(3)
    assert [loop.add(seconds) for seconds in (1, 1, 60, 1, 1, 1)] == [False, False, False, False, False, True]
