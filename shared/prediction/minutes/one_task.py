"""The ridge regression of one task's setup or run, on top of what all tasks share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.robust import calmed, median, robust_spread
from shared.prediction.minutes.sample import Left, Sample, Singles
from shared.prediction.minutes.solver import PartSolver
from shared.prediction.minutes.views import Views

_PENALTIES = (0.3, 1.0, 3.0)
_FIRST = 1.0  # penalty of the lines that minutes are first drawn in by
_LEVEL_SIZE = 1.8  # of the constant column beside attributes of length about 1: a level is hardly held back
_MOST_RESOURCES = 24
_BOUND = 1.5
_LEAST_CONSTANT = 5  # rows that must be alike before a task's minutes are called constant
ALIKE = 1e-5  # logarithms that differ by no more do so by rounding


@dataclass(frozen=True, kw_only=True)
class TaskLine:
    """A view's line."""

    slopes: Floats
    effect: Floats  # of the named work centres
    named: Ints
    base: float


@dataclass(frozen=True, kw_only=True)
class Draft:
    """How a view's line is to be fitted, and the rows' errors and drawn-in targets as far as the view may know them."""

    task: "OneTask"
    left: Left
    penalty: float
    errors: Floats  # of rows without their own part; those to be foretold first, then plans
    calm: Floats

    def line(self, drift: Floats) -> TaskLine:
        """Fit the line to what the rows' drift (rows,) leaves of their minutes."""
        return self.task.line(self, drift)


def loss(errors: Floats, weight: Floats, bound: float) -> float:
    """Return the weighted sum of squared errors, each at most `bound`; an unknown one counts nothing."""
    return float(np.nansum(weight * np.minimum(np.abs(errors), bound) ** 2))


def improves(other: Draft, draft: Draft, weight: Floats) -> bool:
    """Tell whether the other errors are smaller on a draft's rows, those that stand far off cut for both alike."""
    bound = _BOUND * robust_spread(draft.errors)
    return loss(other.errors[: len(weight)], weight, bound) < loss(draft.errors, weight, bound)


@dataclass(frozen=True, kw_only=True)
class TaskRows:
    """The rows of one task, with its named work centres as columns of the design."""

    solver: PartSolver
    named: Ints
    size: int  # columns that are attributes
    shared: dict[Left, Singles]  # (rows, 2) what all tasks together expect, without the task's level
    foretold: int  # how many of the first rows errors are measured on; plans follow

    @classmethod
    def of(cls, sample: Sample, entries: Ints, out: int, slopes: dict[Left, Floats]) -> "TaskRows":
        """Arrange the entries of one task, weighted as setup (0) or run (1).

        Plans have a level of their own, so that what they are off by everywhere teaches nothing.
        """
        codes, frequency = np.unique(sample.resource[entries], return_counts=True)
        codes, frequency = codes[codes >= 0], frequency[codes >= 0]
        named = codes[np.argsort(-frequency, kind="stable")][:_MOST_RESOURCES]
        attributes = sample.design_of(entries)
        centres = sample.resource[entries][:, None] == named[None, :]
        plan = entries >= sample.foretold
        levels = np.where(np.stack([plan, np.ones(len(entries), dtype=bool)], axis=1), _LEVEL_SIZE, 0.0)
        design: Singles = np.concatenate([attributes, centres, levels], axis=1, dtype=np.float32)
        together = attributes @ np.concatenate(list(slopes.values()), axis=1).astype(np.float32)
        shared = {left: together[:, 2 * place : 2 * place + 2] for place, left in enumerate(slopes)}
        solver = PartSolver(design, sample.weight[entries, out], sample.part[entries])
        return cls(
            solver=solver, named=named, size=attributes.shape[1], shared=shared, foretold=int((~plan).sum())
        )  # fmt: skip


