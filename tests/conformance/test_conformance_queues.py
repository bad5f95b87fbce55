"""Queue functions: retries, poison, renewal, concurrency, encodings and outputs."""

import base64
import json
import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.conformance.account import Account
from tests.conformance.hosts import Host, eventually
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

VISIBILITY_SECONDS = 2  # of the host that all share; Microsoft's has ten minutes, fixed
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
SHARED = (
    WORKER
    + """
    def on(queue, **options):
        return app.queue_trigger(arg_name="msg", queue_name=queue, connection="AzureWebJobsStorage", **options)

    def to(queue, name="out"):
        return app.queue_output(arg_name=name, queue_name=queue, connection="AzureWebJobsStorage")

    @on("worn-TAG")
    def worn(msg: func.QueueMessage) -> None:
        record(what="worn", attempt=msg.dequeue_count)

    @on("late-TAG")
    def late(msg: func.QueueMessage) -> None:
        record(what="late", body=msg.get_body().decode())

    @on("sour-TAG")
    def sour(msg: func.QueueMessage) -> None:
        raise ValueError("no")

    @on("sour-TAG-poison")
    def mourn(msg: func.QueueMessage) -> None:
        record(what="mourn", body=msg.get_body().decode(), attempt=msg.dequeue_count, id=msg.id)

    @on("x-TAG-poison")
    def bury(msg: func.QueueMessage) -> None:
        record(what="bury", attempt=msg.dequeue_count)
        raise ValueError("no")

    @on("spread-TAG")
    @to("spreadout-TAG")
    def spread(msg: func.QueueMessage, out: func.Out[typing.List[str]]) -> None:
        asked = msg.get_json()
        out.set(asked["texts"])
        record(what="spread", attempt=msg.dequeue_count)
        if asked.get("fail"):
            raise ValueError("after set")

    @on("stubborn-TAG")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
    def stubborn(msg: func.QueueMessage) -> None:
        pass

    @on("raw-TAG", data_type="BINARY")
    @to("rawout-TAG", "$return")
    def raw(msg: func.QueueMessage) -> bytes:
        return msg.get_body()[::-1]

    @on("forward-TAG")
    @to("forwarded-TAG")
    @to("several-TAG", "more")
    async def forward(msg: func.QueueMessage, out: func.Out[func.QueueMessage],
                      more: func.Out[typing.List[str]]) -> None:
        out.set(func.QueueMessage(id="mine", body=b"one"))
        more.set([func.QueueMessage(id="m1", body=b"1"), func.QueueMessage(body="둘")])

    @on("heavy-TAG")
    @to("heavyout-TAG")
    def heavy(msg: func.QueueMessage, out: func.Out[bytes]) -> None:
        record(what="heavy", attempt=msg.dequeue_count)
        out.set(b"x" * msg.get_json()["bytes"])

    @on("chunks-TAG")
    @to("chunksout-TAG")
    def chunks(msg: func.QueueMessage, out: func.Out[typing.List[bytes]]) -> None:
        record(what="chunks", attempt=msg.dequeue_count)
        out.set([b"a", b"b"])

    @app.queue_trigger(arg_name="msg", queue_name="%NAMED_QUEUE%", connection="Elsewhere")
    @app.queue_output(arg_name="out", queue_name="%NAMED_QUEUE%-{Line}", connection="Elsewhere")
    def named(msg: func.QueueMessage, out: func.Out[str]) -> None:
        out.set(msg.get_json()["line"])

    @on("resting-TAG")
    def resting(msg: func.QueueMessage) -> None:
        record(what="resting")

    @app.route(route="notes/{id}")
    @app.blob_input(arg_name="note", path="notes-TAG/{id}.txt", connection="AzureWebJobsStorage")
    @app.blob_output(arg_name="copy", path="asked-TAG/{query.line}/{id}-{n}.txt", connection="AzureWebJobsStorage")
    async def ask(req: func.HttpRequest, note: func.InputStream, copy: func.Out[bytes]) -> func.HttpResponse:
        text = note.read() if note else b"nothing"
        copy.set(text)
        return func.HttpResponse(text)

    @on("filed-TAG")
    @app.blob_input(arg_name="note", path="notes-TAG/{id}.txt", connection="AzureWebJobsStorage")
    @app.blob_input(arg_name="raw", path="notes-TAG/{order.line}.bin", connection="AzureWebJobsStorage",
                    data_type="BINARY")
    @app.blob_output(arg_name="copy", path="filed-TAG/{kind}/{id}-{n}-{ok}.txt", connection="AzureWebJobsStorage")
    def filed(msg: func.QueueMessage, note: func.InputStream, raw: bytes, copy: func.Out[str]) -> None:
        record(what="filed", id=msg.id, note=note and note.read().decode(), raw=raw and raw.hex())
        copy.set(msg.get_body().decode())
"""
)


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop, shared_account: Account) -> Host:
    """The host of all tests that only ask; a worn message waits for it."""
    shared_account.send("worn", "worn")
    client = shared_account.queue("worn")
    for _ in range(3):
        message = client.receive_message(visibility_timeout=1)
        assert message is not None
        client.update_message(message.id, pop_receipt=message.pop_receipt, visibility_timeout=0)
    settings = {
        "FUNCHOST_MESSAGE_VISIBILITY": str(VISIBILITY_SECONDS),
        "AzureWebJobsElsewhere": shared_account.connection_string,
        "AzureWebJobs.resting.Disabled": "true",
        "NAMED_QUEUE": f"Named-{shared_account.tag}",
    }
    started: Host = shared_workshop.start(shared_workshop.write(SHARED), settings=settings)
    return started


