"""The demo factory's true routings: which steps each item really goes through, where, and how long they take."""

from dataclasses import dataclass

import numpy as np

from shared.erp.demo.plan import OPTIONAL, STEP_AT, STEPS, Flags, Indexes, Material, Numbers, Process, plan
from shared.erp.demo.world import DAYS, World

TYPE_HABITS = np.array([STEP_AT[code] for code in ("MC25", "GR30", "MC20", "DB70", "HT55", "LP42", "MK75", "IN85")])
EXCEPTIONS = np.array([STEP_AT[code] for code in ("MC25", "GR32", "HT55", "BL78", "IN85", "MC20")])
# Shares of what happens in planning and on the floor; truth/demo.json repeats them.
RATES: dict[str, float] = {
    "type_habit": 0.35,
    "item_exception_small": 0.025,
    "item_exception_large": 0.015,
    "no_routing_when_new": 0.70,
    "no_routing_otherwise": 0.04,
    "revised_routing": 0.10,
    "step_added_by_revision": 0.15,
    "older_numbers_by_five": 0.30,
    "alternate_routing": 0.08,
    "alternate_is_outsourced": 0.50,
    "other_work_centre_planned": 0.10,
    "other_work_centre_used": 0.15,
    "order_on_alternate": 0.30,
    "older_numbers_after_revision": 0.10,
    "older_order_under_current_no": 0.30,
    "step_not_reported": 0.03,
    "reported_late": 0.02,
    "reported_twice": 0.0005,
    "orders_an_item": 1.185,
    "stoppage": 0.04,
    "outlier": 0.006,
    "hours_typed_as_minutes": 0.002,
}
NEW_ITEM_DAYS = 45
LOWEST_CV, HIGHEST_CV = 0.18, 0.33  # of a piece's run time about its true mean, by part type
DRAWING_SIGMA = 0.15  # how far a drawing's run times lie from what its attributes say, in logarithms
_HARDNESS = np.array([1.0, 1.0, 1.6, 1.7, 0.8, 0.7, 0.8])  # run time by material group
_WORKED = np.array([step.code[:2] in ("CU", "MC", "GR", "LP") for step in STEPS])


@dataclass(frozen=True, kw_only=True)
class Routings:
    """Every step of every item's true routing, in order of making; one entry a step unless said otherwise."""

    item: Indexes
    step: Indexes
    position: Indexes  # 0, 1, ... within the item
    resource: Indexes
    setup_minutes: Numbers  # true mean of one order
    run_minutes: Numbers  # true mean of one piece
    run_from_attributes: Numbers  # what the item's attributes alone say of it
    noise_cv: Numbers
    planned_setup_minutes: Numbers
    planned_run_minutes: Numbers
    first_step: Indexes  # an item's first entry
    steps: Indexes  # an item's number of entries
    rules: Flags  # items x steps: what the rules say
    actual: Flags  # items x steps: what is done
    routed: Flags  # one entry an item: the ERP has a routing
    written_day: Indexes  # one entry an item: when its first routing was written


def _flip(steps: Flags, rows: Indexes, columns: Indexes) -> Flags:
    flipped = steps.copy()
    flipped[rows, columns] = ~flipped[rows, columns]
    empty = np.flatnonzero(~flipped.any(axis=1))
    flipped[empty, STEP_AT["IN80"]] = True
    return flipped


def rules_of(world: World, seed: int) -> Flags:
    """Return what the factory's rules say for each item: the plan, with the habits of each part type."""
    rng = np.random.default_rng([seed, 2])
    types = len(world.type_codes)
    has_habit = rng.random(types) < RATES["type_habit"]
    habit = TYPE_HABITS[rng.integers(0, len(TYPE_HABITS), types)]
    machined = ~np.isin(world.type_process, (Process.ASSEMBLY, Process.KIT, Process.O_RING, Process.SPRING))
    habit = np.where(machined, habit, OPTIONAL[rng.integers(0, len(OPTIONAL), types)])
    rows = np.flatnonzero(has_habit[world.part_type])
    return _flip(plan(world.parts), rows, habit[world.part_type[rows]])


