"""In which form a source writes its days."""

from collections.abc import Sequence

import polars as pl

from shared.erp import parsing

DAY_FORMS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d-%b-%Y",
    "%d-%b-%y", "%Y년 %m월 %d일", "%Y%m%d", *parsing.EPOCH_FORMS,
)  # fmt: skip
NAMED_ONLY = ("%Y%m%d", *parsing.EPOCH_FORMS)  # digits alone, which are a day only where something else says so
_FIRST_YEAR, _LAST_YEAR = 1950, 2999  # a day outside is more likely a number, or another form


def fitting_day_form(values: pl.Series, *, least_share: float, forms: Sequence[str] = DAY_FORMS) -> str | None:
    """Return the form in which at least this share of the texts are days, the best one; None where none does."""
    best, most = None, least_share * max(values.len(), 1)
    for form in forms:
        days, _ = parsing.day(values, null_tokens=(), formats=(form,))
        fits = int(days.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).sum())
        if fits > most or (best is None and fits == most and fits):
            best, most = form, fits
    return best
