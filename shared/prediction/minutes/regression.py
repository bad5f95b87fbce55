"""Ridge regressions of logarithmic minutes, robust against disturbed orders, with and without every fold.

First one regression over all tasks gives what they share: how minutes grow with an item's attributes, each task at its
own level. Then one for each task learns how it differs from that, with its work centres; from the planned times of
items that were never booked, too, where lines so fitted foretell withheld results better. What a drawing's other
operations were off by is taken off first, as far as drawings are found to be slow or fast in all they go through.
Minutes that stand far off what the others say are drawn in to a bound measured by the task's own scatter (winsorised
pseudo-values; Huber 1981, chapter 7.8), so that stoppages and typing errors do not decide a slope.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.one_task import Draft, OneTask, TaskRows, improves
from shared.prediction.minutes.robust import calmed
from shared.prediction.minutes.sample import Left, Sample, Singles
from shared.prediction.minutes.views import Views

_SHARED_PENALTY = 1.0
_MOST_ROWS = 24_000  # of one task
_SHARED_ROWS = 3_000  # of one task, towards what all tasks share
_SHARED_BOUND = 3.0
_TOGETHER_ROWS = 6_000  # of a task, up to which lines wait for what the rows of a drawing have in common
_MOST_ALIKE = 0.95


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Fitted lines; the first axis is the view, the last setup or run."""

    slopes: Singles  # (views, tasks, size, 2)
    base: Floats  # (views, tasks, 2)
    effect: Singles  # (views, tasks, resources + 1, 2); the last is an unknown work centre


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Lines, and the sample's errors and drawn-in targets, as far as a view may know them."""

    lines: Lines
    errors: Singles  # (views, sample, 2) target less what was expected without the row's own part
    calm: Singles  # (views, sample, 2) targets drawn in


