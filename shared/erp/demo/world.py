"""The demo factory's parts: drawings, their revisions, and the attributes that cause the routing, all still clean."""

from dataclasses import dataclass, fields, replace
from datetime import date

import numpy as np
import polars as pl

from shared.erp.demo.plan import OPTIONAL, Coating, Flags, Indexes, Material, Numbers, Parts, Process, Sector, Style

FIRST_DAY = date(2023, 7, 1)
LAST_DAY = date(2026, 6, 30)
DAYS = (LAST_DAY - FIRST_DAY).days

# Part types with a name of their own; shares are those of the seal maker that this factory resembles.
HEAD_TYPES: tuple[tuple[str, str, Process, float], ...] = (
    ("KBM", "MECHANICAL SEAL", Process.ASSEMBLY, 0.160),
    ("233", "REPAIR KIT", Process.KIT, 0.125),
    ("182", "RESERVOIR", Process.RESERVOIR, 0.050),
    ("11#1", "GLAND", Process.GLAND, 0.047),
    ("14", "STATIONARY FACE", Process.STATIONARY_FACE, 0.045),
    ("O-RING#1", "O-RING", Process.O_RING, 0.041),
    ("15", "ROTATING FACE", Process.ROTATING_FACE, 0.038),
    ("1#1", "SLEEVE", Process.SLEEVE, 0.037),
)
TAIL_PROCESSES: tuple[tuple[Process, str, float], ...] = (
    (Process.GLAND, "FLANGE", 1.0),
    (Process.STATIONARY_FACE, "SEAT", 1.0),
    (Process.ROTATING_FACE, "SEAL RING", 1.0),
    (Process.SLEEVE, "SHAFT SLEEVE", 1.0),
    (Process.RING, "RETAINER", 2.5),
    (Process.SPRING, "SPRING", 0.7),
    (Process.GASKET, "GASKET", 0.9),
    (Process.HOUSING, "ADAPTER", 1.2),
    (Process.BELLOWS, "BELLOWS UNIT", 0.8),
    (Process.PIN, "DRIVE PIN", 0.8),
)
MATERIALS: tuple[tuple[str, str, Material], ...] = (
    ("Y00000", "SEAL BOM", Material.BILL),
    ("Y00188", "MULTIPLE", Material.BILL),
    ("M000DB", "SUS316", Material.STAINLESS),
    ("M000ND", "SUS304", Material.STAINLESS),
    ("M000NC", "SUS316L", Material.STAINLESS),
    ("M000DX", "DUPLEX", Material.STAINLESS),
    ("M000HC", "HASTELLOY-C", Material.ALLOY),
    ("M000TI", "TITANIUM", Material.ALLOY),
    ("M000MN", "MONEL", Material.ALLOY),
    ("M000IN", "INCONEL 718", Material.ALLOY),
    ("N000SL", "SIC", Material.CERAMIC),
    ("N000SR", "SIC REACTION BONDED", Material.CERAMIC),
    ("N000WC", "TUNGSTEN CARBIDE", Material.CERAMIC),
    ("R00KR3", "CARBON", Material.CARBON),
    ("R00KR7", "CARBON ANTIMONY", Material.CARBON),
    ("O000GT", "PTFE", Material.PTFE),
    ("O000GF", "PTFE GLASS FILLED", Material.PTFE),
    ("O000FK", "FKM", Material.ELASTOMER),
    ("O000FF", "FFKM", Material.ELASTOMER),
    ("O000NB", "NBR", Material.ELASTOMER),
    ("O000EP", "EPDM", Material.ELASTOMER),
)
HARD_ELASTOMERS = ("O000FK", "O000FF")
_BODY = {Material.STAINLESS: 0.82, Material.ALLOY: 0.18}
_FACE = {Material.CERAMIC: 0.5, Material.CARBON: 0.35, Material.STAINLESS: 0.1, Material.ALLOY: 0.05}
MATERIAL_SHARES: dict[Process, dict[Material, float]] = {
    Process.ASSEMBLY: {Material.BILL: 1.0},
    Process.KIT: {Material.BILL: 1.0},
    Process.RESERVOIR: {Material.STAINLESS: 1.0},
    Process.GLAND: _BODY,
    Process.STATIONARY_FACE: _FACE,
    Process.O_RING: {Material.ELASTOMER: 0.85, Material.PTFE: 0.15},
    Process.ROTATING_FACE: _FACE,
    Process.SLEEVE: _BODY,
    Process.RING: {Material.STAINLESS: 0.7, Material.ALLOY: 0.15, Material.CERAMIC: 0.05, Material.PTFE: 0.1},
    Process.SPRING: {Material.STAINLESS: 0.6, Material.ALLOY: 0.4},
    Process.GASKET: {Material.PTFE: 0.6, Material.ELASTOMER: 0.4},
    Process.HOUSING: _BODY,
    Process.BELLOWS: {Material.ALLOY: 0.7, Material.STAINLESS: 0.3},
    Process.PIN: _BODY,
}
_TYPICAL_MM = np.array([85, 85, 190, 140, 75, 60, 75, 70, 80, 45, 90, 150, 80, 12], dtype=np.float64)
SEAL_TYPES = 36
FEWEST_CUSTOMERS, MOST_CUSTOMERS = 60, 375