def _of(host: Host, what: str, **fields: Any) -> list[dict[str, Any]]:
    return [record for record in host.records(what) if fields.items() <= record.items()]


def _poison(account: Account, queue: str = "in", **options: Any) -> list[str]:
    return account.waiting(f"{queue}-{account.tag}-poison", full=True, **options)


# ------------------------------------------------------------------------------------------- asked of the shared host


@scenario(15)
def test_a_success_deletes_the_message_and_writes_the_output(host: Host, shared_account: Account) -> None:
    shared_account.send("in", "hello")
    assert eventually(lambda: "did hello" in shared_account.waiting("out"))
    assert eventually(lambda: shared_account.depth("in") == 0)
    raw = shared_account.waiting("out", raw=True)
    assert base64.b64encode(b"did hello").decode() in raw
    assert len(_of(host, "work", body="hello")) == 1


@scenario(16)
def test_a_message_arrives_with_all_that_is_known_of_it(host: Host, shared_account: Account, kind: str) -> None:
    sent = shared_account.queue("in")
    shared_account.send("in")
    message = sent.send_message('{"Id": "of the body", "a": 1}')
    seen = eventually(lambda: _of(host, "work", id=message.id))[0]
    assert seen["attempt"] == 1
    assert seen["receipt"]
    inserted, expires, visible = (_moment(seen[name]) for name in ("inserted", "expires", "visible"))
    assert expires - inserted == pytest.approx(7 * 86400, abs=2)
    seconds = VISIBILITY_SECONDS if kind == "embedded" else 600
    assert visible - seen["at"] == pytest.approx(seconds, abs=2)


@scenario(16)
@pytest.mark.embedded("its log is this host's own")
def test_the_line_of_a_call_names_the_trigger_and_the_attempt(host: Any, shared_account: Account) -> None:
    shared_account.send("late", "for the log")
    assert eventually(lambda: host.events("function.succeeded", function="late"))
    line = host.events("function.succeeded", function="late")[0]
    assert (line["trigger"], line["attempt"], line["outcome"]) == ("queue", 1, "succeeded")
    assert line["invocation_id"]
    assert line["duration_ms"] > 0


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@scenario(17)
def test_a_message_that_always_fails_is_tried_and_then_buried(host: Host, shared_account: Account) -> None:
    shared_account.send("in", "fail <&> 실패")
    assert eventually(lambda: "fail <&> 실패" in _poison(shared_account))
    attempts = _of(host, "work", body="fail <&> 실패")
    assert [record["attempt"] for record in attempts] == [1, 2, 3]
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(attempts)]
    assert min(pauses) > 0.9  # visibilityTimeout is a second
    assert eventually(lambda: shared_account.depth("in") == 0)


