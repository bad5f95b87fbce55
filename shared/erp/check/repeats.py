"""Reports that say nothing new or nothing at all: booked twice, or without any run time."""

from collections.abc import Iterator

import polars as pl

from shared.erp.check.tables import CheckedTable
from shared.erp.findings import Finding, Severity


def check_reports(results: CheckedTable) -> Iterator[Finding]:
    """Yield hints on work results that are equal in every column of the source, and on those without run time."""
    sample = results.sample
    again = sample.height - sample.n_unique() if sample.height else 0
    if again:
        yield Finding(
            severity=Severity.HINT,
            field="work_results",
            message=f"{again:,} of {sample.height:,} reports equal another one in every column: exported twice?",
            remedy="If so, read them once: a query (sql) with SELECT DISTINCT over the table.",
        )
    idle = results.frame.filter(pl.col("run_minutes") == 0).height
    if idle:
        yield Finding(
            severity=Severity.HINT,
            field="work_results.believable.minimum_run_minutes",
            message=f"{idle:,} of {results.frame.height:,} reports have a setup time and a run time of 0.",
            remedy="If work cannot take no time, set work_results.believable.minimum_run_minutes: 0.",
        )
