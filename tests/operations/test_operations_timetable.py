"""A scheduled time leads to one row; of those that were missed the last one is made up for, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from shared.database.engine import make_engine
from shared.database.tables import Extract, QualityCycle, TrainingJob
from shared.database.work import WorkRows
from shared.operations.timetable import Timed, Timetable
from tests.database.database_support import MovableClock
from tests.databases import set_up


class Office:
    """An installation whose timers start rows of their own."""

    def __init__(self, engine: Engine) -> None:
        self.clock = MovableClock()  # 2026-03-01 08:00 UTC, a Sunday
        self.work = WorkRows(engine, clock=self.clock)
        self.environment: dict[str, str] = {}
        self.schedules = {"start_quality_cycle": "0 0 2 * * *", "start_training": "0 0 3 * * 0"}
        self.engine = engine

    def timetable(self, zone: str = "UTC") -> Timetable:
        """A timetable as a process has it that was started just now."""
        timed = (
            Timed(
                function="start_quality_cycle", table=QualityCycle,
                schedule=self.schedules["start_quality_cycle"], start=self._cycle,
            ),
            Timed(
                function="start_training", table=TrainingJob, schedule=self.schedules["start_training"], start=self._job
            ),
        )  # fmt: skip
        return Timetable(self.engine, timed, zone=ZoneInfo(zone), environment=self.environment, clock=self.clock)

    def install(self) -> None:
        self.work.insert(Extract(id="first", profile="demo", source="", created_at=self.clock()))

    def slots(self) -> list[str | None]:
        return [row.slot for row in reversed(self.work.list(QualityCycle)[0])]

    def reasons(self) -> list[str]:
        return [row.reason for row in reversed(self.work.list(QualityCycle)[0])]

    def _cycle(self, slot: str | None, reason: str) -> bool:
        count = self.work.list(QualityCycle)[1]
        return self.work.insert(
            QualityCycle(id=f"cycle_{count:03d}", slot=slot, reason=reason, created_at=self.clock())
        )

    def _job(self, slot: str | None, reason: str) -> bool:
        count = self.work.list(TrainingJob)[1]
        return self.work.insert(TrainingJob(id=f"job_{count:03d}", slot=slot, reason=reason, created_at=self.clock()))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    set_up(url)
    engine = make_engine(url)
    yield Office(engine)
    engine.dispose()


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def test_nothing_was_missed_before_the_installation(office: Office) -> None:
    assert office.timetable().run() == 0  # nothing has ever been there
    office.install()
    assert office.timetable().run() == 0
    assert office.slots() == []


def test_of_ten_missed_times_the_last_is_made_up_for_once(office: Office) -> None:
    office.install()
    office.clock.now = at(2, 2)
    office.timetable().fired("start_quality_cycle", "2026-03-02T02:00:00+00:00")
    office.clock.now = at(12, 9)  # down for ten nights and a Sunday
    assert [office.timetable().run() for _ in range(3)] == [2, 0, 0]

    assert office.slots() == ["2026-03-02T02:00:00+00:00", "2026-03-12T02:00:00+00:00"]
    assert office.reasons() == [
        "schedule",
        "schedule; the run of 2026-03-12T02:00:00+00:00 was missed and is made up for 7.0 hours later",
    ]
    jobs = office.work.list(TrainingJob)[0]
    assert [row.slot for row in jobs] == ["2026-03-08T03:00:00+00:00"]


def test_a_late_firing_and_the_sweep_make_up_for_the_same_time(office: Office) -> None:
    office.install()
    office.clock.now = at(2, 2)
    office.timetable().fired("start_quality_cycle", "2026-03-02T02:00:00+00:00")
    office.clock.now = at(6, 9)
    office.timetable().fired("start_quality_cycle", "2026-03-03T02:00:00+00:00")  # the host knows the first one missed
    office.timetable().run()

    assert office.slots() == ["2026-03-02T02:00:00+00:00", "2026-03-06T02:00:00+00:00"]
    assert "was missed" in office.reasons()[1]


def test_a_timer_is_given_time_to_fire_by_itself(office: Office) -> None:
    office.install()
    office.clock.now = at(2, 2, 4)
    assert office.timetable().missed("start_quality_cycle") is None
    office.timetable().fired("start_quality_cycle", "2026-03-02T02:00:00+00:00")
    assert office.reasons() == ["schedule"]
    office.clock.now = at(2, 9)
    assert office.timetable().missed("start_quality_cycle") is None


def test_a_firing_a_moment_early_stands_for_its_own_time(office: Office) -> None:
    office.install()
    office.clock.now = at(2, 1, 59, 59)
    office.timetable().fired("start_quality_cycle", "2026-03-02T02:00:00+00:00")
    office.clock.now = at(2, 12)
    office.timetable().run()

    assert office.slots() == ["2026-03-02T02:00:00+00:00"]


def test_runs_by_hand_serve_no_scheduled_time(office: Office) -> None:
    office.install()
    office.timetable().fired("start_quality_cycle", None)
    office.clock.now = at(2, 9)
    office.timetable().run()

    assert office.slots() == [None, "2026-03-02T02:00:00+00:00"]
    assert office.reasons()[0] == "timer fired by hand"


def test_a_clock_set_back_or_once_far_ahead_makes_nothing_up_twice_and_hides_nothing(office: Office) -> None:
    office.install()
    office.clock.now = at(3, 2)
    office.timetable().fired("start_quality_cycle", "2026-03-03T02:00:00+00:00")
    office.clock.now = at(3, 1)
    assert office.timetable().run() == 0
    office.work.insert(QualityCycle(id="z", slot="2031-01-01T02:00:00+00:00", created_at=office.clock()))
    office.clock.now = at(5, 9)
    assert office.timetable().missed("start_quality_cycle") == at(5, 2)


def test_a_timer_that_is_switched_off_misses_nothing(office: Office) -> None:
    office.install()
    office.environment["AzureWebJobs.start_quality_cycle.Disabled"] = "true"
    office.clock.now = at(12, 9)
    assert office.timetable().missed("start_quality_cycle") is None
    assert office.timetable().missed("start_training") == at(8, 3)


def test_schedules_are_read_in_the_host_s_zone(office: Office) -> None:
    office.install()
    office.clock.now = at(2, 9)
    assert office.timetable("Asia/Seoul").missed("start_quality_cycle") == at(1, 17)
    assert office.timetable("America/New_York").missed("start_quality_cycle") == at(2, 7)


def test_a_constant_span_is_counted_from_the_last_row(office: Office) -> None:
    office.schedules["start_quality_cycle"] = "06:00:00"
    office.install()
    office.clock.advance(timedelta(hours=20).total_seconds())
    assert office.timetable().missed("start_quality_cycle") == at(2, 2)
