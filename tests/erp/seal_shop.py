"""A small seal shop in the shape of the seal maker's three views, clean, with times that follow from a known rule."""

from pathlib import Path

import numpy as np
import polars as pl

DRAWINGS, REVISIONS = 40, 3
STEPS = (("TURN", "선삭", "L-01", "사내"), ("GRIND", "연삭", "G-01", "사내"), ("COAT", "코팅", "V-01", "외주"))
ROUTING_EXTRA = ("MFG_LT", "BP_CD", "MILESTONE_FLG", "INSP_FLG", "WAIT_TIME", "MOVE_TIME", "QUEUE_TIME")


def _items(rng: np.random.Generator, *, all_sizes_in_mm: bool) -> pl.DataFrame:
    count = DRAWINGS * REVISIONS
    drawing = np.repeat(np.arange(DRAWINGS), REVISIONS)
    millimetres = np.round(20 + 4.0 * drawing, 1)
    inches = rng.random(count) < 0.3
    divisor = np.where(inches & (not all_sizes_in_mm), 25.4, 1.0)
    unit = pl.Series(np.where(inches, "INCH", "MM"))
    seal_inches = rng.random(count) < 0.6
    numbered = pl.Series(np.arange(count)).cast(pl.String).str.zfill(4)
    text = {
        "ITEM_CD": "S" + numbered,
        "PART_TYPE": pl.Series(np.array(["233", "14", "1#1"])[drawing % 3]),
        "DRAW_NO": "DW-" + pl.Series(drawing).cast(pl.String),
        "STANDARD_YN": pl.Series(np.array(["Y", "N", "n"])[rng.integers(0, 3, count)]),
        "OUTDIAMETER_UNIT": unit,
        "IN_SEALSIZE_UOM": pl.Series(np.where(seal_inches, "INCH", "MM")),
        "OUT_SEALSIZE": pl.Series(np.where(drawing % 2, "0", "30")),
        "OUT_SEALSIZE_UOM": pl.Series(["MM"] * count),
        "RAW_MATL_KIND": pl.Series(["B"] * count),
    }
    sizes = {
        "OUTDIAMETER": millimetres / divisor,
        "INDIAMETER": (millimetres - 8) / divisor,
        "OUTTHICKNESS": (5 + millimetres / 10) / divisor,
        "IN_SEALSIZE": (millimetres - 6) / np.where(seal_inches, 25.4, 1.0),
    }
    others = (
        "PartNm ITEM_SUFFIX ITEM_SPEC ITEM_NM ADDITIONAL_SPEC ITEM_MATERIAL MATERIAL_DESC ITEM_ACCT ITEM_TYPE ITEM_UNIT"
        " ITEM_GRP1 ITEM_GRP1NM GROUP1 GROUP2 DRAW_REV DRAW_SHEET_NO ROTATE_CLOCKWISE ROTATE_CTRCLOCKWISE SealTypeGrup"
        " IN_SEALTYPE_CD MID_SEALTYPE_CD MID_SEALSIZE MID_SEALSIZE_UOM OUT_SEALTYPE_CD RAW_MATL_KINDNM"
    )
    frame = pl.DataFrame(text).with_columns(
        pl.Series(name, np.round(values, 4)).cast(pl.String) for name, values in sizes.items()
    )
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in others.split())


def _routings(items: pl.DataFrame) -> pl.DataFrame:
    """Return two routings an item; a run time is that of 100 pieces for every other item, else of one."""
    rows = []
    for place, (code, diameter) in enumerate(items.select("ITEM_CD", "OUTDIAMETER").iter_rows()):
        lot = 100 if place % 2 else 1
        for number, (job, name, resource, inside) in ((n, step) for n in ("01", "02") for step in STEPS):
            sequence = 10 * (1 + [step[0] for step in STEPS].index(job))
            run = round((4 + sequence / 10) * lot, 3)
            rows.append((code, number, sequence, job, name, resource, inside, 30, run, lot, diameter))
    columns = "ITEM_CD ROUT_NO PROC_SEQ JOB_CD JOB_NM RES_CD INSIDE_FLAG SETUP_TIME RUN_TIME RUN_TIME_QTY OUTDIAMETER"
    frame = pl.DataFrame(rows, schema=columns.split(), orient="row")
    fixed = {"RES_DIS": "machine", "TIME_UNIT": "분(Min.)", "RUN_TIME_UNIT": "EA", "VALIDITY": "Y"}
    fixed |= {"VALID_FROM_DT": "2020-01-01", "VALID_TO_DT": "2999-12-31", "INSRT_DT": "2020-01-01"}
    return frame.with_columns(
        [pl.lit(value).alias(name) for name, value in fixed.items()]
        + [pl.lit(None, dtype=pl.String).alias(name) for name in ROUTING_EXTRA]
    )


def _results(routings: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    made = routings.filter(pl.col("ROUT_NO") == "02").sample(fraction=0.6, seed=4)
    made = made.select(
        "ITEM_CD", "ROUT_NO", "PROC_SEQ", "JOB_CD", "JOB_NM", "RES_CD", "RES_DIS", "RUN_TIME", "RUN_TIME_QTY"
    )
    quantity = rng.integers(2, 40, made.height)
    noise = np.exp(rng.normal(0, 0.3, made.height))
    minutes = made["RUN_TIME"].to_numpy() / made["RUN_TIME_QTY"].to_numpy() * quantity * noise
    return (
        made.drop("RUN_TIME", "RUN_TIME_QTY")
        .rename({"JOB_NM": "CD_NM"})
        .with_columns(
            pl.Series("REPORT_DT", [f"2025-{1 + day % 5:02d}-{1 + day % 28:02d}" for day in range(made.height)]),
            pl.Series("ORDER_QTY", quantity),
            pl.Series("BAD_QTY", np.zeros(made.height, dtype=np.int64)),
            pl.Series("MACH_WORKED_HOURS", np.round(minutes / 60, 4)),
            pl.Series("SETUP_HOURS", np.round(0.5 * np.exp(rng.normal(0, 0.3, made.height)), 4)),
        )
    )


def write_seal_shop(
    folder: Path, *, all_sizes_in_mm: bool = False, item_columns: dict[str, str | None] | None = None
) -> None:
    """Write the three files.

    Args:
        folder: where to.
        all_sizes_in_mm: write millimetres whatever the unit column says.
        item_columns: columns of the items to rename, or to leave out where the new name is None.
    """
    rng = np.random.default_rng(3)
    items = _items(rng, all_sizes_in_mm=all_sizes_in_mm)
    routings = _routings(items)
    _results(routings, rng).write_csv(folder / "BI_WORK_ORDER_RESULTS.csv")
    routings.write_csv(folder / "BI_ROUTING_VIEW.csv")
    changes = item_columns or {}
    items = items.drop([name for name, new in changes.items() if new is None])
    items.rename({name: new for name, new in changes.items() if new}).write_csv(folder / "BI_ITEM_INFO_VIEW.csv")