@scenario(17)
def test_a_poison_queue_may_have_a_function_of_its_own(host: Host, shared_account: Account) -> None:
    sent = shared_account.queue("sour")
    shared_account.send("sour")
    message = sent.send_message("bitter")
    mourned = eventually(lambda: _of(host, "mourn", body="bitter"))[0]
    assert mourned["attempt"] == 1
    assert mourned["id"] != message.id


@scenario(18)
def test_a_message_received_too_often_is_buried_without_a_call(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: _poison(shared_account, "worn") == ["worn"])
    assert host.records("worn") == []
    assert eventually(lambda: shared_account.depth("worn") == 0)


@scenario(19)
def test_a_failing_poison_function_makes_no_second_poison_queue(host: Host, shared_account: Account) -> None:
    queue = shared_account.queue(f"x-{shared_account.tag}-poison", full=True)
    queue.create_queue()
    queue.send_message("x")
    assert eventually(lambda: [record["attempt"] for record in host.records("bury")][:3] == [1, 2, 3])
    time.sleep(0.3)
    with pytest.raises(ResourceNotFoundError):
        shared_account.queue(f"x-{shared_account.tag}-poison-poison", full=True).get_queue_properties()
    assert queue.get_queue_properties().approximate_message_count == 1


@scenario(20)
def test_a_text_that_is_not_base64_is_buried_raw_without_a_call(host: Host, shared_account: Account) -> None:
    shared_account.send("late", "plain <text>", raw=True)
    assert eventually(lambda: _poison(shared_account, "late", raw=True) == ["plain <text>"])
    assert _of(host, "late", body="plain <text>") == []


@scenario(21)
@pytest.mark.embedded("Microsoft's visibility time is ten minutes, fixed")
def test_a_long_run_keeps_its_message_by_renewal(host: Any, shared_account: Account) -> None:
    body = f"sleep {3 * VISIBILITY_SECONDS}"
    shared_account.send("in", body)
    assert eventually(lambda: _of(host, "work", body=body))
    while not _of(host, "done", body=body):
        assert shared_account.waiting("in") == []
        time.sleep(0.1)
    assert eventually(lambda: shared_account.depth("in") == 0)
    [worked] = _of(host, "work", body=body)
    assert host.events("queue.delete_refused", message_id=worked["id"]) == []


def _lose_one(host: Host, account: Account) -> tuple[str, dict[str, Any]]:
    """Delete a message under its function; one that was renewed already is left to its end, and the next is tried."""
    for number in range(5):
        body = f"sleep {VISIBILITY_SECONDS} and lose it {number}"
        account.send("in", body)
        seen = eventually(lambda: _of(host, "work", body=body))[0]  # noqa: B023 - asked at once
        try:
            account.queue("in").delete_message(seen["id"], pop_receipt=seen["receipt"])
        except HttpResponseError:
            continue
        return body, seen
    raise AssertionError("every message was renewed before it could be deleted")


@pytest.mark.embedded("Microsoft's host renews after five minutes")
def test_a_message_that_goes_away_under_its_function_is_no_trouble(host: Any, shared_account: Account) -> None:
    """Somebody deletes it with the first receipt, before the host has renewed it."""
    body, seen = _lose_one(host, shared_account)
    assert eventually(lambda: host.events("queue.delete_refused", message_id=seen["id"]))
    assert host.events("queue.renewal_failed", message_id=seen["id"])
    assert eventually(lambda: f"did {body}" in shared_account.waiting("out"))
    shared_account.send("in", "after the lost one")
    assert eventually(lambda: _of(host, "done", body="after the lost one"))
    assert len(_of(host, "work", body=body)) == 1


def test_a_message_may_live_for_ever(host: Host, shared_account: Account) -> None:
    shared_account.send("in")
    shared_account.queue("in").send_message("for ever", time_to_live=-1)
    seen = eventually(lambda: _of(host, "done", body="for ever") and _of(host, "work", body="for ever"))[0]
    assert datetime.fromisoformat(seen["expires"]).year == 9999


