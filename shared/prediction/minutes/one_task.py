"""The ridge regression of one task's setup or run, on top of what all tasks share."""

from dataclasses import dataclass

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.robust import calmed, robust_spread
from shared.prediction.minutes.sample import Left, Sample, Singles
from shared.prediction.minutes.solver import PartSolver
from shared.prediction.minutes.views import Views

_PENALTIES = (0.3, 1.0, 3.0)
_LEVEL_SIZE = 1.8  # of the constant column beside attributes of length about 1: a level is hardly held back
_MOST_RESOURCES = 24
_BOUND = 1.5


@dataclass(frozen=True, kw_only=True)
class TaskLine:
    """A view's line, and the rows' errors and drawn-in targets as far as the view may know them."""

    slopes: Floats
    effect: Floats  # of the named work centres
    base: float
    errors: Floats
    calm: Floats


@dataclass(frozen=True, kw_only=True)
class TaskRows:
    """The rows of one task, with its named work centres as columns of the design."""

    solver: PartSolver
    named: Ints
    size: int  # columns that are attributes
    shared: dict[Left, Singles]  # (rows, 2) what all tasks together expect, without the task's level

    @classmethod
    def of(cls, sample: Sample, entries: Ints, out: int, slopes: dict[Left, Floats]) -> "TaskRows":
        """Arrange the entries of one task, weighted as setup (0) or run (1)."""
        codes, frequency = np.unique(sample.resource[entries], return_counts=True)
        codes, frequency = codes[codes >= 0], frequency[codes >= 0]
        named = codes[np.argsort(-frequency, kind="stable")][:_MOST_RESOURCES]
        attributes = sample.design_of(entries)
        centres = sample.resource[entries][:, None] == named[None, :]
        level = np.full((len(entries), 1), _LEVEL_SIZE)
        design: Singles = np.concatenate([attributes, centres, level], axis=1, dtype=np.float32)
        shared = {left: attributes @ some.astype(np.float32) for left, some in slopes.items()}
        solver = PartSolver(design, sample.weight[entries, out], sample.part[entries])
        return cls(solver=solver, named=named, size=attributes.shape[1], shared=shared)


class OneTask:
    """Fits the setup or the run of one task."""

    def __init__(self, rows: TaskRows, target: Floats, weight: Floats, out: int, slopes: dict[Left, Floats]) -> None:
        """Take the task's rows, its targets (rows,), and the slopes (size, 2) that all tasks share."""
        self._rows, self._solver, self._size = rows, rows.solver, rows.size
        self._target, self._weight, self._part = target, weight, rows.solver.part
        self._present = rows.solver.present
        self._shared = {left: shared[:, out] for left, shared in rows.shared.items()}
        self._shared_slopes = {left: shared[:, out] for left, shared in slopes.items()}
        self._outside: dict[tuple[Left, float], Floats] = {}

    def fit(self, views: Views, view: int) -> TaskLine:
        """Fit a view with the penalty that errors of rows left out call for."""
        errors, penalty = self._measured(views, view)
        left = views.without(view)
        seen = self._solver.seen(left)
        target = calmed(self._target, self._target - errors, _BOUND)
        goal = np.where(np.isnan(errors), self._target, target)
        coefficients, level = self._solve(left, penalty, goal)
        return TaskLine(
            slopes=coefficients[: self._size] + self._shared_slopes[left],
            effect=coefficients[self._size : -1], base=level + _LEVEL_SIZE * float(coefficients[-1]),
            errors=np.where(seen, errors, np.nan), calm=np.where(seen, target, np.nan),
        )  # fmt: skip

    def _measured(self, views: Views, view: int) -> tuple[Floats, float]:
        """Return the rows' errors without their own part, under the penalty with the least of them."""
        best, chosen = np.inf, _PENALTIES[-1]
        kept = np.full(len(self._target), np.nan)
        for penalty in _PENALTIES:
            errors = np.full(len(self._target), np.nan)
            for part in self._present:
                if part not in views.without(view):
                    here = self._part == part
                    errors[here] = (self._target - self._expected(views.apart(view, part), penalty))[here]
            bound = _BOUND * robust_spread(errors)
            loss = float(np.nansum(self._weight * np.minimum(np.abs(errors), bound) ** 2))
            if loss < best:
                best, chosen, kept = loss, penalty, errors
        return kept, chosen

    def _expected(self, left: Left, penalty: float) -> Floats:
        """Return what is expected of all rows without some parts, nan where nothing else is there."""
        if (left, penalty) not in self._outside:
            seen = self._solver.seen(left)
            if not seen.any():
                found = np.full(len(self._target), np.nan)
            else:
                goal = np.where(seen, self._target, np.nan)
                goal = calmed(goal, self._line(left, penalty, goal), _BOUND)
                found = self._line(left, penalty, goal)
            self._outside[left, penalty] = found
        return self._outside[left, penalty]

    def _line(self, left: Left, penalty: float, goal: Floats) -> Floats:
        coefficients, level = self._solve(left, penalty, goal)
        return np.asarray(self._shared[left] + level + self._solver.expected(coefficients))

    def _solve(self, left: Left, penalty: float, goal: Floats) -> tuple[Floats, float]:
        """Return coefficients (size + named + 1) on top of the shared slopes, and the level they start from."""
        seen = self._solver.seen(left)
        if not seen.any():
            return np.zeros(self._solver.design.shape[1]), float("nan")
        rest = goal - self._shared[left]
        level = float(np.median(rest[seen]))
        return self._solver.solve(left, penalty, rest - level), level
