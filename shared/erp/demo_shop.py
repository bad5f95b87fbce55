"""The demo factory's shop floor: each item's true routing and times, and the work orders that were done."""

from dataclasses import dataclass

import numpy as np

from shared.erp.demo_plan import OPTIONAL, STEP_AT, STEPS, Flags, Indexes, Material, Numbers, Process, plan
from shared.erp.demo_world import DAYS, World

TYPE_HABITS = np.array([STEP_AT[code] for code in ("MC25", "GR30", "MC20", "DB70", "HT55", "LP42", "MK75", "IN85")])
EXCEPTIONS = np.array([STEP_AT[code] for code in ("MC25", "GR32", "HT55", "BL78", "IN85", "MC20")])
# Rates of what happens on the floor; truth/demo.json repeats them.
RATES: dict[str, float] = {
    "type_habit": 0.35,
    "item_exception_small": 0.025,
    "item_exception_large": 0.015,
    "other_work_centre_planned": 0.10,
    "other_work_centre_used": 0.15,
    "step_not_reported": 0.03,
    "orders_an_item": 1.9,
    "stoppage": 0.04,
    "outlier": 0.006,
    "hours_typed_as_minutes": 0.002,
    "no_routing_when_new": 0.70,
    "no_routing_otherwise": 0.04,
    "revised_routing": 0.08,
}
NEW_ITEM_DAYS = 45
LEARNING_POWER = -0.07  # each repeated order of an item runs faster: (orders before + 1) to this power
_HARDNESS = np.array([1.0, 1.0, 1.6, 1.7, 0.8, 0.7, 0.8])  # run time by material group
_WORKED = np.array([step.code[:2] in ("CU", "MC", "GR", "LP") for step in STEPS])


@dataclass(frozen=True, kw_only=True)
class Routings:
    """Every step of every item's true routing, in order of making; one entry a step."""

    item: Indexes
    step: Indexes
    position: Indexes  # 0, 1, ... within the item
    resource: Indexes
    setup_minutes: Numbers  # true mean of one order
    run_minutes: Numbers  # true mean of one piece
    noise_cv: Numbers
    planned_setup_minutes: Numbers
    planned_run_minutes: Numbers
    first_step: Indexes  # an item's first entry
    steps: Indexes  # an item's number of entries
    rule_is_right: Flags  # one entry an item: the routing is exactly what the rules say
    rules: Flags  # items x steps: what the rules say
    actual: Flags  # items x steps: what is done
    routed: Flags  # one entry an item: the ERP has a routing
    created_day: Indexes  # one entry an item: when the routing was written


@dataclass(frozen=True, kw_only=True)
class Results:
    """Reported work, one entry a step of an order; minutes."""

    entry: Indexes  # into Routings
    order: Indexes
    day: Indexes
    quantity: Indexes
    bad_quantity: Indexes
    resource: Indexes
    setup_minutes: Numbers
    run_minutes: Numbers


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


def build_routings(world: World, seed: int) -> Routings:
    """Return every item's true routing and times; the same for the same world and seed."""
    rng = np.random.default_rng([seed, 3])
    rules = rules_of(world, seed)
    actual = _practice(world, rules, rng)
    item, step = np.nonzero(actual)
    steps = actual.sum(axis=1)
    first = np.concatenate([[0], np.cumsum(steps)[:-1]])
    is_new = world.created_day > DAYS - NEW_ITEM_DAYS
    share = np.where(is_new, RATES["no_routing_when_new"], RATES["no_routing_otherwise"])
    setup, run = _true_times(world, item, step, rng)
    rows = len(item)
    bias = np.exp(rng.normal(0.05, 0.2, len(STEPS)))[step]
    cv_of_type = rng.uniform(0.15, 0.40, len(world.type_codes))
    return Routings(
        item=item,
        step=step,
        position=np.arange(rows) - first[item],
        resource=_work_centres(world, item, step, rng),
        setup_minutes=setup,
        run_minutes=run,
        noise_cv=cv_of_type[world.part_type[item]],
        planned_setup_minutes=np.maximum(np.round(setup * bias * np.exp(rng.normal(0, 0.2, rows)) / 5) * 5, 5),
        planned_run_minutes=run * bias * np.exp(rng.normal(0, 0.15, rows)),
        first_step=first,
        steps=steps,
        rule_is_right=(rules == actual).all(axis=1),
        rules=rules,
        actual=actual,
        routed=rng.random(world.parts.count) >= share,
        created_day=np.minimum(world.created_day + rng.integers(2, 15, world.parts.count), DAYS),
    )


