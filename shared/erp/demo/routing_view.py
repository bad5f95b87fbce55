"""`BI_ROUTING_VIEW` of the demo factory: its 52 columns as text, dirt included."""

import numpy as np
import polars as pl

from shared.erp.demo.dirt import (
    Dirt,
    choose,
    day_text,
    moment_text,
    nothing,
    number_text,
    pick,
    whole_text,
    without,
)
from shared.erp.demo.floor import SMALL
from shared.erp.demo.plan import STEPS, Indexes
from shared.erp.demo.shop import Routings
from shared.erp.demo.versions import OUTSIDE_MAKER, Planned, Version, Versions
from shared.erp.demo.world import World

ROUTING_VIEW_COLUMNS = (
    "ROUT_NO", "ITEM_CD", "ITEM_NM", "PROC_SEQ", "INSRT_DT", "OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS",
    "OUTDIAMETER_UNIT", "INSIDE_FLAG", "JOB_CD", "JOB_NM", "RES_CD", "RES_DIS", "TIME_UNIT", "MFG_LT", "QUEUE_TIME",
    "SETUP_TIME", "RUN_TIME", "ACT_SETUP_TIME", "ACT_RUN_TIME", "WAIT_TIME", "MOVE_TIME", "RUN_TIME_QTY",
    "RUN_TIME_UNIT", "BATCH_OPER", "BP_CD", "CUST_NM", "CUR_CD", "SUBCONTRACT_PRC", "TAX_TYPE", "MILESTONE_FLG",
    "INSP_FLG", "ROUT_ORDER", "VALID_FROM_DT", "VALID_TO_DT", "VALIDITY", "REMARK", "ROUT_DOC", "NC_PROGRAM",
    "NC_PROGRAM_WRITER", "NC_WRITER_NM", "NC_WRITE_DATE", "NC_REVIEWER", "NC_REVIEWER_NM", "NC_REVIEW_DT",
    "PROGRAM_REMARK", "OP_DRAW_NO", "RAW_MATL_SIZE", "JAW_SIZE", "ROUT_SIZE", "MTMG_NUMB",
)  # fmt: skip
FOREVER = "2999-12-31"
LOT = 100  # pieces that the planned run time of a small part covers
_NC_STEPS = np.array([step.code in ("MC10", "MC20") for step in STEPS])
_INSPECTIONS = np.array([step.code.startswith("IN") for step in STEPS])
_INSIDE = np.array([step.inside for step in STEPS])
_OPENING_MINUTE, _OFFICE_MINUTES = 8 * 60, 9 * 60


def routing_rows(
    world: World, routings: Routings, versions: Versions, planned: Planned, codes: pl.Series, copied: pl.DataFrame,
    dirt: Dirt,
) -> pl.DataFrame:  # fmt: skip
    """Return the view's rows of these planned steps, a part of all, as text; `copied` is repeated of every item."""
    entry, version = planned.entry, planned.version
    item, step = routings.item[entry], routings.step[entry]
    altered = (version == Version.ALTERNATE) & (versions.altered[item] == entry)
    resource = np.where(altered, versions.altered_resource[item], routings.resource[entry])
    outside = ~_INSIDE[step] | (resource == OUTSIDE_MAKER)
    older = version == Version.OLDER
    sequence = whole_text(np.where(older, versions.older_sequence[entry], 10 * (routings.position[entry] + 1)))
    inspected = pick(["N", "Y"], _INSPECTIONS[step].astype(np.int64))
    at = pl.Series(item)
    columns = {
        "ROUT_NO": whole_text(_routing_no(versions, item, version)).str.zfill(2),
        "ITEM_CD": codes.gather(at),
        **{name: copied[name].gather(at) for name in copied.columns},
        "PROC_SEQ": sequence,
        "ROUT_ORDER": sequence,
        **_validity(routings, versions, item, version),
        **operation_names(step, ("JOB_CD", "JOB_NM")),
        **work_centre_names(step, resource, ("RES_CD", "RES_DIS")),
        **_planned_times(world, routings, entry, outside, dirt),
        **_subcontract(step, resource, outside),
        "MILESTONE_FLG": inspected,
        "INSP_FLG": inspected,
        "NC_PROGRAM": without("O" + whole_text(item % 9000 + 1000), ~_NC_STEPS[step]),
    }
    empty = nothing(len(entry))
    frame = pl.DataFrame({name: columns.get(name, empty).alias(name) for name in ROUTING_VIEW_COLUMNS})
    return _with_spoilt_rows(frame, dirt)


