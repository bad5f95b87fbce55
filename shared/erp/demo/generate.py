"""Generating the demo factory: a maker of seals whose routings follow from its items' attributes, dirt included.

The files have the shape of a real ERP's views. What is true (routing, times, the rates of every disturbance) lies apart
in `truth/`, where no profile reads, so that a prediction can be scored against it. `docs/DEMO.md` describes it.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shared.erp.demo.dirt import DIRT, Dirt
from shared.erp.demo.files import PART_ROWS, Written, parts_of, write_csv, write_json
from shared.erp.demo.floor import (
    ALTERNATE_FACTOR,
    LEARNING_POWER,
    SETUP_SIGMA,
    STOPPAGE_MINUTES,
    Results,
    build_results,
)
from shared.erp.demo.item_view import item_rows
from shared.erp.demo.plan import STEPS, Flags, Indexes
from shared.erp.demo.result_view import result_rows
from shared.erp.demo.routing_view import routing_rows
from shared.erp.demo.shop import DRAWING_SIGMA, RATES, Routings, build_routings
from shared.erp.demo.versions import Planned, Versions, build_versions, planned_steps
from shared.erp.demo.world import FIRST_DAY, LAST_DAY, World, build_world, item_codes
from shared.errors import InvalidInput

VERSION = 2  # rises whenever the same count and seed no longer give the same bytes
ITEMS, ROUTINGS, RESULTS = "BI_ITEM_INFO_VIEW", "BI_ROUTING_VIEW", "BI_WORK_ORDER_RESULTS"
SMALLEST = 50

Progress = Callable[[float, str], None]


def generate_demo(
    folder: Path, *, items: int = 5000, seed: int = 42, progress: Progress | None = None, part_rows: int = PART_ROWS
) -> dict[str, Any]:
    """Write the demo factory's files, the same bytes for the same count and seed.

    Args:
        folder: where the three views are written as CSV, and `truth/` below it; existing files are replaced.
        items: how many items the factory has, at least 50.
        seed: what chance starts from.
        progress: called with the share done (0 to 1) and what is being done.
        part_rows: how many rows of a view are in memory as text at a time; it changes no byte.

    Returns:
        The document that is also written as `truth/demo.json`: rows and SHA-256 of each view, rates, and the shares
        that say how hard the factory is.

    Raises:
        InvalidInput: fewer than 50 items, or a negative seed.
    """
    if items < SMALLEST or seed < 0:
        raise InvalidInput(
            f"A demo factory of {items} items with seed {seed} cannot be made.",
            remedy=f"Ask for at least {SMALLEST} items and a seed of 0 or more.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    tell = progress or (lambda _share, _step: None)
    return _Factory(folder, items, seed, tell, part_rows).write()


def parameters() -> dict[str, Any]:
    """Return the rates and constants of chance, which `truth/demo.json` repeats and the frozen difficulty holds."""
    return {
        "rates": dict(RATES),
        "dirt_rates": dict(DIRT),
        "learning_power": LEARNING_POWER,
        "alternate_factor": ALTERNATE_FACTOR,
        "drawing_sigma": DRAWING_SIGMA,
        "setup_sigma": SETUP_SIGMA,
        "stoppage_minutes": STOPPAGE_MINUTES,
    }


@dataclass
class _Factory:
    """One generation: the numbers first, all at once; then their texts, a part at a time."""

    folder: Path
    items: int
    seed: int
    tell: Progress
    part_rows: int

    def write(self) -> dict[str, Any]:
        self.tell(0.0, "items")
        self.world = build_world(self.items, self.seed)
        self.codes = item_codes(self.world)
        dirt = {name: Dirt(self.seed, name) for name in (ITEMS, ROUTINGS, RESULTS)}
        files = {ITEMS: self._file(ITEMS, self._item_parts(dirt[ITEMS]))}
        self.tell(0.1, "routings")
        self.routings = build_routings(self.world, self.seed)
        self.versions = build_versions(self.routings, self.seed)
        files[ROUTINGS] = self._file(ROUTINGS, self._routing_parts(dirt[ROUTINGS]))
        self.tell(0.6, "work results")
        results = build_results(self.world, self.routings, self.versions, self.seed)
        files[RESULTS] = self._file(RESULTS, self._result_parts(results, dirt[RESULTS]))
        self.tell(0.9, "truth")
        document = self._document(files, results, {name: each.done for name, each in dirt.items()})
        write_truth(self.folder / "truth", self.world, self.routings, self.versions, self.codes)
        write_json(self.folder / "truth" / "demo.json", document)
        self.tell(1.0, "done")
        return document

    def _file(self, name: str, parts: Iterator[pl.DataFrame]) -> Written:
        return write_csv(self.folder / f"{name}.csv", parts)

    def _item_parts(self, dirt: Dirt) -> Iterator[pl.DataFrame]:
        copied = []
        for start, stop in parts_of(self.items, self.part_rows):
            rows, copy = item_rows(self.world.rows(start, stop), self.codes[start:stop], dirt)
            copied.append(copy)
            yield rows
        self.copied = pl.concat(copied)

    def _routing_parts(self, dirt: Dirt) -> Iterator[pl.DataFrame]:
        planned = planned_steps(self.routings, self.versions)
        rows = len(planned.entry)
        for start, stop in parts_of(rows, self.part_rows):
            part = Planned(entry=planned.entry[start:stop], version=planned.version[start:stop])
            yield routing_rows(self.world, self.routings, self.versions, part, self.codes, self.copied, dirt)
            self.tell(0.15 + 0.45 * stop / max(rows, 1), "routings")

    def _result_parts(self, results: Results, dirt: Dirt) -> Iterator[pl.DataFrame]:
        rows = len(results.entry)
        for start, stop in parts_of(rows, self.part_rows):
            yield result_rows(self.routings, results, start, stop, self.codes, dirt)
            self.tell(0.65 + 0.25 * stop / max(rows, 1), "work results")

    def _document(self, files: dict[str, Written], results: Results, dirt: dict[str, dict[str, int]]) -> dict[str, Any]:
        routed, actual = self.routings.routed, self.routings.actual
        return {
            "generator_version": VERSION,
            "items": self.items,
            "seed": self.seed,
            "first_day": FIRST_DAY.isoformat(),
            "last_day": LAST_DAY.isoformat(),
            "rows": {name: file.rows for name, file in files.items()},
            "files": {f"{name}.csv": asdict(file) for name, file in files.items()},
            "items_with_routing": int(routed.sum()),
            "items_revised": int(self.versions.revised.sum()),
            "items_with_alternate": int(self.versions.alternate.sum()),
            "distinct_routings": len(np.unique(_signature_keys(actual))),
            "rules_are_right": round(float((self.routings.rules == actual).all(axis=1).mean()), 4),
            **parameters(),
            "happened": results.counts,
            "dirt_applied": dirt,
        }


def _signature_keys(steps: Flags) -> Indexes:
    """Return one number for each combination of steps."""
    return np.asarray(steps @ (1 << np.arange(len(STEPS), dtype=np.int64)), dtype=np.int64)


def _signatures(steps: Flags) -> pl.Series:
    """Return each item's operation codes in order, joined by `>`."""
    _, first, inverse = np.unique(_signature_keys(steps), return_index=True, return_inverse=True)
    texts = [">".join(STEPS[step].code for step in np.flatnonzero(steps[row])) for row in first]
    return pl.Series(texts).gather(pl.Series(inverse))


