"""The demo factory's process knowledge: which steps exist and which attributes of a part call for them.

This is the factory's own reason for its routings. The product never sees it; it only sees the data that follows.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Indexes = NDArray[np.int64]


class Process(IntEnum):
    """What kind of making a part type needs."""

    ASSEMBLY = 0
    KIT = 1
    RESERVOIR = 2
    GLAND = 3
    STATIONARY_FACE = 4
    O_RING = 5
    ROTATING_FACE = 6
    SLEEVE = 7
    RING = 8
    SPRING = 9
    GASKET = 10
    HOUSING = 11
    BELLOWS = 12
    PIN = 13


class Material(IntEnum):
    """Groups of materials that are worked alike."""

    BILL = 0  # an assembly or a kit: many materials
    STAINLESS = 1
    ALLOY = 2
    CERAMIC = 3
    CARBON = 4
    PTFE = 5
    ELASTOMER = 6


class Style(IntEnum):
    """Construction of the seal that a part belongs to."""

    PUSHER = 0
    BELLOWS = 1
    CARTRIDGE = 2
    DRY_GAS = 3


class Coating(IntEnum):
    """Surface that the part's specification asks for."""

    NONE = 0
    TUNGSTEN_CARBIDE = 1
    CHROME = 2
    NITRIDED = 3


class Sector(IntEnum):
    """The customer's industry, which sets its inspections."""

    GENERAL = 0
    REFINERY = 1
    NUCLEAR = 2
    PHARMA = 3
    MARINE = 4


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation at its place in the order of making; times are true means for a part of 60 mm."""

    code: str
    name: str
    resource: str  # prefix of its work centres' codes
    resource_name: str
    resources: int = 1
    inside: bool = True
    setup_minutes: float
    run_minutes: float
    size_power: float = 0.5  # run time grows with (outer diameter / 60 mm) to this power
    optional: bool = False  # planners differ on it: exceptions add or leave out such a step


STEPS: tuple[Step, ...] = (
    Step(code="CU10", name="절단", resource="SAW", resource_name="톱기계", resources=2, setup_minutes=10,
         run_minutes=4),
    Step(code="MC12", name="황삭", resource="OUTVT", resource_name="외주 입형선반", inside=False, setup_minutes=40,
         run_minutes=55, size_power=1.1),
    Step(code="MC10", name="CNC 선삭", resource="CNC", resource_name="CNC 선반", resources=4, setup_minutes=45,
         run_minutes=18, size_power=0.9),
    Step(code="MC20", name="밀링", resource="MCT", resource_name="머시닝센터", resources=3, setup_minutes=50,
         run_minutes=22, size_power=0.7),
    Step(code="MC25", name="드릴·탭", resource="DRL", resource_name="드릴링", resources=2, setup_minutes=20,
         run_minutes=9, size_power=0.4),
    Step(code="DB70", name="사상", resource="DEB", resource_name="사상대", setup_minutes=3, run_minutes=5,
         optional=True),
    Step(code="HT55", name="열처리", resource="OUTHT", resource_name="외주 열처리", inside=False, setup_minutes=30,
         run_minutes=12, size_power=0.8),
    Step(code="WE50", name="용접", resource="TIG", resource_name="TIG 용접", resources=2, setup_minutes=35,
         run_minutes=40, size_power=0.8),
    Step(code="HT58", name="응력제거", resource="OUTHT", resource_name="외주 열처리", inside=False, setup_minutes=30,
         run_minutes=15, size_power=0.6),
    Step(code="CT60", name="코팅", resource="OUTCT", resource_name="외주 코팅", inside=False, setup_minutes=25,
         run_minutes=20, size_power=1.0),
    Step(code="GR30", name="원통연삭", resource="CGR", resource_name="원통연삭기", resources=2, setup_minutes=40,
         run_minutes=16, size_power=0.8),
    Step(code="GR32", name="평면연삭", resource="SGR", resource_name="평면연삭기", resources=2, setup_minutes=25,
         run_minutes=12, size_power=0.9),
    Step(code="AS85", name="열박음", resource="SHR", resource_name="열박음로", setup_minutes=20, run_minutes=10),
    Step(code="LP40", name="래핑", resource="LAP", resource_name="래핑기", resources=3, setup_minutes=15,
         run_minutes=14, size_power=1.1),
    Step(code="LP42", name="폴리싱", resource="POL", resource_name="폴리싱", setup_minutes=10, run_minutes=8,
         size_power=0.9, optional=True),
    Step(code="MD65", name="성형", resource="PRS", resource_name="성형 프레스", resources=2, setup_minutes=30,
         run_minutes=1.5, size_power=0.4),
    Step(code="MD66", name="2차 가황", resource="OVN", resource_name="가황로", setup_minutes=15, run_minutes=0.6,
         size_power=0.3),
    Step(code="SP17", name="코일성형", resource="COI", resource_name="코일링기", setup_minutes=35, run_minutes=1.2),
    Step(code="PU18", name="타발", resource="PUN", resource_name="타발 프레스", setup_minutes=15, run_minutes=0.8,
         size_power=0.3),
    Step(code="BL78", name="밸런싱", resource="BAL", resource_name="밸런싱기", setup_minutes=20, run_minutes=15,
         size_power=0.6),
    Step(code="CL74", name="산세·부동태", resource="OUTPK", resource_name="외주 산세", inside=False, setup_minutes=20,
         run_minutes=8, size_power=0.6),
    Step(code="IN85", name="비파괴검사", resource="NDT", resource_name="비파괴검사", setup_minutes=15, run_minutes=14,
         size_power=0.4),
    Step(code="IN86", name="성분검사", resource="PMI", resource_name="PMI 검사", setup_minutes=5, run_minutes=6,
         size_power=0.0),
    Step(code="IN87", name="수압시험", resource="HYD", resource_name="수압시험기", setup_minutes=25, run_minutes=20,
         size_power=0.4),
    Step(code="CL72", name="세척", resource="CLN", resource_name="세척기", setup_minutes=5, run_minutes=2,
         size_power=0.2, optional=True),
    Step(code="KT90", name="키트 구성", resource="KIT", resource_name="키트 작업대", setup_minutes=8, run_minutes=12,
         size_power=0.0),
    Step(code="AS90", name="조립", resource="ASM", resource_name="조립 작업대", resources=3, setup_minutes=20,
         run_minutes=45, size_power=0.4),
    Step(code="TS92", name="기밀시험", resource="LKT", resource_name="기밀시험기", resources=2, setup_minutes=15,
         run_minutes=18, size_power=0.2),
    Step(code="TS94", name="구동시험", resource="DYN", resource_name="구동시험기", setup_minutes=60, run_minutes=75,
         size_power=0.2),
    Step(code="MK75", name="마킹", resource="MRK", resource_name="레이저 마킹", setup_minutes=5, run_minutes=1.5,
         size_power=0.0, optional=True),
    Step(code="IN80", name="최종검사", resource="QCI", resource_name="검사대", resources=2, setup_minutes=5,
         run_minutes=6, size_power=0.3),
    Step(code="IN88", name="입회검사", resource="WIT", resource_name="입회검사", setup_minutes=30, run_minutes=25,
         size_power=0.0),
    Step(code="PK95", name="포장", resource="PCK", resource_name="포장대", setup_minutes=5, run_minutes=4,
         size_power=0.2, optional=True),
)  # fmt: skip

STEP_AT = {step.code: index for index, step in enumerate(STEPS)}
OPTIONAL = np.array([index for index, step in enumerate(STEPS) if step.optional])


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What decides a part's routing, one entry a part."""

    process: Indexes
    material: Indexes
    outer_mm: Numbers
    style: Indexes
    coating: Indexes
    sector: Indexes
    standard: Flags
    casting: Flags
    hard_elastomer: Flags  # needs a second cure

    @property
    def count(self) -> int:
        """How many parts there are."""
        return len(self.process)


