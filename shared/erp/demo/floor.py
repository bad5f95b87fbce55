"""The demo factory's shop floor: the orders that were done, and what was reported of them."""

from dataclasses import dataclass

import numpy as np

from shared.erp.demo.dirt import stream
from shared.erp.demo.plan import Flags, Indexes, Numbers, Process
from shared.erp.demo.shop import RATES, Routings
from shared.erp.demo.versions import CENTRES, Versions
from shared.erp.demo.world import DAYS, World

LEARNING_POWER = -0.07  # each repeated order of an item runs faster: (orders before + 1) to this power
ALTERNATE_FACTOR = 1.15  # the run time of a step that an alternate routing makes elsewhere
SETUP_SIGMA = 0.25  # of an order's setup about its true mean, in logarithms
STOPPAGE_MINUTES = 90.0  # the mean of a stoppage
MOST_DAYS_LATE = 10
SMALL = (Process.O_RING, Process.SPRING, Process.GASKET, Process.PIN)  # made and planned by the hundred


@dataclass(frozen=True, kw_only=True)
class Results:
    """Reported work in the order in which it was posted; one entry a report, minutes."""

    entry: Indexes  # into Routings
    order: Indexes
    day: Indexes
    quantity: Indexes
    bad_quantity: Indexes
    resource: Indexes
    routing_no: Indexes
    sequence: Indexes  # as reported: of the current routing, or of an older one
    setup_minutes: Numbers
    run_minutes: Numbers
    counts: dict[str, int]  # how often what the rates promise has happened


@dataclass(frozen=True, kw_only=True)
class _Orders:
    """Orders by item and day; one entry an order."""

    item: Indexes
    repeat: Indexes  # how many the item had before
    day: Indexes
    quantity: Indexes
    on_alternate: Flags
    by_older: Flags  # done before the routing was revised
    older_numbers: Flags  # reported by the older routing's numbers
    routing_no: Indexes


def build_results(world: World, routings: Routings, versions: Versions, seed: int) -> Results:
    """Return the reported work of three years; the same for the same world, routings and seed."""
    rng = stream(seed, "floor")
    orders = _orders(world, routings, versions, rng)
    order, entry = _reported_steps(orders, routings, versions, rng)
    day = orders.day[order] + routings.position[entry]
    late = rng.random(len(entry)) < RATES["reported_late"]
    posted = day + np.where(late, rng.integers(1, MOST_DAYS_LATE + 1, len(entry)), 0)
    twice = rng.random(len(entry)) < RATES["reported_twice"]
    altered = orders.on_alternate[order] & (versions.altered[routings.item[entry]] == entry)
    pieces = orders.quantity[order]
    setup, run, happened = booked(routings, entry, pieces, orders.repeat[order], altered, rng)
    older = orders.older_numbers[order] & versions.in_older[entry]
    columns = {
        "entry": entry,
        "order": order,
        "day": day,
        "quantity": pieces,
        "bad_quantity": rng.binomial(pieces, 0.004),
        "resource": _used_centres(routings, versions, entry, altered, rng),
        "routing_no": orders.routing_no[order],
        "sequence": np.where(older, versions.older_sequence[entry], 10 * (routings.position[entry] + 1)),
        "setup_minutes": setup,
        "run_minutes": run,
    }
    happened |= {
        "reported_late": late,
        "reported_by_older_numbers": older,
        "reported_on_alternate": orders.on_alternate[order],
    }
    at = np.repeat(np.arange(len(entry)), 1 + twice)
    at = at[np.lexsort((at, posted[at]))]
    at = at[posted[at] <= DAYS]  # the rest is not known yet
    counts = {name: int(mask[at].sum()) for name, mask in happened.items()}
    counts["reported_twice"] = len(at) - len(np.unique(at))
    return Results(**{name: values[at] for name, values in columns.items()}, counts=counts)


def _orders(world: World, routings: Routings, versions: Versions, rng: np.random.Generator) -> _Orders:
    item, repeat, day, quantity = demand(world, routings, rng)
    count = len(item)
    on_alternate = versions.alternate[item] & (rng.random(count) < RATES["order_on_alternate"])
    revised = versions.revised[item] & ~on_alternate
    by_older = revised & (day < versions.revised_day[item])
    habit = revised & (rng.random(count) < RATES["older_numbers_after_revision"])
    renamed = rng.random(count) < RATES["older_order_under_current_no"]
    older_no, current_no = versions.older_no[item], versions.current_no[item]
    return _Orders(
        item=item,
        repeat=repeat,
        day=day,
        quantity=quantity,
        on_alternate=on_alternate,
        by_older=by_older,
        older_numbers=by_older | habit,
        routing_no=np.where(on_alternate, 1, np.where(by_older & ~renamed, older_no, current_no)),
    )