def test_a_disabled_function_takes_no_message(host: Host, shared_account: Account) -> None:
    shared_account.send("resting", "stays")
    time.sleep(1)  # two polls
    message = shared_account.queue("resting").peek_messages()[0]
    assert (message.content, message.dequeue_count) == ("stays", 0)
    assert host.records("resting") == []


def test_a_request_gives_names_to_paths_too(host: Host, shared_account: Account) -> None:
    shared_account.put("h1.txt", b"a note", container="notes")
    for note, expected in (("h1", b"a note"), ("h2", b"nothing")):
        assert host.post(f"/api/notes/{note}?line=L7", json={"n": 2}).content == expected
        blob = shared_account.blobs.get_blob_client(shared_account.name("asked"), f"L7/{note}-2.txt")
        assert blob.download_blob().readall() == expected
    assert host.post("/api/notes/h1?line=L7").status_code == 500  # the path wants n


@scenario(25)
def test_a_queue_that_appears_later_is_picked_up(host: Host, shared_account: Account) -> None:
    """None of the queues stood there at the start; of this one the function's first message is asked."""
    shared_account.send("spread", json.dumps({"texts": ["late"]}))
    assert eventually(lambda: "late" in shared_account.waiting("spreadout"), seconds=1.5)


@scenario(25)
@pytest.mark.embedded("its log is this host's own")
def test_a_missing_queue_is_no_trouble(host: Any, shared_account: Account) -> None:
    with pytest.raises(ResourceNotFoundError):
        shared_account.queue("stubborn").get_queue_properties()
    assert [line for line in host.log() if line["event"] == "queue.unreachable"] == []


@scenario(26)
def test_lists_become_several_messages_and_failures_none(host: Host, shared_account: Account) -> None:
    shared_account.send("spread", json.dumps({"texts": ["a", "b", "c"]}), json.dumps({"texts": None}))
    assert eventually(lambda: {"a", "b", "c"} <= set(shared_account.waiting("spreadout")))
    shared_account.send("spread", json.dumps({"texts": ["d"], "fail": True}))
    assert eventually(lambda: _poison(shared_account, "spread"))
    out = shared_account.waiting("spreadout")
    assert sorted(text for text in out if text != "late") == ["a", "b", "c"]
    assert eventually(lambda: shared_account.depth("spread") == 0)


@scenario(27)
@pytest.mark.embedded("Microsoft's host of the time warns, and tries again while it holds the message")
def test_retry_on_a_queue_function_is_refused_by_name(
    host: Any, shared_workshop: Workshop, shared_account: Account
) -> None:
    assert "stubborn" in host.errors_of("stubborn")[0]
    assert host.errors_of("work") == []
    strict = shared_workshop.start(host.app_dir, "--strict", ready=False)
    assert strict.process.wait(20) == 1
    assert "stubborn" in strict.log_text()


def test_bytes_arrive_and_leave_as_they_are(host: Host, shared_account: Account) -> None:
    every_byte = bytes(range(256))
    shared_account.send("raw", base64.b64encode(every_byte).decode(), raw=True)
    expected = base64.b64encode(every_byte[::-1]).decode()
    assert eventually(lambda: shared_account.waiting("rawout", raw=True)) == [expected]


def test_messages_as_outputs_are_written_as_objects(host: Host, shared_account: Account) -> None:
    shared_account.send("forward", "go")
    one = eventually(lambda: shared_account.waiting("forwarded"))
    assert [json.loads(text) for text in one] == [{"id": "mine", "body": "one"}]
    several = eventually(lambda: shared_account.waiting("several"))
    found = [(message["id"], message["body"]) for message in map(json.loads, several)]
    assert sorted(found, key=lambda item: item[1]) == [("m1", "1"), (None, "둘")]


