"""Work results condensed: one cell for each item, operation and occurrence, with robust logarithmic means.

A source that reports one undivided time has no setup of its own. Where the operation's quantities differ, setup and
run come from a regression of the order's minutes on its quantity; elsewhere the planned setup is taken off, as long as
it is less than half of the order. Results are trimmed by their ratio to the cell's median, and weighted by recency.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.prediction.memory import Floats, Ints, Items, Routings

SETUP_OFFSET = 0.05  # minutes added before taking logarithms, so that no setup at all has one
RUN_OFFSET = 1e-4
_SLOPE_STEP = 0.05
_SLOPE_TRUST = 4.0  # how much an operation's slope weighs against a cell's own, in squared log quantity
_LEAST_SPREAD = 1.0
_FAR_RATIO = 6.0  # an order that took this many times its cell's median, or that part of it, was disturbed
CELL_COLUMNS = (
    "orders", "trimmed", "weight", "effective", "log_setup", "log_run", "squares_setup", "squares_run",
    "squares_order", "trimmed_mean", "std",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Condensed results, ordered by item, operation and occurrence; arrays of equal length."""

    item: Ints
    operation: Ints
    occurrence: Ints
    values: dict[str, Floats]  # by CELL_COLUMNS
    of_row: Ints  # routing row -> its cell, -1 without results
    offsets: Ints  # item -> its cells
    item_orders: Ints  # item -> results used


def condense(
    results: pl.DataFrame, items: Items, routings: Routings, *, day: date, half_life_days: float, trim_share: float
) -> pl.DataFrame:
    """Return the cells as a frame: item_code, operation_code, occurrence and CELL_COLUMNS."""
    rows = usable_results(results, items, routings)
    if rows.is_empty():
        schema = {"item_code": pl.String(), "operation_code": pl.String(), "occurrence": pl.Int64()}
        return pl.DataFrame(schema={**schema, **dict.fromkeys(CELL_COLUMNS, pl.Float64())})
    rows = rows.sort("item_code", "operation_code", "occurrence", "reported_at", "order_no", "quantity", "run_minutes")
    keys = ["item_code", "operation_code", "occurrence"]
    cell = rows.select(pl.struct(keys).rle_id()).to_series().to_numpy().astype(np.int64)
    quantity = rows["quantity"].to_numpy().astype(np.float64)
    setup, run = _divide(rows, cell, quantity)
    age = (pl.lit(day) - pl.col("reported_at")).dt.total_days().fill_null(half_life_days).clip(0)
    weight = 0.5 ** (rows.select(age.alias("age"))["age"].to_numpy().astype(np.float64) / half_life_days)
    count = int(cell[-1]) + 1
    kept = _believable(cell, count, setup + run * quantity, quantity, setup, run, trim_share)
    values = _summaries(cell, count, kept, setup, run, quantity, weight)
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    named: pl.DataFrame = rows.select(keys)[first.tolist()]
    return named.with_columns(*(pl.Series(name, values[name], dtype=pl.Float64) for name in CELL_COLUMNS))


def usable_results(results: pl.DataFrame, items: Items, routings: Routings) -> pl.DataFrame:
    """Return the sound results of known items with `occurrence` and `planned_setup` of the operation they belong to."""
    known: pl.Expr = pl.col("item_code").is_in(items.codes) & pl.col("operation_code").is_not_null()
    sound = (
        (pl.col("quantity") > 0) & pl.col("quantity").is_finite()
        & (pl.col("run_minutes") >= 0) & pl.col("run_minutes").is_finite()
    )  # fmt: skip
    split = pl.col("setup_minutes").is_null() | ((pl.col("setup_minutes") >= 0) & pl.col("setup_minutes").is_finite())
    chosen = routings.frame.filter("chosen").with_columns(
        pl.Series("occurrence", routings.occurrence, dtype=pl.Int64),
        pl.col("setup_minutes").alias("planned_setup"),
    )
    exact = chosen.select("item_code", "operation_code", "sequence", "occurrence", "planned_setup").unique(
        ["item_code", "operation_code", "sequence"], keep="first", maintain_order=True
    )
    first = chosen.filter(pl.col("occurrence") == 0).select(
        "item_code", "operation_code", pl.col("planned_setup").alias("first_setup")
    )
    usable: pl.DataFrame = (
        results.filter(known & sound & split)
        .join(exact, on=["item_code", "operation_code", "sequence"], how="left")
        .join(first, on=["item_code", "operation_code"], how="left")
        .with_columns(
            pl.col("occurrence").fill_null(0),
            pl.coalesce("planned_setup", "first_setup").fill_null(0.0).alias("planned_setup"),
        )
    )
    return usable


