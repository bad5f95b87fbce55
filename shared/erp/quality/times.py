"""Booked against planned times of joined steps: a typical factor near a unit's betrays a wrong unit."""

from typing import Any

import polars as pl

from shared.erp.joins.plan import PlanJoin
from shared.erp.joins.report import share

# A factor between planned and booked time near one of these betrays a wrong unit in the profile or the source.
_UNITS = {
    60.0: "minutes and hours",
    1 / 60: "hours and minutes",
    3600.0: "seconds and hours",
    1 / 3600: "hours and seconds",
}
_TOLERANCE = 1.6  # the typical factor may differ from a unit's by this much either way
_LEAST_STEPS = 30  # planned steps with actuals before a factor is judged
_SHOWN = 50  # operations, those with the oddest factor first


def check_times(routings: pl.DataFrame, results: pl.DataFrame, join: PlanJoin) -> dict[str, Any]:
    """Return the typical ratio of booked to planned run time a piece, overall and by operation.

    `apart` counts the single results whose ratio is a unit's factor away from what is usual for their operation: hours
    typed where minutes are asked for, or the other way round.
    """
    ratios = _ratios(routings, results, join)
    steps = ratios["planned_row"].n_unique()
    typical = _median(ratios["ratio"])
    by_operation = _by_operation(ratios)
    return {
        "joined_operations": steps,
        "booked_to_planned_median": typical,
        "setup_booked_to_planned_median": _median(ratios["setup_ratio"].drop_nulls()),
        "warning": _warning("booked run times are", typical, steps),
        "operations": by_operation,
        "apart": _apart(ratios),
    }


def _ratios(routings: pl.DataFrame, results: pl.DataFrame, join: PlanJoin) -> pl.DataFrame:
    plan = routings.select("operation_code", "run_minutes_per_unit", "setup_minutes").with_row_index("planned_row")
    booked = results.select(
        (pl.col("run_minutes") / pl.col("quantity")).alias("run"), pl.col("setup_minutes").alias("setup")
    )
    joined = pl.concat([booked, join.results.select("planned_row")], how="horizontal").filter(pl.col("run") > 0)
    planned = plan.filter(pl.col("run_minutes_per_unit") > 0)
    return joined.join(planned, on="planned_row").select(
        "planned_row",
        "operation_code",
        (pl.col("run") / pl.col("run_minutes_per_unit")).alias("ratio"),
        pl.when(pl.col("setup_minutes") > 0, pl.col("setup") > 0)
        .then(pl.col("setup") / pl.col("setup_minutes"))
        .alias("setup_ratio"),
    )


def _median(ratios: pl.Series) -> float | None:
    middle = ratios.median()
    return None if middle is None else round(float(middle), 6)  # type: ignore[arg-type]  # of numbers


def _warning(what: str, ratio: float | None, steps: int) -> str | None:
    if ratio is None or steps < _LEAST_STEPS:
        return None
    for factor, units in _UNITS.items():
        if factor / _TOLERANCE <= ratio <= factor * _TOLERANCE:
            return f"{what} about {ratio:.3g} times the planned ones: check {units} in the profile"
    return None


def _by_operation(ratios: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the operations by how far their typical ratio is from 1, the farthest first."""
    grouped = (
        ratios.group_by("operation_code")
        .agg(
            pl.len().alias("work_results"),
            pl.col("planned_row").n_unique().alias("steps"),
            pl.col("ratio").median().round(6).alias("median"),
            pl.col("ratio").quantile(0.1).round(6).alias("low"),
            pl.col("ratio").quantile(0.9).round(6).alias("high"),
        )
        .sort([pl.col("median").log().abs(), "operation_code"], descending=[True, False])
    )
    told = []
    for entry in grouped.head(_SHOWN).iter_rows(named=True):
        what = f"booked run times of {entry['operation_code']} are"
        told.append(entry | {"warning": _warning(what, entry["median"], entry["steps"])})
    return told


def _apart(ratios: pl.DataFrame) -> list[dict[str, Any]]:
    usual = pl.col("ratio").median().over("operation_code")
    relative = ratios.select((pl.col("ratio") / usual).alias("relative"))["relative"]
    found = []
    for factor, units in _UNITS.items():
        count = int(relative.is_between(factor / _TOLERANCE, factor * _TOLERANCE).sum())
        if count:
            found.append(
                {"factor": round(factor, 6), "units": units, "count": count, "share": share(count, relative.len())}
            )
    return found