@dataclass(frozen=True, kw_only=True)
class World:
    """Every item, clean: what it is, what causes its routing, and when it came to be. One entry an item."""

    parts: Parts
    part_type: Indexes
    type_codes: tuple[str, ...]
    type_names: tuple[str, ...]
    type_process: Indexes
    material_code: Indexes
    drawing: Indexes
    revision: Indexes
    inner_mm: Numbers
    thickness_mm: Numbers
    seal_type: Indexes
    customer: Indexes
    created_day: Indexes  # days after FIRST_DAY
    quirk: Indexes  # the drawing's own habit: a step that its planner adds or leaves out, -1 for none
    has_drawing: Flags

    def rows(self, start: int, stop: int) -> "World":
        """Return the items from `start` to `stop` without it."""
        of_types = ("type_codes", "type_names", "type_process")
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*of_types, "parts")}
        parts = {f.name: getattr(self.parts, f.name)[start:stop] for f in fields(self.parts)}
        cut = {name: values[start:stop] for name, values in arrays.items()}
        return replace(self, parts=Parts(**parts), **cut)


def _zipf(count: int, power: float) -> Numbers:
    weights = 1.0 / np.arange(1, count + 1) ** power
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _draw(rng: np.random.Generator, shares: Numbers, count: int) -> Indexes:
    edges = np.cumsum(shares)
    return np.minimum(np.searchsorted(edges / edges[-1], rng.random(count)), len(shares) - 1)


