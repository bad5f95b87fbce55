"""The demo factory's days after its export: the orders that were finished, and what was reported of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from shared.erp.demo.dirt import Dirt, stream
from shared.erp.demo.floor import SMALL, Results, booked, demand
from shared.erp.demo.new_family import Family, build_family
from shared.erp.demo.plan import STEPS, Indexes, Numbers
from shared.erp.demo.result_view import result_rows
from shared.erp.demo.shop import RATES, Routings, build_routings
from shared.erp.demo.versions import CENTRES, build_versions
from shared.erp.demo.world import DAYS, World, build_world, item_codes

FAMILY_SHARE = 0.4  # of the orders, when there is a new family
FAMILY_ITEMS_A_DAY = 25
# operation -> run time and setup, times what they were, on the machine that replaces its work centres
MACHINES: dict[str, tuple[float, float]] = {
    "MC10": (0.65, 0.5),
    "MC20": (0.65, 0.5),
    "MC25": (0.65, 0.5),
    "WE50": (1.4, 1.5),
    "GR30": (1.4, 1.5),
    "GR32": (1.4, 1.5),
    "MD65": (1.4, 1.5),
    "KT90": (1.4, 1.5),
    "LP40": (1.4, 1.5),
    "AS90": (1.4, 1.5),
    "TS92": (1.4, 1.5),
    "TS94": (1.4, 1.5),
}
NEW_MACHINE = "09"  # its work centre's number
OTHER_UNIT = "AS90"  # the operation whose terminals write minutes into the columns that mean hours
UNIT_FACTOR = 60.0


@dataclass(frozen=True, kw_only=True)
class Changed:
    """What is different, and from which day (after the factory's first) on; None: never."""

    machines: int | None = None
    family: int | None = None
    units: int | None = None


@dataclass(frozen=True, kw_only=True)
class Day:
    """What a day adds to the views; empty frames where it adds nothing."""

    items: pl.DataFrame
    routings: pl.DataFrame
    results: pl.DataFrame
    orders: int


@dataclass
class LaterDays:
    """The factory going on, day by day; the same days for the same count, seed, rate and changes."""

    items: int
    seed: int
    orders_a_day: float
    changed: Changed
    _made: dict[int, int] = field(default_factory=dict)  # item -> orders so far, those of the export among them

    @cached_property
    def world(self) -> World:
        """The items of the export."""
        return build_world(self.items, self.seed)

    @cached_property
    def routings(self) -> Routings:
        """Their true routings."""
        return build_routings(self.world, self.seed)

    @cached_property
    def codes(self) -> pl.Series:
        """Their codes."""
        return item_codes(self.world)

    @cached_property
    def family(self) -> Family:
        """The new family."""
        return build_family(self.seed)

    @cached_property
    def _orders_before(self) -> Indexes:
        item, *_ = demand(self.world, self.routings, stream(self.seed, "floor"))
        return np.bincount(item, minlength=self.items)

    @cached_property
    def _wanted(self) -> Numbers:
        """How much each item is asked for: some often, those without a routing never."""
        weights = stream(self.seed, "later demand").gamma(0.6, 1.0, self.items) * self.routings.routed
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def days(self, first: int, last: int, *, index: int, order: int) -> Iterator[Day]:
        """Return the days from `first` to `last`; reports are numbered on from `index`, orders from `order`.

        The days between the export and `first` are worked out again, since repeated orders run faster.
        """
        for day in range(DAYS + 1, last + 1):
            drawn = self._orders_of(day)
            if day < first:
                continue
            reports = []
            for kind, (items, pieces, repeat) in drawn.items():
                reports.append(self._reports(kind, day, items, pieces, repeat, order))
                order += len(items)
            results = pl.concat(reports)
            numbers = pl.Series("IDX", np.arange(index, index + results.height) + 1).cast(pl.String)
            results = results.with_columns(numbers)
            index += results.height
            yield Day(
                items=self._new_items(day),
                routings=self._new_routings(day),
                results=results,
                orders=sum(len(items) for items, *_ in drawn.values()),
            )

    def _orders_of(self, day: int) -> dict[str, tuple[Indexes, Indexes, Indexes]]:
        """Return the items, pieces and repeats of the orders finished on a day: of old items and of new ones."""
        rng = stream(self.seed, f"later day {day}")
        count = int(rng.poisson(self.orders_a_day))
        there = self._family_items(day)
        of_family = int(rng.binomial(count, FAMILY_SHARE)) if there else 0
        known = rng.choice(self.items, count - of_family, p=self._wanted)
        small = np.isin(self.world.parts.process, SMALL)
        typical = np.where(small, 60.0, 4.0)[known]
        drawn = {"known": self._with_repeats(known, _pieces(rng, typical), self._orders_before, 0)}
        if of_family:
            new = rng.integers(0, there, of_family)
            nothing: Indexes = np.zeros(there, dtype=np.int64)
            drawn["new"] = self._with_repeats(new, _pieces(rng, np.full(of_family, 4.0)), nothing, self.items)
        return drawn

    def _with_repeats(
        self, items: Indexes, pieces: Indexes, before: Indexes, offset: int
    ) -> tuple[Indexes, Indexes, Indexes]:
        repeat = np.zeros(len(items), dtype=np.int64)
        for place, item in enumerate(items):
            own = int(item) + offset
            repeat[place] = self._made.get(own, int(before[item]))
            self._made[own] = int(repeat[place]) + 1
        return items, pieces, repeat

    def _family_items(self, day: int) -> int:
        """How many items of the new family there are on a day."""
        since = self.changed.family
        if since is None or day < since:
            return 0
        return min((day - since + 1) * FAMILY_ITEMS_A_DAY, self.family.world.parts.count)

    def _new_items(self, day: int) -> pl.DataFrame:
        first, last = self._family_items(day - 1), self._family_items(day)
        return self.family.item_rows_of(first, last) if last > first else pl.DataFrame()

    def _new_routings(self, day: int) -> pl.DataFrame:
        first, last = self._family_items(day - 1), self._family_items(day)
        if last == first:
            return pl.DataFrame()
        return self.family.routing_rows_of(first, last, day, Dirt(self.seed, f"later routings {day}"))

    def _reports(
        self, kind: str, day: int, items: Indexes, pieces: Indexes, repeat: Indexes, first_order: int
    ) -> pl.DataFrame:
        routings, codes = (self.routings, self.codes) if kind == "known" else (self.family.routings, self.family.codes)
        rng = stream(self.seed, f"later reports {kind} {day}")
        steps = routings.steps[items]
        at = np.repeat(np.arange(len(items)), steps)
        starts = np.repeat(np.cumsum(steps) - steps, steps)
        entry = routings.first_step[items[at]] + np.arange(len(at)) - starts
        reported = rng.random(len(at)) >= RATES["step_not_reported"]
        at, entry = at[reported], entry[reported]
        results = self._results(kind, routings, day, entry, first_order + at, pieces[at], repeat[at], rng)
        rows = result_rows(routings, results, 0, len(entry), codes, Dirt(self.seed, f"later {kind} {day}"))
        return self._on_new_machines(rows, routings.step[entry], day)

    def _results(
        self, kind: str, routings: Routings, day: int, entry: Indexes, order: Indexes, pieces: Indexes,
        repeat: Indexes, rng: np.random.Generator,
    ) -> Results:  # fmt: skip
        never = np.zeros(len(entry), dtype=np.bool_)
        setup, run, counts = booked(routings, entry, pieces, repeat, never, rng)
        run_factor, setup_factor = self._factors(routings.step[entry], day)
        other = rng.random(len(entry)) < RATES["other_work_centre_used"]
        any_centre = (rng.random(len(entry)) * CENTRES[routings.step[entry]]).astype(np.int64)
        return Results(
            entry=entry,
            order=order,
            day=np.full(len(entry), day),
            quantity=pieces,
            bad_quantity=rng.binomial(pieces, 0.004),
            resource=np.where(other, any_centre, routings.resource[entry]),
            routing_no=self._routing_no[routings.item[entry]] if kind == "known" else np.ones(len(entry), np.int64),
            sequence=10 * (routings.position[entry] + 1),
            setup_minutes=setup * setup_factor,
            run_minutes=run * run_factor,
            counts={name: int(mask.sum()) for name, mask in counts.items()},
        )

    @cached_property
    def _routing_no(self) -> Indexes:
        return build_versions(self.routings, self.seed).current_no

    def _factors(self, step: Indexes, day: int) -> tuple[Numbers, Numbers]:
        """Return what the day's changes multiply the run and setup minutes of each step by."""
        run, setup = np.ones(len(STEPS)), np.ones(len(STEPS))
        for place, each in enumerate(STEPS):
            if _holds(self.changed.machines, day) and each.code in MACHINES:
                run[place], setup[place] = MACHINES[each.code]
            if _holds(self.changed.units, day) and each.code == OTHER_UNIT:
                run[place], setup[place] = run[place] * UNIT_FACTOR, setup[place] * UNIT_FACTOR
        return run[step], setup[step]

    def _on_new_machines(self, rows: pl.DataFrame, step: Indexes, day: int) -> pl.DataFrame:
        if not _holds(self.changed.machines, day):
            return rows
        replaced = pl.Series(np.array([each.code in MACHINES for each in STEPS])[step])
        names = {
            "RES_CD": pl.Series([f"{each.resource}-{NEW_MACHINE}" for each in STEPS]),
            "RES_DIS": pl.Series([f"{each.resource_name} {int(NEW_MACHINE)}호기" for each in STEPS]),
        }
        new = [texts.gather(pl.Series(step)).zip_with(replaced, rows[name]) for name, texts in names.items()]
        return rows.with_columns(series.alias(name) for name, series in zip(names, new, strict=True))


def _holds(since: int | None, day: int) -> bool:
    return since is not None and day >= since


def _pieces(rng: np.random.Generator, typical: Numbers) -> Indexes:
    return np.maximum(np.round(typical * np.exp(rng.normal(0, 0.8, len(typical)))), 1).astype(np.int64)
