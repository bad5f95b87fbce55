"""A factory whose routings follow two numbers: which operations, and on which work centre."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.erp.canonical import ROUTING_SCHEMA, Attribute, AttributeKind
from shared.prediction.memory import Ints, Items, Routings, build_items, build_routings, choose_current
from shared.prediction.nearby import Nearby
from tests.prediction.prediction_factories import TODAY, routing_row

CATEGORICAL = np.array([False, False])
ATTRIBUTES = (
    Attribute(name="WIDTH", kind=AttributeKind.NUMERIC), Attribute(name="HEIGHT", kind=AttributeKind.NUMERIC),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Plant:
    """Routed items as arrays; all items have a routing."""

    items: Items
    routings: Routings
    rows: npt.NDArray[np.float32]  # (items, 2): width and height, 0 to 1

    @property
    def routed(self) -> Ints:
        return np.arange(len(self.rows))

    def near(self, rows: npt.NDArray[np.float32], count: int, own: list[int] | None = None) -> Nearby:
        """Return what is near rows; the items of `own` are left out, each for its row."""
        bounds, places, similarities = [0], [], []
        for number, row in enumerate(rows):
            similar = 1 - np.abs(self.rows - row).mean(axis=1).astype(np.float64)
            if own is not None:
                similar[own[number]] = -1
            order = np.argsort(-similar, kind="stable")[:count]
            order = order[similar[order] >= 0]
            places.append(order)
            similarities.append(similar[order])
            bounds.append(bounds[-1] + len(order))
        return Nearby(
            routings=self.routings, bounds=np.array(bounds), places=np.concatenate(places),
            similarities=np.concatenate(similarities), own=np.full(len(rows), -1),
        )  # fmt: skip

    def withheld(self, count: int) -> "Asked":
        """Return the first items, asked as if unknown."""
        places = self.routed[:count]
        rows = self.rows[places]
        return Asked(
            near=self.near(rows, 12, places.tolist()), places=places, rows=rows,
            views=self.items.folds[places].astype(np.int64),
        )  # fmt: skip

    def tasks(self, *operations: str) -> tuple[int, ...]:
        return tuple(self.routings.task_of(operation, 0) for operation in operations)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Items asked as if unknown."""

    near: Nearby
    places: Ints
    rows: npt.NDArray[np.float32]
    views: Ints


def operations_for(width: float, height: float) -> list[str]:
    """Return the right routing."""
    return ["CUT", *(["DRILL"] if width > 0.5 else []), *(["PAINT"] if height > 0.5 else []), "PACK"]


def make_plant(count: int, *, without_both: bool = False) -> Plant:
    """Return a plant; with `without_both`, no item is both drilled and painted."""
    rng = np.random.default_rng(4)
    rows = rng.random((4 * count, 2)).astype(np.float32)
    if without_both:
        rows = rows[~(rows > 0.5).all(axis=1)]
    return plant_of(rows[:count], [operations_for(*row) for row in rows[:count].tolist()])


def plant_of(rows: npt.NDArray[np.float32], routings: list[list[str]], *, outsourced: tuple[str, ...] = ()) -> Plant:
    """Return a plant of items with these numbers and routings; wide items are cut on another saw."""
    codes = [f"I{number:04}" for number in range(len(rows))]
    items = pl.DataFrame({"item_code": codes, "WIDTH": rows[:, 0], "HEIGHT": rows[:, 1]})
    lines = [
        routing_row(
            code, 10 * step, operation, inside=operation not in outsourced,
            resource_code=f"{operation}-{'BIG' if operation == 'CUT' and row[0] > 0.7 else 'SMALL'}",
        )
        for code, row, operations in zip(codes, rows.tolist(), routings, strict=True)
        for step, operation in enumerate(operations, start=1)
    ]  # fmt: skip
    arranged = build_items(items, ATTRIBUTES)
    frame = pl.DataFrame(lines, schema=ROUTING_SCHEMA)
    return Plant(items=arranged, routings=build_routings(choose_current(frame, TODAY.date()), arranged), rows=rows)