def plan(parts: Parts) -> Flags:
    """Return which steps the factory's rules call for: one row a part, one column a step."""
    steps = np.zeros((parts.count, len(STEPS)), dtype=np.bool_)
    for code, needed in (_cutting(parts) | _surface(parts) | _joining(parts) | _inspection(parts)).items():
        steps[:, STEP_AT[code]] = needed
    return steps


def _of(parts: Parts, *processes: Process) -> Flags:
    return np.isin(parts.process, processes)


def _metal(parts: Parts) -> Flags:
    return np.isin(parts.material, (Material.STAINLESS, Material.ALLOY))


def _faces(parts: Parts) -> Flags:
    return _of(parts, Process.STATIONARY_FACE, Process.ROTATING_FACE)


def _turned(parts: Parts) -> Flags:
    bodies = _of(parts, Process.GLAND, Process.SLEEVE, Process.RING, Process.HOUSING, Process.PIN)
    soft = np.isin(parts.material, (Material.CARBON, Material.PTFE))
    return (bodies & ~np.isin(parts.material, (Material.BILL, Material.ELASTOMER))) | (_faces(parts) & ~soft)


def _cutting(parts: Parts) -> dict[str, Flags]:
    turned, metal, large = _turned(parts), _metal(parts), parts.outer_mm >= 220
    prismatic = _of(parts, Process.GLAND, Process.HOUSING)
    cartridge = parts.style == Style.CARTRIDGE
    return {
        "CU10": turned & metal & ~parts.casting & ~large,
        "MC12": turned & metal & large,
        "MC10": turned | (_of(parts, Process.RESERVOIR) & ~large) | (_of(parts, Process.BELLOWS) & cartridge),
        "MC20": prismatic | (_of(parts, Process.RING) & (parts.style == Style.PUSHER) & metal),
        "MC25": prismatic | (_of(parts, Process.SLEEVE) & (cartridge | ~parts.standard)),
        "DB70": turned & metal & (prismatic | (parts.outer_mm < 120)),
        "MD65": _of(parts, Process.O_RING) | (_of(parts, Process.GASKET) & (parts.material == Material.ELASTOMER)),
        "MD66": _of(parts, Process.O_RING, Process.GASKET) & parts.hard_elastomer,
        "SP17": _of(parts, Process.SPRING),
        "PU18": _of(parts, Process.GASKET) & (parts.material != Material.ELASTOMER),
    }


