"""What timers stand on: spans of time, changes of the clock, time zones, statuses kept, retry policies."""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from funchost import timers
from funchost.catalogue import Entry
from funchost.retries import parse_retry
from funchost.state import HostState
from schedules.ncrontab import ConstantSchedule, parse_cron, parse_schedule
from schedules.timespan import parse_timespan
from schedules.zone import local_zone
from tests.conformance.hosts import eventually


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


@pytest.mark.parametrize(
    ("schedule", "kept"),
    [("* * * * * *", False), ("*/5 * * * * *", False), ("10,20,45 * * * * *", False), ("0 */5 * * * *", True),
     ("* 30 * * * *", True), ("* */30 * * * *", True), ("0 * * * * *", True), ("30 * * * * *", True),
     ("* * 12 * * Mon", True), ("* * * * *", True), ("00:00:59", False), ("00:01:00", True)],
)  # fmt: skip
def test_a_status_is_kept_unless_every_minute_has_several_firings(schedule: str, kept: bool) -> None:
    trigger = {"type": "timerTrigger", "schedule": schedule}
    assert timers.uses_monitor(Entry(name="tick", trigger=trigger, outputs=()), parse_schedule(schedule)) is kept
    switched_off = Entry(name="tick", trigger={**trigger, "useMonitor": False}, outputs=())
    assert timers.uses_monitor(switched_off, parse_schedule(schedule)) is False


def test_the_zone_is_that_of_tz_then_that_of_azures_setting() -> None:
    seoul, berlin = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
    assert local_zone({"TZ": "Asia/Seoul", "WEBSITE_TIME_ZONE": "Europe/Berlin"}) == seoul
    assert local_zone({"WEBSITE_TIME_ZONE": "Europe/Berlin"}) == berlin
    unknown: list[str] = []
    local_zone({"WEBSITE_TIME_ZONE": "Nowhere Standard Time"}, unknown=unknown.append)
    assert unknown == ["Nowhere Standard Time"]
