"""`BI_ITEM_INFO_VIEW` of the demo factory: 38 columns as text, dirt included."""

import numpy as np
import polars as pl

from shared.erp.demo.dirt import Dirt, choose, number_text, pick, whole_text, without
from shared.erp.demo.plan import Process
from shared.erp.demo.world import MATERIALS, World

COPIED_COLUMNS = ("ITEM_NM", "OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS", "OUTDIAMETER_UNIT")
_MM = ("MM", "mm", "Mm", "MM ", "m/m")
_INCH = ("INCH", "inch", "Inch", "IN", "INCH ")
_YES = ("Y", "y", "Y ", "Yes")
_NO = ("N", "n", "N ", "No")


def item_rows(world: World, codes: pl.Series, dirt: Dirt) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the view's rows of these items as text, and what the routing view copies of each item."""
    count = world.parts.count
    geometry, copied_unit = _geometry(world, dirt)
    columns = {
        "ITEM_CD": choose(dirt.where("item_code_trailing_blank", count), codes + "  ", codes),
        **_identity(world, dirt),
        **_grouping(world, dirt),
        **_drawing(world, dirt),
        **geometry,
        **_seal(world, dirt),
        **_raw_stock(world),
    }
    frame = pl.DataFrame({name: values.alias(name) for name, values in columns.items()})
    copied = frame.select(COPIED_COLUMNS).with_columns(copied_unit.alias("OUTDIAMETER_UNIT"))
    return _with_spoilt_rows(frame, dirt), copied


def _with_spoilt_rows(frame: pl.DataFrame, dirt: Dirt) -> pl.DataFrame:
    """Return the rows, some followed by a second one, some by a copy that lost its code."""
    again = dirt.where("item_row_repeated", frame.height)
    nameless = dirt.where("item_row_without_code", frame.height)
    row = np.repeat(np.arange(frame.height), 1 + again + nameless)
    last = np.append(row[1:] != row[:-1], True)
    doubled = frame[row]
    return doubled.with_columns(without(doubled["ITEM_CD"], nameless[row] & last))