def thinned(task: Ints, tasks: int, seed: int, most: int = _MOST_ROWS) -> Ints:
    """Return entries to learn from, rising: all of a task, or a seeded draw of a task with very many."""
    drawn = np.random.default_rng(seed).permutation(len(task))
    drawn = drawn[np.argsort(task[drawn], kind="stable")]
    sizes = np.bincount(task, minlength=tasks)
    rank = np.arange(len(task)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(drawn[rank < most])


def fit_lines(sample: Sample, views: Views) -> Fitted:
    """Fit the lines of every view and the errors that the view's own choices are made by."""
    lefts = [*views.measured, frozenset[int]()]
    shared = _fit_shared(sample.without_plans(), lefts, views.part_count)
    made = _Made(sample, views)
    order = np.argsort(sample.task, kind="stable")
    bounds = np.searchsorted(sample.task[order], np.arange(sample.tasks + 1))
    kept: list[tuple[int, _Drafts]] = []
    for task in range(sample.tasks):
        entries = order[bounds[task] : bounds[task + 1]]
        for drafts in _drafts_of(sample, entries, shared, views):
            made.note(drafts)
            if len(entries) <= _TOGETHER_ROWS:
                kept.append((task, drafts))
            else:
                made.add(task, drafts)
    drift = made.drift()
    for task, drafts in kept:
        made.add(task, drafts, drift)
    return made.fitted()


@dataclass(frozen=True, kw_only=True)
class _Drafts:
    """Every view's draft of one task's setup (0) or run (1)."""

    out: int
    drafts: list[tuple[Draft, Ints]]  # with the entries that it is fitted to


class _Made:
    """Lines as they are made, and what was measured for them."""

    def __init__(self, sample: Sample, views: Views) -> None:
        self._sample = sample
        self._slopes = np.zeros((views.count, sample.tasks, sample.size, 2), dtype=np.float32)
        self._base = np.full((views.count, sample.tasks, 2), np.nan)
        self._effect = np.zeros((views.count, sample.tasks, sample.resources + 1, 2), dtype=np.float32)
        self._errors = np.full((views.count, len(sample.row), 2), np.nan, dtype=np.float32)
        self._calm = np.full_like(self._errors, np.nan)

    def note(self, found: _Drafts) -> None:
        """Keep the errors of drafts."""
        for view, (draft, entries) in enumerate(found.drafts):
            self._errors[view, entries, found.out], self._calm[view, entries, found.out] = draft.errors, draft.calm

    def drift(self) -> Singles:
        """Return what rows have in common with the others of their drawing (views, sample, 2)."""
        drift = np.zeros_like(self._errors)
        for view, out in np.ndindex(len(drift), 2):
            expected = self._sample.target[:, out] - self._errors[view, :, out]
            off = self._calm[view, :, out] - expected
            drift[view, :, out] = in_common(off, self._sample.weight[:, out], self._sample.group)
        return drift

    def add(self, task: int, found: _Drafts, drift: Singles | None = None) -> None:
        """Fit the lines of a task's drafts to what drift (views, sample, 2) leaves of their rows' minutes."""
        for view, (draft, entries) in enumerate(found.drafts):
            line = draft.line(np.zeros(len(entries)) if drift is None else drift[view, entries, found.out])
            self._slopes[view, task, :, found.out], self._base[view, task, found.out] = line.slopes, line.base
            self._effect[view, task, line.named, found.out] = line.effect

    def fitted(self) -> Fitted:
        """Return the lines, and the errors of the rows to be foretold."""
        first = self._sample.foretold
        lines = Lines(slopes=self._slopes, base=self._base, effect=self._effect)
        return Fitted(lines=lines, errors=self._errors[:, :first], calm=self._calm[:, :first])


def in_common(off: Floats, weight: Floats, group: Ints) -> Floats:
    """Return what each row is expected to be off by, from the other rows of its group; 0 where these tell nothing.

    How alike the rows of a group are is measured over all groups (moments); a row's own error never tells of itself.

    Args:
        off: (rows,) errors, nan unknown.
        weight: (rows,) of them.
        group: (rows,) groups, such as drawings.
    """
    weight = np.where(np.isnan(off), 0.0, weight)
    said = weight * np.nan_to_num(off)
    total, others = np.bincount(group, said)[group] - said, np.bincount(group, weight)[group] - weight
    pairs, squares = float(weight @ others), float(said @ np.nan_to_num(off))
    if pairs <= 0 or squares <= 0:
        return np.zeros(len(off))
    alike = float(np.clip((said @ total / pairs) / (squares / weight.sum()), 0.0, _MOST_ALIKE))
    usual = float(weight @ weight / weight.sum())
    return np.asarray(alike * total / (alike * others + (1.0 - alike) * usual))


def _drafts_of(sample: Sample, entries: Ints, shared: dict[Left, Floats], views: Views) -> Iterator[_Drafts]:
    """Give the drafts of setup and run, each view's with plans where those foretell its results better."""
    alone = entries[entries < sample.foretold]
    helped = _drafts_by_output(sample, entries, shared, views) if len(alone) < len(entries) else {}
    for out, plain in _drafts_by_output(sample, alone, shared, views).items():
        pairs = zip(plain, helped.get(out, plain), strict=True)
        weight = sample.weight[plain[0][1], out]
        yield _Drafts(out=out, drafts=[b if improves(b[0], a[0], weight) else a for a, b in pairs])


def _drafts_by_output(
    sample: Sample, entries: Ints, shared: dict[Left, Floats], views: Views
) -> dict[int, list[tuple[Draft, Ints]]]:
    """Return every view's draft of a setup (0) or a run (1) with the entries that know it."""
    found = {}
    for out, mine, rows in _outputs(sample, entries, shared):
        one = OneTask(rows, sample.target[mine, out], sample.weight[mine, out], out, shared)
        found[out] = [(draft, mine) for draft in one.drafts(views)]
    return found


def _outputs(sample: Sample, entries: Ints, shared: dict[Left, Floats]) -> Iterator[tuple[int, Ints, TaskRows]]:
    """Give setup and run with the entries that know them; products are made once where both are the same rows."""
    known = [entries[~np.isnan(sample.target[entries, out])] for out in range(2)]
    made: TaskRows | None = None
    for out in range(2):
        if not len(known[out]):
            continue
        alike = np.array_equal(*known) and bool((sample.weight[entries, 0] == sample.weight[entries, 1]).all())
        if made is None or not alike:
            if made is not None:
                made.solver.forget()
            made = TaskRows.of(sample, known[out], out, shared)
        yield out, known[out], made
    if made is not None:
        made.solver.forget()


def _fit_shared(sample: Sample, lefts: Collection[Left], parts: int) -> dict[Left, Floats]:
    """Return the slopes (size, 2) that all tasks share, for each set of parts left out."""
    from scipy.linalg import solve

    size = sample.size
    grams, rights = np.zeros((2, parts, size, size)), np.zeros((2, parts, size))
    order = np.argsort(sample.task, kind="stable")
    bounds = np.searchsorted(sample.task[order], np.arange(sample.tasks + 1))
    for task in range(sample.tasks):
        entries = order[bounds[task] : bounds[task + 1]]
        entries = entries[:: max(1, -(-len(entries) // _SHARED_ROWS))]
        design = sample.design_of(entries)
        for part in range(parts):
            here = sample.part[entries] == part
            known = [here & ~np.isnan(sample.target[entries, out]) for out in range(2)]
            alike = np.array_equal(*known) and bool((sample.weight[entries, 0] == sample.weight[entries, 1]).all())
            for out in range(2):
                mine = entries[known[out]]
                if not len(mine):
                    continue
                if out == 0 or not alike:
                    root = np.sqrt(sample.weight[mine, out]).astype(np.float32)[:, None]
                    scaled = design[known[out]]
                    scaled = root * (scaled - (root**2 * scaled).sum(axis=0) / (root**2).sum())
                    gram = scaled.T @ scaled
                goal = sample.target[mine, out]
                goal = calmed(goal, np.full(len(goal), np.median(goal)), _SHARED_BOUND)
                grams[out, part] += gram
                rights[out, part] += scaled.T @ (root[:, 0] * goal).astype(np.float32)
    found = {}
    for left in lefts:
        kept = [part for part in range(parts) if part not in left]
        ridge = np.eye(size) * _SHARED_PENALTY
        sums = [
            solve(grams[out, kept].sum(axis=0) + ridge, rights[out, kept].sum(axis=0), assume_a="pos")
            for out in range(2)
        ]
        found[left] = np.stack(sums, axis=1)
    return found
