"""What really happened to the sampled items: their routing in force and the minutes booked on it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.prediction.memory import choose_current
from shared.quality.bookings import NOTHING_BOOKED, BookingTally, bookings_of, count_bookings, read_reports
from shared.quality.population import UNKNOWN_STRATUM

_STEP_COLUMNS = (
    "item_code", "routing_no", "sequence", "operation_code", "resource_code", "inside", "valid_from", "valid_to",
    "created_at",
)  # fmt: skip
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
    begun_at: date | None = None  # its first report on this operation
    settled: bool = True  # every operation of the routing in force is booked, or nothing came for a while


@dataclass(frozen=True, kw_only=True)
class ItemActuals:
    """One item as the factory knows it."""

    item_code: str
    family: str
    attributes: dict[str, Any]
    operations: tuple[ActualOperation, ...]
    orders: tuple[BookedOrder, ...]  # those that a prediction may be compared with
    tally: BookingTally = NOTHING_BOOKED  # of all that was booked
    routing_since: date | None = None  # the day from which its routing in force was made or is valid, the later one

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
    """Return each item's routing in force and booked orders; with `reported_after`, only orders begun later count."""
    wanted = pl.Series("item_code", list(item_codes), dtype=pl.String)
    of_wanted = pl.col("item_code").is_in(wanted.implode())
    families = family_attributes(snapshot)
    routings, since = _routings(snapshot, of_wanted)
    bookings = bookings_of(read_reports(snapshot, of_wanted), day=snapshot.data_as_of.date(), after=reported_after)
    steps = [(code, step.operation_code) for code, own in routings.items() for step in own]
    tallies = count_bookings(bookings, steps)
    orders = _orders(bookings, {code: len({step.operation_code for step in own}) for code, own in routings.items()})
    names = ["item_code", *(attribute.name for attribute in snapshot.attributes)]
    found = snapshot.query("items", lambda rows: rows.filter(of_wanted).select(names))
    found = found.unique("item_code", keep="first", maintain_order=True)
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
            tally=tallies.get(code, NOTHING_BOOKED),
            routing_since=since.get(code),
        )
    return actuals


def _routings(
    snapshot: Snapshot, of_wanted: pl.Expr
) -> tuple[dict[str, list[ActualOperation]], dict[str, date | None]]:
    # A scan that filters by the code alone unpacks the other columns of few rows only.
    rows = snapshot.query("routings", lambda rows: rows.filter(of_wanted).select(_STEP_COLUMNS))
    rows = rows.filter(pl.col("operation_code").is_not_null())
    current = choose_current(rows, snapshot.data_as_of.date()).filter("chosen").sort("item_code", "sequence")
    routings: dict[str, list[ActualOperation]] = defaultdict(list)
    columns = current.select("item_code", "sequence", "operation_code", "resource_code", "inside")
    for code, sequence, operation, resource, inside in columns.iter_rows():
        routings[code].append(ActualOperation(sequence, operation, resource, inside))
    made = current.group_by("item_code").agg(
        pl.max_horizontal(pl.col("created_at").cast(pl.Date).max(), pl.col("valid_from").cast(pl.Date).max())
    )
    return routings, dict(made.iter_rows())


def _orders(bookings: pl.DataFrame, operations: dict[str, int]) -> dict[str, list[BookedOrder]]:
    needed = pl.col("item_code").replace_strict(operations, default=0, return_dtype=pl.Int64)
    booked = pl.col("operation_code").n_unique().over("item_code", "order_key").cast(pl.Int64)
    latest = (
        bookings.with_columns((~pl.col("open") | (booked >= needed)).alias("settled"))
        .filter("counted")
        .sort(
            ["item_code", "operation_code", "sequence", "reported_at", "order_no", "minutes"],
            descending=[False, False, False, True, False, False],
            nulls_last=True,
        )
        .group_by("item_code", "operation_code", "sequence", maintain_order=True)
        .head(ORDERS_PER_OPERATION)
    )
    columns = latest.select(
        "item_code", "sequence", "operation_code", "order_no", "reported_at", "quantity", "minutes",
        "first_reported_at", "settled",
    )  # fmt: skip
    orders: dict[str, list[BookedOrder]] = defaultdict(list)
    for code, *rest in columns.iter_rows():
        orders[code].append(BookedOrder(*rest))
    return orders
