"""Running a profile against its source: what arrives, what joins, and what is probably mapped wrongly.

Errors are told only where the data itself contradicts the profile; what merely looks unusual is a warning or a hint.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Self

import polars as pl

from shared.erp.check.columns import check_columns, unused_columns
from shared.erp.check.keys import check_joins, check_keys, check_readable
from shared.erp.check.sizes import check_sizes
from shared.erp.check.tables import CheckedTable, lot_columns, missing_columns, named_columns
from shared.erp.check.times import check_time_names, check_times
from shared.erp.findings import CheckReport, Finding, Severity, TableFacts
from shared.erp.issues import IssueLog
from shared.erp.mapping.tables import read_items, read_routings, read_work_results
from shared.erp.profiles.model import Profile, SourceTable
from shared.erp.sources.location import Location
from shared.erp.sources.opening import open_source
from shared.erp.sources.source import Condition, Source
from shared.errors import SourceError, SourceUnavailable

_SAMPLE_ROWS = 100_000  # raw rows of each table that are looked at column by column
TABLES = ("items", "routings", "work_results")
_ORDER = list(Severity)


class _FirstRows:
    """A source of which only the first rows of each table are read, and counted."""

    def __init__(self, source: Source, limit: int | None) -> None:
        self._source = source
        self._limit = limit
        self.rows_read = 0

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def tables(self) -> tuple[str, ...]:
        return self._source.tables

    def columns(self, origin: SourceTable) -> list[str]:
        return self._source.columns(origin)

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        self.rows_read = 0
        for batch in self._source.batches(origin, columns, where=where):
            wanted = batch if self._limit is None else batch.head(self._limit - self.rows_read)
            self.rows_read += wanted.height
            yield wanted
            if self._limit is not None and self.rows_read >= self._limit:
                return

    def count(self, origin: SourceTable) -> int:
        return self._source.count(origin)

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_profile(profile: Profile, location: Location, *, now: datetime, rows: int | None = None) -> CheckReport:
    """Return what a profile makes of its source.

    Args:
        profile: the mapping.
        location: the folder or database.
        now: the moment of reading, aware; filters on age and validity count from it.
        rows: how many routing steps and how many work results are read at most; every row when left out. Joins are
            then judged on items of which a step was read. The items are read whole.

    Raises:
        SourceError: the source cannot be opened at all.
        SourceUnavailable: the database does not answer.
    """
    report = CheckReport(profile=profile.name, source=location.shown, rows_limit=rows)
    issues = IssueLog()
    with open_source(location, profile.source, issues) as source:
        checked = _read_tables(source, profile, issues, now.astimezone(UTC), report)
    for table in checked.values():
        report.findings += check_readable(table, profile)
        report.findings += check_keys(table)
        report.findings += check_columns(table, profile)
    for file, reasons in issues.counts.items():
        if file not in TABLES:
            report.findings += [_damaged(file, reason, count) for reason, count in reasons.items()]
    report.findings += check_time_names(profile, checked)
    if "items" in checked:
        report.findings += check_sizes(checked["items"], checked.get("routings"), profile)
    if len(checked) == len(TABLES):
        report.findings += check_joins(checked, profile, report)
        report.findings += check_times(checked, profile, report)
    report.findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    return report


def _damaged(file: str, reason: str, count: int) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        field="source",
        message=f"{file}: {count:,} line(s) with {reason}.",
        remedy="Export the file again; or set source.delimiter where the lines are cut at the wrong character.",
    )


def _read_tables(
    whole: Source, profile: Profile, issues: IssueLog, now: datetime, report: CheckReport
) -> dict[str, CheckedTable]:
    """Return the tables that could be read; for the others the report says why not."""
    checked: dict[str, CheckedTable] = {}
    for name in TABLES:
        mapping: SourceTable = getattr(profile, name)
        # The items are always read whole: their codes are what the other tables' rows are compared with.
        source = _FirstRows(whole, None if name == "items" else report.rows_limit)
        origin = " or ".join(mapping.table or ()) or "a query"
        facts = report.tables[name] = TableFacts(origin=origin)
        try:
            known = source.columns(mapping)
            missing = list(missing_columns(name, mapping, known, origin))
            report.findings += missing
            if missing or (name != "items" and "items" not in checked):
                continue
            table = CheckedTable(name, mapping, known, facts, issues)
            table.sample = _sample(source, mapping, known)
            table.frame = _canonical(source, table, profile, issues, now, checked)
        except SourceUnavailable:
            raise
        except SourceError as error:
            report.findings.append(
                Finding(severity=Severity.ERROR, field=name, message=error.detail, remedy=error.remedy or "")
            )
            continue
        facts.rows_read, facts.rows_kept = source.rows_read, table.frame.height
        facts.reasons = dict(issues.counts.get(name, {}))
        facts.columns_read = {field: table.column(names) for field, names in named_columns(mapping)}
        facts.unused = unused_columns(table)
        checked[name] = table
    return checked


def _sample(source: _FirstRows, mapping: SourceTable, known: list[str]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=dict.fromkeys(known, pl.String))
    batches = list(islice(source.batches(mapping, known), max(1, _SAMPLE_ROWS // 100_000)))
    return pl.concat(batches).head(_SAMPLE_ROWS) if batches else empty


def _canonical(
    source: _FirstRows,
    table: CheckedTable,
    profile: Profile,
    issues: IssueLog,
    now: datetime,
    checked: dict[str, CheckedTable],
) -> pl.DataFrame:
    if table.name == "items":
        return read_items(source, profile, issues, now)
    known = checked["items"].frame["item_code"]
    if table.name == "work_results":
        return read_work_results(source, profile, issues, now, known)
    # Columns that could be a lot's quantity come along, so that the times can be judged by them.
    table.lots = lot_columns(table)
    carry = tuple(dict.fromkeys((*profile.routings.carry, *table.lots)))
    wider = profile.model_copy(update={"routings": profile.routings.model_copy(update={"carry": carry})})
    return read_routings(source, wider, issues, now, known)
