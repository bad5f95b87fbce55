"""What trainers learn from: a bounded sample of the rows with known minutes, and which of them each fit may see.

The cross-validation is the one of all fitted figures (`shared.prediction.minutes.views`): items of one drawing are in
one part, each view leaves out one fold, and what is measured for a view comes from fits that leave out a part more. So
neither an item's own results nor its sisters' are in any figure that answers for it as if unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.forms.near import NearRows
from shared.prediction.minutes.forms.usual import Usual
from shared.prediction.minutes.lessons import Lessons
from shared.prediction.minutes.regression import thinned
from shared.prediction.minutes.robust import robust_spread
from shared.prediction.minutes.sample import Left, Sample, Singles

MOST_ROWS = (
    20_000  # two minutes' worth of fits on one core; twice as many rows gained less than 1 % on the demo factory
)
_FEW = 5.0  # rows' worth of trust in an operation's own minutes, when a work centre has few
_BOUND = 3.0  # robust standard deviations beyond which minutes are drawn in: squared errors are minimised here

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The sample, its attributes, and what is usual without each set of parts."""

    lessons: Lessons
    sample: Sample
    items: Singles  # (sample, size) designs
    features: Singles  # (sample, features) nan where missing

    @classmethod
    def of(cls, lessons: Lessons, most: int = MOST_ROWS) -> "Material":
        """Draw the sample: all rows with known minutes, of frequent operations a seeded part, `most` in all."""
        task = lessons.known.routings.task
        rows = np.flatnonzero(~np.isnan(lessons.target[:, 1]))
        sizes = np.bincount(task[rows], minlength=lessons.known.routings.tasks)
        rows = rows[thinned(task[rows], len(sizes), lessons.seed, even_share(sizes, most))]
        sample = lessons.sample(rows, rows[:0])
        features = lessons.known.rows_of(lessons.owner[rows])
        return cls(lessons=lessons, sample=sample, items=sample.design_of(np.arange(len(rows))), features=features)

    @cached_property
    def lefts(self) -> list[Left]:
        """Return every set of parts that some fit leaves out; the last leaves out nothing."""
        return [*self.lessons.views.measured, frozenset[int]()]

    @cached_property
    def varied(self) -> Ints:
        """Return the columns of designs that are not the same in the whole sample."""
        return np.flatnonzero(np.ptp(self.items, axis=0) > 0) if len(self.items) else np.zeros(0, dtype=np.int64)

    @cached_property
    def varied_designs(self) -> Singles:
        """Return these columns."""
        return np.ascontiguousarray(self.items[:, self.varied])

    def kept(self, left: Left) -> Flags:
        """Tell which rows a fit may see."""
        return np.asarray(~np.isin(self.sample.part, list(left)))

    @cached_property
    def usual(self) -> dict[Left, Usual]:
        """Return what is usual without each set of parts, each with one view."""
        return {left: usual_of(self.sample, self.kept(left)) for left in self.lefts}

    def usual_by_view(self) -> Usual:
        """Return what is usual for every view."""
        views = self.lessons.views
        found = [self.usual[views.without(view)] for view in range(views.count)]
        names = ("typical", "spread", "centres")
        return Usual(**{name: np.concatenate([getattr(one, name) for one in found]) for name in names})

    def near_rows(self) -> NearRows:
        """Return which rows of near items each view may read."""
        folds = self.lessons.known.items.folds[self.lessons.owner].astype(np.int8)
        return NearRows(fold=folds, by_results=self.lessons.by_results)

    def goals(self, left: Left) -> Floats:
        """Return (sample, 2) differences from the usual minutes, drawn in; nan unknown."""
        usual, task = self.usual[left], self.sample.task
        most = _BOUND * usual.spread[0, task]
        return np.asarray(np.clip(self.sample.target - usual.typical[0, task], -most, most))

    def by_view(self, expected_of: Callable[[Left], Floats]) -> Floats:
        """Return (views, sample, 2) what each view expects of rows without their own part; nan where it may not know.

        Args:
            expected_of: (sample, 2) what a fit without some parts expects of the rows of those parts.
        """
        views, part = self.lessons.views, self.sample.part
        found = np.full((views.count, len(part), 2), np.nan)
        for view in range(views.count):
            for one in range(views.part_count):
                if one not in views.without(view):
                    rows = np.flatnonzero(part == one)
                    found[view, rows] = expected_of(views.apart(view, one))[rows]
        return found


def even_share(sizes: Ints, most: int) -> int:
    """Return how many rows each task may have at most, so that all have `most` together."""
    ordered = np.sort(sizes)
    for place, size in enumerate(ordered.tolist()):
        left = len(ordered) - place
        if size * left > most:
            return max(most // left, 1)
        most -= size
    return max(int(sizes.max(initial=1)), 1)


def by_task(task: Ints, tasks: int) -> list[Ints]:
    """Return the entries of each task, rising."""
    order = np.argsort(task, kind="stable")
    return np.split(order, np.searchsorted(task[order], np.arange(1, tasks)))


def usual_of(sample: Sample, kept: Flags) -> Usual:
    """Measure what operations usually take over some rows: medians, and how work centres differ from them."""
    tasks, wide = sample.tasks, sample.resources + 1
    typical, spread = np.full((1, tasks, 2), np.nan), np.zeros((1, tasks, 2))
    target = np.where(kept[:, None], sample.target, np.nan)
    for task, entries in enumerate(by_task(sample.task, tasks)):
        for out in range(2):
            known = target[entries, out][~np.isnan(target[entries, out])]
            if len(known):
                typical[0, task, out] = np.median(known)
                spread[0, task, out] = max(robust_spread(known - typical[0, task, out]), 1e-3)
    off = target - typical[0, sample.task]
    most = _BOUND * spread[0, sample.task]
    off, weight = np.nan_to_num(np.clip(off, -most, most)), sample.weight * ~np.isnan(off)
    cell = sample.task * wide + sample.resource % wide  # -1 is the last one
    centres = np.zeros((tasks * wide, 2))
    for out in range(2):
        total = np.bincount(cell, weight[:, out], tasks * wide)
        centres[:, out] = np.bincount(cell, weight[:, out] * off[:, out], tasks * wide) / (total + _FEW)
    shaped = centres.astype(np.float32).reshape(1, tasks, wide, 2)
    shaped[:, :, -1] = 0.0
    return Usual(typical=typical, spread=spread, centres=shaped)
