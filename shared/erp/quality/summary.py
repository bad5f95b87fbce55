"""What state a snapshot's data is in: completeness, conflicts, orphans, coverage of actuals, month by month."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from shared.erp.joins.plan import Match, PlanJoin, join_plan
from shared.erp.joins.report import describe_join, families_of, share
from shared.erp.quality.columns import attribute_figures, table_columns, unit_conflicts
from shared.erp.quality.findings import findings_of
from shared.erp.quality.months import by_month
from shared.erp.quality.times import check_times
from shared.erp.snapshot import Snapshot

QUALITY_VERSION = "routing-ml/data-quality@1"  # changes whenever a stored document no longer says the same
_STEP = ("item_code", "operation_code")


def summarise(snapshot: Snapshot) -> dict[str, Any]:
    """Return the data quality of a snapshot as a JSON document; it takes seconds at full size.

    Shares are 0 to 1. `findings` are sentences about what a person should look at, the worst first; `attributes` and
    `columns` say how complete each column is; `join` is the join of plan and actuals; `months` the same data over its
    own time; `issues` are the rows that were wrong, by table and reason, with samples; `figures` the few numbers by
    which one snapshot is compared with the next.
    """
    items, routings, results = snapshot.items(), snapshot.routings(), snapshot.work_results()
    join = join_plan(routings, results)
    attributes = attribute_figures(snapshot, items)
    document: dict[str, Any] = {
        "schema_version": QUALITY_VERSION,
        "snapshot": snapshot.id,
        "profile": snapshot.profile_name,
        "data_as_of": snapshot.data_as_of.isoformat(),
        "fingerprint": snapshot.fingerprint,
        "rows": dict(snapshot.rows),
        "attributes": attributes,
        "columns": table_columns(routings, results),
        "duplicates": _duplicates(snapshot, results),
        "impossible_values": _reasons(snapshot, ("impossible", "negative", "not positive", "unit")),
        "unit_conflicts": unit_conflicts(snapshot, attributes),
        "orphans": _orphans(snapshot, join),
        "coverage": _coverage(items, routings, results, join),
        "join": describe_join(join, routings, results, families_of(items, snapshot.attributes)),
        "time_check": check_times(routings, results, join),
        "months": by_month(items, routings, results, join, snapshot.attributes),
        "issues": _issues(snapshot),
    }
    document["findings"] = findings_of(document)
    return document | {"figures": _figures(document)}


def _issues(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [
            {"reason": reason, "count": count, "samples": snapshot.issue_samples.get(table, {}).get(reason, [])}
            for reason, count in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
        ]
        for table, reasons in snapshot.issues.items()
    }


def _duplicates(snapshot: Snapshot, results: pl.DataFrame) -> dict[str, int]:
    """Return repeated keys that were merged, and reports that equal another in every column (these are kept)."""
    as_before = pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))  # a snapshot's results are sorted
    return {
        "items": _repeated(snapshot, "items", "item_code is repeated"),
        "routing_steps": _repeated(snapshot, "routings", "the step is repeated"),
        "equal_work_results": int(results.select(as_before.alias("same"))["same"].slice(1).sum()),
    }


def _repeated(snapshot: Snapshot, table: str, reason: str) -> int:
    return sum(count for said, count in snapshot.issues.get(table, {}).items() if said.startswith(reason))


def _reasons(snapshot: Snapshot, words: tuple[str, ...]) -> dict[str, dict[str, int]]:
    chosen = {
        table: {reason: count for reason, count in reasons.items() if any(word in reason for word in words)}
        for table, reasons in snapshot.issues.items()
    }
    return {table: reasons for table, reasons in chosen.items() if reasons}


def _orphans(snapshot: Snapshot, join: PlanJoin) -> dict[str, int]:
    """Return rows of unknown items, and results whose item has no routing or not this operation."""
    match = join.results["match"]
    unrouted = int((match == Match.NO_ROUTING.value).sum())
    return {
        "routing_steps_of_unknown_items": snapshot.issues.get("routings", {}).get("item_code is unknown", 0),
        "work_results_of_unknown_items": snapshot.issues.get("work_results", {}).get("item_code is unknown", 0),
        "work_results_without_routing": unrouted,
        "work_results_of_unplanned_operations": join.results["planned_row"].null_count() - unrouted,
    }


def _coverage(items: pl.DataFrame, routings: pl.DataFrame, results: pl.DataFrame, join: PlanJoin) -> dict[str, Any]:
    """Return how much of the items has routings, and how much of the plan has actuals.

    `planned_operations` counts an item's operation once, however many routings it stands in; `planned_steps` each row.
    """
    routed = routings.select("item_code").unique()
    planned = routings.select(_STEP).unique()
    with_actuals = routed.join(results.select("item_code"), on="item_code", how="semi").height
    done = planned.join(results.select(_STEP), on=_STEP, how="semi").height
    reported = int((join.steps["results"] > 0).sum())
    return {
        "items_with_routing": routed.height,
        "items_with_routing_share": share(routed.height, items.height),
        "routed_items_with_actuals": with_actuals,
        "routed_items_with_actuals_share": share(with_actuals, routed.height),
        "planned_operations": planned.height,
        "planned_operations_with_actuals_share": share(done, planned.height),
        "planned_steps": routings.height,
        "planned_steps_with_actuals_share": share(reported, routings.height),
        "first_report": _day(results["reported_at"].min()),
        "last_report": _day(results["reported_at"].max()),
    }


def _day(value: object) -> str | None:
    return None if value is None else str(value)


def _figures(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a history shows: rows a table, shares by name, and how many rows or cells were wrong."""
    coverage, join = document["coverage"], document["join"]
    shares = {f"completeness of {entry['name']}": entry["completeness"] for entry in document["attributes"]}
    shares |= {
        "items with a routing": coverage["items_with_routing_share"],
        "routed items with actuals": coverage["routed_items_with_actuals_share"],
        "planned operations with actuals": coverage["planned_operations_with_actuals_share"],
        "work results that joined the plan": join["joined_share"],
    }
    setup = [entry for entry in document["columns"]["work_results"] if entry["name"] == "setup_minutes"]
    shares["work results with a setup time"] = setup[0]["completeness"] if setup else 0.0
    return {
        "rows": dict(document["rows"]),
        "shares": shares,
        "issues": sum(entry["count"] for entries in document["issues"].values() for entry in entries),
        "duplicates": sum(document["duplicates"].values()),
        "unit_conflicts": sum(entry["count"] for entry in document["unit_conflicts"]),
        "findings": len(document["findings"]),
    }
