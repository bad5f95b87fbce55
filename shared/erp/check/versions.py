"""Which day's plan is read: versions of routings that are not valid, and an export older than the day of reading."""

from collections.abc import Iterator
from datetime import date

import polars as pl

from shared.erp.check.tables import CheckedTable
from shared.erp.findings import Finding, Severity
from shared.erp.profiles.model import Profile, RoutingsTable, SourceTable

_OLD_DAYS = 90  # without a report, before an export counts as old
_MANY = 0.01  # the share of items from which on an ambiguous plan is a warning


def check_versions(routings: CheckedTable, last_report: date | None, profile: Profile, today: date) -> list[Finding]:
    """Return what is to be known about steps that are not valid today, where no filter leaves them out.

    The plan in use is the routing valid on the day of reading, the newest where several are. So other versions do no
    harm as long as they can be told apart, and that day is one of the source's own time.
    """
    mapping, frame = profile.routings, routings.frame
    if frame.is_empty() or _is_filtered(mapping):
        return []
    total = frame["item_code"].n_unique()
    invalid = frame.filter(~_valid(today))
    several = _several(frame.filter(_valid(today)))
    findings = []
    if invalid.height:
        items = invalid["item_code"].n_unique()
        message = f"{invalid.height:,} of {frame.height:,} steps are not valid on {today}; {items:,} items have some."
        mixed = mapping.columns.routing_no is None
        if mixed:
            message += " Without a routing_no they are mixed with the valid ones."
        findings.append(_finding(message, Severity.WARNING if mixed else Severity.HINT))
    changed = 0 if last_report is None or _age(last_report, today) < _OLD_DAYS else _changed(frame, last_report, today)
    if changed:
        message = (
            f"{changed:,} of {total:,} items have other valid steps on {today} than on {last_report}, the day of the "
            "last report."
        )
        severity = Severity.WARNING if changed >= _MANY * total else Severity.HINT
        remedy = f"If the source is as old as that, set source.as_of: {last_report}."
        findings.append(Finding(severity=severity, field="source.as_of", message=message, remedy=remedy))
    if several and mapping.columns.created_at is None:
        message = f"{several:,} of {total:,} items have several routings that are valid on {today}."
        severity = Severity.WARNING if several >= _MANY * total else Severity.HINT
        remedy = "Filter to the one in use, or map created_at: the newest is taken then."
        findings.append(Finding(severity=severity, field="routings.filters", message=message, remedy=remedy))
    return findings


def check_age(last_report: date | None, profile: Profile, today: date) -> Iterator[Finding]:
    """Yield where the last report lies months before the day that the profile's filters call today."""
    days = 0 if last_report is None else _age(last_report, today)
    if days < _OLD_DAYS:
        return
    by_day = _counts_from_today(profile)
    said = f", and {' and '.join(by_day)} count from {today}" if by_day else ""
    yield Finding(
        severity=Severity.WARNING if by_day else Severity.HINT,
        field="source.as_of",
        message=f"The last report is of {last_report}, {days} days before {today}{said}.",
        remedy=f"If this is an old export, set source.as_of: {last_report}; else ask where the newer reports are.",
    )


def _counts_from_today(profile: Profile) -> list[str]:
    tables = {"items": profile.items, "routings": profile.routings, "work_results": profile.work_results}
    found = [
        f"{name}.filters"
        for name, mapping in tables.items()
        if any(
            part.newer_than_days is not None or "today" in (part.at_least, part.at_most)
            for given in mapping.filters
            for part in given.parts
        )
    ]
    aged = profile.work_results.believable.maximum_age_days is not None
    return [*found, *(["work_results.believable.maximum_age_days"] if aged else [])]


def _finding(message: str, severity: Severity) -> Finding:
    remedy = "If only what is valid counts, filter: {valid_from: COLUMN, valid_to: COLUMN}; or map routing_no."
    return Finding(severity=severity, field="routings.filters", message=message, remedy=remedy)


def _is_filtered(mapping: RoutingsTable) -> bool:
    """Return whether a filter looks at a column of validity, or none is mapped."""
    mapped = {name for names in (mapping.columns.valid_from, mapping.columns.valid_to) for name in names or ()}
    return not mapped or bool(mapped & _filtered(mapping))


def _filtered(mapping: SourceTable) -> set[str]:
    return {name for given in mapping.filters for names in given.columns for name in names}


def _valid(day: date) -> pl.Expr:
    begun = pl.col("valid_from").is_null() | (pl.col("valid_from") <= day)
    return begun & (pl.col("valid_to").is_null() | (pl.col("valid_to") >= day))


def _several(valid: pl.DataFrame) -> int:
    routings = valid.group_by("item_code").agg(pl.col("routing_no").n_unique())
    return routings.filter(pl.col("routing_no") > 1).height


def _age(last_report: date, today: date) -> int:
    return (today - last_report).days


def _changed(frame: pl.DataFrame, first: date, second: date) -> int:
    """Return of how many items the valid steps differ between two days."""
    return frame.filter(_valid(first) != _valid(second))["item_code"].n_unique()