def _with_spoilt_rows(frame: pl.DataFrame, dirt: Dirt) -> pl.DataFrame:
    """Return the rows, some followed by a second one, some by a copy under a code that no item has."""
    again = dirt.where("planned_step_repeated", frame.height)
    stray = dirt.where("planned_step_of_unknown_item", frame.height)
    row = np.repeat(np.arange(frame.height), 1 + again + stray)
    last = stray[row] & np.append(row[1:] != row[:-1], True)
    doubled = frame[row]
    return doubled.with_columns(choose(last, "X" + doubled["ITEM_CD"], doubled["ITEM_CD"]).alias("ITEM_CD"))


def _routing_no(versions: Versions, item: Indexes, version: Indexes) -> Indexes:
    later = np.where(version == Version.OLDER, versions.older_no[item], versions.current_no[item])
    return np.asarray(np.where(version == Version.ALTERNATE, 1, later), dtype=np.int64)


def _validity(routings: Routings, versions: Versions, item: Indexes, version: Indexes) -> dict[str, pl.Series]:
    older, alternate = version == Version.OLDER, version == Version.ALTERNATE
    written = np.where(version == Version.CURRENT, versions.revised_day[item], routings.written_day[item])
    day = np.where(alternate, np.maximum(written - 1, 0), written)
    minute = _OPENING_MINUTE + (item * 37 + version * 11) % _OFFICE_MINUTES
    return {
        "INSRT_DT": moment_text(day, minute),
        "VALID_FROM_DT": day_text(day),
        "VALID_TO_DT": day_text(versions.revised_day[item] - 1).set(pl.Series(~older), FOREVER),
        "VALIDITY": pick(["Y", "N"], older.astype(np.int64)),
        "REMARK": without(pick(["대체 공정"], np.zeros(len(item), dtype=np.int64)), ~alternate),
    }


def _planned_times(
    world: World, routings: Routings, entry: Indexes, outside: np.ndarray, dirt: Dirt
) -> dict[str, pl.Series]:
    """Return the planned times with their unit and lot: small parts are planned a hundred pieces at a time."""
    count = len(entry)
    lot = np.where(np.isin(world.parts.process[routings.item[entry]], SMALL), LOT, 1)
    hours = dirt.where("planned_time_in_hours", count)
    divisor = np.where(hours, 60.0, 1.0)
    run = np.maximum(routings.planned_run_minutes[entry] * lot, 0.01) / divisor
    run = np.where(dirt.where("planned_time_negative", count), -run, run)
    return {
        "TIME_UNIT": pick(["분(Min.)", "시간(Hr.)"], hours.astype(np.int64)),
        "MFG_LT": pick(["1", "5"], outside.astype(np.int64)),
        "QUEUE_TIME": number_text(np.where(outside, 1440.0, 60.0) / divisor, 4),
        "SETUP_TIME": number_text(routings.planned_setup_minutes[entry] / divisor, 4),
        "RUN_TIME": without(number_text(run, 4), dirt.where("planned_time_missing", count)),
        "WAIT_TIME": number_text(np.where(outside, 2880.0, 0.0) / divisor, 4),
        "MOVE_TIME": number_text(10.0 / divisor, 4),
        "RUN_TIME_QTY": whole_text(lot),
        "RUN_TIME_UNIT": pick(["EA"], np.zeros(count, dtype=np.int64)),
    }


def _subcontract(step: Indexes, resource: Indexes, outside: np.ndarray) -> dict[str, pl.Series]:
    partner = whole_text(step + len(STEPS) * (resource == OUTSIDE_MAKER)).str.zfill(4)
    return {
        "INSIDE_FLAG": pick(["사내", "외주"], outside.astype(np.int64)),
        "BP_CD": without("V" + partner, ~outside),
        "CUST_NM": without("협력사 " + partner, ~outside),
        "CUR_CD": without(pick(["KRW"], np.zeros(len(step), dtype=np.int64)), ~outside),
    }


def operation_names(step: Indexes, names: tuple[str, str]) -> dict[str, pl.Series]:
    """Return the operations' codes and names under these column names."""
    return {names[0]: pick([each.code for each in STEPS], step), names[1]: pick([each.name for each in STEPS], step)}


def work_centre_names(step: Indexes, resource: Indexes, names: tuple[str, str]) -> dict[str, pl.Series]:
    """Return the work centres' codes and names under these column names; a subcontractor is one, too."""
    numbers = range(OUTSIDE_MAKER)
    codes, texts = [], []
    for each in STEPS:
        codes += [f"{each.resource}-{number + 1:02d}" for number in numbers] + [f"OUT{each.code}-01"]
        texts += [f"{each.resource_name} {number + 1}호기" for number in numbers] + [f"외주 {each.name}"]
    at = step * (OUTSIDE_MAKER + 1) + resource
    return {names[0]: pick(codes, at), names[1]: pick(texts, at)}