def demand(world: World, routings: Routings, rng: np.random.Generator) -> tuple[Indexes, Indexes, Indexes, Indexes]:
    """Return each order's item, how many the item had before, its day and its quantity, in order of item and day."""
    count = world.parts.count
    exposure = (DAYS - routings.written_day).astype(np.float64)
    popularity = rng.gamma(0.6, 1.0, count) * exposure * routings.routed
    expected = RATES["orders_an_item"] * routings.routed.sum() * popularity / max(popularity.sum(), 1.0)
    orders = rng.poisson(expected)
    item = np.repeat(np.arange(count), orders)
    begin = routings.written_day[item] + 1
    day = begin + (rng.random(len(item)) * np.maximum(DAYS - begin, 1)).astype(np.int64)
    sequence = np.lexsort((day, item))
    item, day = item[sequence], day[sequence]
    repeat = np.arange(len(item)) - (np.cumsum(orders) - orders)[item]
    typical = np.where(np.isin(world.parts.process, SMALL), 60.0, 4.0)[item]
    quantity = np.maximum(np.round(typical * np.exp(rng.normal(0, 0.8, len(item)))), 1).astype(np.int64)
    return item, repeat, day, quantity


def _reported_steps(
    orders: _Orders, routings: Routings, versions: Versions, rng: np.random.Generator
) -> tuple[Indexes, Indexes]:
    """Return the order and the entry of Routings of every report: a step a day, each step that the routing had."""
    steps = routings.steps[orders.item]
    order = np.repeat(np.arange(len(orders.item)), steps)
    starts = np.repeat(np.cumsum(steps) - steps, steps)
    entry = routings.first_step[orders.item[order]] + np.arange(len(order)) - starts
    reported = rng.random(len(order)) >= RATES["step_not_reported"]
    reported &= ~orders.by_older[order] | versions.in_older[entry]
    reported &= orders.day[order] + routings.position[entry] <= DAYS
    return order[reported], entry[reported]


def _used_centres(
    routings: Routings, versions: Versions, entry: Indexes, altered: Flags, rng: np.random.Generator
) -> Indexes:
    other = rng.random(len(entry)) < RATES["other_work_centre_used"]
    any_centre = (rng.random(len(entry)) * CENTRES[routings.step[entry]]).astype(np.int64)
    usual = np.where(altered, versions.altered_resource[routings.item[entry]], routings.resource[entry])
    return np.asarray(np.where(other & ~altered, any_centre, usual), dtype=np.int64)


def booked(
    routings: Routings, entry: Indexes, pieces: Indexes, repeat: Indexes, altered: Flags, rng: np.random.Generator
) -> tuple[Numbers, Numbers, dict[str, Flags]]:
    """Return the booked setup and run minutes: true time, learning, noise, stoppages and typing errors."""
    rows = len(entry)
    sigma = np.sqrt(np.log1p(routings.noise_cv[entry] ** 2))
    run = np.exp(rng.normal(0, 1, rows) * sigma - sigma**2 / 2)
    run *= routings.run_minutes[entry] * pieces * (repeat + 1.0) ** LEARNING_POWER
    run *= np.where(altered, ALTERNATE_FACTOR, 1.0)
    setup = routings.setup_minutes[entry] * np.exp(rng.normal(-(SETUP_SIGMA**2) / 2, SETUP_SIGMA, rows))
    stopped = rng.random(rows) < RATES["stoppage"]
    outlier = rng.random(rows) < RATES["outlier"]
    typed = rng.random(rows) < RATES["hours_typed_as_minutes"]
    run = run + np.where(stopped, rng.exponential(STOPPAGE_MINUTES, rows), 0.0)
    run = run * np.where(outlier, rng.uniform(5, 15, rows), 1.0) * np.where(typed, 60.0, 1.0)
    return setup, run, {"stoppage": stopped, "outlier": outlier, "hours_typed_as_minutes": typed}
