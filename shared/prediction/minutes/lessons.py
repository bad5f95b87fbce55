"""What every form of the minutes is fitted to: rows with known minutes, and what was near withheld items."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.minutes.design import Design
from shared.prediction.minutes.observations import Observations
from shared.prediction.minutes.orders import Orders
from shared.prediction.minutes.regression import thinned
from shared.prediction.minutes.sample import Sample, Singles
from shared.prediction.minutes.views import Views
from shared.prediction.nearby import Nearby

_LEAST_RESULTS = 5  # routing rows with results from which a task's minutes are learned from them, not from its plans
_FEW_ROWS = 6_000  # of one task, up to which plans are learned from beside results
_MORE_SHARE = 0.25  # as many plans of items never booked there must be, beside one booked, to learn from plans
_PLAN_WEIGHT = 0.5  # as much as one order of today
_DESIGN_ITEMS = 20_000
_LEAST_VARIED = 0.01  # sum of squares over all items below which a direction cannot move a penalised line
_HELD_ITEMS = 50_000  # up to so many, their designs are turned once and held

RowsOf = Callable[[Ints], Singles]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What minutes are learned from."""

    orders: Orders
    seen: Observations
    routings: Routings
    items: Items
    vectors_of: RowsOf  # of items with a routing, by their places
    rows_of: RowsOf  # their features
    categorical: npt.NDArray[np.bool_]  # (features,)

    @property
    def owner(self) -> Ints:
        """Return each routing row's item."""
        return np.repeat(np.arange(len(self.items.codes)), np.diff(self.routings.offsets))


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What is known, and the choices that all forms of the minutes share."""

    known: Known
    views: Views
    design: Design
    near: Nearby  # near a sample of withheld items, found without these and their sisters
    places: Ints  # of these items
    by_results: npt.NDArray[np.bool_]  # (tasks,) whether results, not planned times, are learned from
    owner: Ints  # each routing row's item
    target: Floats  # (rows, 2) logarithms of minutes, nan unknown
    seed: int

    @classmethod
    def of(cls, known: Known, near: Nearby, places: Ints, seed: int) -> "Lessons":
        """Choose what each task is learned from: its results where there are enough, else its plans."""
        seen, tasks, task = known.seen, known.routings.tasks, known.routings.task
        booked, planned = (
            np.bincount(task[~np.isnan(of[:, 1])], minlength=tasks) for of in (seen.results, seen.planned)
        )
        by_results = (booked >= _LEAST_RESULTS) | ((booked > 0) & (planned == 0))
        target = np.where(by_results[task][:, None], seen.results, seen.planned).astype(np.float64)
        return cls(
            known=known, views=Views.of(known.items), design=_design(known), near=near, places=places,
            by_results=by_results, owner=known.owner, target=target, seed=seed,
        )  # fmt: skip

    @cached_property
    def learned(self) -> npt.NDArray[np.bool_]:
        """Tell of each routing row whether its task is learned from results."""
        return self.by_results[self.known.routings.task]

    @cached_property
    def weight(self) -> Floats:
        """Return (rows, 2) what each row's minutes count as: near 1 with many recent orders behind them."""
        recent = np.where(self.learned[:, None], self.known.seen.recent, 1.0).astype(np.float64)
        return np.asarray(recent / (recent + 1.0))

    def designs(self, items: Ints) -> Singles:
        """Return what regressions read of items, (items, size)."""
        return self.design.rows(self.known.vectors_of(items), self.known.rows_of(items))

    @cached_property
    def directions(self) -> Singles:
        """Return the directions (size, fewer) in which items differ, each of length 1 and at right angles.

        Attributes overlap: most factories' items lie in half as many dimensions as a design has. A penalised line is
        the same in whatever directions its design is given, and those in which nothing lies cost it time alone.
        """
        routed = _routed(self.known)
        designs = self.designs(routed[:: _step(len(routed))]).astype(np.float64)
        squares, found = np.linalg.eigh(designs.T @ designs * (len(routed) / max(len(designs), 1)))
        return np.asarray(found[:, squares > _LEAST_VARIED], dtype=np.float32)

    def turned(self, sample: Sample) -> Sample:
        """Return the sample with designs along `directions`."""
        items, place = np.unique(self.owner[sample.row], return_inverse=True)
        if len(items) > _HELD_ITEMS:
            return replace(sample, design_of=lambda entries: sample.design_of(entries) @ self.directions)
        designs = self.designs(items) @ self.directions
        return replace(sample, design_of=lambda entries: designs[place[entries]])

    def sample(self, rows: Ints, plans: Ints) -> Sample:
        """Arrange rows with known minutes, and after them rows whose plans help."""
        known, owner, every = self.known, self.owner, np.concatenate([rows, plans])

        def design_of(entries: Ints) -> Singles:
            return self.designs(owner[every[entries]])

        return Sample(
            row=every, task=known.routings.task[every], resource=known.routings.resource[every],
            part=self.views.parts[owner[every]], group=known.items.groups[owner[every]],
            target=np.concatenate([self.target[rows], known.seen.planned[plans]]),
            weight=np.concatenate([self.weight[rows], np.full((len(plans), 2), _PLAN_WEIGHT)]),
            design_of=design_of, tasks=known.routings.tasks, resources=len(known.routings.resources),
            plans=len(plans),
        )  # fmt: skip

    def regression_sample(self) -> Sample:
        """Return the rows that lines are fitted to: of very frequent tasks a seeded draw."""
        rows = np.flatnonzero(~np.isnan(self.target[:, 1]))
        rows = rows[thinned(self.known.routings.task[rows], self.known.routings.tasks, self.seed)]
        return self.sample(rows, _plans(self.known, rows, self.learned, self.seed))


def _design(known: Known) -> Design:
    routed = _routed(known)
    return Design.of(known.rows_of(routed[:: _step(len(routed))]), known.categorical)


def _routed(known: Known) -> Ints:
    return np.flatnonzero(np.diff(known.routings.offsets) > 0)


def _step(items: int) -> int:
    """Return which of many items are looked at: every second, every third, ..."""
    return max(1, -(-items // _DESIGN_ITEMS))


def _plans(known: Known, rows: Ints, learned: npt.NDArray[np.bool_], seed: int) -> Ints:
    """Return rows whose plans may help: of tasks that few of `rows` and many items never booked tell of."""
    task, tasks = known.routings.task, known.routings.tasks
    planned = learned & ~np.isnan(known.seen.planned[:, 1])
    booked = np.bincount(task[rows], minlength=tasks)
    more = np.bincount(task[planned & np.isnan(known.seen.results[:, 1])], minlength=tasks)
    plans = np.flatnonzero(planned & ((booked <= _FEW_ROWS) & (more >= _MORE_SHARE * booked))[task])
    return plans[thinned(task[plans], tasks, seed, _FEW_ROWS)]
