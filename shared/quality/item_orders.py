"""The work orders behind an item's minutes, one by one, for whoever wants to see what a proposal rests on."""

from typing import Any

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.quality.booked import BookedOrder, ItemOrders
from shared.quality.bookings import bookings_of, read_reports

_REASONS = ("taken_back", "contradictory", "partial")


def item_orders(
    snapshot: Snapshot, item_code: str, *, operation_code: str | None, limit: int, offset: int
) -> ItemOrders:
    """Return what was booked on an item, of one operation or of all; nothing for an item that nobody booked on.

    The rules are those of judging (`shared.quality.bookings`). A model's own sample also leaves out the extreme orders
    of its operation, which only the model knows.
    """
    reports = read_reports(snapshot, pl.col("item_code") == item_code)
    bookings = bookings_of(reports, day=snapshot.data_as_of.date())
    if operation_code is not None:
        bookings = bookings.filter(pl.col("operation_code") == operation_code)
    newest_first = bookings.sort(
        "last_reported_at", "order_key", "operation_code", "sequence",
        descending=[True, False, False, False], nulls_last=True,
    )  # fmt: skip
    page = newest_first.slice(offset, limit)
    numbers = dict(reports.select("order_key", "order_no").iter_rows())  # of orders that were taken back, too
    return ItemOrders(
        item_code=item_code,
        snapshot_id=snapshot.id,
        data_as_of=snapshot.data_as_of,
        items=[_booked(row, numbers[row["order_key"]]) for row in page.to_dicts()],
        total=bookings.height,
        limit=limit,
        offset=offset,
    )


def _booked(row: dict[str, Any], order_no: str | None) -> BookedOrder:
    quantity, run_minutes = row["quantity"], row["run_minutes"]
    return BookedOrder(
        order_no=order_no,
        operation_code=row["operation_code"],
        sequence=row["sequence"],
        reported_at=row["last_reported_at"],
        quantity=quantity,
        setup_minutes=row["setup_minutes"],
        run_minutes=run_minutes,
        run_minutes_per_unit=run_minutes / quantity if quantity and run_minutes is not None else None,
        counted=row["counted"],
        left_out=None if row["counted"] else next(reason for reason in _REASONS if row[reason]),
        corrected=row["corrected"],
    )
