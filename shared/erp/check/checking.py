"""Running a profile against its source: what arrives, what joins, and what is probably mapped wrongly.

Errors are told only where the data itself contradicts the profile; what merely looks unusual is a warning or a hint.
"""

from contextlib import closing
from datetime import UTC, date, datetime

import polars as pl

from shared.erp.check.columns import check_columns, unused_columns
from shared.erp.check.keys import check_joins, check_keys, check_readable
from shared.erp.check.reading import FileFaults, FirstRows
from shared.erp.check.repeats import check_reports
from shared.erp.check.sizes import check_sizes
from shared.erp.check.sums import check_sums
from shared.erp.check.tables import CheckedTable, lot_columns, missing_columns, named_columns
from shared.erp.check.times import check_time_names, check_times
from shared.erp.check.unit_changes import check_unit_changes
from shared.erp.check.unread import check_unread, unread_tables
from shared.erp.check.versions import check_age, check_versions
from shared.erp.findings import CheckReport, Finding, Severity, TableFacts
from shared.erp.issues import IssueLog
from shared.erp.mapping.tables import read_items, read_routings, read_work_results
from shared.erp.profiles.model import Profile, SourceTable
from shared.erp.sources.location import Location
from shared.erp.sources.opening import open_source
from shared.erp.sources.source import Source
from shared.errors import SourceError, SourceUnavailable

_SAMPLE_ROWS = 100_000  # raw rows of each table that are looked at column by column
TABLES = ("items", "routings", "work_results")
_ORDER = list(Severity)


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
    faults = FileFaults()
    with open_source(location, profile.source, faults.of_this_reading) as source:
        checked = _read_tables(source, profile, faults, now.astimezone(UTC), report)
        report.unread_tables = unread_tables(profile, source.tables)
        report.findings += check_unread(source, profile, report.unread_tables)
    for table in checked.values():
        report.findings += check_readable(table, profile)
        report.findings += check_keys(table)
        report.findings += check_columns(table, profile)
        report.findings += check_sums(table, profile)
    for file, reasons in faults.counts.items():
        report.findings += [_damaged(file, reason, count) for reason, count in reasons.items()]
    if "work_results" in checked:
        report.findings += check_reports(checked["work_results"])
        report.findings += check_unit_changes(checked["work_results"])
    report.findings += check_time_names(profile, checked)
    report.findings += _check_days(checked, profile, profile.source.today(now.astimezone(UTC)))
    if "items" in checked:
        report.findings += check_sizes(checked["items"], checked.get("routings"), profile)
    if len(checked) == len(TABLES):
        report.findings += check_joins(checked, profile, report)
        report.findings += check_times(checked, profile, report)
    report.findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    return report


def _check_days(checked: dict[str, CheckedTable], profile: Profile, today: date) -> list[Finding]:
    results = checked.get("work_results")
    reported = None if results is None else results.frame["reported_at"].max()
    last = reported if isinstance(reported, date) else None
    versions = check_versions(checked["routings"], last, profile, today) if "routings" in checked else []
    return [*versions, *check_age(last, profile, today)]


def _damaged(file: str, reason: str, count: int) -> Finding:
    field, remedy = "source", "Export the file again."
    if reason.startswith("bytes that are not"):
        field, remedy = "source.encoding", "Name the encoding that the file was written in as source.encoding."
    elif reason.startswith("more fields"):
        field, remedy = (
            "source.delimiter",
            "Export it again; or set source.delimiter if lines are cut at the wrong sign.",
        )
    message = f"{file}: {count:,} line(s) with {reason}."
    if "left out" in reason:
        message = f"{file} {reason}."
    return Finding(severity=Severity.WARNING, field=field, message=message, remedy=remedy)


def _read_tables(
    whole: Source, profile: Profile, faults: FileFaults, now: datetime, report: CheckReport
) -> dict[str, CheckedTable]:
    """Return the tables that could be read; for the others the report says why not."""
    issues = IssueLog()
    checked: dict[str, CheckedTable] = {}
    for name in TABLES:
        mapping: SourceTable = getattr(profile, name)
        # The items are always read whole: their codes are what the other tables' rows are compared with.
        source = FirstRows(whole, None if name == "items" else report.rows_limit, faults)
        origin = mapping.shown
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


def _sample(source: FirstRows, mapping: SourceTable, known: list[str]) -> pl.DataFrame:
    """Return the first rows with every column, of as many files or batches as it takes."""
    rows = [pl.DataFrame(schema=dict.fromkeys(known, pl.String))]
    wanted = _SAMPLE_ROWS
    with closing(source.batches(mapping, known)) as batches:
        while wanted > 0 and (batch := next(batches, None)) is not None:
            rows.append(batch)
            wanted -= batch.height
    return pl.concat(rows[1:] or rows).head(_SAMPLE_ROWS)


def _canonical(
    source: FirstRows,
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
