"""What timers start, each scheduled time once, and what they missed while the host was down.

A schedule is compared with the rows that it has led to, not with the host's memory of it, which storage may lose: the
last scheduled time that no row serves was missed, and is made up for once, however many were. The timer's next firing
does that, or the sweep before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

import structlog
from sqlalchemy import Engine, func
from sqlmodel import col, select

from schedules.ncrontab import CronSchedule, Schedule, parse_schedule
from shared.clock import Clock, utc_now
from shared.database.engine import reading
from shared.database.tables import Extract, ModelVersion, QualityCycle, TrainingJob

LATE = timedelta(minutes=5)  # a timer that changes hosts after a crash may fire up to two minutes late by itself
LOOK_EVERY = timedelta(minutes=1)
_AHEAD = timedelta(days=1)  # a slot further ahead was written by a clock that has been set right since
BY_HAND, ON_TIME = "timer fired by hand", "schedule"

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One kind of work that a timer starts."""

    function: str  # the timer function's name
    table: type[Extract] | type[QualityCycle] | type[TrainingJob]
    schedule: str
    start: Callable[[str | None, str], object]  # (slot, reason); a slot that was used already starts nothing


class Timetable:
    """Starts the work of timers; one object a process."""

    def __init__(
        self,
        engine: Engine,
        timed: tuple[Timed, ...],
        *,
        zone: tzinfo,
        environment: Mapping[str, str],
        clock: Clock = utc_now,
    ) -> None:
        """Read the rows from `engine`'s database; `zone` is the one that the host reads schedules in."""
        self._engine = engine
        self._timed = {one.function: one for one in timed}
        self._zone = zone
        self._environment = environment
        self._clock = clock
        self._looked_at: datetime | None = None

    def fired(self, function: str, slot: str | None) -> None:
        """Start the work of a timer that fired for the scheduled time `slot`, or by hand (None).

        A firing that comes late stands for the last scheduled time and not for the first that was missed.
        """
        timed = self._timed[function]
        if slot is None:
            timed.start(None, BY_HAND)
            return
        now, due = self._clock(), datetime.fromisoformat(slot)
        last = _last_slot(timed.schedule, due, now, self._zone)
        if last is not None and last > due:
            due = last
        self._start(timed, due, now)

    def run(self) -> int:
        """Start what was missed, at most once a minute; return how much that was."""
        now = self._clock()
        if self._looked_at is not None and abs(now - self._looked_at) < LOOK_EVERY:  # a clock may be set back
            return 0
        self._looked_at = now
        missed = [(one, self.missed(one.function)) for one in self._timed.values()]
        for timed, slot in missed:
            if slot is not None:
                self._start(timed, slot, now)
        return sum(slot is not None for _timed, slot in missed)

    def missed(self, function: str) -> datetime | None:
        """Return the last scheduled time that no row serves although its timer should have fired, or None.

        What lies before the installation's first row was not missed, and a timer that is switched off misses nothing.
        """
        timed, now = self._timed[function], self._clock()
        if is_switched_off(function, self._environment):
            return None
        served = self._newest_slot(timed, now)
        since = served or self._first_trace()
        if since is None:
            return None
        last = _last_slot(timed.schedule, since, now - LATE, self._zone)
        return last if last is not None and last > since else None

    def _start(self, timed: Timed, due: datetime, now: datetime) -> None:
        slot, late = due.astimezone(UTC).replace(microsecond=0).isoformat(), now - due
        if late <= LATE:
            timed.start(slot, ON_TIME)
            return
        hours = late.total_seconds() / 3600
        log.warning("timetable.missed", function=timed.function, slot=slot, late_seconds=round(late.total_seconds()))
        timed.start(slot, f"{ON_TIME}; the run of {slot} was missed and is made up for {hours:.1f} hours later")

    def _newest_slot(self, timed: Timed, now: datetime) -> datetime | None:
        """The last scheduled time that has a row; slots of another kind do not begin with a year."""
        slot, ahead = col(timed.table.slot), (now + _AHEAD).isoformat()
        with reading(self._engine) as session:
            newest = session.exec(select(func.max(slot)).where(slot.startswith("2"), slot < ahead)).one()
        return None if newest is None else datetime.fromisoformat(newest)

    def _first_trace(self) -> datetime | None:
        """When the installation came to be, as far as its rows tell."""
        with reading(self._engine) as session:
            found = [
                session.exec(select(func.min(column))).one()
                for column in (Extract.created_at, ModelVersion.registered_at)
            ]
        return min((moment for moment in found if moment is not None), default=None)


def _last_slot(text: str, since: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """The last scheduled time up to `until`; of a constant span counted from `since`. None where there is none."""
    schedule: Schedule = parse_schedule(text)
    if isinstance(schedule, CronSchedule):
        return schedule.last_until(until, zone)
    every = schedule.next_after(since, zone) - since
    return since + (until - since) // every * every if until >= since else None


def is_switched_off(function: str, environment: Mapping[str, str]) -> bool:
    """Whether the app setting `AzureWebJobs.<function>.Disabled` (or its form with underscores) says so."""
    wanted = {f"azurewebjobs.{function}.disabled".lower(), f"azurewebjobs_{function}_disabled".lower()}
    return any(name.lower() in wanted and value.strip().lower() in ("1", "true") for name, value in environment.items())
