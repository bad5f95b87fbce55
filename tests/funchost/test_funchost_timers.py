"""Timer functions: schedules, past due, no overlap, one owner, retries, firing by hand."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from azure.storage.blob import BlobClient

from funchost import timers
from funchost.catalogue import Entry
from funchost.retries import parse_retry
from funchost.state import HostState
from schedules.ncrontab import ConstantSchedule, parse_cron, parse_schedule
from schedules.timespan import parse_timespan
from tests.conformance.account import Account
from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

OCCURRENCES = [
    ("* * * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:01"),
    ("0 */5 * * * *", "2026-01-01T00:02:10", "2026-01-01T00:05:00"),
    ("0 3/15 * * * *", "2026-01-01T00:33:00", "2026-01-01T00:48:00"),
    ("0 10-2 8 * * *", "2026-01-01T08:02:00", "2026-01-01T08:03:00"),
    ("0 0 1,13 * * *", "2026-01-01T01:00:00", "2026-01-01T13:00:00"),
    ("0 0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
    ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ("0 0 12 13 * Fri", "2026-01-01T00:00:00", "2026-02-13T12:00:00"),
    ("0 0 12 13 * 5", "2026-03-13T12:00:00", "2026-11-13T12:00:00"),
    ("0 0 2 * * Sun", "2026-11-21T00:00:00", "2026-11-22T02:00:00"),
    ("0 0 0 1 ja,D *", "2026-01-02T00:00:00", "2026-12-01T00:00:00"),
    ("30 4 * * mon-wed", "2026-11-21T00:00:00", "2026-11-23T04:30:00"),
    ("0 59 23 31 12 *", "2026-12-31T23:59:00", "2027-12-31T23:59:00"),
    ("0 30 9 * Jan-Mar 1-5/2", "2026-01-01T10:00:00", "2026-01-02T09:30:00"),
    ("15,45 0 0 * * *", "2026-05-05T00:00:15", "2026-05-05T00:00:45"),
]


@pytest.mark.parametrize(("expression", "after", "expected"), OCCURRENCES)
def test_an_expression_finds_its_next_occurrence(expression: str, after: str, expected: str) -> None:
    assert parse_cron(expression).next_local(datetime.fromisoformat(after)).isoformat() == expected


@pytest.mark.parametrize(
    "expression",
    ["0 0 0 * * 7", "0 0 0 ? * *", "0 0 0 L * *", "* * * *", "0 60 * * * *", "0 0 24 * * *", "0 0 0 30 2 *",
     "0 */0 * * * *", "0 ,1 * * * *", "0 0 0 0 * *", "0 0 0 * 13 *", "0 0 0 1W * *", "0 0 0 * * 2#1", "30", ""],
)  # fmt: skip
def test_what_ncrontab_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"field|schedule|step"):
        parse_schedule(expression)


def test_a_time_span_fires_at_a_constant_interval() -> None:
    schedule = parse_schedule("00:00:30")
    assert schedule == ConstantSchedule(every=timedelta(seconds=30))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert schedule.next_after(moment, UTC) - moment == timedelta(seconds=30)
    assert parse_timespan("1.02:03:04.5") == timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500)
    assert parse_timespan("-00:00:01") == -timedelta(seconds=1)
    with pytest.raises(ValueError, match="hours go to 23"):
        parse_timespan("24:00:00")


def test_clock_changes_neither_double_nor_lose_a_daily_run() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    daily, every_half_hour = parse_cron("0 30 2 * * *"), parse_cron("0 */30 * * * *")
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = daily.next_after(autumn, berlin)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert daily.next_after(first, berlin) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert daily.next_after(spring, berlin) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    moments = [datetime(2026, 10, 24, 23, 30, tzinfo=UTC)]
    while len(moments) < 8:
        moments.append(every_half_hour.next_after(moments[-1], berlin))
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=30)}


def test_a_clock_set_back_an_hour_does_not_silence_a_timer_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    back_seconds, state = 0.0, HostState()
    fired: list[float] = []
    clock = SimpleNamespace(time=lambda: time.time() - back_seconds, monotonic=time.monotonic)
    monkeypatch.setattr(timers, "time", clock)
    blob = SimpleNamespace(blob_name="status")
    storage: Any = SimpleNamespace(blobs=SimpleNamespace(get_blob_client=lambda *_: blob))

    def run(_: Any) -> SimpleNamespace:
        fired.append(time.monotonic())
        return SimpleNamespace(ok=True)

    invoker: Any = SimpleNamespace(run=run)
    listener = timers.TimerListener(
        entry=Entry(name="tick", trigger={"type": "timerTrigger", "schedule": "* * * * * *"}, outputs=()),
        storage=storage, host_id="host", lock_period_seconds=15, lock_retry_seconds=15, invoker=invoker, state=state,
    )  # fmt: skip
    monkeypatch.setattr(listener, "_lease", SimpleNamespace(held=True))
    thread = threading.Thread(target=listener._serve, kwargs={"first_time": True})
    thread.start()
    try:
        assert eventually(lambda: len(fired) >= 1)
        back_seconds = 3600.0
        before = len(fired)
        assert eventually(lambda: len(fired) >= before + 2, seconds=5)
    finally:
        state.stop()
        thread.join(5)


def test_retry_policies_bound_their_delays() -> None:
    fixed = parse_retry({"strategy": "fixed_delay", "max_retry_count": "2", "delay_interval": "00:00:03"})
    assert [fixed.allows(count) for count in (0, 1, 2)] == [True, True, False]
    assert fixed.delay_seconds(5) == 3
    grown = parse_retry(
        {
            "strategy": "exponential_backoff",
            "max_retry_count": "-1",
            "minimum_interval": "00:00:01",
            "maximum_interval": "00:01:00",
        }
    )
    assert grown.allows(10_000)
    assert 1.8 <= grown.delay_seconds(0) <= 2.2
    assert grown.delay_seconds(30) == 60
    with pytest.raises(ValueError, match="minimum_interval"):
        parse_retry({"strategy": "exponential_backoff", "max_retry_count": "1"})


TIMER = """
    @app.timer_trigger(arg_name="timer", schedule="{schedule}")
    def tick(timer: func.TimerRequest) -> None:
        record(what="tick", past_due=timer.past_due, status=timer.schedule_status)
