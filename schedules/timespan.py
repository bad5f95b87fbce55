"""Spans of time as .NET writes them (`hh:mm:ss`), the way host.json and timer schedules use them."""

import re
from datetime import timedelta

_SPAN = re.compile(
    r"^(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<h>\d{1,2}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2})(?:\.(?P<f>\d{1,7}))?)?$"
)


def parse_timespan(text: str) -> timedelta:
    """Read `[-][d.]hh:mm[:ss[.fffffff]]`.

    A bare integer, which .NET would take for days, is refused: nobody means it.

    Raises:
        ValueError: the text is no such span, or a part is out of its range.
    """
    match = _SPAN.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span; write it as hh:mm:ss")
    hours, minutes, seconds = int(match["h"]), int(match["m"]), int(match["s"] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(
            f"{text!r} is not a time span: hours go to 23, minutes and seconds to 59 (days stand before a dot)"
        )
    fraction = (match["f"] or "").ljust(7, "0")
    span = timedelta(
        days=int(match["days"] or 0),
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=int(fraction) / 10,
    )
    return -span if match["sign"] else span
