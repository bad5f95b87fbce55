"""The time zone that a timer's schedule is meant in."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def local_zone(environment: Mapping[str, str], *, unknown: Callable[[str], None] = lambda _name: None) -> tzinfo:
    """Return the zone of `TZ`, else of `WEBSITE_TIME_ZONE` as Azure knows it, else the machine's own.

    A name that is no zone is told to `unknown`.
    """
    name = environment.get("TZ", "").lstrip(":") or environment.get("WEBSITE_TIME_ZONE", "").strip()
    if name:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            unknown(name)
    return datetime.now(UTC).astimezone().tzinfo or UTC