"""


def _status_blob(account: Account) -> BlobClient:
    return account.blobs.get_blob_client("azure-webjobs-hosts", f"timers/{account.host_id}/Host.Functions.tick/status")


def _write_status(account: Account, *, last: datetime, following: datetime) -> None:
    container = account.blobs.get_container_client("azure-webjobs-hosts")
    if not container.exists():
        container.create_container()
    document = {"Last": last.isoformat(), "Next": following.isoformat(), "LastUpdated": last.isoformat()}
    _status_blob(account).upload_blob(json.dumps(document), overwrite=True)


@pytest.mark.azurite
def test_a_missed_slot_fires_once_at_start(workshop: Workshop, account: Account) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    _write_status(account, last=today - timedelta(days=4), following=today - timedelta(days=3))
    host = workshop.run(TIMER.format(schedule="0 0 0 * * *"), TZ="UTC")
    assert eventually(lambda: host.records("tick"))
    time.sleep(0.5)
    assert [record["past_due"] for record in host.records("tick")] == [True]
    status = json.loads(_status_blob(account).download_blob().readall())
    assert datetime.fromisoformat(status["Next"]) == today + timedelta(days=1)


@pytest.mark.azurite
def test_the_first_start_and_a_changed_schedule_only_write_the_status(workshop: Workshop, account: Account) -> None:
    app_dir = workshop.write(TIMER.format(schedule="0 0 0 * * *"))
    first = workshop.start(app_dir, settings={"TZ": "UTC"})
    assert eventually(lambda: _status_blob(account).exists())
    assert first.stop() == 0
    day = timedelta(days=1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    _write_status(account, last=today - 4 * day, following=today - 3 * day)
    workshop.write(TIMER.format(schedule="0 0 12 1 1 *"))
    second = workshop.start(app_dir, settings={"TZ": "UTC"})
    expected = (today.year + (datetime.now(UTC) >= today.replace(month=1, day=1, hour=12)), 1, 1, 12)

    def following() -> tuple[int, int, int, int]:
        moment = datetime.fromisoformat(json.loads(_status_blob(account).download_blob().readall())["Next"])
        return moment.year, moment.month, moment.day, moment.hour

    assert eventually(lambda: following() == expected)
    assert second.records("tick") == []


@pytest.mark.azurite
def test_runs_never_overlap(workshop: Workshop) -> None:
    host = workshop.run(
        """
        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        def tick(timer: func.TimerRequest) -> None:
            record(what="tick", status=timer.schedule_status)
            time.sleep(1.5)
            record(what="end")
            raise ValueError("a failure does not stop the schedule")
        """
    )
    assert eventually(lambda: len(host.records("end")) >= 3, seconds=12)
    kinds = [record["what"] for record in host.records()]
    assert kinds[:6] == ["tick", "end"] * 3
    starts = [record["at"] for record in host.records("tick")]
    assert all(1.4 <= later - earlier <= 1.9 for earlier, later in pairwise(starts))
    assert host.records("tick")[0]["status"] == {}


@pytest.mark.azurite
def test_run_on_startup_runs_once_and_by_hand_again(workshop: Workshop, account: Account) -> None:
    host = workshop.run(
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
        @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00.1")
        def tick(timer: func.TimerRequest, context: func.Context) -> None:
            record(what="tick", past_due=timer.past_due, retry=context.retry_context.retry_count)
            raise ValueError("no")

        @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
        def work(msg: func.QueueMessage) -> None:
            record(what="work", a=msg.get_json()["a"])
        """
    )
    assert eventually(lambda: len(host.records("tick")) == 3)
    assert [record["retry"] for record in host.records("tick")] == [0, 1, 2]
    assert {record["past_due"] for record in host.records("tick")} == {False}
    assert host.admin("POST", "functions/tick", json={"input": ""}).status_code == 202
    assert eventually(lambda: len(host.records("tick")) == 6)
    assert host.admin("POST", "functions/work", json={"input": '{"a": 1}'}).status_code == 202
    assert eventually(lambda: [record["a"] for record in host.records("work")]) == [1]
    assert host.admin("POST", "functions/nobody", json={"input": ""}).status_code == 404
    assert host.admin("POST", "functions/tick", content=b"").status_code == 400
    assert host.admin("POST", "functions/tick", content=b"[" * 100_000).status_code == 400
    assert host.post("/admin/functions/tick", json={"input": ""}).status_code == 401


