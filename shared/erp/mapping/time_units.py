"""Factors from a source's times to minutes, where these are not one for the whole table."""

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from shared.erp.mapping.rows import TableRows
from shared.erp.profiles.model import RoutingsTable, WorkResultsTable
from shared.erp.profiles.unit_changes import TimeColumn, UnitChange
from shared.erp.units import MINUTES_PER


class ReportPlaces(NamedTuple):
    """Where and when each report of a batch was made."""

    operation: pl.Series
    resource: pl.Series
    reported: pl.Series


def setup_factors(source: TableRows, mapping: RoutingsTable | WorkResultsTable, factors: pl.Series) -> pl.Series:
    """Return each row's factor from setup times to minutes: that of all times, unless setup has a unit of its own."""
    return factors if mapping.setup_time_unit is None else source.minutes_factor(mapping.setup_time_unit, None)


def in_changed_units(
    source: TableRows, changes: Iterable[UnitChange], time: TimeColumn, factors: pl.Series, places: ReportPlaces
) -> pl.Series:
    """Return each row's factor from a column of times to minutes, where a change holds by its unit; these are counted.

    `factors` are those without changes. Of several changes that hold for a row the last counts.
    """
    for change in changes:
        if time not in change.times:
            continue
        holds = are_changed(change, places)
        source.note(holds, f"{time} read in {change.time_unit.value} since {change.since}, as the profile says")
        factors = factors.set(holds, MINUTES_PER[change.time_unit])
    return factors


def are_changed(change: UnitChange, places: ReportPlaces) -> pl.Series:
    """Return for which reports a change holds."""
    holds = (places.reported >= change.since).fill_null(value=False)
    if change.until is not None:
        holds = holds & (places.reported <= change.until)
    for codes, named in ((places.operation, change.operations), (places.resource, change.resources)):
        if named is not None:
            holds = holds & codes.is_in(list(named)).fill_null(value=False)
    return holds
