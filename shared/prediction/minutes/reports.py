"""Which work reports count, and how those of one order become one booking: the one rule of learning and of judging.

- A report is *sound* when its item and operation are known and no figure is negative or endless; a report of no
  pieces, such as one of a setup alone, belongs to its order like any other.
- A *reversal* takes back what was booked on the same order: no figure is above zero, one is below. It is summed with
  the reports that it corrects. Without an order number nobody can tell what it corrects, so it is left out.
- Where several reports of one order and operation each name the whole order's quantity, as two of its other operations
  or more show it, they are not parts but *corrections*: only the latest stands.
- Reports of one order and operation are summed; a report without an order number is an order of its own. An order
  without pieces, or with less than no minutes, after that is left out.
"""

import polars as pl

REPORT_COLUMNS = (
    "item_code", "sequence", "operation_code", "order_no", "reported_at", "quantity", "setup_minutes", "run_minutes",
)  # fmt: skip
SAME_QUANTITY = 0.02  # quantities this near, relatively, are the same
LEAST_AGREEING = 2
_FIGURES = ("quantity", "run_minutes", "setup_minutes")
_BOOKING = ("item_code", "operation_code", "sequence", "order_no")


def are_sound() -> pl.Expr:
    """Return the condition of a sound report; a reversal is none."""
    return _is_of_something() & pl.all_horizontal(
        pl.col("quantity") >= 0, pl.col("run_minutes") >= 0, (pl.col("setup_minutes") >= 0).fill_null(value=True)
    )


def are_reversals() -> pl.Expr:
    """Return the condition of a report that takes back what was booked on its order."""
    figures = [pl.col(name).fill_null(0.0) for name in _FIGURES]
    return (
        _is_of_something()
        & pl.col("order_no").is_not_null()
        & pl.all_horizontal(one <= 0 for one in figures)
        & pl.any_horizontal(one < 0 for one in figures)
    )


def _is_of_something() -> pl.Expr:
    finite = [pl.col("quantity").is_finite(), pl.col("run_minutes").is_finite()]
    setup = pl.col("setup_minutes").is_null() | pl.col("setup_minutes").is_finite()
    return pl.all_horizontal(pl.col("operation_code").is_not_null(), pl.col("item_code").is_not_null(), *finite, setup)


def sound_reports(results: pl.DataFrame) -> pl.DataFrame:
    """Return the reports that count, reversals among them, without those that a later one replaced."""
    reports = results.filter(are_sound() | are_reversals())
    replaced = are_replaced(reports)
    return reports.filter(~replaced) if replaced.any() else reports


def are_replaced(reports: pl.DataFrame) -> pl.Series:
    """Tell which of sound `reports` a later one of the same order and operation replaced."""
    nothing = pl.repeat(value=False, n=reports.height, eager=True)
    numbered = reports.select(*_BOOKING, "reported_at", "quantity").with_row_index("place")
    numbered = numbered.filter(pl.col("order_no").is_not_null())
    again = numbered.filter(pl.struct(_BOOKING).is_duplicated())
    if again.is_empty():
        return nothing
    # Whole orders, as their operations that were booked once show it; few orders have any operation booked twice.
    order = ["item_code", "order_no"]
    once = numbered.join(again.select(order).unique(), on=order, how="semi").join(again, on="place", how="anti")
    # One operation alone may be half done itself: two that agree are needed to show what a whole order is.
    whole = once.group_by(order).agg(
        pl.col("quantity").median().alias("whole"),
        pl.col("quantity").min().alias("least"),
        pl.len().alias("operations"),
    )
    agreeing = pl.col("whole") - pl.col("least") <= SAME_QUANTITY * pl.col("whole")
    whole = whole.filter(agreeing, pl.col("operations") >= LEAST_AGREEING)
    near = (pl.col("quantity") - pl.col("whole")).abs() <= SAME_QUANTITY * pl.col("whole")
    each = again.join(whole, on=order, how="inner", nulls_equal=True).filter(pl.col("whole") > 0)
    every_one = each.filter(near.all().over(_BOOKING))
    latest = every_one.sort("reported_at", "place", nulls_last=False).group_by(_BOOKING).agg(pl.col("place").last())
    earlier = every_one.join(latest, on="place", how="anti")["place"].to_list()
    if not earlier:
        return nothing
    return nothing.scatter(earlier, True)


def booked_orders(reports: pl.DataFrame, *place: str) -> pl.DataFrame:
    """Return orders with pieces: reports of one order and `place` as one, as new as the newest of them.

    Returns:
        The columns of `place`, then `order_no, reported_at, setup_minutes, quantity, run_minutes`.
    """
    figures = ("quantity", "run_minutes")
    reports = reports.select(*place, "order_no", "reported_at", "setup_minutes", *figures)
    numbered = pl.col("order_no").is_not_null()
    orders = reports.filter(numbered).group_by(*place, "order_no", maintain_order=True).agg(
        pl.col("reported_at").max(),
        # where no report has a setup of its own, neither has the order
        pl.when(pl.col("setup_minutes").count() > 0).then(pl.col("setup_minutes").sum()).alias("setup_minutes"),
        pl.col(*figures).sum(),
    )  # fmt: skip
    made = (pl.col("quantity") > 0) & (pl.col("run_minutes") >= 0) & (pl.col("setup_minutes").fill_null(0.0) >= 0)
    return pl.concat([orders, reports.filter(~numbered)]).filter(made)
