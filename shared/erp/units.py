"""Units of measure and of time: every spelling that factories use, and the factor to one canonical unit each.

A value whose unit is not known is worth less than no value, so nothing here guesses: an unknown spelling has no factor.
"""

from collections.abc import Mapping
from enum import StrEnum


class TimeUnit(StrEnum):
    """The unit in which a source states its times."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


MINUTES_PER: dict[TimeUnit, float] = {
    TimeUnit.SECONDS: 1 / 60,
    TimeUnit.MINUTES: 1.0,
    TimeUnit.HOURS: 60.0,
    TimeUnit.DAYS: 1440.0,
}

_LENGTH_MM = {"um": 0.001, "mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4, "ft": 304.8}
_MASS_G = {"mg": 0.001, "g": 1.0, "kg": 1000.0, "t": 1_000_000.0, "oz": 28.349523125, "lb": 453.59237}
_DIMENSIONS = (_LENGTH_MM, _MASS_G)

# Spellings are compared after `normalise`; the canonical names themselves need no entry.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "um": ("μm", "µm", "micron", "microns"),
    "mm": ("m/m", "millimeter", "millimetre", "millimeters", "millimetres", "㎜", "밀리"),
    "cm": ("centimeter", "centimetre", "㎝"),
    "m": ("meter", "metre"),
    "inch": ("in", "inches", "inc", '"', "″", "''", "인치"),
    "ft": ("foot", "feet", "'"),
    "g": ("gr", "gram", "grams", "그램"),
    "kg": ("kgs", "kilogram", "kilograms", "㎏"),
    "t": ("ton", "tonne"),
    "oz": ("ounce", "ounces"),
    "lb": ("lbs", "pound", "pounds"),
}
_TIME_SPELLINGS: dict[TimeUnit, tuple[str, ...]] = {
    TimeUnit.SECONDS: ("s", "sec", "secs", "second", "seconds", "초", "초(sec)", "초(sec.)"),
    TimeUnit.MINUTES: ("m", "min", "mins", "minute", "minutes", "분", "분(min)", "분(min.)"),
    TimeUnit.HOURS: ("h", "hr", "hrs", "hour", "hours", "시간", "시간(hr)", "시간(hr.)", "시간(hour)"),
    TimeUnit.DAYS: ("d", "day", "days", "일", "일(day)", "일(day.)"),
}


def normalise(spelling: str) -> str:
    """Return a spelling without blanks, case and a final full stop, so that `" Inch. "` is `"inch"`."""
    return "".join(spelling.split()).casefold().rstrip(".")


_CANONICAL = {name: name for table in _DIMENSIONS for name in table} | {
    normalise(spelling): name for name, spellings in _SPELLINGS.items() for spelling in spellings
}
_TIMES = {normalise(spelling): unit for unit, spellings in _TIME_SPELLINGS.items() for spelling in spellings}


def known_units() -> tuple[str, ...]:
    """Return the canonical names of every unit of measure, for messages and validation."""
    return tuple(name for table in _DIMENSIONS for name in table)


def factor(spelling: str, unit: str, extra: Mapping[str, str] | None = None) -> float | None:
    """Return what a value spelled in `spelling` is multiplied with to be in `unit`, or None when that is unknown.

    Args:
        spelling: the unit as the source writes it.
        unit: a canonical unit name.
        extra: a profile's own spellings, each to a canonical unit name.
    """
    own = {normalise(key): value for key, value in (extra or {}).items()}
    known = normalise(spelling)
    name = own.get(known) or _CANONICAL.get(known)
    for table in _DIMENSIONS:
        if name in table and unit in table:
            return table[name] / table[unit]
    return None


def minutes_factor(spelling: str) -> float | None:
    """Return the minutes in one of the time unit that `spelling` names, or None when it is unknown."""
    unit = _TIMES.get(normalise(spelling))
    return None if unit is None else MINUTES_PER[unit]
