"""What really happened to the sampled items: their routing in force and the minutes booked on it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.prediction.memory import choose_current
from shared.prediction.minutes.orders import sound_reports
from shared.quality.sampling import UNKNOWN_STRATUM

ORDERS_PER_OPERATION = 20  # the latest ones; older orders say little about today's shop floor


class ActualOperation(NamedTuple):
    """One operation of an item's routing in force."""

    sequence: int
    operation_code: str
    resource_code: str | None
    inside: bool | None


class BookedOrder(NamedTuple):
    """What one order booked on one operation, partial reports of the order summed."""

    sequence: int | None
    operation_code: str
    order_no: str | None
    reported_at: date | None
    quantity: float
    minutes: float  # setup and run together, for the whole order


@dataclass(frozen=True, kw_only=True)
class ItemActuals:
    """One item as the factory knows it."""

    item_code: str
    family: str
    attributes: dict[str, Any]
    operations: tuple[ActualOperation, ...]
    orders: tuple[BookedOrder, ...]

    @property
    def quantities(self) -> tuple[float, ...]:
        """The different quantities of the orders, rising."""
        return tuple(sorted({order.quantity for order in self.orders}))


def family_attributes(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the names of the attributes that together name an item's family."""
    return tuple(attribute.name for attribute in snapshot.attributes if attribute.family)


def collect_actuals(
    snapshot: Snapshot, item_codes: Sequence[str], *, reported_after: date | None = None
) -> dict[str, ItemActuals]:
    """Return each item's routing in force and booked orders; with `reported_after`, only later reports count."""
    wanted = pl.Series("item_code", list(item_codes), dtype=pl.String)
    families = family_attributes(snapshot)
    routings = _routings(snapshot, wanted)
    orders = _orders(snapshot, wanted, reported_after)
    found = snapshot.items().filter(pl.col("item_code").is_in(wanted.implode())).unique("item_code")
    actuals = {}
    for row in found.iter_rows(named=True):
        code = str(row.pop("item_code"))
        family = " / ".join(UNKNOWN_STRATUM if row[name] is None else str(row[name]) for name in families)
        actuals[code] = ItemActuals(
            item_code=code,
            family=family or "(all)",
            attributes=row,
            operations=tuple(routings.get(code, ())),
            orders=tuple(orders.get(code, ())),
        )
    return actuals


def _routings(snapshot: Snapshot, wanted: pl.Series) -> dict[str, list[ActualOperation]]:
    rows = snapshot.routings().filter(
        pl.col("item_code").is_in(wanted.implode()), pl.col("operation_code").is_not_null()
    )
    current = choose_current(rows, snapshot.data_as_of.date()).filter("chosen").sort("item_code", "sequence")
    routings: dict[str, list[ActualOperation]] = defaultdict(list)
    columns = current.select("item_code", "sequence", "operation_code", "resource_code", "inside")
    for code, sequence, operation, resource, inside in columns.iter_rows():
        routings[code].append(ActualOperation(sequence, operation, resource, inside))
    return routings


def _orders(snapshot: Snapshot, wanted: pl.Series, reported_after: date | None) -> dict[str, list[BookedOrder]]:
    rows = sound_reports(snapshot.work_results().filter(pl.col("item_code").is_in(wanted.implode())))
    if reported_after is not None:
        rows = rows.filter(pl.col("reported_at") > reported_after)
    alone = pl.concat_str(pl.lit("row "), pl.int_range(pl.len()).cast(pl.String))  # without a number, a row is an order
    booked = (
        rows.with_columns(
            pl.coalesce("order_no", alone).alias("order_key"),
            (pl.col("setup_minutes").fill_null(0.0) + pl.col("run_minutes")).alias("minutes"),
        )
        .group_by("item_code", "order_key", "sequence", "operation_code")
        .agg(
            pl.col("order_no").first(),
            pl.col("reported_at").max(),
            pl.col("quantity").sum(),
            pl.col("minutes").sum(),
        )
        .filter(pl.col("quantity") > 0)
        .sort(
            ["item_code", "operation_code", "sequence", "reported_at", "order_key"],
            descending=[False, False, False, True, False],
            nulls_last=True,
        )
        .group_by("item_code", "operation_code", "sequence", maintain_order=True)
        .head(ORDERS_PER_OPERATION)
    )
    columns = booked.select("item_code", "sequence", "operation_code", "order_no", "reported_at", "quantity", "minutes")
    orders: dict[str, list[BookedOrder]] = defaultdict(list)
    for code, *rest in columns.iter_rows():
        orders[code].append(BookedOrder(*rest))
    return orders