def _surface(parts: Parts) -> dict[str, Flags]:
    faces, metal = _faces(parts), _metal(parts)
    coated = parts.coating != Coating.NONE
    dry_gas = parts.style == Style.DRY_GAS
    return {
        "HT55": (parts.material == Material.ALLOY) & _turned(parts) & (parts.outer_mm >= 60)
        | ((parts.coating == Coating.NITRIDED) & metal)
        | _of(parts, Process.SPRING) & ~parts.standard,
        "CT60": np.isin(parts.coating, (Coating.TUNGSTEN_CARBIDE, Coating.CHROME)) & metal,
        "GR30": (_of(parts, Process.SLEEVE) & (coated | (parts.outer_mm < 90)))
        | (_of(parts, Process.ROTATING_FACE) & metal & coated),
        "GR32": faces & ((parts.material == Material.CERAMIC) | (parts.outer_mm >= 150)),
        "LP40": faces | (_of(parts, Process.RING) & (parts.material == Material.CERAMIC)),
        "LP42": faces & (dry_gas | ((parts.material == Material.CARBON) & (parts.outer_mm < 100))),
        "CL74": _of(parts, Process.RESERVOIR) & (parts.sector != Sector.MARINE)
        | (metal & (parts.sector == Sector.PHARMA) & _turned(parts)),
        "CL72": ~_of(parts, Process.KIT, Process.SPRING) & ~(_of(parts, Process.PIN) & parts.standard),
    }


def _joining(parts: Parts) -> dict[str, Flags]:
    bellows = _of(parts, Process.BELLOWS)
    welded = _of(parts, Process.RESERVOIR) | bellows | (
        _of(parts, Process.SLEEVE) & (parts.style == Style.BELLOWS)
    )  # fmt: skip
    assembly = _of(parts, Process.ASSEMBLY)
    return {
        "WE50": welded,
        "HT58": _of(parts, Process.RESERVOIR) & ((parts.outer_mm >= 200) | (parts.sector == Sector.NUCLEAR)),
        "AS85": _faces(parts)
        & (parts.material == Material.CERAMIC)
        & np.isin(parts.style, (Style.CARTRIDGE, Style.DRY_GAS)),
        "BL78": _of(parts, Process.ROTATING_FACE, Process.SLEEVE)
        & ((parts.style == Style.DRY_GAS) | (parts.outer_mm >= 180)),
        "KT90": _of(parts, Process.KIT),
        "AS90": assembly | (bellows & (parts.style != Style.PUSHER)),
    }  # fmt: skip


def _inspection(parts: Parts) -> dict[str, Flags]:
    nuclear, refinery = parts.sector == Sector.NUCLEAR, parts.sector == Sector.REFINERY
    strict = nuclear | refinery
    assembly = _of(parts, Process.ASSEMBLY)
    pressure = _of(parts, Process.RESERVOIR) | (_of(parts, Process.GLAND) & strict)
    welded = _of(parts, Process.RESERVOIR, Process.BELLOWS)
    return {
        "IN85": (welded & strict) | (_of(parts, Process.GLAND, Process.HOUSING) & nuclear),
        "IN86": _metal(parts) & ((parts.material == Material.ALLOY) | nuclear) & _turned(parts),
        "IN87": pressure,
        "TS92": assembly | (_of(parts, Process.BELLOWS) & ~parts.standard),
        "TS94": assembly & ((parts.style == Style.DRY_GAS) | (nuclear & ~parts.standard)),
        "MK75": (~parts.standard & _metal(parts)) | (assembly & strict),
        "IN80": ~_of(parts, Process.KIT) | strict,
        "IN88": nuclear & _of(parts, Process.ASSEMBLY, Process.RESERVOIR, Process.GLAND),
        "PK95": _of(parts, Process.KIT, Process.O_RING, Process.GASKET) | (assembly & ~refinery),
    }
