"""Which columns and work centres carry a suspected unit change: the reports themselves, before and since."""

from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, log

import polars as pl

from shared.erp.snapshot import Snapshot

BEFORE_DAYS = 365  # of reports that are compared with those since
LEAST_REPORTS = 3  # of a work centre, before it is named
MOST_NAMED = 6
COLUMNS = ("run_minutes", "setup_minutes")


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What the reports show; empty where too few tell."""

    columns: dict[str, float]  # canonical column -> how many times the minutes before, at the median
    work_centres: tuple[str, ...]  # where most reports since are nearer to the factor than to what they were
    of_work_centres: int  # with enough reports since

    def said(self) -> str:
        """Return it as the end of a sentence."""
        named = ", ".join(self.work_centres[:MOST_NAMED])
        more = len(self.work_centres) - MOST_NAMED
        at = f"; at {len(self.work_centres)} of {self.of_work_centres} work centres" if self.work_centres else ""
        at += f" ({named}{f' and {more} more' if more > 0 else ''})" if named else ""
        columns = " and ".join(f"{name} {times:.2g} times what it was" for name, times in self.columns.items())
        return at + (f"; {columns}" if columns else "")


def traces_of(snapshot: Snapshot, operation_code: str, *, since: date, factor: float) -> Traces:
    """Compare an operation's reports since a day with those of the year before, an item with itself where it can be."""
    reports = snapshot.query(
        "work_results",
        lambda rows: rows.filter(
            pl.col("operation_code") == operation_code,
            pl.col("reported_at") >= since - timedelta(days=BEFORE_DAYS),
            pl.col("quantity") > 0,
        ).select("item_code", "resource_code", "reported_at", "quantity", *COLUMNS),
    ).with_columns(
        (pl.col("run_minutes") / pl.col("quantity")).log().alias("run_minutes"),
        pl.col("setup_minutes").log(),
        (pl.col("reported_at") >= since).alias("since"),
    )
    apart = reports.with_columns(_over_before(column).alias(column) for column in COLUMNS).filter("since")
    moved = _moved(pl.col("run_minutes"), factor)
    centres = (
        apart.filter(pl.col("run_minutes").is_finite())
        .group_by("resource_code")
        .agg(pl.len().alias("n"), moved.mean().alias("share"))
        .filter(pl.col("resource_code").is_not_null(), pl.col("n") >= LEAST_REPORTS)
    )
    named = sorted(centres.filter(pl.col("share") > 0.5)["resource_code"].to_list())
    there = apart.filter(pl.col("resource_code").is_in(named)) if named else apart
    columns = {}
    for column in COLUMNS:
        ratios = there[column].filter(there[column].is_finite().fill_null(value=False))
        middle = ratios.median()
        if len(ratios) >= LEAST_REPORTS and isinstance(middle, float) and middle / log(factor) > 0.5:
            columns[column] = exp(middle)
    return Traces(columns=columns, work_centres=tuple(named), of_work_centres=centres.height)


def _over_before(column: str) -> pl.Expr:
    """Return the logarithm over the median before: the item's own, else the operation's."""
    known = pl.col(column).is_finite() & ~pl.col("since")
    own = pl.col(column).filter(known).median()
    return pl.col(column) - pl.coalesce(own.over("item_code"), own)


def _moved(ratio: pl.Expr, factor: float) -> pl.Expr:
    """Return whether a ratio is nearer to the factor than to 1, in logarithms."""
    return ratio / log(factor) > 0.5
