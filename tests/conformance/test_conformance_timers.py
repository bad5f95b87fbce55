"""Timer functions: schedules, statuses, past due, no overlap, one owner, retries."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from azure.storage.blob import BlobClient

from schedules.ncrontab import parse_cron, parse_schedule
from tests.conformance.account import Account
from tests.conformance.hosts import Host, eventually
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

ZONE = ZoneInfo("Asia/Seoul")
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


@scenario(36)
@pytest.mark.parametrize(("expression", "after", "expected"), OCCURRENCES)
def test_an_expression_finds_its_next_occurrence(expression: str, after: str, expected: str) -> None:
    assert parse_cron(expression).next_local(datetime.fromisoformat(after)).isoformat() == expected


@scenario(36)
@pytest.mark.parametrize(
    "expression",
    ["0 0 0 * * 7", "0 0 0 ? * *", "0 0 0 L * *", "* * * *", "0 60 * * * *", "0 0 24 * * *", "0 0 0 30 2 *",
     "0 */0 * * * *", "0 ,1 * * * *", "0 0 0 0 * *", "0 0 0 * 13 *", "0 0 0 1W * *", "0 0 0 * * 2#1", "30", ""],
)  # fmt: skip
def test_what_ncrontab_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"field|schedule|step"):
        parse_schedule(expression)


SHARED = """
    def timer(name, schedule, act=lambda: None, **options):
        def run(timer: func.TimerRequest) -> None:
            record(what=name, past_due=timer.past_due, status=timer.schedule_status)
            act()
        app.function_name(name)(app.timer_trigger(arg_name="timer", schedule=schedule, **options)(run))

    def fail():
        raise ValueError("no")

    def slow():
        time.sleep(2.5)
        record(what="slow ends")

    timer("midnight", "0 0 0 * * *")
    timer("unwatched", "0 0 0 * * *", use_monitor=False)
    timer("eager", "0 0 0 * * *", run_on_startup=True)
    timer("changed", "0 0 12 1 1 *")
    timer("ahead", "0 0 0 1 1 *")
    timer("broken", "0 0 0 1 1 *")
    timer("leapday", "0 0 0 29 2 *")
    timer("friday13", "0 30 4 13 * Fri")
    timer("weekdays", "30 4 * * mon-wed")
    timer("day31", "0 0 0 31 * *")
    timer("newyear", "%NEW_YEAR%")
    timer("hourly", "01:00:00")
    timer("often", "00:00:01")
    timer("bound", "* 30 4 1 1 *")
    timer("slow", "*/1 * * * * *", act=slow)
    timer("startup", "0 0 0 1 1 *", run_on_startup=True)
    timer("failing", "*/1 * * * * *", act=fail, run_on_startup=True)

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True, use_monitor=False)
    @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00.1")
    def fixed(timer: func.TimerRequest, context: func.Context) -> None:
        retry = context.retry_context
        record(what="fixed", past_due=timer.past_due, status=timer.schedule_status, retry=retry.retry_count,
               most=retry.max_retry_count)
        raise ValueError("no")

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
    @app.retry(strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:00.2",
               maximum_interval="00:00:10")
    def growing(timer: func.TimerRequest, context: func.Context) -> None:
        record(what="growing", retry=context.retry_context.retry_count)
        if context.retry_context.retry_count < 3:
            raise ValueError("no")

    timer("idle", "*/1 * * * * *", run_on_startup=True)
    timer("seven", "0 0 0 * * 7")
    timer("question", "0 0 0 ? * *")
    timer("last", "0 0 0 L * *")
    timer("four", "* * * *")
    timer("sixty", "0 60 * * * *")
    timer("days", "30")
    timer("unnamed", "%NO_SUCH_SETTING%")

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    @app.retry(strategy="fixed_delay", max_retry_count="2")
    def unbounded(timer: func.TimerRequest) -> None:
        pass
