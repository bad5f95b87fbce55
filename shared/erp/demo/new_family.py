"""A product family that the demo factory had never made: its items, its rules, its times."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from shared.erp.demo.dirt import Dirt
from shared.erp.demo.item_view import item_rows
from shared.erp.demo.plan import STEP_AT, STEPS, Coating, Flags, Indexes, Parts, Process, Sector
from shared.erp.demo.routing_view import routing_rows
from shared.erp.demo.shop import Routings, build_routings
from shared.erp.demo.versions import Planned, Version, Versions
from shared.erp.demo.world import World, build_world, item_codes

CODE, NAME = "900#1", "MAGNETIC COUPLING"
CAPACITY = 1_200  # items; no more appear however long the factory goes on
RUN_FACTOR = 1.8  # of the run time that the same step takes on a housing
_ALWAYS = ("CU10", "MC10", "MC20", "WE50", "HT58", "GR30", "BL78", "AS90", "TS94", "IN80", "PK95")
_SEED_STEP = 7_001  # its chance is not the factory's
_FIRST_DRAWING = 1_000_000  # drawing numbers beyond the factory's


@dataclass(frozen=True, kw_only=True)
class Family:
    """The whole family as it will be; items appear one after the other."""

    world: World
    routings: Routings
    codes: pl.Series
    item_view: pl.DataFrame
    copied: pl.DataFrame  # what the routing view repeats of each item

    def item_rows_of(self, first: int, last: int) -> pl.DataFrame:
        """Return the item view's rows of the items from `first` to `last` without it."""
        wanted = self.codes[first:last]
        return self.item_view.filter(pl.col("ITEM_CD").str.strip_chars().is_in(wanted.implode()))

    def routing_rows_of(self, first: int, last: int, day: int, dirt: Dirt) -> pl.DataFrame:
        """Return the routing view's rows of these items, written on `day` (after the factory's first)."""
        entry = np.flatnonzero((self.routings.item >= first) & (self.routings.item < last))
        planned = Planned(entry=entry, version=np.full(len(entry), int(Version.CURRENT)))
        routings = replace(self.routings, written_day=np.full(self.world.parts.count, day))
        versions = _only_current(routings)
        return routing_rows(self.world, routings, versions, planned, self.codes, self.copied, dirt)


def build_family(seed: int) -> Family:
    """Return the family; the same for the same seed."""
    own = build_world(CAPACITY, seed + _SEED_STEP)
    count = own.parts.count
    parts = replace(own.parts, process=np.full(count, int(Process.HOUSING)))
    world = replace(
        own,
        parts=parts,
        part_type=np.zeros(count, dtype=np.int64),
        type_codes=(CODE,),
        type_names=(NAME,),
        type_process=np.array([int(Process.HOUSING)]),
    )
    routings = build_routings(world, seed + _SEED_STEP, rules_of_family(parts))
    routings = replace(
        routings,
        run_minutes=np.round(routings.run_minutes * RUN_FACTOR, 4),
        run_from_attributes=np.round(routings.run_from_attributes * RUN_FACTOR, 4),
        planned_run_minutes=routings.planned_run_minutes * RUN_FACTOR,
        routed=np.ones(count, dtype=np.bool_),
    )
    shown = replace(world, drawing=world.drawing + _FIRST_DRAWING)
    codes = ("N" + item_codes(world)).alias("item_code")
    rows, copied = item_rows(shown, codes, Dirt(seed + _SEED_STEP, "items of the new family"))
    return Family(world=shown, routings=routings, codes=codes, item_view=rows, copied=copied)


def rules_of_family(parts: Parts) -> Flags:
    """Return the family's steps: eleven that every item has, and four that its attributes call for."""
    steps = np.zeros((parts.count, len(STEPS)), dtype=np.bool_)
    for code in _ALWAYS:
        steps[:, STEP_AT[code]] = True
    steps[:, STEP_AT["MC12"]] = parts.outer_mm >= 150
    steps[:, STEP_AT["CT60"]] = np.isin(parts.coating, (Coating.TUNGSTEN_CARBIDE, Coating.CHROME))
    steps[:, STEP_AT["IN85"]] = parts.sector == Sector.NUCLEAR
    steps[:, STEP_AT["IN88"]] = np.isin(parts.sector, (Sector.NUCLEAR, Sector.REFINERY))
    return steps


def _only_current(routings: Routings) -> Versions:
    count = len(routings.routed)
    never: Flags = np.zeros(count, dtype=np.bool_)
    none: Indexes = np.zeros(count, dtype=np.int64)
    return Versions(
        revised=never,
        revised_day=routings.written_day,
        alternate=never,
        altered=none - 1,
        altered_resource=none,
        in_older=np.ones(len(routings.item), dtype=np.bool_),
        older_sequence=10 * (routings.position + 1),
    )
