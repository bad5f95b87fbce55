"""From what a source holds (mostly text) to text, numbers, days and flags; unreadable is told apart from empty.

Each function returns the values and, where reading can fail, a mask of the cells that hold something unreadable.
"""

import math
from collections.abc import Iterable
from typing import Literal

import polars as pl

Case = Literal["keep", "upper", "lower"]


def text(cells: pl.Series, *, null_tokens: Iterable[str], case: Case = "keep") -> pl.Series:
    """Return trimmed text; blanks and null tokens (compared without case) become null.

    Whole numbers of a typed source are written without a decimal point, so that 123.0 is the code "123".
    """
    if cells.dtype.is_float() and cells.drop_nulls().eq(cells.drop_nulls().round(0)).all():
        cells = cells.fill_nan(None).cast(pl.Int64, strict=False)
    said = cells.cast(pl.String, strict=False).str.strip_chars()
    tokens = sorted({token.casefold().strip() for token in null_tokens} | {""})
    said = said.set(said.str.to_lowercase().is_in(tokens).fill_null(value=False), None)
    if case == "upper":
        return said.str.to_uppercase()
    return said.str.to_lowercase() if case == "lower" else said


def number(cells: pl.Series, *, null_tokens: Iterable[str], decimal_comma: bool) -> tuple[pl.Series, pl.Series]:
    """Return finite numbers and the mask of cells that hold something else; `1,234.5` is read, empty is null."""
    tokens = tuple(null_tokens)
    if cells.dtype.is_numeric():
        values = cells.cast(pl.Float64)
        good = (values.is_finite() & ~_is_token(values, tokens)).fill_null(value=False)
        return values.set(~good, None), values.is_infinite().fill_null(value=False)
    cells = cells.cast(pl.String)
    if decimal_comma or any(_is_number(token) for token in tokens):
        return _number_of_text(cells, tokens, decimal_comma=decimal_comma)
    # Nearly every cell is a plain number: only the others are looked at twice.
    values = cells.str.strip_chars().cast(pl.Float64, strict=False)
    odd = cells.is_not_null() & ~values.is_finite().fill_null(value=False)
    rows = odd.arg_true()
    read, unreadable = _number_of_text(cells.gather(rows), tokens, decimal_comma=False)
    bad = pl.repeat(False, cells.len(), eager=True)
    return values.scatter(rows, read), bad.scatter(rows, unreadable)


def _is_number(token: str) -> bool:
    try:
        return math.isfinite(float(token))
    except ValueError:
        return False


def _is_token(values: pl.Series, tokens: tuple[str, ...]) -> pl.Series:
    return values.is_in([float(token) for token in tokens if _is_number(token)])


def _number_of_text(
    cells: pl.Series, null_tokens: tuple[str, ...], *, decimal_comma: bool
) -> tuple[pl.Series, pl.Series]:
    said = text(cells, null_tokens=null_tokens)
    thousands, point = (".", ",") if decimal_comma else (",", ".")
    grouped = said.str.contains(rf"^[+-]?\d{{1,3}}(\{thousands}\d{{3}})+(\{point}\d+)?$")
    plain = said.str.replace_all(thousands, "", literal=True).zip_with(grouped.fill_null(value=False), said)
    if decimal_comma:
        plain = plain.str.replace(",", ".", literal=True)
    values = plain.cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite().fill_null(value=False), None)
    return values, said.is_not_null() & values.is_null()


def day(cells: pl.Series, *, null_tokens: Iterable[str], formats: Iterable[str]) -> tuple[pl.Series, pl.Series]:
    """Return days and the mask of cells that fit none of the formats; a time of day behind the day is cut off."""
    if cells.dtype.is_temporal():
        return cells.cast(pl.Date, strict=False), pl.repeat(False, cells.len(), eager=True)
    said = text(cells, null_tokens=null_tokens)
    days = said.str.replace(r"[ T]\d{1,2}:\d{2}.*$", "")
    distinct = days.drop_nulls().unique()  # a table has few days and many rows
    read = pl.repeat(None, distinct.len(), dtype=pl.Date, eager=True)
    for form in formats:
        read = read.zip_with(read.is_not_null(), distinct.str.to_date(form, strict=False))
    found = days.replace_strict(distinct, read, default=None, return_dtype=pl.Date)
    return found, said.is_not_null() & found.is_null()


def flag(
    cells: pl.Series, *, null_tokens: Iterable[str], true_values: Iterable[str], false_values: Iterable[str]
) -> tuple[pl.Series, pl.Series]:
    """Return true, false or null and the mask of cells that hold neither a true nor a false value (any case)."""
    said = text(cells, null_tokens=null_tokens)
    folded = said.str.to_lowercase()
    is_true = folded.is_in([value.lower() for value in true_values])
    known = is_true | folded.is_in([value.lower() for value in false_values])
    return is_true.set(~known.fill_null(value=False), None), said.is_not_null() & ~known
