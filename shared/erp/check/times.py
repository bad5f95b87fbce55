"""Do booked and planned times agree, and if not, which misreading explains the difference?

For every report that joined a planned step the minutes to expect are computed from the plan as the profile reads it:
`setup + run a piece x quantity`, without the setup where setup is booked apart. Then the same is done as if one thing
had been misread: a unit of time, a run time of a lot taken for that of a piece, a time of a piece taken for that of the
order. A misreading is told only where it explains the reports far better than the profile does.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from shared.erp.check.tables import CheckedTable
from shared.erp.findings import CheckReport, Finding, Severity
from shared.erp.infer.names import time_unit_of
from shared.erp.joins.plan import join_plan
from shared.erp.profiles.model import Profile, RoutingsTable, WorkResultsTable
from shared.erp.units import TimeUnit

_LEAST_REPORTS = 30  # with a plan, before their typical ratio says anything
_FAR_OFF = math.log(2.5)  # the profile is doubted where a typical report is off by more than this factor
_CLEARLY_BETTER = 0.5  # a misreading explains it where it leaves at most this share of the difference
_MOST_JUDGED = 200_000  # reports looked at
_UNIT_FACTORS = {60.0: "60", 1 / 60: "1/60", 3600.0: "3600", 1 / 3600: "1/3600", 1440.0: "1440", 1 / 1440: "1/1440"}
_SEVERAL_PIECES = 2  # from this lot or order on, a lot and a piece can be told apart


@dataclass(frozen=True)
class Misreading:
    """One way in which the times may have been misread, and what it would make of them."""

    field: str
    message: str
    remedy: str
    expected: pl.Expr  # the minutes to expect if it were so
    among: pl.Expr  # the reports that can tell


_S, _P, _Q, _LOT = pl.col("setup"), pl.col("run"), pl.col("quantity"), pl.col("lot")
_ANY = pl.lit(True)  # a literal column


def check_times(tables: Mapping[str, CheckedTable], profile: Profile, report: CheckReport) -> list[Finding]:
    """Return what the times contradict, and put the typical factor between booked and planned into the report."""
    judged = _judged(tables["routings"], tables["work_results"])
    setups = _off(judged.filter(pl.col("booked_setup") > 0, _S > 0), pl.col("booked_setup"), _S)
    report.times = {
        "reports_compared": judged.height,
        "booked_to_planned_run": _typical(judged, pl.col("booked"), _planned(profile)),
        "booked_to_planned_setup": setups.factor,
    }
    if judged.height < _LEAST_REPORTS:
        message = (
            f"{judged.height} report(s) of work can be compared with a planned run time: too few to judge the units."
        )
        remedy = "Make sure of both time_unit by hand; where the source plans times, map run_minutes_per_unit."
        return [Finding(severity=Severity.HINT, field="routings.time_unit", message=message, remedy=remedy)]
    found = _explained(judged, profile, tables["routings"])
    return found or _setup_unit(setups)


@dataclass(frozen=True)
class _Difference:
    reports: int
    factor: float | None
    off: float  # the typical distance from 1 of booked over expected, as a logarithm


def _off(judged: pl.DataFrame, booked: pl.Expr, expected: pl.Expr) -> _Difference:
    ratio = judged.select((booked / expected).log().alias("r")).to_series()
    ratio = ratio.filter(ratio.is_finite())
    if ratio.is_empty():
        return _Difference(0, None, 0.0)
    middle = float(ratio.median())  # type: ignore[arg-type] # it is not empty
    return _Difference(ratio.len(), round(math.exp(middle), 4), float(ratio.abs().median()))  # type: ignore[arg-type]


def _typical(judged: pl.DataFrame, booked: pl.Expr, expected: pl.Expr) -> float | None:
    return _off(judged, booked, expected).factor


def _planned(profile: Profile) -> pl.Expr:
    """Return the minutes that the plan says for the reported quantity, as the profile reads it."""
    return _S + _P * _Q if profile.work_results.undivided_time else _P * _Q


def _judged(routings: CheckedTable, results: CheckedTable) -> pl.DataFrame:
    """Return the reports that joined a planned step with a run time: booked minutes beside the plan."""
    booked, steps = results.frame.head(_MOST_JUDGED), routings.frame
    joined = join_plan(steps, booked).results
    lot = pl.col(routings.lots[0]).cast(pl.Float64, strict=False) if routings.lots else pl.lit(None, dtype=pl.Float64)
    plan = steps.with_row_index("planned_row").select(
        "planned_row",
        pl.col("setup_minutes").fill_null(0.0).alias("setup"),
        pl.col("run_minutes_per_unit").alias("run"),
        lot.alias("lot"),
    )
    both = booked.select(
        pl.col("run_minutes").alias("booked"), pl.col("setup_minutes").alias("booked_setup"), "quantity"
    ).with_columns(joined["planned_row"].cast(pl.UInt32))
    return both.join(plan.with_columns(pl.col("planned_row").cast(pl.UInt32)), on="planned_row", how="inner").filter(
        _P > 0, pl.col("booked") > 0
    )


def _explained(judged: pl.DataFrame, profile: Profile, routings: CheckedTable) -> list[Finding]:
    """Return the misreading that explains the reports best, where one does; else a warning where they are far off."""
    best: tuple[float, Misreading, float | None] | None = None
    for misreading in _misreadings(profile, routings):
        among = judged.filter(misreading.among)
        if among.height < _LEAST_REPORTS:
            continue
        as_read = _off(among, pl.col("booked"), _planned(profile))
        as_meant = _off(among, pl.col("booked"), misreading.expected)
        explains = as_meant.off < min(_FAR_OFF, as_read.off * _CLEARLY_BETTER)
        if as_read.off > _FAR_OFF and explains and (best is None or as_meant.off < best[0]):
            best = (as_meant.off, misreading, as_read.factor)
    if best is not None:
        _, misreading, factor = best
        message = f"Booked times are typically {factor:.3g} times the planned ones: {misreading.message}."
        return [Finding(severity=Severity.ERROR, field=misreading.field, message=message, remedy=misreading.remedy)]
    whole = _off(judged, pl.col("booked"), _planned(profile))
    if whole.off <= 2 * _FAR_OFF or whole.factor is None:
        return []
    message = f"Booked times are typically {whole.factor:.3g} times the planned ones, and no mistaken unit explains it."
    remedy = "Look at the source: are the planned times maintained, and is it the quantity of the same order?"
    return [Finding(severity=Severity.WARNING, field="work_results.time_unit", message=message, remedy=remedy)]


def _misreadings(profile: Profile, routings: CheckedTable) -> Iterator[Misreading]:
    setup = _S if profile.work_results.undivided_time else pl.lit(0.0)
    for factor, shown in _UNIT_FACTORS.items():
        yield Misreading(
            _blamed(profile),
            f"a factor of {shown} is a unit of time that one of the two tables is not in",
            "Correct routings.time_unit or work_results.time_unit: " + _units_said(profile),
            _planned(profile) * factor,
            _ANY,
        )
    yield from _lot_misreadings(profile.routings, routings, setup)
    yield from _order_misreadings(profile.work_results, setup)


def _lot_misreadings(mapping: RoutingsTable, routings: CheckedTable, setup: pl.Expr) -> Iterator[Misreading]:
    several = _LOT >= _SEVERAL_PIECES
    if mapping.run_time == "per_unit" and routings.lots:
        yield Misreading(
            "routings.run_time",
            f"the planned run time covers as many pieces as {routings.lots[0]} says, and is read as that of one piece",
            f"Set routings.run_time: per_lot and routings.lot_quantity: {routings.lots[0]}.",
            setup + _P * _Q / _LOT,
            several,
        )
    if mapping.run_time == "per_lot":
        yield Misreading(
            "routings.run_time",
            "the planned run time is that of one piece already, and is divided by the lot's quantity",
            "Set routings.run_time: per_unit and leave out routings.lot_quantity.",
            setup + _P * _Q * _LOT,
            several,
        )


def _order_misreadings(mapping: WorkResultsTable, setup: pl.Expr) -> Iterator[Misreading]:
    several = _Q >= _SEVERAL_PIECES
    if mapping.run_time == "per_order":
        yield Misreading(
            "work_results.run_time",
            "the booked run time is that of one piece, and is read as that of the whole order",
            "Set work_results.run_time: per_unit.",
            setup + _P,
            several,
        )
    else:
        yield Misreading(
            "work_results.run_time",
            "the booked run time is that of the whole order, and is multiplied with its quantity again",
            "Set work_results.run_time: per_order.",
            (setup + _P * _Q) * _Q,
            several,
        )


_Times = tuple[str, WorkResultsTable | RoutingsTable, str, TimeUnit]


def _time_columns(profile: Profile) -> Iterator[_Times]:
    """Yield each column of times: the table's name and mapping, the field, and the unit it is read in."""
    for table in ("routings", "work_results"):
        mapping: RoutingsTable | WorkResultsTable = getattr(profile, table)
        for field in type(mapping.columns).model_fields:
            if "minutes" in field and getattr(mapping.columns, field) is not None:
                own = mapping.setup_time_unit if field == "setup_minutes" else None
                yield table, mapping, field, own or mapping.time_unit