def test_an_output_too_long_for_a_message_fails_the_call(host: Host, shared_account: Account) -> None:
    """48 KiB become 64 KiB of base64, which is what a message holds."""
    shared_account.send("heavy", json.dumps({"bytes": 48 * 1024}))
    assert eventually(lambda: shared_account.depth("heavyout") == 1)
    assert eventually(lambda: shared_account.depth("heavy") == 0)
    shared_account.send("heavy", json.dumps({"bytes": 48 * 1024 + 1}))
    assert eventually(lambda: _poison(shared_account, "heavy"))
    assert [record["attempt"] for record in host.records("heavy")] == [1, 1, 2, 3]
    assert shared_account.depth("heavyout") == 1


def test_a_list_of_bytes_fails_as_in_microsofts_runtime(host: Host, shared_account: Account) -> None:
    """It is accepted at the start; the converter of `azure.functions` knows texts and messages only."""
    shared_account.send("chunks", "go")
    assert eventually(lambda: _poison(shared_account, "chunks") == ["go"])
    assert [record["attempt"] for record in host.records("chunks")] == [1, 2, 3]
    assert shared_account.depth("chunksout") == -1


def test_names_come_from_settings_connections_and_the_message(host: Host, shared_account: Account) -> None:
    queue = f"named-{shared_account.tag}"
    shared_account.queue(queue, full=True).create_queue()
    shared_account.queue(queue, full=True).send_message('{"line": "Press-2"}')
    assert eventually(lambda: shared_account.waiting(f"{queue}-press-2", full=True)) == ["Press-2"]


def test_paths_of_blobs_are_filled_from_the_message(host: Host, shared_account: Account) -> None:
    shared_account.put("a7.txt", "쪽지".encode(), container="notes")
    shared_account.put("L1.bin", b"\x00\xff", container="notes")
    body = json.dumps({"id": "a7", "n": 3, "ok": True, "kind": "x/y", "order": {"line": "L1"}, "skip": None, "l": [1]})
    shared_account.send("filed", body)
    blob = shared_account.blobs.get_blob_client(shared_account.name("filed"), "x/y/a7-3-True.txt")
    assert eventually(blob.exists)
    assert json.loads(blob.download_blob().readall()) == json.loads(body)
    seen = _of(host, "filed", note="쪽지")[0]
    assert seen["raw"] == "00ff"
    assert seen["id"] not in ("", "a7")


def test_an_input_blob_that_is_not_there_is_none_and_a_missing_name_fails(host: Host, shared_account: Account) -> None:
    shared_account.send("filed", json.dumps({"id": "b1", "n": 1.5, "ok": False, "kind": "k", "order": {"line": "no"}}))
    assert eventually(lambda: _of(host, "filed", note=None, raw=None))
    blob = shared_account.blobs.get_blob_client(shared_account.name("filed"), "k/b1-1.5-False.txt")
    assert eventually(blob.exists)
    shared_account.send("filed", json.dumps({"id": "c1", "n": 1}))
    assert eventually(lambda: _poison(shared_account, "filed"))


@pytest.mark.parametrize("body", ['{"a":' * 6000 + "1" + "}" * 6000, "[1, 2]", '{"broken', " ", "줄\n바꿈 \U0001f600"])
def test_any_text_is_a_message(host: Host, shared_account: Account, body: str) -> None:
    shared_account.send("late", body)
    assert eventually(lambda: _of(host, "late", body=body))
    assert len(_of(host, "late", body=body)) == 1


def test_a_message_sent_with_a_delay_waits_for_it(host: Host, shared_account: Account) -> None:
    shared_account.send("late")
    sent = time.time()
    shared_account.queue("late").send_message("delayed", visibility_timeout=2)
    seen = eventually(lambda: _of(host, "late", body="delayed"))[0]
    assert seen["at"] - sent > 1


# ------------------------------------------------------------------------------------------------- hosts of their own


@scenario(20)
def test_plain_text_runs_when_the_encoding_is_none(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER, host_json={"extensions": {"queues": {"messageEncoding": "none"}}})
    account.send("in", "plain <text>", raw=True)
    assert eventually(lambda: [record["body"] for record in host.records("done")]) == ["plain <text>"]
    assert eventually(lambda: account.waiting("out", raw=True)) == ["did plain <text>"]


