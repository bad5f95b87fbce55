"""From what a source holds to text, numbers, days and flags; unreadable is told apart from empty.

Files hold text, databases typed columns; the same value gives the same result from either. Every function works value
by value, so that batches of a table agree with the whole. Those that can fail return a mask of the cells that hold
something unreadable beside the values.
"""

import math
from collections.abc import Callable, Iterable
from typing import Literal

import polars as pl

from shared.errors import SourceError

Case = Literal["keep", "upper", "lower"]
Read = tuple[pl.Series, pl.Series]  # the values, and where something else stands

_EXACT = 2.0**53  # whole numbers beyond are not exact in a float
# Forms of a day that are no pattern: an instant as a number since 1970 began, in UTC.
EPOCH_FORMS = {"epoch_seconds": 1, "epoch_milliseconds": 1_000}
_EPOCH_DIGITS = {"epoch_seconds": r"^\d{9,10}(\.\d+)?$", "epoch_milliseconds": r"^\d{12,13}$"}
_TIME_OF_DAY = r"[ T]\d{1,2}:\d{2}.*$"
# Of so many rows, so many distinct texts are few: then each is read only once. Changing the case costs more.
_SAMPLE, _FEW, _STILL_FEW = 2_000, 200, 1_000
_CLOCK = r"[ T](\d{1,2}):(\d{2})(?::(\d{2}))?"


def plain_text(cells: pl.Series) -> pl.Series:
    """Return cells of any type as text, as a person would write them: 7 for 7.0, 1.5 for 1.500, a day as ISO.

    Raises:
        SourceError: the column holds binary data or lists.
    """
    dtype = cells.dtype
    if dtype == pl.String:
        return cells
    if dtype == pl.Binary or dtype.is_nested() or dtype == pl.Object:
        raise SourceError(
            f"The column {cells.name} holds {'binary data' if dtype == pl.Binary else 'no single values'}, "
            "which cannot be read.",
            remedy="Leave it out of the profile, or convert it to text in a query (sql).",
            column=cells.name,
        )
    if dtype.is_float():
        whole = (cells == cells.round(0)) & (cells.abs() < _EXACT)
        digits = cells.set(~whole.fill_null(value=False), None).cast(pl.Int64).cast(pl.String)
        return digits.zip_with(whole.fill_null(value=False), cells.cast(pl.String))
    if isinstance(dtype, pl.Decimal):
        return cells.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    if isinstance(dtype, pl.Datetime):
        return cells.dt.to_string("%Y-%m-%d %H:%M:%S%.f").str.replace(r" 00:00:00(\.0+)?$", "")
    return cells.cast(pl.String)


def text(cells: pl.Series, *, null_tokens: Iterable[str], case: Case = "keep") -> pl.Series:
    """Return trimmed text; blanks and null tokens (compared without case) become null.

    Raises:
        SourceError: the column holds binary data or lists.
    """
    tokens, said = tuple(null_tokens), plain_text(cells)
    if said.head(_SAMPLE).n_unique() > (_FEW if case == "keep" else _STILL_FEW):
        return _cleaned(said, tokens, case)
    distinct = said.unique()
    cleaned = _cleaned(distinct, tokens, case)
    odd = distinct.ne_missing(cleaned)
    return said.replace(distinct.filter(odd), cleaned.filter(odd)) if odd.any() else said


def _cleaned(said: pl.Series, null_tokens: tuple[str, ...], case: Case) -> pl.Series:
    said = _without_tokens(said.str.strip_chars(), null_tokens)
    if case == "upper":
        return said.str.to_uppercase()
    return said.str.to_lowercase() if case == "lower" else said


def _without_tokens(said: pl.Series, null_tokens: Iterable[str]) -> pl.Series:
    tokens = {token.lower().strip() for token in null_tokens} | {""}
    longest = max(map(len, tokens))  # most cells are longer than any token and need no second look
    short = said.filter(said.str.len_chars() <= longest).unique()
    found = short.filter(short.str.to_lowercase().is_in(sorted(tokens)))
    return said.set(said.is_in(found.implode()), None) if found.len() else said


def number(cells: pl.Series, *, null_tokens: Iterable[str], decimal_comma: bool) -> Read:
    """Return finite numbers and the mask of cells that hold something else; `1,234.5` is read, empty is null.

    Raises:
        SourceError: the column holds binary data or lists.
    """
    tokens = tuple(null_tokens)
    if cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
        values = cells.cast(pl.Float64)
        unreadable = values.is_infinite().fill_null(value=False)
        values = values.set(~values.is_finite(), None)
    else:
        values, unreadable = _number_of_cells(plain_text(cells), tokens, decimal_comma=decimal_comma)
    empty = [float(token) for token in tokens if _is_number(token)]
    return values.set(values.is_in(empty), None) if empty else values, unreadable


def _is_number(token: str) -> bool:
    try:
        return math.isfinite(float(token))
    except ValueError:
        return False


