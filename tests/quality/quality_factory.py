"""A factory small enough to see through: its tables are given row by row and lie in no file."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, Attribute, AttributeKind
from shared.erp.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Factory(Snapshot):
    """A snapshot whose tables are given row by row and lie in no file."""

    steps: list[dict[str, Any]]
    booked: list[dict[str, Any]]

    def items(self) -> pl.DataFrame:
        codes = sorted({row["item_code"] for row in [*self.steps, *self.booked]})
        return pl.DataFrame({"item_code": codes, "kind": ["seal"] * len(codes), "size": [1.0] * len(codes)})

    def routings(self) -> pl.DataFrame:
        blank = dict.fromkeys(ROUTING_SCHEMA)
        return pl.DataFrame([blank | row for row in self.steps], schema=ROUTING_SCHEMA)

    def work_results(self) -> pl.DataFrame:
        blank = dict.fromkeys(WORK_RESULT_SCHEMA)
        return pl.DataFrame([blank | row for row in self.booked], schema=WORK_RESULT_SCHEMA)

    def query(self, table: str, of: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        rows: pl.DataFrame = getattr(self, table)()
        return of(rows.lazy()).collect()


def factory_of(steps: list[dict[str, Any]], booked: list[dict[str, Any]]) -> Factory:
    return Factory(
        steps=steps,
        booked=booked,
        folder=Path("no folder"),
        id="snap_by_hand",
        profile_name="by hand",
        profile_document={},
        attributes=(
            Attribute(name="kind", kind=AttributeKind.CATEGORICAL, family=True),
            Attribute(name="size", kind=AttributeKind.NUMERIC),
        ),
        fingerprint="",
        data_as_of=datetime(2026, 6, 1, tzinfo=UTC),
        rows={},
        issues={},
        issue_samples={},
        excluded_items=(),
    )


def step(sequence: int, operation: str, **more: Any) -> dict[str, Any]:
    row = {"item_code": "X", "routing_no": "01", "sequence": sequence, "operation_code": operation, "inside": True}
    return row | {"resource_code": f"on {operation}"} | more


def report(operation: str, run: float, quantity: float = 10.0, **more: Any) -> dict[str, Any]:
    row = {"item_code": "X", "operation_code": operation, "run_minutes": run, "quantity": quantity}
    return row | {"reported_at": date(2026, 5, 1)} | more