@scenario(22)
@pytest.mark.embedded("Microsoft's visibility time is ten minutes, fixed")
def test_a_killed_hosts_message_comes_back(workshop: Workshop, account: Account) -> None:
    visibility = 3
    app_dir = workshop.write(WORKER, host_json={"extensions": {"queues": {"maxPollingInterval": "00:00:00.1"}}})
    settings = {"FUNCHOST_MESSAGE_VISIBILITY": str(visibility)}
    first = workshop.start(app_dir, settings=settings)
    account.send("in", "sleep 60")
    assert eventually(lambda: first.records("work"))
    second = workshop.start(app_dir, settings=settings)
    killed = time.time()
    first.kill()
    assert eventually(lambda: len(second.records("work")) == 2, seconds=visibility + 3)
    again = second.records("work")[1]
    assert again["attempt"] == 2
    assert again["id"] == second.records("work")[0]["id"]
    assert again["at"] - killed < visibility + 1


@scenario(23)
@pytest.mark.parametrize(("batch", "threshold", "most"), [(2, 1, 3), (1, 0, 1)])
def test_no_more_messages_run_at_once_than_allowed(
    workshop: Workshop, account: Account, batch: int, threshold: int, most: int
) -> None:
    limits = {"extensions": {"queues": {"batchSize": batch, "newBatchThreshold": threshold}}}
    account.send("in", *[f"sleep {0.2 + number % 2 * 0.2} {number}" for number in range(10)])
    host = workshop.run(WORKER, host_json=limits)
    assert eventually(lambda: len(host.records("done")) == 10, seconds=15)
    running, peak = 0, 0
    for record in sorted(host.records(), key=lambda record: record["at"]):
        running += 1 if record["what"] == "work" else -1
        peak = max(peak, running)
    assert peak == most


@scenario(24)
def test_a_stop_lets_the_running_function_finish(workshop: Workshop, account: Account) -> None:
    limits = {"extensions": {"queues": {"batchSize": 1, "newBatchThreshold": 0}}}
    host = workshop.run(WORKER, host_json=limits)
    account.send("in", "sleep 2", "sleep 2 more")
    assert eventually(lambda: host.records("work"))
    assert host.stop() == 0
    assert len(host.records("work")) == len(host.records("done")) == 1
    assert account.depth("in") == 1
    assert len(account.waiting("out")) == 1
    assert eventually(lambda: len(account.waiting("in")) == 1, seconds=4)


@scenario(24)
@pytest.mark.embedded("the grace is a setting of this host")
def test_a_stop_cuts_what_outlives_the_grace_and_gives_the_message_back(workshop: Workshop, account: Account) -> None:
    host = workshop.run(WORKER, FUNCHOST_GRACE_SECONDS="0.5", FUNCHOST_MESSAGE_VISIBILITY="600")
    account.send("in", "sleep 60")
    assert eventually(lambda: host.records("work"))
    assert host.stop() == 0
    assert host.records("done") == []
    assert eventually(lambda: account.waiting("in")) == ["sleep 60"]


@scenario(28)
def test_an_output_wakes_the_idle_listener_of_its_queue(workshop: Workshop, account: Account) -> None:
    """Both queues are idle alike; what comes from outside waits for the next poll, what this host sends does not."""
    source = """
        @app.route(route="ring")
        @app.queue_output(arg_name="out", queue_name="in-TAG", connection="AzureWebJobsStorage")
        def ring(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
            out.set("now")
            return func.HttpResponse("rung")

        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        async def heard(msg: func.QueueMessage) -> None:
            record(what="heard")

        @app.queue_trigger(arg_name="msg", queue_name="foreign-TAG", connection="AzureWebJobsStorage")
        async def foreign(msg: func.QueueMessage) -> None:
            record(what="foreign")
    """
    account.send("foreign")
    host = workshop.run(source, host_json={"extensions": {"queues": {"maxPollingInterval": "00:01:00"}}})
    time.sleep(5)  # a poll about 4 s after the start, the next about 7 s after it
    account.send("foreign", "sent first")
    assert host.get("/api/ring").text == "rung"
    assert eventually(lambda: len(host.records()) == 2)
    assert [record["what"] for record in host.records()] == ["heard", "foreign"]
