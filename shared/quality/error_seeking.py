"""Where errors are to be expected: what an error-seeking sample prefers.

An item's favour is the mean of three ratios to the average error of earlier cycles: that of its family, of the
operations of its routings, and of the item itself where it was looked at before. Ratios of few orders are drawn towards
1. Sampling in proportion to the expected error is also what makes the weighted mean error least uncertain.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Engine
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.tables import QualityCycle, WorkState
from shared.erp.snapshot import Snapshot

CYCLES = 10  # the newest ones that are learned from
FLOOR, CEILING = 0.2, 5.0  # every item keeps a chance, and none is nearly sure
GROUP_ORDERS, ITEM_ORDERS = 30.0, 10.0  # so many orders weigh as much as the belief that a group is like all


@dataclass(frozen=True, kw_only=True)
class ErrorHistory:
    """Errors of earlier cycles as ratios to their average: 1 is like all, 2 twice as bad."""

    families: Mapping[str, float] = field(default_factory=dict)
    operations: Mapping[str, float] = field(default_factory=dict)
    items: Mapping[str, float] = field(default_factory=dict)


def read_history(engine: Engine, *, before: datetime) -> ErrorHistory:
    """Return what the newest cycles created before `before` found; nothing when there are none."""
    figures, report = QualityCycle.metrics, QualityCycle.report
    done = (col(QualityCycle.state) == WorkState.SUCCEEDED, col(QualityCycle.created_at) < before)
    newest = select(figures, report).where(*done).order_by(col(QualityCycle.created_at).desc()).limit(CYCLES)
    with reading(engine) as session:
        return learn_history([(metrics or {}, told or {}) for metrics, told in session.exec(newest).all()])


def learn_history(cycles: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> ErrorHistory:
    """Return the error history of cycles, each given as its stored `metrics` and `report`."""
    families, operations, items = _Ratios(GROUP_ORDERS), _Ratios(GROUP_ORDERS), _Ratios(ITEM_ORDERS)
    for metrics, report in cycles:
        average = metrics.get("overall", {}).get("mae", {}).get("value")
        if not average:
            continue
        for ratios, key in ((families, "by_family"), (operations, "by_operation")):
            for name, group in metrics.get(key, {}).items():
                ratios.add(name, group["mae"]["value"], group["mae"]["n"], average)
        for item in report.get("items", ()):
            items.add(item["item_code"], item["mae"], item["orders"], average)
    return ErrorHistory(families=families.shrunk(), operations=operations.shrunk(), items=items.shrunk())


class _Ratios:
    """Sums up errors in relation to the average, by name."""

    def __init__(self, prior_orders: float) -> None:
        self._prior = prior_orders
        self._sums: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))

    def add(self, name: str, mae: float | None, orders: int, average: float) -> None:
        if mae is not None and orders:
            total, count = self._sums[name]
            self._sums[name] = total + orders * mae / average, count + orders

    def shrunk(self) -> dict[str, float]:
        return {name: (total + self._prior) / (count + self._prior) for name, (total, count) in self._sums.items()}


def with_favour(items: pl.DataFrame, snapshot: Snapshot, history: ErrorHistory) -> pl.DataFrame:
    """Return the eligible `items`, whose strata are families, with `favour`: the expected error as a ratio to all."""
    families = pl.col("stratum").replace_strict(history.families, default=1.0, return_dtype=pl.Float64)
    operations = _of_operations(snapshot, history.operations)
    own = pl.col("item_code").replace_strict(history.items, default=None, return_dtype=pl.Float64)
    ratios = items.join(operations, on="item_code", how="left", maintain_order="left").with_columns(
        families.alias("of_family"), pl.col("of_operations").fill_null(1.0), own.alias("of_item")
    )
    favour = pl.mean_horizontal("of_family", "of_operations", "of_item", ignore_nulls=True).clip(FLOOR, CEILING)
    return ratios.select(*items.columns, favour.alias("favour"))


def _of_operations(snapshot: Snapshot, ratios: Mapping[str, float]) -> pl.DataFrame:
    if not ratios:
        return pl.DataFrame(schema={"item_code": pl.String, "of_operations": pl.Float64})
    ratio = pl.col("operation_code").replace_strict(ratios, default=1.0, return_dtype=pl.Float64)
    return snapshot.query("routings", lambda rows: rows.group_by("item_code").agg(ratio.mean().alias("of_operations")))