class OneTask:
    """Fits the setup or the run of one task."""

    def __init__(self, rows: TaskRows, target: Floats, weight: Floats, out: int, slopes: dict[Left, Floats]) -> None:
        """Take the task's rows, its targets (rows,), and the slopes (size, 2) that all tasks share."""
        self._solver, self._size = rows.solver, rows.size
        self._target, self._weight = target, weight
        self._seen = {left: rows.solver.seen(left) for left in slopes}
        self._foretold, self._named = rows.foretold, rows.named
        self._alike = {left: self._all_alike(left) for left in slopes}
        moves = {left: 0.0 if alike else 1.0 for left, alike in self._alike.items()}
        self._shared = {left: moves[left] * shared[:, out] for left, shared in rows.shared.items()}
        self._shared_slopes = {left: moves[left] * shared[:, out] for left, shared in slopes.items()}

    def drafts(self, views: Views) -> list[Draft]:
        """Choose for each view the penalty that errors of rows left out call for."""
        expected = self._expected(views.measured)
        return [self._draft(views, view, expected) for view in range(views.count)]

    def _draft(self, views: Views, view: int, expected: Floats) -> Draft:
        errors, penalty = self._measured(views, view, expected)
        seen = self._seen[views.without(view)]
        return Draft(
            task=self, left=views.without(view), penalty=penalty, errors=np.where(seen, errors, np.nan),
            calm=np.where(seen, self._calmed(self._target - errors), np.nan),
        )  # fmt: skip

    def line(self, draft: Draft, drift: Floats) -> TaskLine:
        """Fit the line of a draft to what the rows' drift (rows,) leaves of their minutes; constants stay."""
        left = draft.left
        goal = np.where(np.isnan(draft.calm), self._target, draft.calm)
        [level], prepared = self._prepared([left], [goal if self._alike[left] else goal - drift])
        solution = np.zeros(self._solver.size, dtype=np.float32)
        if self._teaches(left):
            solution = self._solver.solve(left, draft.penalty, prepared[0])
            self._solver.forget()
        coefficients = self._solver.coefficients(solution).astype(np.float64)
        return TaskLine(
            slopes=coefficients[: self._size] + self._shared_slopes[left], effect=coefficients[self._size : -2],
            base=level + _LEVEL_SIZE * float(coefficients[-1]), named=self._named,
        )  # fmt: skip

    def _all_alike(self, left: Left) -> bool:
        """Tell whether all rows left in take the same minutes: then no attribute is to move them."""
        found = self._target[: self._foretold][self._seen[left][: self._foretold]]
        return len(found) >= _LEAST_CONSTANT and float(np.ptp(found)) < ALIKE

    def _teaches(self, left: Left) -> bool:
        """Tell whether rows left in say how minutes grow; plans alone give no level."""
        return bool(self._seen[left][: self._foretold].any()) and not self._alike[left]

    def _calmed(self, expected: Floats) -> Floats:
        """Return the targets drawn in towards what was expected: results by their scatter, plans by theirs."""
        parts = [slice(0, self._foretold), slice(self._foretold, len(self._target))]
        some = [part for part in parts if part.start < part.stop]
        return np.concatenate([calmed(self._target[part], expected[part], _BOUND) for part in some])

    def _measured(self, views: Views, view: int, expected: Floats) -> tuple[Floats, float]:
        """Return the rows' errors without their own part under the penalty with the least of them."""
        place = {left: number for number, left in enumerate(views.measured)}
        of_part = np.array([place.get(views.apart(view, part), -1) for part in range(views.part_count)])
        of_part[list(views.without(view))] = -1
        which = of_part[self._solver.part]
        known = np.flatnonzero(which >= 0)
        errors = np.full((len(_PENALTIES), len(self._target)), np.nan)
        errors[:, known] = self._target[known] - expected[:, which[known], known]
        weight = self._weight[: self._foretold]
        losses = [loss(one, weight, _BOUND * robust_spread(one)) for one in errors[:, : self._foretold]]
        best = int(np.argmin(losses))
        return errors[best], _PENALTIES[best]

    def _expected(self, lefts: Sequence[Left]) -> Floats:
        """Return what is expected of all rows without some parts (penalties, lefts, rows), nan by nothing."""
        for left in lefts:
            if self._teaches(left):
                self._solver.make_ready(left, _PENALTIES)
        first = self._lines(lefts, [self._target] * len(lefts), (_FIRST,))[0]
        goals = [
            self._calmed(np.where(self._seen[left], line, np.nan)) for left, line in zip(lefts, first, strict=True)
        ]
        return self._lines(lefts, goals, _PENALTIES)

    def _lines(self, lefts: Sequence[Left], goals: Sequence[Floats], penalties: Sequence[float]) -> Floats:
        """Return (penalties, lefts, rows) of lines fitted to goals (lefts, rows)."""
        levels, prepared = self._prepared(lefts, goals)
        some = [self._teaches(left) for left in lefts]
        solutions = np.zeros((len(penalties), len(lefts), self._solver.size), dtype=np.float32)
        for place, left in enumerate(lefts):
            for number, penalty in enumerate(penalties if some[place] else ()):
                solutions[number, place] = self._solver.solve(left, penalty, prepared[place])
        coefficients = self._solver.coefficients(solutions.reshape(-1, self._solver.size))
        found = self._solver.expected(coefficients)
        start = np.array([self._shared[left] + level for left, level in zip(lefts, levels, strict=True)])
        return np.asarray(found.reshape(len(penalties), len(lefts), -1) + start)

    def _prepared(self, lefts: Sequence[Left], goals: Sequence[Floats]) -> tuple[list[float], Singles]:
        """Return the levels that goals start from above the shared slopes, and what is left of them to solve for."""
        rest = [goal - self._shared[left] for left, goal in zip(lefts, goals, strict=True)]
        levels = [self._level(one, self._seen[left]) for left, one in zip(lefts, rest, strict=True)]
        left_over = np.zeros((len(lefts), len(self._target)), dtype=np.float32)
        for place, (left, one, level) in enumerate(zip(lefts, rest, levels, strict=True)):
            seen = self._seen[left]
            left_over[place, seen] = one[seen] - level
        return levels, self._solver.prepared(left_over)

    def _level(self, values: Floats, seen: npt.NDArray[np.bool_]) -> float:
        found = values[: self._foretold][seen[: self._foretold]]
        return median(found) if len(found) else float("nan")
