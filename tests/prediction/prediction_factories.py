"""Tiny factories whose right answers are known by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, WORK_RESULT_SCHEMA, Attribute, AttributeKind, item_schema

TODAY = datetime(2026, 7, 1, 6, 0, tzinfo=UTC)
ATTRIBUTES = (
    Attribute(name="PART", kind=AttributeKind.CATEGORICAL, weight=2.0, family=True),
    Attribute(name="MATERIAL", kind=AttributeKind.CODE),
    Attribute(name="SIZE", kind=AttributeKind.NUMERIC, unit="mm", zero_is_unknown=True),
    Attribute(name="NOTE", kind=AttributeKind.TEXT, weight=0.5),
    Attribute(name="DRAWING", kind=AttributeKind.CODE, weight=0.1, drawing=True),
    Attribute(name="RELEASED", kind=AttributeKind.DATE, weight=0.1),
)
STEPS = {
    "ring": ("SAW", "TURN", "WASH", "GRIND", "WASH", "PACK"),
    "kit": ("PICK", "PACK"),
    "gland": ("SAW", "MILL", "WASH", "PACK"),
}


@dataclass(frozen=True, kw_only=True)
class Factory:
    """A snapshot held in memory."""

    frames: dict[str, pl.DataFrame]
    profile_name: str = "tiny"
    attributes: tuple[Attribute, ...] = ATTRIBUTES
    fingerprint: str = "f" * 64
    data_as_of: datetime = TODAY

    def items(self) -> pl.DataFrame:
        return self.frames["items"]

    def routings(self) -> pl.DataFrame:
        return self.frames["routings"]

    def work_results(self) -> pl.DataFrame:
        return self.frames["work_results"]

    def changed(self, **frames: pl.DataFrame) -> "Factory":
        """Return the factory with other tables."""
        return replace(self, frames={**self.frames, **frames})


def routing_row(item: str, sequence: int, operation: str, **values: Any) -> dict[str, Any]:
    """Return one routing row; the work centre is named for the operation unless given."""
    row: dict[str, Any] = {
        "item_code": item, "routing_no": "01", "sequence": sequence, "operation_code": operation,
        "operation_name": operation.title(), "resource_code": f"{operation}-1", "resource_name": f"{operation} one",
        "inside": True, "setup_minutes": 10.0, "run_minutes_per_unit": 2.0, "wait_minutes": 1.0, "move_minutes": 3.0,
        "queue_minutes": 60.0, "valid_from": date(2020, 1, 1), "valid_to": date(2999, 12, 31),
        "created_at": date(2024, 1, 1),
    }  # fmt: skip
    return {**row, **values}


def result_row(item: str, sequence: int, operation: str, **values: Any) -> dict[str, Any]:
    """Return one work result of ten pieces."""
    row: dict[str, Any] = {
        "item_code": item, "routing_no": "01", "sequence": sequence, "operation_code": operation,
        "resource_code": f"{operation}-1", "order_no": "W1", "reported_at": date(2026, 6, 1), "quantity": 10.0,
        "bad_quantity": 0.0, "setup_minutes": 20.0, "run_minutes": 40.0,
    }  # fmt: skip
    return {**row, **values}


def make_factory(per_part: int = 24, *, orders: int = 3, routed_share: float = 1.0) -> Factory:
    """Return rings, kits and glands; run minutes of a piece grow with the size: size / 10 at every operation.

    Every fourth item is a revision of the drawing before it. Washing comes twice in a ring, and the second wash takes
    twice as long.
    """
    items: list[dict[str, Any]] = []
    routings: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for part, steps in STEPS.items():
        for number in range(per_part):
            code = f"{part.upper()}{number:03d}"
            size = 20.0 + 5 * number
            drawing = number - 1 if number % 4 == 3 else number
            items.append({
                "item_code": code, "PART": part, "MATERIAL": ("SUS316", "SUS304", "SIC-A")[number % 3], "SIZE": size,
                "NOTE": f"{part} for pump {number % 5}", "DRAWING": f"{part[0].upper()}-{drawing:04d}",
                "RELEASED": date(2024, 1 + number % 12, 1),
            })  # fmt: skip
            if number >= per_part * routed_share:
                continue
            for place, step in enumerate(steps):
                sequence, again = 10 * (place + 1), steps[:place].count(step)
                piece = size / 10 * (1 + again)
                routings.append(routing_row(code, sequence, step, run_minutes_per_unit=piece * 0.8))
                for order in range(orders):
                    wobble = (0.9, 1.0, 1.1)[(order + place + number) % 3]
                    results.append(
                        result_row(
                            code,
                            sequence,
                            step,
                            order_no=f"W{order}",
                            run_minutes=piece * 10 * wobble,
                            setup_minutes=20.0 * wobble,
                            reported_at=date(2026, 6 - order, 1),
                        )
                    )
    return assemble(items, routings, results)


def assemble(
    items: Sequence[dict[str, Any]], routings: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]],
    attributes: tuple[Attribute, ...] = ATTRIBUTES,
) -> Factory:  # fmt: skip
    """Return a factory of these rows."""
    return Factory(
        attributes=attributes,
        frames={
            "items": pl.DataFrame(items, schema=item_schema(attributes)),
            "routings": pl.DataFrame(routings, schema=ROUTING_SCHEMA),
            "work_results": pl.DataFrame(results, schema=WORK_RESULT_SCHEMA),
        },
    )
