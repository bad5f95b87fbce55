"""Is the mapped run time really a total of setup and run? Some column of the source then holds the run time alone."""

from collections.abc import Iterator
from itertools import combinations

import polars as pl

from shared.erp.check.tables import CheckedTable
from shared.erp.findings import Finding, Severity
from shared.erp.profiles.model import Profile, RoutingsTable, WorkResultsTable

_ROWS = 5_000  # looked at
_LEAST_ROWS = 20  # that have all three times
_LEAST_VALUES = 5  # of each column, or the sum says nothing
_FITS = 0.95  # the share of these rows in which the sum must be right
_ROUNDING = 0.0151  # the sum of three figures that were rounded to two places may be off by so much
_MOST_COLUMNS = 15  # of which every pair is tried


def check_sums(table: CheckedTable, profile: Profile) -> Iterator[Finding]:
    """Yield where the run time of the rows is the sum of two other columns, of which one is setup."""
    mapping = table.mapping
    if not isinstance(mapping, (RoutingsTable, WorkResultsTable)):
        return
    field = "run_minutes" if isinstance(mapping, WorkResultsTable) else "run_minutes_per_unit"
    run = getattr(mapping.columns, field)
    if run is None or getattr(mapping, "undivided_time", False):
        return
    total = table.column(run)
    parts = _parts(table, profile, total)
    if parts is None:
        return
    setup = table.facts.columns_read.get("columns.setup_minutes")
    alone = next((name for name in parts if name != setup), total) if setup in parts else None
    yield Finding(
        severity=Severity.WARNING,
        field=f"{table.name}.columns.{field}",
        message=f"{total} is {parts[0]} + {parts[1]} in nearly every row: it looks like setup and run together.",
        remedy=f"Set {table.name}.columns.{field}: {alone}."
        if alone
        else f"Map {table.name}.columns.setup_minutes and {field} to these two, each to what it is.",
    )


def _parts(table: CheckedTable, profile: Profile, total: str) -> tuple[str, str] | None:
    """Return the two columns whose sum the total is; one of them is the mapped setup where there is one."""
    setup = table.facts.columns_read.get("columns.setup_minutes")
    numbers = {name: table.numbers(name, profile)[0].head(_ROWS) for name in (total, *_candidates(table, setup))}
    wanted = numbers.pop(total)
    telling = [name for name, values in numbers.items() if values.n_unique() >= _LEAST_VALUES or name == setup]
    for first, second in combinations(telling[:_MOST_COLUMNS], 2):
        if setup in (None, first, second) and _is_sum(wanted, numbers[first], numbers[second]):
            return first, second
    return None


def _candidates(table: CheckedTable, setup: str | None) -> list[str]:
    return [name for name in table.known if name == setup or name in table.free]


def _is_sum(total: pl.Series, first: pl.Series, second: pl.Series) -> bool:
    rows = pl.DataFrame({"total": total, "first": first, "second": second}).filter(
        pl.col("first") > 2 * _ROUNDING, pl.col("second") > 2 * _ROUNDING, pl.col("total").is_not_null()
    )
    if rows.height < _LEAST_ROWS or rows["total"].n_unique() < _LEAST_VALUES:
        return False
    off = (rows["total"] - rows["first"] - rows["second"]).abs()
    return int((off <= _ROUNDING).sum()) >= _FITS * rows.height
