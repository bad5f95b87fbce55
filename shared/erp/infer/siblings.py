"""Tables that are parts of one, such as one a year or one a works: the same name but for digits, the same roles."""

import re

import polars as pl

from shared.erp.infer.columns import look_at
from shared.erp.infer.names import spelled, time_unit_of
from shared.erp.infer.queries import Dialect
from shared.erp.infer.steps import Steps, work_steps
from shared.erp.infer.tables import Table, contained

_NEEDED = ("item_code", "reported_at", "quantity", "run_minutes")
_CODES_KNOWN = 0.6


def stem(name: str) -> str:
    """Return a table's name without digits: `REPORTS_2023` and `Reports 2024-25` have one stem."""
    return re.sub(r"[\d_]+", "_", spelled(name)).strip("_")


def siblings(table: Table, tables: list[Table]) -> list[Table]:
    """Return the other tables whose names differ from this table's in digits alone."""
    own = stem(table.name)
    return [other for other in tables if other is not table and own and stem(other.name) == own]


def merged_work(
    first: Table,
    item: str,
    others: list[Table],
    codes: frozenset[str],
    routing: Steps | None,
    dialect: Dialect,
    *,
    decimal_comma: bool,
) -> tuple[Table, list[Table]]:
    """Return one table of the reported work of several, its columns named by their roles, and those that do not fit.

    Args:
        first: the table that looks most like reported work.
        item: its column of item codes.
        others: the tables of like names.
        codes: the items' codes, upper case.
        routing: the planned steps, where known.
        dialect: how names are written.
        decimal_comma: whether numbers are written 1,5.
    """
    parts, strangers = [_work(first, item, routing)], []
    for other in others:
        shares = {name: contained(values, codes) for name, values in other.sets.items()}
        best = max(shares, key=lambda name: shares[name], default=None)
        steps = _work(other, best, routing) if best is not None and shares[best] >= _CODES_KNOWN else None
        if steps is not None and _fits(parts[0], steps):
            parts.append(steps)
        else:
            strangers.append(other)
    return (_union(parts, dialect, decimal_comma=decimal_comma) if len(parts) > 1 else first), strangers


def _work(table: Table, item: str, routing: Steps | None) -> Steps:
    return work_steps(table, item, None, routing)[0]


def _fits(first: Steps, other: Steps) -> bool:
    """Return whether another table says what the first one does, its times in the same units."""
    needed = [role for role in _NEEDED if role in first.chosen]
    times = [role for role in first.chosen if role.endswith("_minutes") and role in other.chosen]
    return set(needed) <= other.chosen.keys() and all(_named(role, first) == _named(role, other) for role in times)


def _union(parts: list[Steps], dialect: Dialect, *, decimal_comma: bool) -> Table:
    """Return the union of the columns that every part has, each named by the role that it plays in its part."""
    roles = [role for role in parts[0].chosen if all(role in part.chosen for part in parts)]
    selects = []
    for part in parts:
        columns = [f"{_trimmed(part, role, dialect)} AS {_named(role, part)}" for role in roles]
        selects.append(f"SELECT {', '.join(columns)} FROM {dialect.table(part.table.name)}")  # noqa: S608 - quoted
    ordered = sorted(zip(parts, selects, strict=True), key=lambda pair: pair[0].table.name)
    looked_at = {}
    for role in roles:
        cells = pl.concat([part.table.columns[part.chosen[role].column].said for part in parts])
        named = _named(role, parts[0])
        looked_at[named] = look_at(named, cells.rename(named), decimal_comma=decimal_comma)
    names = " and ".join(part.table.name for part, _ in ordered)
    rows = sum(part.table.rows for part in parts)
    return Table(names, looked_at, rows, query=" UNION ALL ".join(select for _, select in ordered))


def _named(role: str, part: Steps) -> str:
    """Return the name of a role's column, with the unit of time that the part's own name of it states."""
    if not role.endswith("_minutes"):
        return role
    unit = time_unit_of(part.chosen[role].column)
    return f"{role.removesuffix('_minutes')}_{'time' if unit is None else unit.value}"


def _trimmed(part: Steps, role: str, dialect: Dialect) -> str:
    name = part.chosen[role].column
    return f"TRIM({dialect.quoted(name)})" if part.table.columns[name].is_padded else dialect.quoted(name)