"""


def _status_blob(account: Account, timer: str) -> BlobClient:
    name = f"timers/{account.host_id}/Host.Functions.{timer}/status"
    return account.blobs.get_blob_client("azure-webjobs-hosts", name)


def _status(account: Account, timer: str) -> dict[str, datetime]:
    document = json.loads(_status_blob(account, timer).download_blob().readall())
    return {name: datetime.fromisoformat(text) for name, text in document.items()}


def _leave_status(account: Account, timer: str, *, last: datetime | None, following: datetime) -> bytes:
    """Write a status as .NET does: local times with seven places behind the second, and its first day for never."""
    container = account.blobs.get_container_client("azure-webjobs-hosts")
    if not container.exists():
        container.create_container()

    def text(moment: datetime | None) -> str:
        if moment is None:
            return "0001-01-01T00:00:00"
        return moment.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S.0000000+09:00")

    document = {"Last": text(last), "Next": text(following), "LastUpdated": text(last or following - timedelta(days=1))}
    data = json.dumps(document).encode()
    _status_blob(account, timer).upload_blob(data, overwrite=True)
    return data


def _midnight() -> datetime:
    return datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)


def _next_day(fits: Callable[[datetime], bool], *, hour: int = 0, minute: int = 0) -> datetime:
    """The first day from now on that fits, asked day by day."""
    moment = _midnight().replace(hour=hour, minute=minute)
    while moment <= datetime.now(ZONE) or not fits(moment):
        moment += timedelta(days=1)
    return moment


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop, shared_account: Account) -> Host:
    """The host of all tests that only ask; another host has run some of its timers before."""
    day = timedelta(days=1)
    for timer in ("midnight", "unwatched", "eager", "changed"):
        _leave_status(shared_account, timer, last=_midnight() - 3 * day, following=_midnight() - 2 * day)
    new_year = _next_day(lambda moment: (moment.month, moment.day) == (1, 1))
    _leave_status(shared_account, "ahead", last=None, following=new_year)
    _status_blob(shared_account, "broken").upload_blob(b'{"Last": "yesterday"')
    settings = {"TZ": "Asia/Seoul", "NEW_YEAR": "0 0 0 1 1 *", "AzureWebJobs.idle.Disabled": "1"}
    started: Host = shared_workshop.start(shared_workshop.write(SHARED), settings=settings)
    return started


# ------------------------------------------------------------------------------------------- asked of the shared host


@scenario(36)
@pytest.mark.azurite
@pytest.mark.parametrize(
    ("timer", "fits", "hour", "minute"),
    [
        ("leapday", lambda moment: (moment.month, moment.day) == (2, 29), 0, 0),
        ("friday13", lambda moment: moment.day == 13 and moment.isoweekday() == 5, 4, 30),
        ("day31", lambda moment: moment.day == 31, 0, 0),
        ("newyear", lambda moment: (moment.month, moment.day) == (1, 1), 0, 0),
        ("bound", lambda moment: (moment.month, moment.day) == (1, 1), 4, 30),
    ],
)
def test_a_first_start_writes_when_a_timer_runs_next(
    host: Host, shared_account: Account, timer: str, fits: Callable[[datetime], bool], hour: int, minute: int
) -> None:
    assert eventually(lambda: _status_blob(shared_account, timer).exists())
    status = _status(shared_account, timer)
    assert list(status) == ["Last", "Next", "LastUpdated"]
    assert status["Next"] == _next_day(fits, hour=hour, minute=minute)
    assert status["Last"].year == 1
    assert host.records(timer) == []


@scenario(36)
@pytest.mark.azurite
def test_five_fields_begin_with_the_minute(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: _status_blob(shared_account, "weekdays").exists())
    following = _status(shared_account, "weekdays")["Next"].astimezone(ZONE)
    assert following == _next_day(lambda moment: moment.isoweekday() in (1, 2, 3), hour=4, minute=30)


@scenario(36)
@pytest.mark.azurite
@pytest.mark.parametrize(
    ("timer", "reason"),
    [
        ("seven", "7 is outside"),
        ("question", "'?'"),
        ("last", "'L'"),
        ("four", "fields"),
        ("sixty", "60 is outside"),
        ("days", "hh:mm:ss"),
        ("unnamed", "NO_SUCH_SETTING"),
        ("unbounded", "delay_interval"),
    ],
)
def test_a_timer_that_means_nothing_is_an_error_of_its_own(host: Host, timer: str, reason: str) -> None:
    assert reason in host.errors_of(timer)[0]
    assert host.errors_of("midnight") == []


@scenario(37)
@pytest.mark.azurite
def test_missed_slots_fire_once_at_start(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: host.records("midnight"))
    time.sleep(0.5)
    assert [record["past_due"] for record in host.records("midnight")] == [True]
    seen = host.records("midnight")[0]["status"]
    assert datetime.fromisoformat(seen["Next"]) < _midnight()
    assert eventually(lambda: _status(shared_account, "midnight")["Next"] == _midnight() + timedelta(days=1))
    status = _status(shared_account, "midnight")
    assert status["Last"] == status["LastUpdated"]
    assert abs(status["Last"].timestamp() - host.records("midnight")[0]["at"]) < 5


@scenario(37)
@pytest.mark.azurite
def test_a_changed_schedule_is_worked_out_anew_and_runs_nothing(host: Host, shared_account: Account) -> None:
    new_year = _next_day(lambda moment: (moment.month, moment.day) == (1, 1), hour=12)
    assert eventually(lambda: _status(shared_account, "changed")["Next"] == new_year)
    assert _status(shared_account, "changed")["Last"].year == 1
    assert host.records("changed") == []


@scenario(37)
@pytest.mark.azurite
def test_a_status_of_another_host_that_is_not_due_is_left_alone(host: Host, shared_account: Account) -> None:
    before = _status_blob(shared_account, "ahead").download_blob().readall()
    assert eventually(lambda: host.records("midnight"))
    assert b"0000000+09:00" in before
    assert _status_blob(shared_account, "ahead").download_blob().readall() == before
    assert host.records("ahead") == []


@scenario(37)
@pytest.mark.azurite
def test_without_a_monitor_nothing_is_past_due(host: Host, shared_account: Account) -> None:
    before = _status(shared_account, "unwatched")
    assert eventually(lambda: host.records("midnight"))
    assert host.records("unwatched") == []
    assert _status(shared_account, "unwatched") == before


@pytest.mark.azurite
def test_a_status_that_cannot_be_read_is_written_anew(host: Host, shared_account: Account) -> None:
    new_year = _next_day(lambda moment: (moment.month, moment.day) == (1, 1))
    assert eventually(lambda: b"Next" in _status_blob(shared_account, "broken").download_blob().readall())
    assert _status(shared_account, "broken")["Next"] == new_year
    assert host.records("broken") == []


@scenario(38)
@pytest.mark.azurite
def test_runs_never_overlap(host: Host) -> None:
    """A run of two and a half seconds begins anew as it ends, not at the next full second."""
    assert eventually(lambda: len(host.records("slow")) >= 3, seconds=12)
    told = [record for record in host.records() if record["what"] in ("slow", "slow ends")]
    assert [record["what"] for record in told[:5]] == ["slow", "slow ends", "slow", "slow ends", "slow"]
    assert all(begun["at"] - ended["at"] < 0.4 for ended, begun in list(pairwise(told[:5]))[1::2])
    assert told[0]["status"] == {}


@scenario(39)
@pytest.mark.azurite
def test_run_on_startup_runs_once_and_not_past_due(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: host.records("startup"))
    time.sleep(0.5)
    assert [record["past_due"] for record in host.records("startup")] == [False]
    new_year = _next_day(lambda moment: (moment.month, moment.day) == (1, 1))
    assert eventually(lambda: _status(shared_account, "startup")["Next"] == new_year)


@scenario(37, 39)
@pytest.mark.azurite
def test_past_due_goes_before_run_on_startup(host: Host) -> None:
    assert eventually(lambda: host.records("eager"))
    time.sleep(0.5)
    assert [record["past_due"] for record in host.records("eager")] == [True]


@scenario(39)
@pytest.mark.azurite
def test_a_failing_body_does_not_stop_the_schedule(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: len(host.records("failing")) >= 3)
    assert not _status_blob(shared_account, "failing").exists()


@pytest.mark.azurite
def test_a_disabled_timer_does_not_run(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: len(host.records("often")) >= 2)
    assert host.records("idle") == []
    path = f"locks/{shared_account.host_id}/Host.Functions.idle.Listener"
    assert not shared_account.blobs.get_blob_client("azure-webjobs-hosts", path).exists()


@pytest.mark.azurite
def test_a_span_of_time_is_a_schedule_too(host: Host, shared_account: Account) -> None:
    assert eventually(lambda: len(host.records("often")) >= 3)
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(host.records("often"))]
    assert min(pauses) > 0.9
    assert not _status_blob(shared_account, "often").exists()
    assert eventually(lambda: _status_blob(shared_account, "hourly").exists())
    status = _status(shared_account, "hourly")
    assert status["Next"] - status["LastUpdated"] == timedelta(hours=1)
    assert host.records("hourly") == []


@pytest.mark.azurite
def test_a_failed_run_is_tried_again_by_its_policy(host: Host) -> None:
    assert eventually(lambda: len(host.records("fixed")) >= 3)
    time.sleep(0.3)
    tries = [(record["retry"], record["most"]) for record in host.records("fixed")]
    assert tries == [(0, 2), (1, 2), (2, 2)]
    assert eventually(lambda: len(host.records("growing")) >= 4)
    growing = host.records("growing")
    assert [record["retry"] for record in growing] == [0, 1, 2, 3]
    pauses = [later["at"] - earlier["at"] for earlier, later in pairwise(growing)]
    assert pauses == sorted(pauses)


@scenario(40)
@pytest.mark.azurite
def test_a_timers_owner_holds_its_lease(host: Host, shared_account: Account) -> None:
    path = f"locks/{shared_account.host_id}/Host.Functions.midnight.Listener"
    lock = shared_account.blobs.get_blob_client("azure-webjobs-hosts", path)
    assert eventually(lambda: lock.exists() and lock.get_blob_properties().lease.state == "leased")


# ------------------------------------------------------------------------------------------------- hosts of their own


@scenario(40)
@pytest.mark.azurite
def test_of_two_hosts_one_fires_and_the_other_takes_over(workshop: Workshop, account: Account) -> None:
    """At once when the first stops, and within the lease of 15 s and the retry when it is killed."""
    app_dir = workshop.write(
        """
        @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
        def tick(timer: func.TimerRequest) -> None:
            record(what="tick", past_due=timer.past_due)

        @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}", connection="AzureWebJobsStorage")
        def read(blob: func.InputStream) -> None:
            record(what="read", name=blob.name)
        """
    )
    first = workshop.start(app_dir)
    assert eventually(lambda: first.records("tick"))
    second = workshop.start(app_dir)
    seen = len(first.records("tick"))
    assert eventually(lambda: len(first.records("tick")) >= seen + 2)
    assert len(_owners(first)) == 1
    assert first.stop() == 0
    assert eventually(lambda: len(_owners(second)) == 2, seconds=6)
    third = workshop.start(app_dir)
    killed = time.time()
    second.kill()
    account.put("nobody scans now")
    assert eventually(lambda: len(_owners(third)) == 3, seconds=25)
    taken_over = next(record["at"] for record in third.records("tick") if record["pid"] == _owners(third)[2])
    assert taken_over - killed < 15 + 1 + 2  # the lease, the retry, and a slot
    assert eventually(lambda: third.records("read"), seconds=5)
    slots = [round(record["at"]) for record in third.records("tick")]
    assert len(set(slots)) == len(slots)


def _owners(host: Host) -> list[Any]:
    """The processes that ran the timer, in their order."""
    return list(dict.fromkeys(record["pid"] for record in host.records("tick")))
