"""How complete and how plausible each column of a snapshot is."""

from typing import Any

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, Attribute, AttributeKind
from shared.erp.joins.report import share
from shared.erp.snapshot import Snapshot

_MOST_SPELLINGS = 2_000  # distinct values among which spellings are compared
_LENGTHS = frozenset({"um", "mm", "cm", "m", "inch", "ft"})
_INCH = 25.4
_INCH_TOLERANCE = 0.02  # a ratio this near 25.4 is taken for a size in inches beside one in millimetres
_SAMPLES = 5


def attribute_figures(snapshot: Snapshot, items: pl.DataFrame) -> list[dict[str, Any]]:
    """Return each attribute's completeness, distinct values, range and conflicts, in the profile's order.

    `unusable` are the cells that held something that could not be used, by reason; they count as unknown.
    """
    drawing = next((attribute.name for attribute in snapshot.attributes if attribute.drawing), None)
    return [_attribute(snapshot, items, attribute, drawing) for attribute in snapshot.attributes]


def _attribute(snapshot: Snapshot, items: pl.DataFrame, attribute: Attribute, drawing: str | None) -> dict[str, Any]:
    values = items[attribute.name]
    known = values.drop_nulls()
    figures: dict[str, Any] = {
        "name": attribute.name,
        "kind": attribute.kind.value,
        "unit": attribute.unit,
        "weight": attribute.weight,
        "known": known.len(),
        "completeness": share(known.len(), values.len()),
        "distinct": known.n_unique(),
        "unusable": _unusable(snapshot, attribute.name),
    }
    if attribute.kind is AttributeKind.NUMERIC and known.len():
        figures |= {"minimum": known.min(), "median": known.median(), "maximum": known.max()}
        figures["zero_share"] = share(int((known == 0).sum()), known.len())
    if attribute.kind is AttributeKind.CATEGORICAL and figures["distinct"] <= _MOST_SPELLINGS:
        merged = known.unique().str.to_lowercase().str.replace_all(r"\s+", "")
        figures["spelled_differently"] = figures["distinct"] - merged.n_unique()
    if drawing is not None and attribute.unit in _LENGTHS and drawing != attribute.name:
        figures["inch_conflicts"] = _inch_conflicts(items, attribute.name, drawing)
    return figures


def _unusable(snapshot: Snapshot, name: str) -> dict[str, int]:
    """Return the issues of one attribute: their reasons begin with its name, or speak of its unit."""
    reasons = snapshot.issues.get("items", {}).items()
    return {reason: count for reason, count in reasons if reason.startswith((f"{name} is ", f"the unit of {name} is "))}


def _inch_conflicts(items: pl.DataFrame, name: str, drawing: str) -> dict[str, Any]:
    """Return the drawings whose items differ in a size by a factor of 25.4: one of them is in the other unit."""
    sizes = items.lazy().filter(pl.col(name) > 0, pl.col(drawing).is_not_null()).group_by(drawing)
    ratio = pl.col("largest") / pl.col("least")
    found = (
        sizes.agg(pl.col(name).min().alias("least"), pl.col(name).max().alias("largest"))
        .filter((ratio / _INCH - 1).abs() <= _INCH_TOLERANCE)
        .sort(drawing)
        .collect()
    )
    samples = [f"{code}: {least:g} and {largest:g}" for code, least, largest in found.head(_SAMPLES).iter_rows()]
    return {"drawings": found.height, "samples": samples}


def table_columns(routings: pl.DataFrame, results: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the completeness of the fixed columns of the other two tables, those that are mapped at all."""
    tables = {"routings": (routings, ROUTING_SCHEMA), "work_results": (results, WORK_RESULT_SCHEMA)}
    return {
        name: [_column(frame, column) for column in schema if frame[column].null_count() < frame.height]
        for name, (frame, schema) in tables.items()
    }


def _column(frame: pl.DataFrame, name: str) -> dict[str, Any]:
    known = frame.height - frame[name].null_count()
    return {"name": name, "known": known, "completeness": share(known, frame.height)}


def unit_conflicts(snapshot: Snapshot, attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what speaks of mixed or unknown units: cells whose unit could not be read, and sizes 25.4 apart."""
    found = [
        {"table": table, "reason": reason, "count": count, "samples": snapshot.issue_samples[table].get(reason, [])}
        for table, reasons in snapshot.issues.items()
        for reason, count in reasons.items()
        if "unit" in reason.split()
    ]
    for figures in attributes:
        conflicts = figures.get("inch_conflicts", {})
        if conflicts.get("drawings"):
            reason = f"{figures['name']} differs by a factor of 25.4 between items of one drawing"
            found.append(
                {"table": "items", "reason": reason, "count": conflicts["drawings"], "samples": conflicts["samples"]}
            )
    return sorted(found, key=lambda entry: (-entry["count"], entry["table"], entry["reason"]))