def _part_types(rng: np.random.Generator, items: int) -> tuple[tuple[str, ...], tuple[str, ...], Indexes, Numbers]:
    """Return codes, names, processes and shares: eight large types and a long tail that grows with the factory."""
    tail = int(np.clip(items // 60, 24, 416))
    kinds = _draw(rng, np.array([share for *_, share in TAIL_PROCESSES]), tail)
    head_share = sum(share for *_, share in HEAD_TYPES)
    codes = [code for code, *_ in HEAD_TYPES] + [f"{100 + index}#{1 + kinds[index] % 3}" for index in range(tail)]
    names = [name for _, name, *_ in HEAD_TYPES]
    names += [f"{TAIL_PROCESSES[kind][1]} {index + 1}" for index, kind in enumerate(kinds)]
    process = np.array([p for *_, p, _ in HEAD_TYPES] + [TAIL_PROCESSES[kind][0] for kind in kinds], dtype=np.int64)
    shares = np.concatenate([[share for *_, share in HEAD_TYPES], (1 - head_share) * _zipf(tail, 0.7)])
    return tuple(codes), tuple(names), process, shares


def _materials(rng: np.random.Generator, process: Indexes) -> Indexes:
    """Return each part's material as an index into MATERIALS; within a group the first names are commoner."""
    chosen = np.zeros(len(process), dtype=np.int64)
    for kind, shares in MATERIAL_SHARES.items():
        at = np.flatnonzero(process == kind)
        weights = np.zeros(len(MATERIALS))
        for group, share in shares.items():
            members = [index for index, material in enumerate(MATERIALS) if material[2] is group]
            weights[members] = share * _zipf(len(members), 1.0)
        chosen[at] = _draw(rng, weights, len(at))
    return chosen


def build_world(items: int, seed: int) -> World:
    """Return the clean items of a factory; the same for the same count and seed."""
    rng = np.random.default_rng([seed, 1])
    codes, names, type_process, shares = _part_types(rng, items)
    drawings = max(1, int(items * 0.62))
    extra = _draw(rng, _zipf(drawings, 0.35), items - drawings)
    drawing = np.sort(np.concatenate([np.arange(drawings), extra]))
    first = np.concatenate([[True], drawing[1:] != drawing[:-1]])
    revision = np.arange(items) - np.maximum.accumulate(np.where(first, np.arange(items), 0))
    customers = int(np.clip(items // 80, FEWEST_CUSTOMERS, MOST_CUSTOMERS))
    of_drawing = _draw_drawings(rng, drawings, shares, type_process, customers)
    own = {name: values[drawing] for name, values in of_drawing.items()}
    process = type_process[own["part_type"]]
    swap = (revision > 0) & (rng.random(items) < 0.12)
    material = np.where(swap, _materials(rng, process), own["material"])
    resized = np.where((revision > 0) & (rng.random(items) < 0.25), np.exp(rng.normal(0, 0.06, items)), 1.0)
    outer = np.maximum(np.round(own["outer_mm"] * resized, 1), 2.0)
    later = (revision * rng.exponential(150, items)).astype(np.int64)
    return World(
        parts=_parts(own, process, material, outer),
        part_type=own["part_type"],
        type_codes=codes,
        type_names=names,
        type_process=type_process,
        material_code=material,
        drawing=drawing,
        revision=revision,
        inner_mm=np.round(outer * own["inner_share"], 1),
        thickness_mm=np.round(outer * own["thickness_share"], 1),
        seal_type=own["seal_type"],
        customer=own["customer"],
        created_day=np.minimum(own["created_day"] + later, DAYS),
        quirk=own["quirk"],
        has_drawing=own["numbered"],
    )


def _parts(own: dict[str, np.ndarray], process: Indexes, material: Indexes, outer: Numbers) -> Parts:
    elastomer = np.array([code in HARD_ELASTOMERS for code, *_ in MATERIALS])
    return Parts(
        process=process,
        material=np.array([group for *_, group in MATERIALS], dtype=np.int64)[material],
        outer_mm=outer,
        style=seal_style(own["seal_type"]),
        coating=own["coating"],
        sector=sector_of(own["customer"]),
        standard=own["standard"],
        casting=own["casting"],
        hard_elastomer=elastomer[material],
    )


def _draw_drawings(
    rng: np.random.Generator, count: int, shares: Numbers, type_process: Indexes, customers: int
) -> dict[str, np.ndarray]:
    """Return what all items of a drawing have in common, one entry a drawing."""
    part_type = _draw(rng, shares, count)
    process = type_process[part_type]
    quirk = np.where(rng.random(count) < 0.035, OPTIONAL[rng.integers(0, len(OPTIONAL), count)], -1)
    metal = ~np.isin(process, (Process.ASSEMBLY, Process.KIT, Process.O_RING, Process.GASKET, Process.SPRING))
    coating = np.where(metal, _draw(rng, np.array([0.86, 0.07, 0.04, 0.03]), count), Coating.NONE)
    return {
        "part_type": part_type,
        "material": _materials(rng, process),
        "outer_mm": np.clip(_TYPICAL_MM[process] * np.exp(rng.normal(0, 0.5, count)), 3, 4000),
        "inner_share": rng.uniform(0.45, 0.85, count),
        "thickness_share": rng.uniform(0.05, 0.5, count),
        "seal_type": _draw(rng, _zipf(SEAL_TYPES, 0.9), count),
        "customer": _draw(rng, _zipf(customers, 0.8), count),
        "coating": coating,
        "standard": rng.random(count) < np.where(process == Process.O_RING, 0.4, 0.08),
        "casting": np.isin(process, (Process.GLAND, Process.HOUSING)) & (rng.random(count) < 0.12),
        "created_day": (DAYS * rng.random(count) ** 0.85).astype(np.int64),
        "quirk": quirk,
        "numbered": rng.random(count) < np.where(process == Process.KIT, 0.2, 0.88),
    }


def seal_style(seal_type: Indexes) -> Indexes:
    """Return the construction that a seal type's number stands for."""
    table = np.array([Style.PUSHER, Style.CARTRIDGE, Style.BELLOWS, Style.PUSHER, Style.CARTRIDGE, Style.DRY_GAS])
    return table[seal_type % len(table)].astype(np.int64)


def sector_of(customer: Indexes) -> Indexes:
    """Return the industry that a customer belongs to."""
    order = [Sector.GENERAL, Sector.GENERAL, Sector.REFINERY, Sector.GENERAL, Sector.MARINE, Sector.GENERAL]
    order += [Sector.GENERAL, Sector.PHARMA, Sector.GENERAL, Sector.NUCLEAR]
    return np.array(order, dtype=np.int64)[customer % len(order)]


def item_codes(world: World) -> pl.Series:
    """Return the item codes: ten alphanumerics, some with leading zeros, revisions with a suffix."""
    count = world.parts.count
    number = pl.Series((np.arange(count, dtype=np.int64) * 7_919_373 + 1_234_567) % 1_000_000_000)
    letters = pl.Series(list("0ABDEGHKMPRST0")).gather(pl.Series(world.parts.process % 14))
    frame = pl.DataFrame({"letter": letters, "number": number, "revision": world.revision})
    base = pl.concat_str("letter", pl.col("number").cast(pl.String).str.zfill(9))
    suffix = pl.when(pl.col("revision") > 0).then(pl.format("-R{}", "revision")).otherwise(pl.lit(""))
    return frame.select(pl.concat_str(base, suffix).alias("item_code")).to_series()
