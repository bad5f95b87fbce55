"""The demo factory as its ERP shows it: three views with their column names, and engineering dirt at known rates."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from shared.erp.demo_plan import STEPS, Flags, Indexes, Numbers, Process
from shared.erp.demo_shop import RATES, Results, Routings
from shared.erp.demo_world import FIRST_DAY, MATERIALS, World

# Rates of dirt; truth/demo.json repeats them.
DIRT: dict[str, float] = {
    "size_unknown_as_zero": 0.22,
    "size_in_inches": 0.04,
    "size_unit_blank": 0.03,
    "size_unit_wrong": 0.001,
    "size_sentinel_9999": 0.001,
    "seal_size_in_inches": 0.65,
    "seal_type_blank": 0.12,
    "value_blank": 0.04,
    "blank_as_token": 0.15,
    "item_code_trailing_blank": 0.01,
    "result_item_code_lower_case": 0.004,
    "item_row_repeated": 0.001,
    "item_row_without_code": 0.0006,
    "size_not_a_number": 0.001,
    "planned_step_of_unknown_item": 0.0004,
    "result_without_item": 0.0003,
    "planned_time_in_hours": 0.03,
    "planned_time_missing": 0.03,
    "result_unknown_item": 0.001,
    "result_bad_date": 0.0005,
    "result_no_quantity": 0.001,
    "result_negative_time": 0.0005,
    "result_zero_time": 0.005,
    "result_date_other_form": 0.01,
}
_MM = ("MM", "mm", "Mm", "MM ", "m/m")
_INCH = ("INCH", "inch", "Inch", "IN", "INCH ")
_STANDARD = {True: ("Y", "y", "Y ", "Yes"), False: ("N", "n", "N ", "No")}
_INSIDE = {True: "사내", False: "외주"}
_SMALL_LOTS = (Process.O_RING, Process.SPRING, Process.GASKET, Process.PIN)


@dataclass
class Dirt:
    """Spoils values at the known rates and counts what it spoilt."""

    rng: np.random.Generator
    done: dict[str, int] = field(default_factory=dict)

    def where(self, kind: str, count: int, among: Flags | None = None) -> Flags:
        """Return which of `count` values suffer this kind of dirt."""
        hit = self.rng.random(count) < DIRT[kind]
        hit = hit if among is None else hit & among
        self.done[kind] = self.done.get(kind, 0) + int(hit.sum())
        return hit

    def spelling(self, spellings: tuple[str, ...], count: int) -> pl.Series:
        """Return one of the spellings each time; the first is the usual one."""
        usual = self.rng.random(count) < 0.7
        other = self.rng.integers(0, len(spellings), count)
        return pl.Series(list(spellings)).gather(pl.Series(np.where(usual, 0, other)))

    def blank(self, values: pl.Series, kind: str = "value_blank") -> pl.Series:
        """Return the values with some left blank, and some of the blanks written as null tokens."""
        gone = self.where(kind, values.len())
        token = self.where("blank_as_token", values.len(), gone)
        tokens = pl.Series(["-", "nan", "NULL", "None"]).gather(pl.Series(self.rng.integers(0, 4, values.len())))
        return tokens.zip_with(pl.Series(token), values.set(pl.Series(gone), None))


def _pick(values: list[str], index: Indexes) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(pl.Series(index))


def _choose(mask: Flags, yes: pl.Series, no: pl.Series) -> pl.Series:
    return yes.zip_with(pl.Series(mask), no)


def _number_text(values: Numbers, digits: int) -> pl.Series:
    return pl.Series(np.round(values, digits)).cast(pl.String).str.strip_suffix(".0")


def _dates(days: Indexes, form: str = "%Y-%m-%d") -> pl.Series:
    since_epoch = (FIRST_DAY - date(1970, 1, 1)).days
    return (pl.Series(days).cast(pl.Int32) + since_epoch).cast(pl.Date).dt.strftime(form)


def item_view(world: World, codes: pl.Series, seed: int) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return `BI_ITEM_INFO_VIEW` with its 38 columns as text, and how often each kind of dirt was applied."""
    dirt = Dirt(np.random.default_rng([seed, 5]))
    count = world.parts.count
    spoilt = _choose(dirt.where("item_code_trailing_blank", count), codes + "  ", codes)
    frame = pl.DataFrame(
        {"ITEM_CD": spoilt}
        | _identity(world, dirt)
        | _grouping(world, dirt)
        | _drawing(world, dirt)
        | _geometry(world, dirt)
        | _seal(world, dirt)
        | _raw_stock(world)
    )
    repeated = frame.filter(pl.Series(dirt.where("item_row_repeated", count)))
    nameless = frame.filter(pl.Series(dirt.where("item_row_without_code", count)))
    nameless = nameless.with_columns(pl.lit(None, dtype=pl.String).alias("ITEM_CD"))
    return pl.concat([frame, repeated, nameless]), dirt.done


