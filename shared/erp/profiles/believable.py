"""Which reported work counts as evidence: the profile's `believable` rules, applied to a batch of reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from shared.erp.profiles.model import Believable

# Rows that break a rule (null where that cannot be told), why, and the value to show of them.
Broken = tuple[pl.Series, str, pl.Series]


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What the rules look at; minutes are those of the whole reported quantity."""

    operation: pl.Series
    reported: pl.Series
    quantity: pl.Series
    setup: pl.Series
    run: pl.Series


def broken_rules(rule: Believable, reports: Reports, today: date) -> Iterator[Broken]:
    """Yield, for each rule of the profile, the reports that break it."""
    total = reports.run + reports.setup.fill_null(0.0)
    yield total <= rule.minimum_minutes, f"not believable: at most {rule.minimum_minutes:g} minutes", total
    if rule.minimum_run_minutes is not None:
        little = reports.run <= rule.minimum_run_minutes
        yield little, f"not believable: at most {rule.minimum_run_minutes:g} minutes of run time", reports.run
    ceilings = (
        (total, rule.maximum_minutes, "over {:g} minutes"),
        (reports.setup, rule.maximum_setup_minutes, "setup over {:g} minutes"),
        (reports.run / reports.quantity, rule.maximum_run_minutes_per_unit, "run over {:g} minutes a piece"),
        (reports.quantity, rule.maximum_quantity, "over {:g} pieces"),
    )
    for values, limit, said in ceilings:
        if limit is not None:
            yield values > limit, f"not believable: {said.format(limit)}", values
    if rule.minimum_quantity is not None:
        few = reports.quantity < rule.minimum_quantity
        yield few, f"not believable: under {rule.minimum_quantity:g} pieces", reports.quantity
    if rule.excluded_operations:
        excluded = reports.operation.is_in([code.strip() for code in rule.excluded_operations])
        yield excluded, "left out: an excluded operation", reports.operation
    yield from _broken_days(rule, reports.reported, today)


def _broken_days(rule: Believable, reported: pl.Series, today: date) -> Iterator[Broken]:
    if rule.not_in_the_future:
        yield reported > today, "not believable: reported in the future", reported
    if rule.maximum_age_days is not None:
        oldest = today - timedelta(days=rule.maximum_age_days)
        yield reported < oldest, f"left out: older than {rule.maximum_age_days:g} days", reported