@pytest.mark.azurite
def test_of_two_hosts_one_fires_and_the_other_takes_over_at_its_stop(workshop: Workshop, account: Account) -> None:
    app_dir = workshop.write(TIMER.format(schedule="*/1 * * * * *"))
    first = workshop.start(app_dir)
    assert eventually(lambda: first.records("tick"))
    second = workshop.start(app_dir)
    seen = len(first.records("tick"))
    assert eventually(lambda: len(first.records("tick")) >= seen + 2)
    slots = [round(record["at"]) for record in first.records("tick")]
    assert len(set(slots)) == len(slots)
    assert len({record["pid"] for record in first.records("tick")}) == 1
    assert first.stop() == 0
    assert eventually(lambda: len({record["pid"] for record in second.records("tick")}) == 2, seconds=6)


@pytest.mark.azurite
def test_an_unresolved_name_fails_that_timer_only(workshop: Workshop) -> None:
    host = workshop.run(
        """
        @app.route(route="ping")
        def ping(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("pong")

        @app.timer_trigger(arg_name="timer", schedule="%NO_SUCH_NAME%")
        def tick(timer: func.TimerRequest) -> None:
            pass
        """
    )
    assert "NO_SUCH_NAME" in host.admin("GET", "functions/tick/status").json()["errors"][0]
    assert host.get("/api/ping").text == "pong"
