"""Which rows of a file meet a condition, whatever types its columns have."""

from datetime import date, datetime

import polars as pl

from shared.erp import parsing
from shared.erp.profiles.model import SourceRules
from shared.erp.sources.source import Condition

_MOST_SEARCHED = 8  # texts; searching for more takes longer than parsing


def meets(cells: pl.Series, condition: Condition, rules: SourceRules) -> pl.Series:
    """Return which cells meet a condition on their column; empty and unreadable ones do not.

    `=` and `in` compare text without the blanks around it, `code` also without case. `>=` compares with a number as
    numbers, with a day or a moment as moments, and with a text by the alphabet.
    """
    if condition.operator != ">=":
        said = parsing.plain_text(cells).str.strip_chars()
        wanted = [str(value).strip() for value in condition.values]
        if condition.operator == "code":
            said, wanted = said.str.to_lowercase(), [value.lower() for value in wanted]
        return said.is_in(wanted).fill_null(value=False)
    least = condition.values[0]
    if isinstance(least, date):
        start = least if isinstance(least, datetime) else datetime(least.year, least.month, least.day)  # noqa: DTZ001
        met = parsing.moment(cells, formats=rules.date_formats) >= start.replace(tzinfo=None)
    elif isinstance(least, str):
        met = parsing.plain_text(cells).str.strip_chars() >= least.strip()
    else:
        met = parsing.number(cells, null_tokens=rules.null_tokens, decimal_comma=rules.decimal_comma)[0] >= float(least)
    return met.fill_null(value=False)


def searched_texts(condition: Condition | None) -> tuple[str, ...]:
    """Return texts of which a row must hold one, in whatever case, to meet a condition; none where that cannot be told.

    A file is searched for them before its rows are parsed. Only ASCII without quotes stands in a file letter by letter,
    whatever its encoding.
    """
    if condition is None or condition.operator == ">=" or len(condition.values) > _MOST_SEARCHED:
        return ()
    texts = tuple(str(value).strip() for value in condition.values)
    return texts if all(text and text.isascii() and '"' not in text for text in texts) else ()
