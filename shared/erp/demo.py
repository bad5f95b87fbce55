"""Generating the demo factory: a maker of seals whose routings follow from its items' attributes, dirt included.

The files have the shape of a real ERP's views. What is true (routing, times, the rates of every disturbance) lies apart
in `truth/`, where no profile reads, so that a prediction can be scored against it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from shared.erp.demo_plan import STEPS
from shared.erp.demo_shop import LEARNING_POWER, RATES, Routings, build_results, build_routings
from shared.erp.demo_views import DIRT, item_view, result_view, routing_view
from shared.erp.demo_world import FIRST_DAY, LAST_DAY, World, build_world, item_codes
from shared.errors import InvalidInput
from shared.platform import write_atomically

VERSION = 1  # rises whenever the same count and seed no longer give the same bytes
ITEMS, ROUTINGS, RESULTS = "BI_ITEM_INFO_VIEW", "BI_ROUTING_VIEW", "BI_WORK_ORDER_RESULTS"
SMALLEST = 50

Progress = Callable[[float, str], None]


def generate_demo(
    folder: Path, *, items: int = 5000, seed: int = 42, progress: Progress | None = None
) -> dict[str, object]:
    """Write the demo factory's files, the same bytes for the same count and seed.

    Args:
        folder: where the three views are written as CSV, and `truth/` below it; existing files are replaced.
        items: how many items the factory has, at least 50.
        seed: what chance starts from.
        progress: called with the share done (0 to 1) and what is being done.

    Returns:
        The document that is also written as `truth/demo.json`: rows of each view, rates, and the shares that say how
        hard the factory is.

    Raises:
        InvalidInput: fewer than 50 items, or a negative seed.
    """
    if items < SMALLEST or seed < 0:
        raise InvalidInput(
            f"A demo factory of {items} items with seed {seed} cannot be made.",
            remedy=f"Ask for at least {SMALLEST} items and a seed of 0 or more.",
        )
    tell = progress or (lambda _share, _step: None)
    tell(0.0, "items")
    world = build_world(items, seed)
    codes = item_codes(world)
    view, spoilt_items = item_view(world, codes, seed)
    _write(folder / f"{ITEMS}.csv", view)
    tell(0.2, "routings")
    routings = build_routings(world, seed)
    steps, spoilt_routings = routing_view(world, routings, codes, view, seed)
    _write(folder / f"{ROUTINGS}.csv", steps)
    tell(0.5, "work results")
    results = build_results(world, routings, seed)
    booked, spoilt_results = result_view(routings, results, codes, _current_numbers(steps, codes), seed)
    _write(folder / f"{RESULTS}.csv", booked)
    tell(0.9, "truth")
    rows = {ITEMS: view.height, ROUTINGS: steps.height, RESULTS: booked.height}
    dirt = {ITEMS: spoilt_items, ROUTINGS: spoilt_routings, RESULTS: spoilt_results}
    document = _write_truth(folder / "truth", world, routings, codes, {"items": items, "seed": seed}, rows, dirt)
    tell(1.0, "done")
    return document


def _write(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, frame.write_csv().encode())


def _current_numbers(steps: pl.DataFrame, codes: pl.Series) -> pl.Series:
    newest = steps.group_by("ITEM_CD").agg(pl.col("ROUT_NO").max())
    return codes.to_frame("ITEM_CD").join(newest, on="ITEM_CD", how="left", maintain_order="left")["ROUT_NO"]


def _signatures(steps: np.ndarray) -> pl.Series:
    """Return each item's operation codes in order, joined by `>`."""
    item, step = np.nonzero(steps)
    long = pl.DataFrame({"item": item, "code": pl.Series([each.code for each in STEPS]).gather(pl.Series(step))})
    return long.group_by("item", maintain_order=True).agg(pl.col("code").str.join(">"))["code"]


def _write_truth(
    folder: Path,
    world: World,
    routings: Routings,
    codes: pl.Series,
    asked: dict[str, int],
    rows: dict[str, int],
    dirt: dict[str, dict[str, int]],
) -> dict[str, object]:
    signature = _signatures(routings.actual)
    rule = _signatures(routings.rules)
    true_items = pl.DataFrame(
        {
            "item_code": codes,
            "created_day": world.created_day,
            "has_routing": routings.routed,
            "true_signature": signature,
            "rule_signature": rule,
            "outer_mm": world.parts.outer_mm,
        }
    )
    true_steps = pl.DataFrame(
        {
            "item_code": codes.gather(pl.Series(routings.item)),
            "sequence": 10 * (routings.position + 1),
            "operation_code": pl.Series([step.code for step in STEPS]).gather(pl.Series(routings.step)),
            "setup_minutes": routings.setup_minutes,
            "run_minutes_per_unit": routings.run_minutes,
            "noise_cv": np.round(routings.noise_cv, 4),
        }
    )
    _write(folder / "items.csv", true_items)
    _write(folder / "routings.csv", true_steps)
    document: dict[str, object] = {
        "generator_version": VERSION,
        **asked,
        "first_day": FIRST_DAY.isoformat(),
        "last_day": LAST_DAY.isoformat(),
        "rows": rows,
        "items_with_routing": int(routings.routed.sum()),
        "distinct_routings": signature.n_unique(),
        "rules_are_right": round(float(routings.rule_is_right.mean()), 4),
        "learning_power": LEARNING_POWER,
        "rates": RATES,
        "dirt_rates": DIRT,
        "dirt_applied": dirt,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    write_atomically(folder / "demo.json", f"{text}\n".encode())
    return document