def _divide(rows: pl.DataFrame, cell: Ints, quantity: Floats) -> tuple[Floats, Floats]:
    """Return setup minutes of the order and run minutes of a piece."""
    booked = rows["run_minutes"].to_numpy().astype(np.float64)
    setup = rows["setup_minutes"].fill_null(float("nan")).to_numpy().astype(np.float64)
    whole = np.isnan(setup)
    if whole.any():
        planned = rows["planned_setup"].to_numpy().astype(np.float64)
        planned = np.where(np.isfinite(planned) & (planned >= 0) & (planned < booked / 2), planned, 0.0)
        operation = rows.select(pl.col("operation_code").rank("dense"))["operation_code"].to_numpy().astype(np.int64)
        share = _setup_share(cell, operation, quantity, booked, whole)
        typical = _medians(cell, int(cell[-1]) + 1, booked)[cell]
        guess = np.where(np.isnan(share), planned, np.minimum(share * typical, booked))
        setup = np.where(whole, guess, setup)
        booked = np.where(whole, booked - setup, booked)
    return setup, booked / quantity


def _setup_share(cell: Ints, operation: Ints, quantity: Floats, booked: Floats, whole: npt.NDArray[np.bool_]) -> Floats:
    """Return which share of a cell's typical order is setup, nan where quantities never differ.

    The slope of log minutes over log quantity within a cell is the share that grows with the quantity, that is the
    run. A cell's own slope is drawn towards its operation's, which is rounded so that no single item decides it.
    """
    count = int(cell[-1]) + 1
    number = np.maximum(np.bincount(cell, whole, count), 1)
    across, up = np.log(quantity), np.log(booked + SETUP_OFFSET)
    across = np.where(whole, across - (np.bincount(cell, whole * across, count) / number)[cell], 0.0)
    up = np.where(whole, up - (np.bincount(cell, whole * up, count) / number)[cell], 0.0)
    spread, joint = np.bincount(cell, across**2, count), np.bincount(cell, across * up, count)
    of_cell = np.zeros(count, dtype=np.int64)
    of_cell[cell] = operation
    all_spread, all_joint = np.bincount(of_cell, spread), np.bincount(of_cell, joint)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.round(all_joint / all_spread / _SLOPE_STEP) * _SLOPE_STEP
    slope = np.where(all_spread > _LEAST_SPREAD, slope, np.nan)[of_cell]
    own = (joint + _SLOPE_TRUST * slope) / (spread + _SLOPE_TRUST)
    return np.asarray(1.0 - np.clip(own, 0.0, 1.0))[cell]


