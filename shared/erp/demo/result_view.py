"""`BI_WORK_ORDER_RESULTS` of the demo factory as text: times in hours an order, with what clerks typed wrongly."""

import numpy as np
import polars as pl

from shared.erp.demo.dirt import Dirt, choose, day_text, number_text, whole_text, without
from shared.erp.demo.floor import Results
from shared.erp.demo.plan import Flags
from shared.erp.demo.routing_view import operation_names, work_centre_names
from shared.erp.demo.shop import Routings

NO_SUCH_DAY = "2024-02-31"
ABSURD_HOURS = 9999.0


def result_rows(
    routings: Routings, results: Results, start: int, stop: int, codes: pl.Series, dirt: Dirt
) -> pl.DataFrame:
    """Return the view's rows of the results from `start` to `stop` without it."""
    at = slice(start, stop)
    entry = results.entry[at]
    count = len(entry)
    step = routings.step[entry]
    operation = operation_names(step, ("JOB_CD", "CD_NM"))
    number = whole_text(results.routing_no[at]).str.zfill(2)
    quantity = np.where(dirt.where("result_no_quantity", count), 0, results.quantity[at])
    columns = {
        "IDX": whole_text(np.arange(start, start + count) + 1),
        "ITEM_CD": _codes(codes.gather(pl.Series(routings.item[entry])), dirt),
        "ROUT_NO": without(number, dirt.where("result_without_routing_no", count)),
        "PROC_SEQ": whole_text(results.sequence[at]),
        **work_centre_names(step, results.resource[at], ("RES_CD", "RES_DIS")),
        "JOB_CD": without(operation["JOB_CD"], dirt.where("result_without_operation", count)),
        "CD_NM": operation["CD_NM"],
        "PRODT_ORDER_NO": "WO" + whole_text(results.order[at] + 1).str.zfill(8),
        "REPORT_DT": _days(results, at, dirt),
        **_hours(results, at, dirt),
        "ORDER_QTY": whole_text(quantity),
        "BAD_QTY": whole_text(results.bad_quantity[at]),
    }
    return pl.DataFrame({name: values.alias(name) for name, values in columns.items()})


def _codes(codes: pl.Series, dirt: Dirt) -> pl.Series:
    count = codes.len()
    codes = choose(dirt.where("result_item_code_lower_case", count), codes.str.to_lowercase(), codes)
    codes = choose(dirt.where("result_item_code_trailing_blank", count), codes + " ", codes)
    codes = choose(dirt.where("result_unknown_item", count), "X" + codes, codes)
    return without(codes, dirt.where("result_without_item", count))


def _days(results: Results, at: slice, dirt: Dirt) -> pl.Series:
    day = results.day[at]
    other: Flags = dirt.where("result_date_other_form", len(day))
    text = choose(other, day_text(day, "%Y%m%d"), day_text(day))
    return text.set(pl.Series(dirt.where("result_bad_date", len(day))), NO_SUCH_DAY)


def _hours(results: Results, at: slice, dirt: Dirt) -> dict[str, pl.Series]:
    run, setup = results.run_minutes[at] / 60.0, results.setup_minutes[at] / 60.0
    zero = dirt.where("result_zero_time", len(run))
    run = np.where(dirt.where("result_negative_time", len(run)), -run, run)
    run = np.where(dirt.where("result_absurd_time", len(run)), ABSURD_HOURS, run)
    return {
        "MACH_WORKED_HOURS": number_text(np.where(zero, 0.0, run), 4),
        "SETUP_HOURS": number_text(np.where(zero, 0.0, setup), 4),
    }
