"""Queue functions: retries, poison, renewal, concurrency and outputs."""

import base64
import json
import time
from datetime import datetime

import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

WORKER = """
    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    @app.queue_output(arg_name="$return", queue_name="out-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> str:
        body = msg.get_body().decode()
        record(what="work", body=body, id=msg.id, attempt=msg.dequeue_count, receipt=msg.pop_receipt,
               inserted=msg.insertion_time.isoformat(), expires=msg.expiration_time.isoformat(),
               visible=msg.time_next_visible.isoformat())
        if body.startswith("fail"):
            raise ValueError("no")
        if body.startswith("sleep"):
            time.sleep(float(body.split()[1]))
        record(what="done", body=body)
        return "did " + body
"""


def test_a_success_deletes_the_message_and_writes_the_output(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER)
    account.send("in", "hello")
    assert eventually(lambda: account.waiting("out") == ["did hello"])
    assert eventually(lambda: account.depth("in") == 0)
    raw = account.waiting("out", raw=True)[0]
    assert base64.b64decode(raw) == b"did hello"
    seen = host.records("work")[0]
    assert seen["attempt"] == 1
    assert seen["id"]
    assert seen["receipt"]
    inserted, expires, visible = (_moment(seen[name]) for name in ("inserted", "expires", "visible"))
    assert expires - inserted == pytest.approx(7 * 86400, abs=2)
    assert visible - inserted == pytest.approx(4, abs=3)
    line = eventually(lambda: host.events("function.succeeded", function="work"))[0]
    assert (line["trigger"], line["attempt"], line["outcome"]) == ("queue", 1, "succeeded")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_message_that_always_fails_is_tried_and_then_buried(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER)
    account.send("in", "fail me")
    assert eventually(lambda: _poison(account))
    assert [record["attempt"] for record in host.records("work")] == [1, 2, 3]
    assert _poison(account) == ["fail me"]
    assert account.depth("in") == 0


def _poison(account: Account) -> list[str]:
    return account.waiting(f"in-{account.tag}-poison", full=True)


def test_a_message_received_too_often_is_buried_without_a_call(workshop: Workshop, account: Account) -> None:
    account.send("in", "worn")
    client = account.queue("in")
    for _ in range(3):
        message = client.receive_message(visibility_timeout=1)
        assert message is not None
        client.update_message(message.id, pop_receipt=message.pop_receipt, visibility_timeout=0)
    host = workshop.run(WORKER)
    assert eventually(lambda: _poison(account) == ["worn"])
    assert host.records("work") == []


def test_a_text_that_is_not_base64_is_buried_raw_without_a_call(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER)
    account.send("in", "plain <text>", raw=True)
    assert eventually(lambda: account.waiting(f"in-{account.tag}-poison", full=True, raw=True) == ["plain <text>"])
    assert host.records("work") == []


def test_plain_text_runs_when_the_encoding_is_none(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER, host_json={"extensions": {"queues": {"messageEncoding": "none"}}})
    account.send("in", "plain <text>", raw=True)
    assert eventually(lambda: [record["body"] for record in host.records("done")]) == ["plain <text>"]
    assert eventually(lambda: account.waiting("out", raw=True)) == ["did plain <text>"]


def test_a_failing_poison_function_makes_no_second_poison_queue(workshop: Workshop, account: Account) -> None:
    host = workshop.run(
        """
        @app.queue_trigger(arg_name="msg", queue_name="in-TAG-poison", connection="AzureWebJobsStorage")
        def bury(msg: func.QueueMessage) -> None:
            record(what="bury")
            raise ValueError("no")
        """
    )
    queue = account.queue(f"in-{account.tag}-poison", full=True)
    queue.create_queue()
    queue.send_message("x")
    assert eventually(lambda: len(host.records("bury")) == 3)
    assert eventually(lambda: host.events("queue.message_left"))
    names = {found.name for found in account._queues.list_queues()}
    assert f"in-{account.tag}-poison-poison" not in names
    assert queue.get_queue_properties().approximate_message_count == 1


def test_a_long_run_keeps_its_message_by_renewal(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER, FUNCHOST_MESSAGE_VISIBILITY="2")
    account.send("in", "sleep 5")
    assert eventually(lambda: host.records("work"))
    while not host.records("done"):
        assert account.waiting("in") == []
        time.sleep(0.25)
    assert eventually(lambda: account.depth("in") == 0)
    assert len(host.records("work")) == 1
    assert host.events("queue.delete_refused") == []


