"""What a person reads about the join of plan and actuals: how much joined and how, what did not, and why."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from shared.erp.canonical import Attribute
from shared.erp.joins.plan import JOINED, NOT_JOINED, Actuals, PlanJoin

_SHOWN = 10  # operations, work centres and families with the most results that did not join
_SAMPLES = 5
_STEP = ("item_code", "routing_no", "sequence", "operation_code")
_JOINED = [kind.value for kind in JOINED]


def describe_join(
    join: PlanJoin, routings: pl.DataFrame, work_results: pl.DataFrame, families: pl.DataFrame | None = None
) -> dict[str, Any]:
    """Return the join as a JSON document; shares are 0 to 1.

    Args:
        join: the outcome.
        routings: the planned steps that were joined.
        work_results: the work results that were joined.
        families: `item_code` and `family`, where what did not join is to be told by family too.
    """
    match, height = join.results["match"], work_results.height
    joined = join.results["planned_row"].count()
    return {
        "work_results": height,
        "joined": joined,
        "joined_share": share(joined, height),
        "ambiguous": int(join.results["ambiguous"].sum()),
        "kinds": _kinds(match, _JOINED),
        "not_joined": _kinds(match, [kind.value for kind in NOT_JOINED]),
        "not_joined_by": _affected(join, work_results, families),
        "samples": _samples(match, work_results, skipped=JOINED[0].value),
        "steps": _steps(join, routings),
    }


def families_of(items: pl.DataFrame, attributes: Sequence[Attribute]) -> pl.DataFrame | None:
    """Return each item's `family`, the attributes that together name it; None when the profile marks none."""
    names = [attribute.name for attribute in attributes if attribute.family]
    if not names:
        return None
    parts = [pl.col(name).cast(pl.String).fill_null("(unknown)") for name in names]
    return items.select("item_code", pl.concat_str(parts, separator=" / ").alias("family"))


def share(part: int, whole: int) -> float:
    """Return part of whole, to four places; 0 of nothing."""
    return round(part / whole, 4) if whole else 0.0


def _kinds(labels: pl.Series, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """Return count and share of each kind that occurs, in the order given."""
    counts = dict(labels.value_counts().select(pl.first().cast(pl.String), "count").iter_rows())
    return [
        {"kind": kind, "count": counts[kind], "share": share(counts[kind], labels.len())}
        for kind in kinds
        if kind in counts
    ]


def _affected(join: PlanJoin, results: pl.DataFrame, families: pl.DataFrame | None) -> dict[str, list[dict[str, Any]]]:
    """Return what most results that did not join have in common."""
    missed = join.results["planned_row"].is_null()
    lost, columns = results.filter(missed), {"operations": "operation_code", "work_centres": "resource_code"}
    told = {name: _most(lost[column], results[column]) for name, column in columns.items()}
    if families is not None:
        of_lost = lost.select("item_code").join(families, on="item_code", how="left", maintain_order="left")
        of_all = results.select("item_code").join(families, on="item_code", how="left", maintain_order="left")
        told["families"] = _most(of_lost["family"], of_all["family"])
    return told


def _most(lost: pl.Series, everything: pl.Series) -> list[dict[str, Any]]:
    counts = lost.drop_nulls().value_counts().sort("count", lost.name, descending=[True, False]).head(_SHOWN)
    whole = everything.filter(everything.is_in(counts[lost.name].implode())).value_counts(name="all")
    both = counts.join(whole, on=lost.name, maintain_order="left")
    return [{"code": code, "count": count, "share": share(count, total)} for code, count, total in both.iter_rows()]


def _samples(labels: pl.Series, table: pl.DataFrame, *, skipped: str) -> dict[str, list[dict[str, Any]]]:
    """Return the first rows of different items for every label but one."""
    found = {}
    for label in labels.unique().sort().cast(pl.String).to_list():
        if label != skipped:
            rows = table.select(_STEP).filter(labels == label).unique("item_code", keep="first", maintain_order=True)
            found[label] = rows.head(_SAMPLES).to_dicts()
    return found


def _steps(join: PlanJoin, routings: pl.DataFrame) -> dict[str, Any]:
    """Return the other way round: planned steps with actuals, and why the others have none."""
    actuals = join.steps["actuals"]
    reported = int((actuals == Actuals.REPORTED.value).sum())
    never = routings["operation_code"].filter(actuals == Actuals.NEVER_REPORTED.value)
    return {
        "planned": routings.height,
        "with_actuals": reported,
        "with_actuals_share": share(reported, routings.height),
        "without": _kinds(actuals, [reason.value for reason in Actuals if reason is not Actuals.REPORTED]),
        "never_reported_operations": _most(never, routings["operation_code"]),
        "samples": _samples(actuals, routings, skipped=Actuals.REPORTED.value),
    }