def _true_times(world: World, item: Indexes, step: Indexes, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    parts = world.parts
    of_process = np.exp(rng.normal(0, 0.3, (len(Process), len(STEPS))))[parts.process[item], step]
    of_drawing = np.exp(rng.normal(0, 0.15, int(world.drawing.max()) + 1))[world.drawing[item]]
    power = np.array([each.size_power for each in STEPS])[step]
    size = np.clip(parts.outer_mm[item] / 60.0, 0.15, 20.0) ** power
    hardness = np.where(_WORKED[step], _HARDNESS[parts.material[item]], 1.0)
    small = np.where(np.isin(parts.process[item], (Process.PIN, Process.SPRING)), 0.25, 1.0)
    run = np.array([each.run_minutes for each in STEPS])[step] * of_process * of_drawing * size * hardness * small
    alloy = np.where(parts.material[item] == Material.ALLOY, 1.2, 1.0)
    setup = np.array([each.setup_minutes for each in STEPS])[step] * np.sqrt(of_process) * alloy
    return np.round(setup, 2), np.round(np.maximum(run, 0.02), 4)


def _work_centres(world: World, item: Indexes, step: Indexes, rng: np.random.Generator) -> Indexes:
    """Return each step's work centre: by the part's size, now and then another one."""
    centres = np.array([each.resources for each in STEPS])[step]
    size = np.searchsorted(np.array([60.0, 120.0, 220.0]), world.parts.outer_mm[item], side="right")
    usual = np.minimum(size * centres // 4, centres - 1)
    other = rng.random(len(item)) < RATES["other_work_centre_planned"]
    return np.asarray(np.where(other, (rng.random(len(item)) * centres).astype(np.int64), usual), dtype=np.int64)


def build_results(world: World, routings: Routings, seed: int) -> Results:
    """Return the reported work of three years: orders of routed items, each with its steps."""
    rng = np.random.default_rng([seed, 4])
    item, repeat, day, quantity = _orders(world, routings, rng)
    steps = routings.steps[item]
    order = np.repeat(np.arange(len(item)), steps)
    starts = np.repeat(np.cumsum(steps) - steps, steps)
    entry = routings.first_step[item[order]] + np.arange(len(order)) - starts
    reported = rng.random(len(order)) >= RATES["step_not_reported"]
    order, entry = order[reported], entry[reported]
    pieces = quantity[order]
    setup, run = _booked(routings, entry, pieces, repeat[order], rng)
    centres = np.array([step.resources for step in STEPS])[routings.step[entry]]
    other = rng.random(len(entry)) < RATES["other_work_centre_used"]
    return Results(
        entry=entry,
        order=order,
        day=np.minimum(day[order] + routings.position[entry], DAYS),
        quantity=pieces,
        bad_quantity=rng.binomial(pieces, 0.004),
        resource=np.where(other, (rng.random(len(entry)) * centres).astype(np.int64), routings.resource[entry]),
        setup_minutes=setup,
        run_minutes=run,
    )


def _orders(world: World, routings: Routings, rng: np.random.Generator) -> tuple[Indexes, Indexes, Indexes, Indexes]:
    """Return each order's item, how many the item had before, its day and its quantity, in order of item and day."""
    count = world.parts.count
    exposure = (DAYS - routings.created_day).astype(np.float64)
    popularity = rng.gamma(0.6, 1.0, count) * exposure * routings.routed
    expected = RATES["orders_an_item"] * routings.routed.sum() * popularity / max(popularity.sum(), 1.0)
    orders = rng.poisson(expected)
    item = np.repeat(np.arange(count), orders)
    begin = routings.created_day[item] + 1
    day = begin + (rng.random(len(item)) * np.maximum(DAYS - begin, 1)).astype(np.int64)
    sequence = np.lexsort((day, item))
    item, day = item[sequence], day[sequence]
    repeat = np.arange(len(item)) - (np.cumsum(orders) - orders)[item]
    small = np.isin(world.parts.process, (Process.O_RING, Process.SPRING, Process.GASKET, Process.PIN))
    typical = np.where(small, 60.0, 4.0)[item]
    quantity = np.maximum(np.round(typical * np.exp(rng.normal(0, 0.8, len(item)))), 1).astype(np.int64)
    return item, repeat, day, quantity


def _booked(
    routings: Routings, entry: Indexes, pieces: Indexes, repeat: Indexes, rng: np.random.Generator
) -> tuple[Numbers, Numbers]:
    """Return the booked setup and run minutes: true time, learning, noise, stoppages and typing errors."""
    rows = len(entry)
    sigma = np.sqrt(np.log1p(routings.noise_cv[entry] ** 2))
    noise = np.exp(rng.normal(0, 1, rows) * sigma - sigma**2 / 2)
    run = routings.run_minutes[entry] * pieces * (repeat + 1.0) ** LEARNING_POWER * noise
    setup = routings.setup_minutes[entry] * np.exp(rng.normal(-0.03, 0.25, rows))
    run = run + np.where(rng.random(rows) < RATES["stoppage"], rng.exponential(90.0, rows), 0.0)
    run = run * np.where(rng.random(rows) < RATES["outlier"], rng.uniform(5, 15, rows), 1.0)
    return setup, run * np.where(rng.random(rows) < RATES["hours_typed_as_minutes"], 60.0, 1.0)
