"""Timer schedules: six-field NCRONTAB expressions (second first) and constant time spans.

Two rules differ from Unix cron and are kept on purpose: a day must match day-of-month *and* weekday, and Sunday is
only 0. `?`, `L`, `W` and `#` do not exist.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from schedules.timespan import parse_timespan

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_FIELDS: tuple[tuple[str, int, int, Sequence[str]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 6, _WEEKDAYS),
)
_LAST_YEAR = 9999


class Schedule(Protocol):
    """When a timer fires."""

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:
        """Return the first firing after an aware moment, in UTC."""
        ...


@dataclass(frozen=True, kw_only=True)
class ConstantSchedule:
    """Fires a fixed span after the previous firing; it drifts with the length of the runs."""

    every: timedelta

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:  # noqa: ARG002 - a span knows no zone
        """Return the moment plus the span."""
        return moment.astimezone(UTC) + self.every


@dataclass(frozen=True, kw_only=True)
class CronSchedule:
    """The allowed values of each field, each sorted."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def next_local(self, after: datetime) -> datetime:
        """Return the first matching wall-clock time after a naive one.

        Raises:
            ValueError: the expression never matches again (30 February).
        """
        moment = after.replace(microsecond=0) + timedelta(seconds=1)
        day = moment.date()
        time_of_day: tuple[int, int, int] | None = (moment.hour, moment.minute, moment.second)
        horizon = min(day.year + 30, _LAST_YEAR)
        while day.year <= horizon:
            if day.month not in self.months:
                first = _first_of_next_month(day.year, day.month)
                if first is None:
                    break
                day, time_of_day = first.date(), None
                continue
            if day.day in self.days and day.isoweekday() % 7 in self.weekdays:
                found = self._time_from(time_of_day)
                if found is not None:
                    return datetime(day.year, day.month, day.day, *found)  # noqa: DTZ001 - wall-clock time
            day, time_of_day = day + timedelta(days=1), None
        raise ValueError("the schedule never fires")

    def _time_from(self, earliest: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
        """Return the first allowed time of a day at or after `earliest` (None: the whole day)."""
        first = (self.hours[0], self.minutes[0], self.seconds[0])
        if earliest is None or earliest <= first:
            return first
        hour, minute, second = earliest
        if hour in self.hours:
            if minute in self.minutes and (found := _at_or_after(self.seconds, second)) is not None:
                return hour, minute, found
            if (later_minute := _at_or_after(self.minutes, minute + 1)) is not None:
                return hour, later_minute, self.seconds[0]
        if (later_hour := _at_or_after(self.hours, hour + 1)) is not None:
            return later_hour, self.minutes[0], self.seconds[0]
        return None

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:
        """Return the first firing after an aware moment, in UTC.

        A schedule for every hour runs straight through a change of the clocks; one for certain hours fires once in
        the hour that comes twice, and right after the gap when its time is skipped.
        """
        local = moment.astimezone(zone)
        if len(self.hours) == 24:
            offset = local.utcoffset() or timedelta()
            return (self.next_local(local.replace(tzinfo=None)) - offset).replace(tzinfo=UTC)
        wall = local.replace(tzinfo=None)
        while True:
            wall = self.next_local(wall)
            found = wall.replace(tzinfo=zone).astimezone(UTC)
            if found > moment:
                return found

    def last_until(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the last firing at or before an aware moment, in UTC; None when there was none for 30 years.

        Looked for in spans that double in length, from a minute on, since a schedule knows its next firing only.
        """
        span = timedelta(minutes=1)
        while span < timedelta(days=30 * 366):
            found, last = self._next_or_none(moment - span, zone), None
            while found is not None and found <= moment:
                found, last = self._next_or_none(found, zone), found
            if last is not None:
                return last
            span *= 2
        return None

    def _next_or_none(self, moment: datetime, zone: tzinfo) -> datetime | None:
        try:
            return self.next_after(moment, zone)
        except (ValueError, OverflowError):
            return None

    @property
    def fires_within_a_minute(self) -> bool:
        """Whether it fires more than once in every minute there is; the host then keeps no status.

        One that is bound to certain minutes, hours or days is not meant, however often it fires within them.
        """
        others = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        free = zip(others, _FIELDS[1:], strict=True)
        return len(self.seconds) > 1 and all(len(allowed) == high - low + 1 for allowed, (_, low, high, _) in free)


def parse_schedule(text: str) -> Schedule:
    """Read a timer's schedule: 5 or 6 NCRONTAB fields, else a time span.

    Raises:
        ValueError: it is neither; the text names the field and the reason.
    """
    parts = text.split()
    if len(parts) in (5, 6):
        return parse_cron(text)
    if len(parts) == 1 and ":" in text:
        span = parse_timespan(text)
        if span <= timedelta():
            raise ValueError(f"the schedule {text!r} must be a positive span of time")
        return ConstantSchedule(every=span)
    raise ValueError(
        f"the schedule {text!r} is neither 5 or 6 fields (second minute hour day month weekday) nor hh:mm:ss"
    )


def parse_cron(text: str) -> CronSchedule:
    """Read an NCRONTAB expression of 5 (no seconds) or 6 fields.

    Raises:
        ValueError: naming the field and what is wrong with it.
    """
    parts = text.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise ValueError(f"the schedule {text!r} has {len(parts)} fields; it needs 6 (or 5 without seconds)")
    values = [_field(part, *spec) for part, spec in zip(parts, _FIELDS, strict=True)]
    schedule = CronSchedule(
        seconds=values[0], minutes=values[1], hours=values[2], days=values[3], months=values[4], weekdays=values[5]
    )
    schedule.next_local(datetime(2000, 1, 1))  # noqa: DTZ001 - refuses a date that never comes
    return schedule


def _field(text: str, name: str, low: int, high: int, names: Sequence[str]) -> tuple[int, ...]:
    allowed: set[int] = set()
    for item in text.split(","):
        if not item:
            raise ValueError(f"the {name} field {text!r} holds an empty entry")
        allowed.update(_item(item, name, low, high, names))
    return tuple(sorted(allowed))


def _item(item: str, name: str, low: int, high: int, names: Sequence[str]) -> range:
    span, slash, step_text = item.partition("/")
    step = 1
    if slash:
        if not _is_number(step_text) or int(step_text) < 1:
            raise ValueError(f"the step in the {name} field {item!r} must be a whole number from 1")
        step = int(step_text)
    if span == "*":
        return range(low, high + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _value(first_text, name, low, high, names)
    last = _value(last_text, name, low, high, names) if dash else (high if slash else first)
    if last < first:
        first, last = last, first
    return range(first, last + 1, step)


def _value(text: str, name: str, low: int, high: int, names: Sequence[str]) -> int:
    if _is_number(text):
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"{number} is outside {low} to {high} in the {name} field")
        return number
    if text and names:
        for index, candidate in enumerate(names):
            if candidate.startswith(text.lower()):
                return index + low
    raise ValueError(f"{text!r} is not allowed in the {name} field")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _at_or_after(values: tuple[int, ...], least: int) -> int | None:
    index = bisect_left(values, least)
    return values[index] if index < len(values) else None


def _first_of_next_month(year: int, month: int) -> datetime | None:
    if month == 12:
        return datetime(year + 1, 1, 1) if year < _LAST_YEAR else None  # noqa: DTZ001
    return datetime(year, month + 1, 1)  # noqa: DTZ001