def _number_of_cells(cells: pl.Series, null_tokens: tuple[str, ...], *, decimal_comma: bool) -> Read:
    if decimal_comma:
        return _number_of_text(cells, null_tokens, thousands=".", point=",")
    # Nearly every cell is a plain number: only the others are looked at twice.
    values = cells.cast(pl.Float64, strict=False)
    bad = pl.repeat(False, cells.len(), eager=True)
    if values.null_count() == cells.null_count() and values.is_finite().all():
        return values, bad
    rows = (cells.is_not_null() & ~values.is_finite().fill_null(value=False)).arg_true()
    read, unreadable = _number_of_text(cells.gather(rows), null_tokens, thousands=",", point=".")
    return values.scatter(rows, read), bad.scatter(rows, unreadable)


def _number_of_text(cells: pl.Series, null_tokens: tuple[str, ...], *, thousands: str, point: str) -> Read:
    said = text(cells, null_tokens=null_tokens)
    grouped = said.str.contains(rf"^[+-]?\d{{1,3}}(\{thousands}\d{{3}})+(\{point}\d+)?$")
    plain = said.str.replace_all(thousands, "", literal=True).zip_with(grouped.fill_null(value=False), said)
    values = plain.str.replace(point, ".", literal=True).cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite().fill_null(value=False), None)
    return values, said.is_not_null() & values.is_null()


def day(cells: pl.Series, *, null_tokens: Iterable[str], formats: Iterable[str]) -> Read:
    """Return days and the mask of cells that fit none of the formats; a time of day behind the day is cut off.

    Raises:
        SourceError: the column holds binary data or lists.
    """
    tokens, forms = tuple(null_tokens), tuple(formats)
    if cells.dtype == pl.Date or isinstance(cells.dtype, pl.Datetime):
        days = cells.dt.date()
        empty, _ = _day_of_text(pl.Series(tokens, dtype=pl.String), ("",), forms)
        return days.set(days.is_in(empty.drop_nulls().implode()), None), pl.repeat(False, cells.len(), eager=True)
    return by_value(plain_text(cells), lambda distinct: _day_of_text(distinct, tokens, forms), pl.Date())


def _day_of_text(cells: pl.Series, null_tokens: tuple[str, ...], formats: tuple[str, ...]) -> Read:
    said = text(cells, null_tokens=null_tokens)
    days = said.str.replace(_TIME_OF_DAY, "")
    read = pl.repeat(None, said.len(), dtype=pl.Date, eager=True)
    for form in formats:
        if read.null_count() > said.null_count():
            read = read.zip_with(read.is_not_null(), _in_form(days, form))
    return read, said.is_not_null() & read.is_null()


def _in_form(days: pl.Series, form: str) -> pl.Series:
    if form not in EPOCH_FORMS:
        return days.str.to_date(form, strict=False)
    ticks = days.set(~days.str.contains(_EPOCH_DIGITS[form]), None).cast(pl.Float64, strict=False)
    return (ticks / EPOCH_FORMS[form] * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us")).dt.date()


def moment(cells: pl.Series, *, formats: Iterable[str]) -> pl.Series:
    """Return points in time, null where there is none to read; a day alone is its midnight."""
    if isinstance(cells.dtype, pl.Datetime):
        return cells.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    days, _ = day(cells, null_tokens=(), formats=formats)
    clock = plain_text(cells).str.extract_groups(_CLOCK).struct
    hours, minutes, seconds = (clock.field(str(part)).cast(pl.Int64).fill_null(0) for part in (1, 2, 3))
    return days.cast(pl.Datetime("us")) + (((hours * 60 + minutes) * 60 + seconds) * 1_000_000).cast(pl.Duration("us"))


def flag(
    cells: pl.Series, *, null_tokens: Iterable[str], true_values: Iterable[str], false_values: Iterable[str]
) -> Read:
    """Return true, false or null and the mask of cells that hold neither a true nor a false value (any case).

    Raises:
        SourceError: the column holds binary data or lists.
    """
    if cells.dtype == pl.Boolean:
        return cells, pl.repeat(False, cells.len(), eager=True)
    tokens = tuple(null_tokens)
    yes, no = ([value.strip().lower() for value in values] for values in (true_values, false_values))

    def read(distinct: pl.Series) -> Read:
        said = text(distinct, null_tokens=tokens, case="lower")
        is_true = said.is_in(yes)
        known = (is_true | said.is_in(no)).fill_null(value=False)
        return is_true.set(~known, None), said.is_not_null() & ~known

    return by_value(plain_text(cells), read, pl.Boolean())


def by_value(cells: pl.Series, read: Callable[[pl.Series], Read], dtype: pl.DataType) -> Read:
    """Return what `read` makes of the cells, asked once for each distinct text: many rows hold few."""
    distinct = cells.drop_nulls().unique()
    values, bad = read(distinct)
    found = cells.replace_strict(distinct, values, default=None, return_dtype=dtype)
    unreadable = distinct.filter(bad)
    if unreadable.is_empty():
        return found, pl.repeat(False, cells.len(), eager=True)
    return found, cells.is_in(unreadable.implode()).fill_null(value=False)
