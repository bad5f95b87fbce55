"""The operations that a model knows: how often each is planned, where, and what is usually planned for it.

Worked out once for a model, when somebody first asks: a third of a second for 321,000 items.
"""

from collections import defaultdict
from functools import cached_property
from typing import Any

import polars as pl

from shared.prediction.answers import KnownOperation, KnownWorkCentre
from shared.prediction.memory import RUN, SETUP, Routings

MOST_WORK_CENTRES = 20  # of one operation that are told


class KnownOperations:
    """Tells and finds the operations of a model's routings; safe to use from many threads."""

    def __init__(self, routings: Routings) -> None:
        """Take the current routings."""
        self._routings = routings

    def find(self, query: str, *, limit: int, offset: int) -> tuple[list[KnownOperation], int]:
        """Return operations whose code or name holds `query` (any case), and how many there are.

        First come those whose code begins so, then the more frequent.
        """
        wanted = query.strip().casefold()
        if not wanted:
            return self._all[offset : offset + limit], len(self._all)
        found = [
            (not code.startswith(wanted), place)
            for place, (code, name) in enumerate(self._texts)
            if wanted in code or wanted in name
        ]
        shown = sorted(found)[offset : offset + limit]
        return [self._all[place] for _, place in shown], len(found)

    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        return [(each.operation_code.casefold(), (each.operation_name or "").casefold()) for each in self._all]

    @cached_property
    def _all(self) -> list[KnownOperation]:
        """Return every operation, the most frequent first."""
        steps = self._steps()
        names, centres = self._names(steps), self._work_centres(steps)
        rows = steps.group_by("operation").agg(
            pl.col("first").sum().alias("items"), pl.len().alias("steps"), pl.col("setup").median(),
            pl.col("run").median(), (pl.col("inside") == 1).sum().alias("inhouse"),
            (pl.col("inside") == 0).sum().alias("outsourced"),
        )  # fmt: skip
        rows = rows.with_columns(pl.Series("code", self._routings.operations).gather(rows["operation"]))
        return [
            KnownOperation(
                operation_code=row["code"], operation_name=names.get(row["operation"]), items=row["items"],
                steps=row["steps"], setup_minutes=row["setup"], run_minutes_per_unit=row["run"],
                work_centres=centres[row["operation"]], **_where(row),
            )
            for row in rows.sort("items", "code", descending=[True, False]).iter_rows(named=True)
        ]  # fmt: skip

    def _steps(self) -> pl.DataFrame:
        of = self._routings
        return pl.DataFrame(
            {
                "operation": of.operation, "first": of.occurrence == 0, "resource": of.resource,
                "inside": of.inside, "name": of.operation_name, "setup": of.times[:, SETUP], "run": of.times[:, RUN],
            }
        ).with_columns(pl.col("setup", "run").fill_nan(None))  # fmt: skip

    def _names(self, steps: pl.DataFrame) -> dict[int, str]:
        known = steps.filter(pl.col("name") >= 0).group_by("operation", "name").len()
        best = known.sort("operation", "len", "name", descending=[False, True, False]).unique("operation", keep="first")
        return {row["operation"]: self._routings.operation_names[row["name"]] for row in best.iter_rows(named=True)}

    def _work_centres(self, steps: pl.DataFrame) -> dict[int, list[KnownWorkCentre]]:
        known = steps.filter(pl.col("resource") >= 0).group_by("operation", "resource").len()
        ranked = known.sort("operation", "len", "resource", descending=[False, True, False])
        centres: dict[int, list[KnownWorkCentre]] = defaultdict(list)
        of = self._routings
        told = ranked.group_by("operation", maintain_order=True).head(MOST_WORK_CENTRES)
        for operation, resource, count in told.select("operation", "resource", "len").iter_rows():
            name = of.resource_names[resource]
            centres[operation].append(
                KnownWorkCentre(resource_code=of.resources[resource], resource_name=name, steps=count)
            )
        return centres


def _where(row: dict[str, Any]) -> dict[str, Any]:
    said = row["inhouse"] + row["outsourced"]
    if not said:
        return {"inside": None, "outsourced_share": None}
    return {"inside": row["inhouse"] >= row["outsourced"], "outsourced_share": row["outsourced"] / said}
