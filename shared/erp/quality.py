"""What state a snapshot's data is in: completeness, duplicates, impossible values, orphans, coverage of actuals."""

from typing import Any

import polars as pl

from shared.erp.canonical import Attribute, AttributeKind
from shared.erp.snapshot import Snapshot

_STEP = ("item_code", "operation_code")
# A factor between planned and booked time near one of these betrays a wrong unit in the profile or the source.
_SUSPICIOUS_FACTORS = {60.0: "minutes and hours", 1 / 60.0: "hours and minutes"}
_FACTOR_TOLERANCE = 1.6  # the median ratio may differ from the factor by this much either way
_LEAST_JOINED = 30  # steps with both a plan and actuals before a factor is judged


def summarise(snapshot: Snapshot) -> dict[str, Any]:
    """Return the data quality of a snapshot as a JSON document.

    Shares are 0 to 1. `attributes` says for each one how complete it is, how many values are distinct and, for numbers,
    their range; `coverage` says how many routed items and planned steps have believable actuals; `issues` are the rows
    that were wrong, by table and reason, with samples.
    """
    items, routings, results = snapshot.items(), snapshot.routings(), snapshot.work_results()
    return {
        "snapshot": snapshot.id,
        "profile": snapshot.profile_name,
        "data_as_of": snapshot.data_as_of.isoformat(),
        "fingerprint": snapshot.fingerprint,
        "rows": dict(snapshot.rows),
        "attributes": [_attribute(items[attribute.name], attribute) for attribute in snapshot.attributes],
        "duplicates": _duplicates(snapshot, results),
        "impossible_values": _reasons(snapshot, ("impossible", "negative", "not positive", "unit")),
        "orphans": _orphans(snapshot, routings, results),
        "coverage": _coverage(items, routings, results),
        "time_check": _time_check(routings, results),
        "issues": {
            table: [
                {"reason": reason, "count": count, "samples": snapshot.issue_samples.get(table, {}).get(reason, [])}
                for reason, count in sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
            ]
            for table, reasons in snapshot.issues.items()
        },
    }


def _attribute(values: pl.Series, attribute: Attribute) -> dict[str, Any]:
    known = values.drop_nulls()
    summary: dict[str, Any] = {
        "name": attribute.name,
        "kind": attribute.kind.value,
        "unit": attribute.unit,
        "known": known.len(),
        "completeness": _share(known.len(), values.len()),
        "distinct": known.n_unique(),
    }
    if attribute.kind is AttributeKind.NUMERIC and known.len():
        summary |= {"minimum": known.min(), "median": known.median(), "maximum": known.max()}
    return summary


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _duplicates(snapshot: Snapshot, results: pl.DataFrame) -> dict[str, int]:
    """Return repeated keys that were merged, and reports that equal another in every column (these are kept)."""
    return {
        "items": snapshot.issues.get("items", {}).get("item_code is repeated", 0),
        "routing_steps": snapshot.issues.get("routings", {}).get("the step is repeated", 0),
        "equal_work_results": results.height - results.unique().height,
    }


def _reasons(snapshot: Snapshot, words: tuple[str, ...]) -> dict[str, dict[str, int]]:
    chosen = {
        table: {reason: count for reason, count in reasons.items() if any(word in reason for word in words)}
        for table, reasons in snapshot.issues.items()
    }
    return {table: reasons for table, reasons in chosen.items() if reasons}


def _orphans(snapshot: Snapshot, routings: pl.DataFrame, results: pl.DataFrame) -> dict[str, int]:
    """Return rows of unknown items, and results whose item has no routing or not this operation."""
    items_routed = routings.select("item_code").unique()
    planned = routings.select(_STEP).unique()
    return {
        "routing_steps_of_unknown_items": snapshot.issues.get("routings", {}).get("item_code is unknown", 0),
        "work_results_of_unknown_items": snapshot.issues.get("work_results", {}).get("item_code is unknown", 0),
        "work_results_without_routing": results.join(items_routed, on="item_code", how="anti").height,
        "work_results_of_unplanned_operations": results.join(planned, on=_STEP, how="anti")
        .join(items_routed, on="item_code", how="semi")
        .height,
    }


def _coverage(items: pl.DataFrame, routings: pl.DataFrame, results: pl.DataFrame) -> dict[str, Any]:
    routed = routings.select("item_code").unique()
    planned = routings.select(_STEP).unique()
    done = results.select(_STEP).unique()
    with_actuals = routed.join(results.select("item_code").unique(), on="item_code", how="semi").height
    return {
        "items_with_routing": routed.height,
        "items_with_routing_share": _share(routed.height, items.height),
        "routed_items_with_actuals": with_actuals,
        "routed_items_with_actuals_share": _share(with_actuals, routed.height),
        "planned_operations": planned.height,
        "planned_operations_with_actuals_share": _share(
            planned.join(done, on=_STEP, how="semi").height, planned.height
        ),
        "first_report": _day(results["reported_at"].min()),
        "last_report": _day(results["reported_at"].max()),
    }


def _day(value: object) -> str | None:
    return None if value is None else str(value)


def _time_check(routings: pl.DataFrame, results: pl.DataFrame) -> dict[str, Any]:
    """Return the typical ratio of booked to planned run time a piece, and a warning where it looks like a unit."""
    planned = (
        routings.filter(pl.col("run_minutes_per_unit") > 0)
        .group_by(_STEP)
        .agg(pl.col("run_minutes_per_unit").median().alias("planned"))
    )
    booked = results.group_by(_STEP).agg((pl.col("run_minutes") / pl.col("quantity")).median().alias("booked"))
    joined = planned.join(booked.filter(pl.col("booked") > 0), on=_STEP, how="inner")
    ratio = joined.select((pl.col("booked") / pl.col("planned")).median()).item() if joined.height else None
    warning = None
    if ratio is not None and joined.height >= _LEAST_JOINED:
        for suspicious, units in _SUSPICIOUS_FACTORS.items():
            if suspicious / _FACTOR_TOLERANCE <= ratio <= suspicious * _FACTOR_TOLERANCE:
                warning = f"booked run times are about {ratio:.3g} times the planned ones: check {units} in the profile"
    return {"joined_operations": joined.height, "booked_to_planned_median": ratio, "warning": warning}
