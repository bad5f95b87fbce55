"""The same data month by month: what was reported, what was planned, and how complete both were."""

from datetime import date
from typing import Any

import polars as pl

from shared.erp.canonical import Attribute
from shared.erp.joins.plan import Match, PlanJoin

MONTHS = 36  # with rows, the latest ones; older rows are summed up as `earlier`
EARLIER = "earlier"
_BEFORE = date.min  # stands for every month before the latest ones


def by_month(
    items: pl.DataFrame,
    routings: pl.DataFrame,
    results: pl.DataFrame,
    join: PlanJoin,
    attributes: tuple[Attribute, ...],
) -> dict[str, list[dict[str, Any]]]:
    """Return rows of figures a month, oldest first; a table without dates has none.

    `work_results` go by the day of the report; `created` by the day on which a routing was made, an item by its first
    routing's. Shares are 0 to 1 and null where the month has nothing that they are a share of.
    """
    return {"work_results": _reported(results, join), "created": _created(items, routings, attributes)}


def _reported(results: pl.DataFrame, join: PlanJoin) -> list[dict[str, Any]]:
    told = results.select("reported_at", "setup_minutes", "item_code").with_columns(
        join.results["planned_row"].is_not_null().alias("joined"),
        (join.results["match"] == Match.EXACT.value).alias("exact"),
    )
    return _grouped(
        told,
        "reported_at",
        _first_month(told["reported_at"]),
        pl.len().alias("work_results"),
        pl.col("item_code").n_unique().alias("items"),
        pl.col("joined").mean().round(4).alias("joined_share"),
        pl.col("exact").mean().round(4).alias("exact_share"),
        pl.col("setup_minutes").is_not_null().mean().round(4).alias("setup_known_share"),
    )


def _created(items: pl.DataFrame, routings: pl.DataFrame, attributes: tuple[Attribute, ...]) -> list[dict[str, Any]]:
    made = (
        routings.filter(pl.col("created_at").is_not_null())
        .group_by("item_code", "routing_no")
        .agg(pl.col("created_at").min(), pl.len().alias("steps"), pl.col("run_minutes_per_unit").count().alias("timed"))
    )
    begin = _first_month(made["created_at"])
    of_routings = _grouped(
        made,
        "created_at",
        begin,
        pl.len().alias("routings"),
        (pl.col("timed").sum() / pl.col("steps").sum()).round(4).alias("run_time_known_share"),
    )
    first = made.group_by("item_code").agg(pl.col("created_at").min())
    names = [attribute.name for attribute in attributes]
    known = [pl.col(name).is_not_null().mean().round(4).alias(f"known:{name}") for name in names]
    of_items = _grouped(items.join(first, on="item_code"), "created_at", begin, pl.len().alias("items"), *known)
    completeness = {
        row["month"]: {"items": row["items"], "completeness": {name: row[f"known:{name}"] for name in names}}
        for row in of_items
    }
    return [row | completeness.get(row["month"], {"items": 0, "completeness": {}}) for row in of_routings]


def _first_month(days: pl.Series) -> date | None:
    """Return the first of the latest months that have rows."""
    latest = days.dt.truncate("1mo").drop_nulls().unique().sort().tail(MONTHS)
    return None if latest.is_empty() else latest[0]


def _grouped(frame: pl.DataFrame, day: str, first: date | None, *figures: pl.Expr) -> list[dict[str, Any]]:
    """Return the figures of every month from `first` on and of everything before it, oldest first."""
    if first is None:
        return []
    before = pl.col(day) < first
    month = pl.when(before).then(pl.lit(_BEFORE)).otherwise(pl.col(day).dt.truncate("1mo")).alias("month")
    grouped = frame.filter(pl.col(day).is_not_null()).group_by(month).agg(*figures).sort("month")
    label = pl.when(pl.col("month") == _BEFORE).then(pl.lit(EARLIER)).otherwise(pl.col("month").dt.strftime("%Y-%m"))
    return grouped.with_columns(label.alias("month")).to_dicts()
