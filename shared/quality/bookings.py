"""What was booked on the sampled items' orders, and which bookings a prediction may be compared with.

Reports become orders by the rule of `shared.prediction.minutes.reports`, the same that models learn by. Beyond it:

- *partial*: the booking has clearly fewer pieces than the order's other operations. While the order was reported on
  lately, more is likely to come, so the booking is left out; later it counts for the pieces that it has.
- *corrected*: a reversal or a later report of the whole order changed it. It counts as it stands now.
- *contradictory*: its reports differ by orders of magnitude in minutes a piece, so one of them is wrong and nobody can
  tell which. It is left out.
- *taken back*: nothing is left of it after its reversals.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from shared.erp.snapshot import Snapshot
from shared.prediction.minutes.reports import (
    REPORT_COLUMNS,
    are_replaced,
    are_reversals,
    are_sound,
    booked_orders,
)

PARTIAL_SHARE = 0.8  # of the order's pieces; scrap alone rarely takes more than the rest
OPEN_DAYS = 14  # an order reported on within so many days may still be finished
CONTRADICTION = 50.0  # times as many minutes a piece: an hour taken for a minute, a batch for a piece
_PLACE = ("item_code", "order_key", "operation_code", "sequence")


class BookingTally(NamedTuple):
    """How many orders and operations of one item were booked, and how sound that was; an order may be counted twice."""

    booked: int = 0
    compared: int = 0  # those that a prediction may be compared with
    partial: int = 0
    corrected: int = 0
    contradictory: int = 0
    taken_back: int = 0
    off_routing: int = 0  # on an operation that the routing in force lacks
    orders: int = 0  # whole orders, whatever their operations
    days: tuple[int, ...] = ()  # from each order's first report to its last


NOTHING_BOOKED = BookingTally()


def read_reports(snapshot: Snapshot, where: pl.Expr) -> pl.DataFrame:
    """Return the sound reports and reversals of the wanted items, with `order_key`, `replaced` and `reversal`."""
    # A scan that filters by the code alone unpacks the other columns of few rows only.
    rows = snapshot.query("work_results", lambda rows: rows.filter(where).select(REPORT_COLUMNS))
    rows = rows.filter(are_sound() | are_reversals())
    alone = pl.concat_str(pl.lit("row "), pl.int_range(pl.len()).cast(pl.String))  # without a number, a row is an order
    return rows.with_columns(
        pl.coalesce("order_no", alone).alias("order_key"),
        are_replaced(rows).alias("replaced"),
        are_reversals().alias("reversal"),
    )


def bookings_of(reports: pl.DataFrame, *, day: date, after: date | None = None) -> pl.DataFrame:
    """Return one row for each order and operation, with what is to be said of it.

    Args:
        reports: of `read_reports`.
        day: the day of the data.
        after: only orders and operations whose first report is later than this day.

    Returns:
        `item_code, order_key, operation_code, sequence, order_no, reported_at, quantity, minutes` and the flags
        `partial, corrected, contradictory, taken_back, counted`.
    """
    facts = reports.group_by(_PLACE, maintain_order=True).agg(
        pl.col("reported_at").min().alias("first_reported_at"),
        pl.col("reported_at").max().alias("last_reported_at"),
        pl.any_horizontal("replaced", "reversal").any().alias("corrected"),
        _disagreement().alias("disagreement"),
    )
    if after is not None:
        facts = facts.filter(pl.col("first_reported_at") > after)
    standing = booked_orders(reports.filter(~pl.col("replaced")), *_PLACE)
    booked = facts.join(standing, on=_PLACE, how="left", nulls_equal=True, maintain_order="left").with_columns(
        (pl.col("setup_minutes").fill_null(0.0) + pl.col("run_minutes")).alias("minutes")
    )
    order = ("item_code", "order_key")
    middle, most = pl.col("quantity").median().over(order), pl.col("quantity").max().over(order)
    pieces = pl.when(pl.len().over(order) > 2).then(middle).otherwise(most)
    open_since = day - timedelta(days=OPEN_DAYS)
    still_open = (pl.col("last_reported_at").max().over(order) >= open_since).fill_null(value=False)
    return (
        booked.with_columns(
            pl.col("quantity").is_null().alias("taken_back"),
            (pl.col("quantity") < PARTIAL_SHARE * pieces).fill_null(value=False).alias("partial"),
            (pl.col("disagreement") >= CONTRADICTION).fill_null(value=False).alias("contradictory"),
            still_open.alias("open"),
        )
        .with_columns(
            (~(pl.col("taken_back") | pl.col("contradictory") | (pl.col("partial") & pl.col("open")))).alias("counted")
        )
        .drop("disagreement")
    )


def _disagreement() -> pl.Expr:
    """Return by how much the run minutes a piece differ among the reports of a booking, as a ratio."""
    tells = (pl.col("quantity") > 0) & (pl.col("run_minutes") > 0) & ~pl.col("replaced")
    a_piece = (pl.col("run_minutes") / pl.col("quantity")).filter(tells)
    return a_piece.max() / a_piece.min()


def count_bookings(bookings: pl.DataFrame, steps: Iterable[tuple[str, str]]) -> dict[str, BookingTally]:
    """Return each item's tally; `steps` are the (item, operation) pairs of the routings in force."""
    known = pl.DataFrame(sorted(set(steps)), schema={"item_code": pl.String, "operation_code": pl.String}, orient="row")
    known = known.with_columns(pl.lit(value=True).alias("on_routing"))
    marked = bookings.join(known, on=["item_code", "operation_code"], how="left")
    flags = ("partial", "corrected", "contradictory", "taken_back")
    counted = marked.group_by("item_code").agg(
        pl.len().alias("booked"),
        pl.col("counted").sum().alias("compared"),
        pl.col(*flags).sum(),
        pl.col("on_routing").is_null().sum().alias("off_routing"),
        pl.col("order_key").n_unique().alias("orders"),
    )
    spans = (
        bookings.filter(pl.col("order_no").is_not_null())
        .group_by("item_code", "order_key")
        .agg((pl.col("last_reported_at").max() - pl.col("first_reported_at").min()).dt.total_days().alias("days"))
        .drop_nulls("days")
        .sort("item_code", "order_key")
        .group_by("item_code")
        .agg("days")
    )
    rows = counted.join(spans, on="item_code", how="left").sort("item_code").to_dicts()
    return {row.pop("item_code"): BookingTally(**{**row, "days": tuple(row["days"] or ())}) for row in rows}