def write_truth(folder: Path, world: World, routings: Routings, versions: Versions, codes: pl.Series) -> None:
    """Write what is true of every item and of every step of its routing, as `demo_truth.load_truth` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    items = pl.DataFrame(
        {
            "item_code": codes,
            "part_type": pl.Series(world.type_codes).gather(pl.Series(world.part_type)),
            "created_day": world.created_day,
            "has_routing": routings.routed,
            "revised": versions.revised,
            "has_alternate": versions.alternate,
            "true_signature": _signatures(routings.actual),
            "rule_signature": _signatures(routings.rules),
            "outer_mm": world.parts.outer_mm,
        }
    )
    write_csv(folder / "items.csv", items.iter_slices(PART_ROWS))
    steps = pl.DataFrame(
        {
            "item_code": codes.gather(pl.Series(routings.item)),
            "sequence": 10 * (routings.position + 1),
            "operation_code": pl.Series([step.code for step in STEPS]).gather(pl.Series(routings.step)),
            "setup_minutes": routings.setup_minutes,
            "run_minutes_per_unit": routings.run_minutes,
            "run_minutes_from_attributes": routings.run_from_attributes,
            "noise_cv": np.round(routings.noise_cv, 4),
        }
    )
    write_csv(folder / "routings.csv", steps.iter_slices(PART_ROWS))
