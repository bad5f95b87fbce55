"""From what a source holds (mostly text) to text, numbers, days and flags; unreadable is told apart from empty.

Each function returns the values and, where reading can fail, a mask of the cells that hold something unreadable.
"""

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
    if cells.dtype.is_numeric():
        values = cells.cast(pl.Float64)
        good = values.is_finite() & values.is_not_null()
        return values.set(~good.fill_null(value=False), None), values.is_nan().fill_null(value=False)
    said = text(cells, null_tokens=null_tokens)
    thousands, point = (".", ",") if decimal_comma else (",", ".")
    grouped = rf"^[+-]?\d{{1,3}}(\{thousands}\d{{3}})+(\{point}\d+)?$"
    plain = pl.when(said.str.contains(grouped)).then(said.str.replace_all(thousands, "", literal=True)).otherwise(said)
    readable = pl.select(plain.alias("said")).to_series()
    if decimal_comma:
        readable = readable.str.replace(",", ".", literal=True)
    values = readable.cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite().fill_null(value=False), None)
    return values, said.is_not_null() & values.is_null()


def day(cells: pl.Series, *, null_tokens: Iterable[str], formats: Iterable[str]) -> tuple[pl.Series, pl.Series]:
    """Return days and the mask of cells that fit none of the formats; a time of day behind the day is cut off."""
    if cells.dtype.is_temporal():
        return cells.cast(pl.Date, strict=False), pl.repeat(False, cells.len(), eager=True)
    said = text(cells, null_tokens=null_tokens)
    days = said.str.replace(r"[ T]\d{1,2}:\d{2}.*$", "")
    read = pl.Series([None], dtype=pl.Date).extend_constant(None, cells.len()).head(cells.len())
    for form in formats:
        read = read.zip_with(read.is_not_null(), days.str.to_date(form, strict=False))
    return read, said.is_not_null() & read.is_null()


def flag(
    cells: pl.Series, *, null_tokens: Iterable[str], true_values: Iterable[str], false_values: Iterable[str]
) -> tuple[pl.Series, pl.Series]:
    """Return true, false or null and the mask of cells that hold neither a true nor a false value (any case)."""
    said = text(cells, null_tokens=null_tokens)
    folded = said.str.to_lowercase()
    is_true = folded.is_in([value.lower() for value in true_values])
    known = is_true | folded.is_in([value.lower() for value in false_values])
    return is_true.set(~known.fill_null(value=False), None), said.is_not_null() & ~known