def _identity(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    count, parts = world.parts.count, world.parts
    name = _pick(list(world.type_names), world.part_type)
    material = _pick([label for _, label, _ in MATERIALS], world.material_code)
    coating = _pick(["", " WC COATED", " CR PLATED", " NITRIDED"], parts.coating)
    size = pl.Series(np.round(parts.outer_mm).astype(np.int64)).cast(pl.String)
    spec = ("D" + size + " " + material + coating).alias("ITEM_SPEC")
    suffix = np.where(parts.process == Process.KIT, 1, np.where(world.revision > 1, 2, 0))
    customer = pl.Series(world.customer).cast(pl.String).str.zfill(3)
    return {
        "PART_TYPE": _pick(list(world.type_codes), world.part_type),
        "PartNm": dirt.blank(name),
        "ITEM_SUFFIX": _pick(["", "KIT", "R"], suffix),
        "ITEM_SPEC": dirt.blank(spec, "seal_type_blank"),
        "ITEM_NM": name + " " + size,
        "ADDITIONAL_SPEC": _choose(dirt.rng.random(count) < 0.5, "FOR C" + customer, pl.Series([""] * count)),
    }


def _grouping(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    parts, count = world.parts, world.parts.count
    sets = np.isin(parts.process, (Process.ASSEMBLY, Process.KIT))
    standard = _choose(parts.standard, dirt.spelling(_STANDARD[True], count), dirt.spelling(_STANDARD[False], count))
    group = _pick(["SEC", "SHD", "D", "SFC", "SDG"], np.where(sets, 0, 1 + parts.style))
    return {
        "ITEM_MATERIAL": dirt.blank(_pick([code for code, *_ in MATERIALS], world.material_code)),
        "MATERIAL_DESC": dirt.blank(_pick([label for _, label, _ in MATERIALS], world.material_code)),
        "ITEM_ACCT": _pick(["M1", "P1", "S1"], np.where(sets, 1, np.where(parts.process == Process.PIN, 2, 0))),
        "ITEM_TYPE": dirt.blank(_pick(["M1", "P4", "C4"], np.where(sets, 1, np.where(parts.standard, 2, 0)))),
        "ITEM_UNIT": _pick(["EA", "SET"], sets.astype(np.int64)),
        "ITEM_GRP1": group,
        "ITEM_GRP1NM": group + " GROUP",
        "STANDARD_YN": standard,
        "GROUP1": "G" + pl.Series(world.drawing % 7833).cast(pl.String).str.zfill(4),
        "GROUP2": dirt.blank("C" + pl.Series(world.customer).cast(pl.String).str.zfill(3)),
    }


def _drawing(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    number = pl.Series((world.drawing * 48_611 + 10_007) % 10_000_000).cast(pl.String).str.zfill(7)
    blank = pl.Series([None] * world.parts.count, dtype=pl.String)
    return {
        "DRAW_NO": _choose(world.has_drawing, "DW-" + number, blank),
        "DRAW_REV": _choose(world.has_drawing, pl.Series(world.revision).cast(pl.String), blank),
        "DRAW_SHEET_NO": _choose(
            world.has_drawing & (dirt.rng.random(world.parts.count) < 0.5), blank.fill_null("1"), blank
        ),
    }


def _geometry(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    """Return the three sizes in mm or inches by row, some unknown written as zero, with their unit's spelling."""
    parts, count = world.parts, world.parts.count
    unknown = dirt.where("size_unknown_as_zero", count) | np.isin(parts.process, (Process.KIT,))
    inches = dirt.where("size_in_inches", count, ~unknown)
    divisor = np.where(inches, 25.4, 1.0)
    unit = _choose(inches, dirt.spelling(_INCH, count), dirt.spelling(_MM, count))
    blank = unknown | dirt.where("size_unit_blank", count, ~inches & ~unknown)
    unit = unit.set(pl.Series(blank), None)
    unit = unit.set(pl.Series(dirt.where("size_unit_wrong", count, ~blank)), "EA")
    outer = np.where(dirt.where("size_sentinel_9999", count, ~unknown & ~inches), 9999.0, parts.outer_mm / divisor)
    size = _number_text(np.where(unknown, 0.0, outer), 3)
    rotates = np.isin(parts.process, (Process.ASSEMBLY, Process.ROTATING_FACE, Process.SLEEVE))
    turn = pl.Series(1 + world.drawing % 2).cast(pl.String)
    nothing = pl.Series([None] * count, dtype=pl.String)
    return {
        "OUTDIAMETER": _choose(dirt.where("size_not_a_number", count), "약 " + size, size),
        "INDIAMETER": _number_text(np.where(unknown, 0.0, world.inner_mm / divisor), 3),
        "OUTTHICKNESS": _number_text(np.where(unknown, 0.0, world.thickness_mm / divisor), 3),
        "OUTDIAMETER_UNIT": unit,
        "ROTATE_CLOCKWISE": _choose(rotates, turn, nothing),
        "ROTATE_CTRCLOCKWISE": _choose(rotates & (world.drawing % 5 == 0), turn, nothing),
    }


def _seal(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    parts, count = world.parts, world.parts.count
    nothing = pl.Series([None] * count, dtype=pl.String)
    code = dirt.blank(pl.Series(1002000 + world.seal_type).cast(pl.String), "seal_type_blank")
    inches = dirt.where("seal_size_in_inches", count)
    mm = np.round(world.inner_mm * 1.02 / 1.5875) * 1.5875  # seals come in sixteenths of an inch
    has_size = ~np.isin(parts.process, (Process.RESERVOIR, Process.PIN)) & (dirt.rng.random(count) >= 0.1)
    size = np.where(has_size, np.where(inches, mm / 25.4, mm), 0.0)
    unit = _choose(inches, dirt.spelling(_INCH, count), dirt.spelling(_MM, count)).set(pl.Series(~has_size), None)
    outer = (parts.process == Process.ASSEMBLY) & (dirt.rng.random(count) < 0.3)
    middle = outer & (dirt.rng.random(count) < 0.05)
    return {
        "SealTypeGrup": _choose(
            dirt.rng.random(count) < 0.16, "T" + pl.Series(world.seal_type // 6).cast(pl.String), nothing
        ),
        "IN_SEALTYPE_CD": code,
        "IN_SEALSIZE": _number_text(size, 4),
        "IN_SEALSIZE_UOM": unit,
        "MID_SEALTYPE_CD": _choose(middle, code, nothing),
        "MID_SEALSIZE": _choose(middle, _number_text(size, 4), nothing),
        "MID_SEALSIZE_UOM": _choose(middle, unit, nothing),
        "OUT_SEALTYPE_CD": _choose(outer, code, nothing),
        "OUT_SEALSIZE": _choose(outer, _number_text(size, 4), pl.Series(["0"] * count)),
        "OUT_SEALSIZE_UOM": _choose(outer, unit, nothing),
    }


def _raw_stock(world: World) -> dict[str, pl.Series]:
    casting = pl.Series(world.parts.casting)
    known = casting | pl.Series(world.drawing % 8 == 0)
    nothing = pl.Series([None] * world.parts.count, dtype=pl.String)
    kind = pl.Series(["B"] * world.parts.count).set(casting, "C")
    name = pl.Series(["BAR"] * world.parts.count).set(casting, "CASTING")
    return {"RAW_MATL_KIND": kind.zip_with(known, nothing), "RAW_MATL_KINDNM": name.zip_with(known, nothing)}


ROUTING_VIEW_COLUMNS = (
    "ROUT_NO", "ITEM_CD", "ITEM_NM", "PROC_SEQ", "INSRT_DT", "OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS",
    "OUTDIAMETER_UNIT", "INSIDE_FLAG", "JOB_CD", "JOB_NM", "RES_CD", "RES_DIS", "TIME_UNIT", "MFG_LT", "QUEUE_TIME",
    "SETUP_TIME", "RUN_TIME", "ACT_SETUP_TIME", "ACT_RUN_TIME", "WAIT_TIME", "MOVE_TIME", "RUN_TIME_QTY",
    "RUN_TIME_UNIT", "BATCH_OPER", "BP_CD", "CUST_NM", "CUR_CD", "SUBCONTRACT_PRC", "TAX_TYPE", "MILESTONE_FLG",
    "INSP_FLG", "ROUT_ORDER", "VALID_FROM_DT", "VALID_TO_DT", "VALIDITY", "REMARK", "ROUT_DOC", "NC_PROGRAM",
    "NC_PROGRAM_WRITER", "NC_WRITER_NM", "NC_WRITE_DATE", "NC_REVIEWER", "NC_REVIEWER_NM", "NC_REVIEW_DT",
    "PROGRAM_REMARK", "OP_DRAW_NO", "RAW_MATL_SIZE", "JAW_SIZE", "ROUT_SIZE", "MTMG_NUMB",
)  # fmt: skip


def routing_view(
    world: World, routings: Routings, codes: pl.Series, items: pl.DataFrame, seed: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return `BI_ROUTING_VIEW` as text: every routed item's steps, and the older routing of items that were revised."""
    dirt = Dirt(np.random.default_rng([seed, 6]))
    revised = routings.routed & (dirt.rng.random(world.parts.count) < RATES["revised_routing"])
    current = np.flatnonzero(routings.routed[routings.item])
    older = np.flatnonzero(revised[routings.item])
    older = older[dirt.rng.random(len(older)) >= 0.15]  # the revision added what the older routing lacks
    now = _routing_rows(world, routings, current, codes, items, dirt, revised, old=False)
    before = _routing_rows(world, routings, older, codes, items, dirt, revised, old=True)
    frame = pl.concat([now, before])
    unknown = pl.Series(dirt.where("planned_step_of_unknown_item", frame.height))
    stray = frame.filter(unknown).with_columns(("X" + pl.col("ITEM_CD")).alias("ITEM_CD"))
    frame = pl.concat([frame, stray])
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in ROUTING_VIEW_COLUMNS if name not in frame.columns]
    return frame.with_columns(missing).select(ROUTING_VIEW_COLUMNS), dirt.done


def _routing_rows(
    world: World,
    routings: Routings,
    at: Indexes,
    codes: pl.Series,
    items: pl.DataFrame,
    dirt: Dirt,
    revised: Flags,
    *,
    old: bool,
) -> pl.DataFrame:
    item, step = routings.item[at], routings.step[at]
    inside = np.array([each.inside for each in STEPS])[step]
    day = np.maximum(routings.created_day[item] - (300 if old else 0), 0)
    number = _pick(["01", "02"], (revised[item] & ~np.bool_(old)).astype(np.int64))
    copied = items.select("ITEM_NM", "OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS", "OUTDIAMETER_UNIT")[item]
    sequence = pl.Series(10 * (routings.position[at] + 1)).cast(pl.String)
    end = _dates(routings.created_day[item]) if old else pl.Series(["2999-12-31"] * len(at), dtype=pl.String)
    outside = pl.Series(~inside)
    nothing = pl.Series([None] * len(at), dtype=pl.String)
    nc = pl.Series(np.isin(step, [index for index, each in enumerate(STEPS) if each.code in ("MC10", "MC20")]))
    columns = {
        "ROUT_NO": number,
        "ITEM_CD": codes.gather(pl.Series(item)),
        **{name: copied[name] for name in copied.columns},
        "PROC_SEQ": sequence,
        "INSRT_DT": _dates(day) + " 09:00:00",
        "INSIDE_FLAG": _pick([_INSIDE[each.inside] for each in STEPS], step),
        "JOB_CD": _pick([each.code for each in STEPS], step),
        "JOB_NM": _pick([each.name for each in STEPS], step),
        **_work_centre_names(step, routings.resource[at], ("RES_CD", "RES_DIS")),
        **_planned_times(world, routings, at, dirt),
        "BP_CD": ("V" + pl.Series(step).cast(pl.String).str.zfill(4)).zip_with(outside, nothing),
        "CUR_CD": nothing.fill_null("KRW").zip_with(outside, nothing),
        "MILESTONE_FLG": _pick(["Y" if each.code.startswith("IN") else "N" for each in STEPS], step),
        "INSP_FLG": _pick(["Y" if each.code.startswith("IN") else "N" for each in STEPS], step),
        "ROUT_ORDER": sequence,
        "VALID_FROM_DT": _dates(day),
        "VALID_TO_DT": end,
        "VALIDITY": _pick(["Y", "N"], np.full(len(at), int(old))),
        "NC_PROGRAM": ("O" + pl.Series(item % 9000 + 1000).cast(pl.String)).zip_with(nc, nothing),
    }
    return pl.DataFrame({name: values.alias(name) for name, values in columns.items()})


def _work_centre_names(step: Indexes, resource: Indexes, names: tuple[str, str]) -> dict[str, pl.Series]:
    most = max(each.resources for each in STEPS)
    codes = [f"{each.resource}-{number + 1:02d}" for each in STEPS for number in range(most)]
    texts = [f"{each.resource_name} {number + 1}호기" for each in STEPS for number in range(most)]
    at = step * most + resource
    return {names[0]: _pick(codes, at), names[1]: _pick(texts, at)}


def _planned_times(world: World, routings: Routings, at: Indexes, dirt: Dirt) -> dict[str, pl.Series]:
    """Return the planned times with their unit and lot: small parts are planned a hundred pieces at a time."""
    count = len(at)
    small = np.isin(world.parts.process[routings.item[at]], _SMALL_LOTS)
    lot = np.where(small, 100, 1)
    hours = dirt.where("planned_time_in_hours", count)
    divisor = np.where(hours, 60.0, 1.0)
    missing = pl.Series(dirt.where("planned_time_missing", count))
    run = _number_text(np.maximum(routings.planned_run_minutes[at] * lot, 0.01) / divisor, 4)
    outside = ~np.array([each.inside for each in STEPS])[routings.step[at]]
    return {
        "TIME_UNIT": _pick(["분(Min.)", "시간(Hr.)"], hours.astype(np.int64)),
        "MFG_LT": _pick(["1", "5"], outside.astype(np.int64)),
        "QUEUE_TIME": _number_text(np.where(outside, 1440.0, 60.0) / divisor, 4),
        "SETUP_TIME": _number_text(routings.planned_setup_minutes[at] / divisor, 4),
        "RUN_TIME": run.set(missing, None),
        "WAIT_TIME": _number_text(np.where(outside, 2880.0, 0.0) / divisor, 4),
        "MOVE_TIME": _number_text(np.full(count, 10.0) / divisor, 4),
        "RUN_TIME_QTY": pl.Series(lot).cast(pl.String),
        "RUN_TIME_UNIT": pl.Series(["EA"] * count, dtype=pl.String),
    }


def result_view(
    routings: Routings, results: Results, codes: pl.Series, revised_numbers: pl.Series, seed: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return `BI_WORK_ORDER_RESULTS` as text: times in hours an order, with the rows that a clerk typed wrongly.

    Args:
        routings: the true routings.
        results: the reported work.
        codes: the item codes.
        revised_numbers: the current routing number of each item.
        seed: the factory's seed.
    """
    dirt = Dirt(np.random.default_rng([seed, 7]))
    count = len(results.entry)
    item, step = routings.item[results.entry], routings.step[results.entry]
    code = codes.gather(pl.Series(item))
    code = _choose(dirt.where("result_item_code_lower_case", count), code.str.to_lowercase(), code)
    code = _choose(dirt.where("result_unknown_item", count), "X" + code, code)
    code = code.set(pl.Series(dirt.where("result_without_item", count)), None)
    day = _choose(dirt.where("result_date_other_form", count), _dates(results.day, "%Y%m%d"), _dates(results.day))
    day = day.set(pl.Series(dirt.where("result_bad_date", count)), "2024-02-31")
    quantity = pl.Series(results.quantity).set(pl.Series(dirt.where("result_no_quantity", count)), 0)
    run = np.where(dirt.where("result_negative_time", count), -results.run_minutes, results.run_minutes)
    zero = dirt.where("result_zero_time", count)
    frame = {
        "IDX": pl.Series(np.arange(1, count + 1)).cast(pl.String),
        "ITEM_CD": code,
        "ROUT_NO": revised_numbers.gather(pl.Series(item)),
        "PROC_SEQ": pl.Series(10 * (routings.position[results.entry] + 1)).cast(pl.String),
        **_work_centre_names(step, results.resource, ("RES_CD", "RES_DIS")),
        "JOB_CD": _pick([each.code for each in STEPS], step),
        "CD_NM": _pick([each.name for each in STEPS], step),
        "PRODT_ORDER_NO": "WO" + pl.Series(results.order + 1).cast(pl.String).str.zfill(8),
        "REPORT_DT": day,
        "MACH_WORKED_HOURS": _number_text(np.where(zero, 0.0, run) / 60.0, 4),
        "SETUP_HOURS": _number_text(np.where(zero, 0.0, results.setup_minutes) / 60.0, 4),
        "ORDER_QTY": quantity.cast(pl.String),
        "BAD_QTY": pl.Series(results.bad_quantity).cast(pl.String),
    }
    return pl.DataFrame({name: values.alias(name) for name, values in frame.items()}), dirt.done
