"""The column that tells when a row changed: whether it can be trusted, and from which stamp on rows are read again.

Stamps are times, days, numbers that only grow, or ISO text; they are compared as what the source says they are.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from shared.erp.sources.source import Value

# The shapes of text whose alphabetical order is the order in time, and the forms of a bound that sorts among them.
_SHAPES = {
    r"^\d{4}-\d{2}-\d{2}$": "%Y-%m-%d",
    r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2}(\.\d+)?)?$": "%Y-%m-%d %H:%M",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?$": "%Y-%m-%dT%H:%M",
    r"^\d{8}$": "%Y%m%d",
    r"^\d{14}$": "%Y%m%d%H%M%S",
}
_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
# A stamp later than this from now is no time at which anything changed: 9999-12-31, or a clerk's typing. Time zones
# differ by less.
_AHEAD = timedelta(days=1)


def mistrust(stamps: pl.Series) -> str | None:
    """Return why rows cannot be found by these stamps, or None when they can."""
    empty = stamps.null_count()
    if empty:
        return f"{stamps.name} is empty in {empty} rows"
    if stamps.dtype == pl.String:
        return None if _shape(stamps) else f"{stamps.name} is text that does not sort by time"
    if stamps.dtype == pl.Date or isinstance(stamps.dtype, pl.Datetime) or stamps.dtype.is_numeric():
        return None
    return f"{stamps.name} holds neither times nor numbers"


def first_to_read(stamps: pl.Series, *, now: datetime, overlap: timedelta) -> Value | None:
    """Return the stamp from which on rows are read again, or None when every row has to be.

    It lies `overlap` before the greatest stamp that was seen, because a stamp is set before its row can be seen: by a
    transaction that ends later, by another computer's clock, or in the hour that is lived twice in autumn. Numbers
    know no hours and have no overlap. Whole seconds, rounded down: databases keep fractions differently.

    Args:
        stamps: those of every row that is known, which `mistrust` found nothing against.
        now: the moment of reading, aware.
        overlap: how far before the greatest stamp.
    """
    latest = now.astimezone(UTC).replace(tzinfo=None, microsecond=0) + _AHEAD
    if stamps.dtype.is_numeric():
        greatest: Any = stamps.max()
        return None if greatest is None else math.floor(greatest)
    if stamps.dtype == pl.String:
        return _text_bound(stamps, latest, overlap)
    if stamps.dtype == pl.Date:
        day = stamps.filter(stamps <= latest.date()).max()
        return _days_before(day, overlap) if isinstance(day, date) else None
    zone = getattr(stamps.dtype, "time_zone", None)
    moment = stamps.filter(stamps <= (latest.replace(tzinfo=UTC) if zone else latest)).max()
    return moment.replace(microsecond=0) - overlap if isinstance(moment, datetime) else None


def _days_before(day: date, overlap: timedelta) -> date:
    return day - timedelta(days=math.ceil(overlap / timedelta(days=1)))


def _shape(stamps: pl.Series) -> str | None:
    """Return the form that every stamp has, so that text order is time order; None when there is none."""
    return next((shape for shape in _SHAPES if stamps.str.contains(shape).all()), None)


def _text_bound(stamps: pl.Series, latest: datetime, overlap: timedelta) -> str | None:
    shape = _shape(stamps)
    form = _SHAPES[shape or ""]
    text = stamps.filter(stamps <= latest.strftime(form)).max()
    if not isinstance(text, str):
        return None
    digits = re.sub(r"\D", "", text)[:14]
    try:
        moment = datetime.strptime(digits, _DIGITS[len(digits)])  # noqa: DTZ007 - the source's own time, whatever zone
    except ValueError:
        return None  # the thirtieth of February
    if len(digits) == len("20250131"):
        return _days_before(moment.date(), overlap).strftime(form)
    return (moment - overlap).strftime(form)