def _first_name(mapping: WorkResultsTable | RoutingsTable, field: str) -> str:
    return str(getattr(mapping.columns, field)[0])


def _blamed(profile: Profile) -> str:
    """Return the table whose columns' names contradict its time unit, else the work results."""
    for table, mapping, field, unit in _time_columns(profile):
        if time_unit_of(_first_name(mapping, field)) not in (None, unit):
            return f"{table}.time_unit"
    return "work_results.time_unit"


def _units_said(profile: Profile) -> str:
    said = {
        f"{_first_name(mapping, field)} is read in {unit.value}"
        for _, mapping, field, unit in _time_columns(profile)
        if field.startswith("run_minutes")
    }
    return ", ".join(sorted(said)) + "."


def _setup_unit(setups: _Difference) -> list[Finding]:
    if setups.reports < _LEAST_REPORTS or setups.factor is None or setups.off <= _FAR_OFF:
        return []
    for factor, shown in _UNIT_FACTORS.items():
        if abs(math.log(setups.factor / factor)) < _FAR_OFF / 2:
            message = f"Booked setup times are typically {setups.factor:.3g} times the planned ones, near {shown}."
            remedy = "Set setup_time_unit of the table whose setup times are in another unit than its other times."
            return [Finding(severity=Severity.ERROR, field="routings.setup_time_unit", message=message, remedy=remedy)]
    return []