def test_a_killed_hosts_message_comes_back(workshop: Workshop, account: Account) -> None:
    app_dir = workshop.write(WORKER)
    first = workshop.start(app_dir)
    account.send("in", "sleep 60")
    assert eventually(lambda: first.records("work"))
    first.kill()
    second = workshop.start(app_dir)
    assert eventually(lambda: len(second.records("work")) == 2, seconds=6)
    assert [record["attempt"] for record in second.records("work")] == [1, 2]


@pytest.mark.parametrize(("batch", "threshold", "most"), [(2, 1, 3), (1, 0, 1)])
def test_no_more_messages_run_at_once_than_allowed(
    workshop: Workshop, account: Account, batch: int, threshold: int, most: int
) -> None:
    limits = {"extensions": {"queues": {"batchSize": batch, "newBatchThreshold": threshold}}}
    account.send("in", *[f"sleep {0.2 + number % 2 * 0.3} {number}" for number in range(8)])
    host = workshop.run(WORKER, host_json=limits)
    assert eventually(lambda: len(host.records("done")) == 8, seconds=15)
    running, peak = 0, 0
    for record in sorted(host.records(), key=lambda record: record["at"]):
        running += 1 if record["what"] == "work" else -1
        peak = max(peak, running)
    assert peak == most


def test_a_stop_lets_the_running_function_finish(workshop: Workshop, account: Account) -> None:
    limits = {"extensions": {"queues": {"batchSize": 1, "newBatchThreshold": 0}}}
    host = workshop.run(WORKER, host_json=limits)
    account.send("in", "sleep 2", "sleep 2 more")
    assert eventually(lambda: host.records("work"))
    assert host.stop() == 0
    assert len(host.records("done")) == 1
    assert account.depth("in") == 1
    assert len(account.waiting("out")) == 1


def test_a_stop_cuts_what_outlives_the_grace_and_gives_the_message_back(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER, FUNCHOST_GRACE_SECONDS="0.5", FUNCHOST_MESSAGE_VISIBILITY="600")
    account.send("in", "sleep 60")
    assert eventually(lambda: host.records("work"))
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 5
    assert eventually(lambda: account.waiting("in")) == ["sleep 60"]


def test_a_queue_that_appears_later_is_picked_up_without_an_error(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER)
    time.sleep(1)
    assert account.depth("in") == -1
    account.send("in", "late")
    assert eventually(lambda: host.records("done"), seconds=2)
    troubled = [line for line in host.log() if line["process"] == "host" and line["level"] in ("warning", "error")]
    assert troubled == []


def test_lists_become_several_messages_and_failures_none(workshop: Workshop, account: Account) -> None:
    host = workshop.run(
        """
        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        @app.queue_output(arg_name="out", queue_name="out-TAG", connection="AzureWebJobsStorage")
        def spread(msg: func.QueueMessage, out: func.Out[typing.List[str]]) -> None:
            asked = msg.get_json()
            out.set(asked["texts"])
            record(what="spread", n=msg.dequeue_count)
            if asked.get("fail"):
                raise ValueError("after set")
        """
    )
    account.send("in", json.dumps({"texts": ["a", "b", "c"]}), json.dumps({"texts": None}))
    assert eventually(lambda: sorted(account.waiting("out")) == ["a", "b", "c"])
    account.send("in", json.dumps({"texts": ["d"], "fail": True}))
    assert eventually(lambda: _poison(account))
    assert sorted(account.waiting("out")) == ["a", "b", "c"]
    assert len(host.records("spread")) == 5


def test_retry_on_a_queue_function_is_refused_by_name(workshop: Workshop, account: Account) -> None:
    source = """
        @app.route(route="ping")
        def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")

        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
        def stubborn(msg: func.QueueMessage) -> None:
            pass
    """
    host = workshop.run(source)
    assert host.get("/api/ping").status_code == 200
    assert "stubborn" in host.events("function.refused")[0]["reason"]
    strict = workshop.start(host.app_dir, "--strict", ready=False)
    assert strict.process.wait(20) == 1
    assert "stubborn" in strict.log_text()


def test_an_output_wakes_the_idle_listener_of_its_queue(workshop: Workshop, account: Account) -> None:
    source = """
        @app.route(route="ring")
        @app.queue_output(arg_name="out", queue_name="in-TAG", connection="AzureWebJobsStorage")
        def ring(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
            out.set("now")
            return func.HttpResponse(str(time.time()))

        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        async def heard(msg: func.QueueMessage) -> None:
            record(what="heard")
    """
    host = workshop.run(source, host_json={"extensions": {"queues": {"maxPollingInterval": "00:01:00"}}})
    time.sleep(4)
    rung = float(host.get("/api/ring").text)
    heard = eventually(lambda: host.records("heard"), seconds=3)
    assert heard[0]["at"] - rung < 0.5