def _identity(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    count, parts = world.parts.count, world.parts
    name = pick(list(world.type_names), world.part_type)
    material = pick([label for _, label, _ in MATERIALS], world.material_code)
    coating = pick(["", " WC COATED", " CR PLATED", " NITRIDED"], parts.coating)
    size = whole_text(np.round(parts.outer_mm).astype(np.int64))
    spec = ("D" + size + " " + material + coating).alias("ITEM_SPEC")
    suffix = np.where(parts.process == Process.KIT, 1, np.where(world.revision > 1, 2, 0))
    customer = whole_text(world.customer).str.zfill(3)
    return {
        "PART_TYPE": pick(list(world.type_codes), world.part_type),
        "PartNm": dirt.blank(name, "PartNm"),
        "ITEM_SUFFIX": pick(["", "KIT", "R"], suffix),
        "ITEM_SPEC": dirt.blank(spec, "ITEM_SPEC", "seal_type_blank"),
        "ITEM_NM": name + " " + size,
        "ADDITIONAL_SPEC": ("FOR C" + customer).set(pl.Series(dirt.shares("ADDITIONAL_SPEC", count) < 0.5), ""),
    }


def _grouping(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    parts, count = world.parts, world.parts.count
    sets = np.isin(parts.process, (Process.ASSEMBLY, Process.KIT))
    yes, no = dirt.spelling(_YES, count, of="yes"), dirt.spelling(_NO, count, of="no")
    group = pick(["SEC", "SHD", "D", "SFC", "SDG"], np.where(sets, 0, 1 + parts.style))
    return {
        "ITEM_MATERIAL": dirt.blank(pick([code for code, *_ in MATERIALS], world.material_code), "ITEM_MATERIAL"),
        "MATERIAL_DESC": dirt.blank(pick([label for _, label, _ in MATERIALS], world.material_code), "MATERIAL_DESC"),
        "ITEM_ACCT": pick(["M1", "P1", "S1"], np.where(sets, 1, np.where(parts.process == Process.PIN, 2, 0))),
        "ITEM_TYPE": dirt.blank(
            pick(["M1", "P4", "C4"], np.where(sets, 1, np.where(parts.standard, 2, 0))), "ITEM_TYPE"
        ),
        "ITEM_UNIT": pick(["EA", "SET"], sets.astype(np.int64)),
        "ITEM_GRP1": group,
        "ITEM_GRP1NM": group + " GROUP",
        "STANDARD_YN": choose(parts.standard, yes, no),
        "GROUP1": "G" + whole_text(world.drawing % 7833).str.zfill(4),
        "GROUP2": dirt.blank("C" + whole_text(world.customer).str.zfill(3), "GROUP2"),
    }


def _drawing(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    number = whole_text((world.drawing * 48_611 + 10_007) % 10_000_000).str.zfill(7)
    sheet = world.has_drawing & (dirt.shares("DRAW_SHEET_NO", world.parts.count) < 0.5)
    return {
        "DRAW_NO": without("DW-" + number, ~world.has_drawing),
        "DRAW_REV": without(whole_text(world.revision), ~world.has_drawing),
        "DRAW_SHEET_NO": pick(["1"], np.zeros(world.parts.count, dtype=np.int64)).set(pl.Series(~sheet), None),
    }


def _geometry(world: World, dirt: Dirt) -> tuple[dict[str, pl.Series], pl.Series]:
    """Return the sizes in mm or inches by row, some unknown written as zero, with their unit; and the true unit."""
    parts, count = world.parts, world.parts.count
    unknown = dirt.where("size_unknown_as_zero", count) | (parts.process == Process.KIT)
    inches = dirt.where("size_in_inches", count, ~unknown)
    contradicts = dirt.where("size_unit_contradicts", count, ~unknown & ~inches)
    blank = unknown | dirt.where("size_unit_blank", count, ~inches & ~contradicts & ~unknown)
    wrong = dirt.where("size_unit_wrong", count, ~blank & ~contradicts)
    mm, inch = dirt.spelling(_MM, count, of="mm"), dirt.spelling(_INCH, count, of="inch")
    unit = without(choose(inches, inch, mm), blank).set(pl.Series(wrong), "EA")
    divisor = np.where(inches | contradicts, 25.4, 1.0)
    sentinel = dirt.where("size_sentinel_9999", count, ~unknown & ~inches & ~contradicts)
    size = number_text(np.where(unknown, 0.0, np.where(sentinel, 9999.0, parts.outer_mm / divisor)), 3)
    columns = {
        "OUTDIAMETER": choose(dirt.where("size_not_a_number", count), "약 " + size, size),
        "INDIAMETER": number_text(np.where(unknown, 0.0, world.inner_mm / divisor), 3),
        "OUTTHICKNESS": number_text(np.where(unknown, 0.0, world.thickness_mm / divisor), 3),
        "OUTDIAMETER_UNIT": unit,
        **_rotation(world),
    }
    return columns, choose(contradicts, inch, unit)


def _rotation(world: World) -> dict[str, pl.Series]:
    rotates = np.isin(world.parts.process, (Process.ASSEMBLY, Process.ROTATING_FACE, Process.SLEEVE))
    turn = whole_text(1 + world.drawing % 2)
    return {
        "ROTATE_CLOCKWISE": without(turn, ~rotates),
        "ROTATE_CTRCLOCKWISE": without(turn, ~rotates | (world.drawing % 5 != 0)),
    }


def _seal(world: World, dirt: Dirt) -> dict[str, pl.Series]:
    parts, count = world.parts, world.parts.count
    code = dirt.blank(whole_text(1002000 + world.seal_type), "IN_SEALTYPE_CD", "seal_type_blank")
    inches = dirt.where("seal_size_in_inches", count)
    mm = np.round(world.inner_mm * 1.02 / 1.5875) * 1.5875  # seals come in sixteenths of an inch
    sized = ~np.isin(parts.process, (Process.RESERVOIR, Process.PIN)) & (dirt.shares("IN_SEALSIZE", count) >= 0.1)
    size = number_text(np.where(sized, np.where(inches, mm / 25.4, mm), 0.0), 4)
    spelled = choose(inches, dirt.spelling(_INCH, count, of="seal inch"), dirt.spelling(_MM, count, of="seal mm"))
    unit = without(spelled, ~sized)
    outer = (parts.process == Process.ASSEMBLY) & (dirt.shares("OUT_SEALSIZE", count) < 0.3)
    middle = outer & (dirt.shares("MID_SEALSIZE", count) < 0.05)
    grouped = dirt.shares("SealTypeGrup", count) < 0.16
    return {
        "SealTypeGrup": without("T" + whole_text(world.seal_type // 6), ~grouped),
        "IN_SEALTYPE_CD": code,
        "IN_SEALSIZE": size,
        "IN_SEALSIZE_UOM": unit,
        "MID_SEALTYPE_CD": without(code, ~middle),
        "MID_SEALSIZE": without(size, ~middle),
        "MID_SEALSIZE_UOM": without(unit, ~middle),
        "OUT_SEALTYPE_CD": without(code, ~outer),
        "OUT_SEALSIZE": size.set(pl.Series(~outer), "0"),
        "OUT_SEALSIZE_UOM": without(unit, ~outer),
    }


def _raw_stock(world: World) -> dict[str, pl.Series]:
    casting = world.parts.casting.astype(np.int64)
    unknown = ~world.parts.casting & (world.drawing % 8 != 0)
    return {
        "RAW_MATL_KIND": without(pick(["B", "C"], casting), unknown),
        "RAW_MATL_KINDNM": without(pick(["BAR", "CASTING"], casting), unknown),
    }
