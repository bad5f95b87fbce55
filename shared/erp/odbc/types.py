"""What a driver says of a column, and from its rows to polars: every batch of one statement in the same types.

A decimal number becomes text, every digit as the database has it; whole numbers, floats, truth values, days and
moments keep their kind, so that no date format and no decimal comma can misread them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from shared.erp.sources.source import Condition, Value

_MOST_DIGITS_OF_INT64 = 18
_LARGEST = 2**63
_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")


@dataclass(frozen=True)
class Column:
    """A column as the driver describes it."""

    name: str
    kind: type  # of the values
    digits: int = 0  # of a decimal number, altogether
    scale: int = 0  # of a decimal number, behind the point


def columns_of(description: Iterable[Sequence[Any]]) -> list[Column]:
    """Return the columns of a cursor's description."""
    found = []
    for name, kind, _, _, digits, scale, _ in description:
        plain = plain_name(name)
        is_whole = kind is Decimal and not scale and 0 < (digits or 0) <= _MOST_DIGITS_OF_INT64
        found.append(Column(plain, int if is_whole else kind, digits or 0, scale or 0))
    return found


def plain_name(name: object) -> str:
    """Return a name as it is: libsqliteodbc counts bytes for letters and lets whatever follows a NUL come along."""
    return str(name).partition("\0")[0]


def to_frame(
    columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, as_text: bool, decimal_comma: bool
) -> pl.DataFrame:
    """Return rows as a frame whose types follow from the columns alone.

    Args:
        columns: what each place of a row is.
        rows: as fetched; at least one.
        as_text: whether the statement had the database write every value as text.
        decimal_comma: whether the profile reads a comma as the decimal point, which decimal numbers then get.
    """
    read = _from_text if as_text else _from_values
    series = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        cells = read(column, values)
        if column.kind is Decimal and decimal_comma:
            cells = cells.str.replace(".", ",", literal=True)
        series.append(cells)
    return pl.DataFrame(series)


def _from_text(column: Column, values: Sequence[Any]) -> pl.Series:
    cells = pl.Series(column.name, values, dtype=pl.String, strict=False)
    if column.kind is Decimal:
        return _without_trailing_zeros(cells)
    if column.kind is datetime:
        return cells.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    if column.kind is date:
        return cells.str.to_date("%Y-%m-%d", strict=False)
    if column.kind in (int, float):
        return cells.cast(_DTYPES[column.kind], strict=False)
    return cells


def _from_values(column: Column, values: Sequence[Any]) -> pl.Series:
    dtype = _DTYPES.get(column.kind)
    if column.kind is Decimal:
        texts = [None if value is None else format(value, "f") for value in values]
        return _without_trailing_zeros(pl.Series(column.name, texts, dtype=pl.String))
    if dtype is not None:
        whole = [None if value is None else int(value) for value in values] if column.kind is int else values
        return pl.Series(column.name, whole, dtype=dtype, strict=False)
    return pl.Series(column.name, [_said(value) for value in values], dtype=pl.String)


_DTYPES: dict[type, pl.DataType] = {
    str: pl.String(),
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
    date: pl.Date(),
    datetime: pl.Datetime("us"),
}


def dtype_of(column: Column, *, as_text: bool) -> pl.DataType:
    """Return the type of a column's cells in the frames of `to_frame`."""
    return pl.String() if as_text and column.kind is bool else _DTYPES.get(column.kind, pl.String())


def _said(value: Any) -> str | None:
    if value is None:
        return None
    return bytes(value).hex() if isinstance(value, (bytes, bytearray)) else str(value)


def _without_trailing_zeros(cells: pl.Series) -> pl.Series:
    shorter = cells.str.strip_chars_end("0").str.strip_chars_end(".")
    return shorter.zip_with(cells.str.contains(".", literal=True).fill_null(value=False), cells)


def fitted(value: Value, column: Column, *, at_least: bool = False) -> Value | Decimal | None:
    """Return a value in its column's kind, so that the database need not convert; None when it has no equal there.

    Args:
        value: what is looked for.
        column: where.
        at_least: whether it is a lower bound, for which the next whole number, or the day of a moment, serves.
    """
    if column.kind in (int, float, Decimal):
        return _fitted_number(value, column, at_least=at_least)
    if column.kind in (date, datetime):
        return _fitted_day(value, column)
    said = _plain_text(value)
    if column.kind is bool:
        folded = said.strip().casefold()
        return 1 if folded in _TRUE else 0 if folded in _FALSE else None
    return said


def _fitted_number(value: Value, column: Column, *, at_least: bool) -> int | float | Decimal | None:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if column.kind is float:
        return float(number)
    if column.kind is Decimal:
        return number
    whole = math.ceil(number)
    return whole if (at_least or whole == number) and abs(whole) < _LARGEST else None


def _fitted_day(value: Value, column: Column) -> date | datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if column.kind is date:
        return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else None  # noqa: DTZ001 - the database's own zone


def _plain_text(value: Value) -> str:
    """Return a value as a text column would hold it; midnight as the day alone, which sorts before its moments."""
    if isinstance(value, datetime):
        if value == datetime(value.year, value.month, value.day, tzinfo=value.tzinfo):
            return value.date().isoformat()
        return value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def chosen(frame: pl.DataFrame, condition: Condition, column: Column) -> pl.DataFrame:
    """Return the rows that meet a condition, for a driver that cannot choose them itself."""
    cells = pl.col(column.name)
    at_least = condition.operator == ">="
    values = [fitted(value, column, at_least=at_least) for value in condition.values]
    known = [value for value in values if value is not None]
    if not known:
        return frame.clear()
    if at_least:
        return frame.filter(cells >= known[0])
    if condition.operator == "code" and column.kind is str:
        cells, known = cells.str.strip_chars().str.to_uppercase(), [str(value).strip().upper() for value in known]
    return frame.filter(cells.is_in(known))