def _medians(cell: Ints, count: int, numbers: Floats) -> Floats:
    order = np.lexsort((numbers, cell))
    starts = np.searchsorted(cell[order], np.arange(count + 1))
    sizes = np.diff(starts)
    sorted_numbers = numbers[order]
    middle = sorted_numbers[starts[:-1] + (sizes - 1) // 2] + sorted_numbers[starts[:-1] + sizes // 2]
    return np.asarray(middle / 2, dtype=np.float64)


def _believable(
    cell: Ints, count: int, total: Floats, quantity: Floats, setup: Floats, run: Floats, trim_share: float
) -> npt.NDArray[np.bool_]:
    """Tell which results count: not among the most extreme shares of a large cell, nor far off a small one's median."""
    expected = _medians(cell, count, setup)[cell] + _medians(cell, count, run)[cell] * quantity
    ratio = np.log((total + SETUP_OFFSET) / (expected + SETUP_OFFSET))
    order = np.lexsort((ratio, cell))
    starts = np.searchsorted(cell[order], np.arange(count + 1))
    sizes = np.diff(starts)
    rank = np.empty(len(cell), dtype=np.int64)
    rank[order] = np.arange(len(cell)) - np.repeat(starts[:-1], sizes)
    cut = np.floor(sizes * trim_share)[cell]
    inner = (rank >= cut) & (rank < sizes[cell] - cut)
    near = (np.abs(ratio) <= np.log(_FAR_RATIO)) | (sizes[cell] < 3)
    return np.asarray(inner & near)


def _summaries(
    cell: Ints, count: int, kept: npt.NDArray[np.bool_], setup: Floats, run: Floats, quantity: Floats, weight: Floats
) -> dict[str, Floats]:
    used = weight * kept
    orders = np.bincount(cell, kept, count)
    total = np.maximum(np.bincount(cell, used, count), 1e-300)
    log_setup, log_run = np.log(setup + SETUP_OFFSET), np.log(run + RUN_OFFSET)
    mean_setup = np.bincount(cell, used * log_setup, count) / total
    mean_run = np.bincount(cell, used * log_run, count) / total
    plain = np.bincount(cell, kept * run, count) / np.maximum(orders, 1)
    variance = np.bincount(cell, kept * (run - plain[cell]) ** 2, count) / np.maximum(orders - 1, 1)
    expected = np.exp(mean_setup)[cell] + np.exp(mean_run)[cell] * quantity
    ratio = np.log((setup + run * quantity + SETUP_OFFSET) / (expected + SETUP_OFFSET))
    return {
        "orders": orders,
        "trimmed": np.bincount(cell, ~kept, count).astype(np.float64),
        "weight": np.bincount(cell, used, count),
        "effective": total**2 / np.maximum(np.bincount(cell, used**2, count), 1e-300),
        "log_setup": mean_setup,
        "log_run": mean_run,
        "squares_setup": np.bincount(cell, kept * (log_setup - mean_setup[cell]) ** 2, count),
        "squares_run": np.bincount(cell, kept * (log_run - mean_run[cell]) ** 2, count),
        "squares_order": np.bincount(cell, kept * ratio**2, count),
        "trimmed_mean": plain,
        "std": np.sqrt(variance),
    }


def build_cells(frame: pl.DataFrame, items: Items, routings: Routings) -> Cells:
    """Arrange the frame of `condense` for serving; cells of operations in no current routing are left out."""
    frame = frame.filter(
        pl.col("item_code").is_in(items.codes),
        pl.col("operation_code").is_in(routings.operations),
        pl.col("orders") > 0,
    )
    item = np.array([items.place_of[code] for code in frame["item_code"]], dtype=np.int64)
    operation = np.array([routings.place_of_operation[code] for code in frame["operation_code"]], dtype=np.int64)
    occurrence = frame["occurrence"].to_numpy().astype(np.int64)
    values = {name: frame[name].to_numpy().astype(np.float64) for name in CELL_COLUMNS}
    where = {
        key: place for place, key in enumerate(zip(item.tolist(), operation.tolist(), occurrence.tolist(), strict=True))
    }
    owner = np.repeat(np.arange(len(items.codes)), np.diff(routings.offsets)).tolist()
    rows = zip(owner, routings.operation.tolist(), routings.occurrence.tolist(), strict=True)
    of_row = np.array([where.get(key, -1) for key in rows], dtype=np.int64)
    orders = np.bincount(item, values["orders"], len(items.codes)).astype(np.int64)
    return Cells(
        item=item, operation=operation, occurrence=occurrence, values=values, of_row=of_row,
        offsets=np.searchsorted(item, np.arange(len(items.codes) + 1)).astype(np.int64), item_orders=orders,
    )  # fmt: skip


def squares_of(routings: Routings, cells: Cells) -> Floats:
    """Return each routing row's sums of squares between orders, (rows, 3): setup, run, whole order."""
    has = cells.of_row >= 0
    out = np.zeros((len(routings.operation), 3))
    for part, name in enumerate(("squares_setup", "squares_run", "squares_order")):
        out[has, part] = cells.values[name][cells.of_row[has]]
    return out
