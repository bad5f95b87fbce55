"""What the tables of a profile are made of: columns, texts, bounds and units, each with a message that helps."""

import codecs
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from shared.erp import parsing
from shared.erp.profiles.errors import nearest
from shared.erp.units import MINUTES_PER, factor, known_units, minutes_factor
from shared.erp.units import TimeUnit as TimeUnitName


class Part(BaseModel):
    """A part of a profile: complete, checked and unchangeable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _named(what: str) -> Callable[[object], object]:
    """Return a check that a value is one text or a list of texts."""

    def check(value: object) -> object:
        listed = _as_tuple(value)
        if isinstance(listed, tuple) and not listed:
            raise ValueError(f"an empty list; name at least one {what}")
        odd = next((entry for entry in listed if not isinstance(entry, str)), None) if isinstance(listed, tuple) else 0
        if odd is not None:
            shown = value if not isinstance(listed, tuple) else odd
            raise ValueError(f"{shown!r} is no text; give one {what} or a list, in quotes where it looks like a number")
        if "" in listed:  # type: ignore[operator] # it is a tuple here
            raise ValueError(f"an empty text; name a {what}")
        if len(set(listed)) < len(listed):  # type: ignore[arg-type, call-overload] # likewise
            raise ValueError(f"the same {what} is listed twice")
        return listed

    return check


# One source column, or several names of which the first that the source has is read.
Column = Annotated[tuple[str, ...], BeforeValidator(_named("column")), Field(min_length=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_named("value")), Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]


def _encoding(value: str) -> str:
    try:
        known = codecs.lookup(value)
        "".encode(known.name)
    except LookupError as error:
        raise ValueError(f"unknown encoding {value!r}; such as utf-8, cp1252, cp1250, cp949") from error
    return known.name


# How the bytes of a text file stand for letters, by any name that Python knows.
Encoding = Annotated[str, AfterValidator(_encoding)]


def _date_form(form: str) -> str:
    tried = date(2024, 3, 31)
    if form in parsing.EPOCH_FORMS or parsing.day(pl.Series([tried.strftime(form)]), null_tokens=(), formats=(form,))[
        0
    ].to_list() == [tried]:
        return form
    known = ", ".join(parsing.EPOCH_FORMS)
    raise ValueError(f"{form!r} is no form of a day; write it like %d.%m.%Y, or {known} for an instant since 1970")


# A form in which days are written, as strptime has it, or the name of a count since 1970.
DateForm = Annotated[str, AfterValidator(_date_form)]


def _bound(value: object) -> object:
    if isinstance(value, str) and value != "today":
        with suppress(ValueError):
            return date.fromisoformat(value)
    if isinstance(value, bool) or not (value == "today" or isinstance(value, (int, float, date))):
        raise ValueError(f"{value!r} is no bound; give a number, a day such as 2024-01-31, or today")
    return value


Bound = Annotated[float | date | Literal["today"], BeforeValidator(_bound)]


def _known_unit(name: str) -> str:
    if name in known_units():
        return name
    same = next((f" (did you mean {known!r}?)" for known in known_units() if factor(name, known) == 1.0), "")
    raise ValueError(
        f"unknown unit {name!r}{same or nearest(name, known_units())}; known are {', '.join(known_units())}"
    )


Unit = Annotated[str, AfterValidator(_known_unit)]


def _known_time_unit(value: Any) -> Any:
    if isinstance(value, StrEnum) or value in list(TimeUnitName):
        return value
    names = [unit.value for unit in TimeUnitName]
    minutes = minutes_factor(str(value))
    same = next((f" (did you mean {unit.value!r}?)" for unit in MINUTES_PER if MINUTES_PER[unit] == minutes), "")
    hint = same or nearest(str(value), names)
    raise ValueError(f"unknown time unit {value!r}{hint}; known are {', '.join(map(repr, names))}")


TimeUnit = Annotated[TimeUnitName, BeforeValidator(_known_time_unit)]