def _practice(world: World, rules: Flags, rng: np.random.Generator) -> Flags:
    """Return what is really done: the rules, but for the habits of drawings and the exceptions of items."""
    count = world.parts.count
    quirky = np.flatnonzero(world.quirk >= 0)
    done = _flip(rules, quirky, world.quirk[quirky])
    small = np.flatnonzero(rng.random(count) < RATES["item_exception_small"])
    done = _flip(done, small, OPTIONAL[rng.integers(0, len(OPTIONAL), len(small))])
    large = np.flatnonzero(rng.random(count) < RATES["item_exception_large"])
    return _flip(done, large, EXCEPTIONS[rng.integers(0, len(EXCEPTIONS), len(large))])


def build_routings(world: World, seed: int, own_rules: Flags | None = None) -> Routings:
    """Return every item's true routing and times; the same for the same world and seed.

    `own_rules` (items x steps) stand in for the factory's rules.
    """
    rng = np.random.default_rng([seed, 3])
    rules = rules_of(world, seed) if own_rules is None else own_rules
    actual = _practice(world, rules, rng)
    item, step = np.nonzero(actual)
    steps = actual.sum(axis=1)
    first = np.concatenate([[0], np.cumsum(steps)[:-1]])
    is_new = world.created_day > DAYS - NEW_ITEM_DAYS
    share = np.where(is_new, RATES["no_routing_when_new"], RATES["no_routing_otherwise"])
    setup, run, run_from_attributes = _true_times(world, item, step, rng)
    rows = len(item)
    bias = np.exp(rng.normal(0.05, 0.2, len(STEPS)))[step]
    cv_of_type = rng.uniform(LOWEST_CV, HIGHEST_CV, len(world.type_codes))
    return Routings(
        item=item,
        step=step,
        position=np.arange(rows) - first[item],
        resource=_work_centres(world, item, step, rng),
        setup_minutes=setup,
        run_minutes=run,
        run_from_attributes=run_from_attributes,
        noise_cv=cv_of_type[world.part_type[item]],
        planned_setup_minutes=np.maximum(np.round(setup * bias * np.exp(rng.normal(0, 0.2, rows)) / 5) * 5, 5),
        planned_run_minutes=run * bias * np.exp(rng.normal(0, 0.15, rows)),
        first_step=first,
        steps=steps,
        rules=rules,
        actual=actual,
        routed=rng.random(world.parts.count) >= share,
        written_day=np.minimum(world.created_day + rng.integers(2, 15, world.parts.count), DAYS),
    )


def _true_times(
    world: World, item: Indexes, step: Indexes, rng: np.random.Generator
) -> tuple[Numbers, Numbers, Numbers]:
    """Return each step's mean setup, its mean run time a piece, and the latter as far as attributes tell it."""
    parts = world.parts
    of_process = np.exp(rng.normal(0, 0.3, (len(Process), len(STEPS))))[parts.process[item], step]
    of_drawing = np.exp(rng.normal(0, DRAWING_SIGMA, int(world.drawing.max()) + 1))[world.drawing[item]]
    power = np.array([each.size_power for each in STEPS])[step]
    size = np.clip(parts.outer_mm[item] / 60.0, 0.15, 20.0) ** power
    hardness = np.where(_WORKED[step], _HARDNESS[parts.material[item]], 1.0)
    small = np.where(np.isin(parts.process[item], (Process.PIN, Process.SPRING)), 0.25, 1.0)
    run = np.array([each.run_minutes for each in STEPS])[step] * of_process * size * hardness * small
    alloy = np.where(parts.material[item] == Material.ALLOY, 1.2, 1.0)
    setup = np.array([each.setup_minutes for each in STEPS])[step] * np.sqrt(of_process) * alloy
    typical = run * np.exp(DRAWING_SIGMA**2 / 2)
    return np.round(setup, 2), np.round(np.maximum(run * of_drawing, 0.02), 4), np.round(np.maximum(typical, 0.02), 4)


def _work_centres(world: World, item: Indexes, step: Indexes, rng: np.random.Generator) -> Indexes:
    """Return each step's work centre: by the part's size, now and then another one."""
    centres = np.array([each.resources for each in STEPS])[step]
    size = np.searchsorted(np.array([60.0, 120.0, 220.0]), world.parts.outer_mm[item], side="right")
    usual = np.minimum(size * centres // 4, centres - 1)
    other = rng.random(len(item)) < RATES["other_work_centre_planned"]
    return np.asarray(np.where(other, (rng.random(len(item)) * centres).astype(np.int64), usual), dtype=np.int64)