def _states_run(mapping: WorkResultsTable | RoutingsTable) -> bool:
    """Return whether the name of the run times states the unit that they are read in."""
    field = "run_minutes" if isinstance(mapping, WorkResultsTable) else "run_minutes_per_unit"
    return (
        getattr(mapping.columns, field) is not None and time_unit_of(_first_name(mapping, field)) is mapping.time_unit
    )


def check_time_names(profile: Profile, tables: Mapping[str, CheckedTable]) -> list[Finding]:
    """Return the columns whose name states another unit of time than the one they are read in."""
    found = []
    for table, mapping, field, unit in _time_columns(profile):
        if table not in tables or (mapping.time_unit_column is not None and unit is mapping.time_unit):
            continue
        column = tables[table].column(getattr(mapping.columns, field))
        stated = time_unit_of(column)
        if stated is not None and stated is not unit:
            apart = field == "setup_minutes" and (mapping.setup_time_unit is not None or _states_run(mapping))
            at = f"{table}.setup_time_unit" if apart else f"{table}.time_unit"
            message = f"{column} is read in {unit.value}, and its name says {stated.value}."
            remedy = f"Set {at}: {stated.value}, unless the name is wrong."
            found.append(Finding(severity=Severity.WARNING, field=at, message=message, remedy=remedy))
    return found
