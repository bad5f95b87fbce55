"""Filters: which rows of a source table count. Each is one condition of a profile, applied to a batch of rows."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import polars as pl
from pydantic import Field, model_validator

from shared.erp.profiles.parts import Bound, Column, Part, Positive, Texts

_CONDITIONS = (
    "one_of", "not_one_of", "at_least", "at_most", "newer_than_days", "contains", "not_contains", "starts_with",
)  # fmt: skip


class Filter(Part):
    """One condition that a source row must meet; the rows it leaves out are counted.

    Texts are compared without case and without blanks around them.
    """

    column: Column | None = None
    one_of: Texts | None = None
    not_one_of: Texts | None = None
    at_least: Bound | None = None
    at_most: Bound | None = None
    newer_than_days: Positive | None = None  # the column's day is at most so many days before today
    contains: Texts | None = None  # any of them
    not_contains: Texts | None = None  # none of them
    starts_with: Texts | None = None  # any of them
    valid_from: Column | None = None  # today is not before the day in this column, and
    valid_to: Column | None = None  # not after the day in that one; either may be left out
    keep_empty: bool = Field(True)  # whether an empty cell meets the condition

    @model_validator(mode="after")
    def _one_condition(self) -> "Filter":
        given = [name for name in _CONDITIONS if getattr(self, name) is not None]
        if self.valid_from or self.valid_to:
            if given or self.column:
                raise ValueError("valid_from and valid_to name their columns themselves: leave the rest out")
        elif len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_CONDITIONS)}; or valid_from and valid_to")
        elif self.column is None:
            raise ValueError("column is missing: which column shall the condition look at?")
        return self

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the condition looks at."""
        return tuple(filter(None, (self.column, self.valid_from, self.valid_to)))

    @property
    def parts(self) -> tuple["Filter", ...]:
        """The condition as conditions on one column each, all of which a row must meet."""
        if self.column is not None:
            return (self,)
        bounds = ((self.valid_from, "at_most"), (self.valid_to, "at_least"))
        return tuple(
            Filter.model_validate({"column": names, bound: "today", "keep_empty": self.keep_empty})
            for names, bound in bounds
            if names is not None
        )


Numbers = Callable[[], pl.Series]


def meets(condition: Filter, said: pl.Series, numbers: Numbers, days: Numbers, today: date) -> pl.Series:
    """Return which rows meet a condition on one column; false or null where the cell is empty or unreadable.

    Args:
        condition: one of a filter's `parts`.
        said: the column as trimmed text, null where empty.
        numbers: reads the column as numbers.
        days: reads the column as days.
        today: the day of reading, or that of an old export.
    """
    if condition.newer_than_days is not None:
        return days() >= today - timedelta(days=condition.newer_than_days)
    bound = condition.at_least if condition.at_least is not None else condition.at_most
    if bound is not None:
        limit = today if bound == "today" else bound
        values = days() if isinstance(limit, date) else numbers()
        return values >= limit if condition.at_least is not None else values <= limit
    return _text_meets(condition, said.str.to_lowercase())


def _text_meets(condition: Filter, said: pl.Series) -> pl.Series:
    if condition.one_of is not None:
        return said.is_in(_folded(condition.one_of))
    if condition.not_one_of is not None:
        return ~said.is_in(_folded(condition.not_one_of))
    if condition.starts_with is not None:
        return _any([said.str.starts_with(text) for text in _folded(condition.starts_with)])
    found = _any(
        [said.str.contains(text, literal=True) for text in _folded(condition.contains or condition.not_contains or ())]
    )
    return found if condition.contains is not None else ~found


def _folded(texts: Sequence[str]) -> list[str]:
    return [text.strip().lower() for text in texts]


def _any(masks: Sequence[pl.Series]) -> pl.Series:
    met = masks[0]
    for mask in masks[1:]:
        met = met | mask
    return met
