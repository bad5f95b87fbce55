"""Another time unit from a day on: what a profile says of terminals that were changed, or went wrong for a while."""

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from shared.erp.profiles.parts import Part, Texts, TimeUnit

MOST_UNIT_CHANGES = 100
TimeColumn = Literal["setup_minutes", "run_minutes"]


def _day(value: Any) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no day; write it like 2026-03-31")
    return value


Day = Annotated[date, BeforeValidator(_day)]


class UnitChange(Part):
    """In which unit the times of reports are from a day on, whatever the table or the row says otherwise."""

    since: Day  # the first day that work was reported so
    until: Day | None = None  # the last day; until further notice when left out
    time_unit: TimeUnit
    operations: Texts | None = None  # codes; all of them when left out
    resources: Texts | None = None  # codes of the work centres whose terminals it is; all of them when left out
    times: Annotated[tuple[TimeColumn, ...], Field(min_length=1)] = ("setup_minutes", "run_minutes")

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "UnitChange":
        if self.until is not None and self.until < self.since:
            raise ValueError(f"until ({self.until}) lies before since ({self.since})")
        return self

    def holds(self, operation: str, day: date) -> bool:
        """Return whether it speaks of an operation's reports of a day, at every work centre or at some."""
        named = self.operations is None or operation in self.operations
        return named and self.since <= day and (self.until is None or day <= self.until)


UnitChanges = Annotated[tuple[UnitChange, ...], Field(max_length=MOST_UNIT_CHANGES)]


def confirmed(changes: Collection[UnitChange], time_unit: TimeUnit, operation: str, day: date) -> UnitChange | None:
    """Return what states the table's own unit for an operation's reports of a day: somebody looked, and it is right."""
    return next((one for one in changes if one.time_unit is time_unit and one.holds(operation, day)), None)
