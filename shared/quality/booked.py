"""What was booked on an item, order by order, as it is answered."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class BookedOrder:
    """What was booked on one operation of one order, its reports summed."""

    order_no: str | None  # None where the ERP gave none: then one report is an order
    operation_code: str
    sequence: int | None
    reported_at: datetime | None  # the last report
    quantity: float | None  # pieces; None where nothing is left after reversals
    setup_minutes: float | None  # None where the ERP reports one undivided time
    run_minutes: float | None  # of all pieces
    run_minutes_per_unit: float | None
    counted: bool  # whether it tells anything of the operation's minutes
    left_out: str | None  # taken_back, contradictory or partial, where it does not count
    corrected: bool  # a reversal or a later report changed it; it counts as it stands now


@dataclass(frozen=True, kw_only=True)
class ItemOrders:
    """One page of an item's booked orders, newest first, and the snapshot that they stand in."""

    item_code: str
    snapshot_id: str
    data_as_of: datetime
    items: list[BookedOrder]
    total: int
    limit: int
    offset: int
