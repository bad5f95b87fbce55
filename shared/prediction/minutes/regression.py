"""Ridge regressions of logarithmic minutes, robust against disturbed orders, with and without every fold.

First one regression over all tasks gives what they share: how minutes grow with an item's attributes, each task at its
own level. Then one for each task learns how it differs from that, with its work centres; from the planned times of
items that were never booked, too, where lines so fitted foretell withheld results better. Minutes that stand far off
what the others say are drawn in to a bound measured by the task's own scatter (winsorised pseudo-values; Huber 1981,
chapter 7.8), so that stoppages and typing errors do not decide a slope.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.one_task import OneTask, TaskLine, TaskRows, better
from shared.prediction.minutes.robust import calmed
from shared.prediction.minutes.sample import Left, Sample, Singles
from shared.prediction.minutes.views import Views

_SHARED_PENALTY = 1.0
_MOST_ROWS = 24_000  # of one task
_SHARED_ROWS = 3_000  # of one task, towards what all tasks share
_SHARED_BOUND = 3.0


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Fitted lines; the first axis is the view, the last setup or run."""

    slopes: Singles  # (views, tasks, size, 2)
    base: Floats  # (views, tasks, 2)
    effect: Singles  # (views, tasks, resources + 1, 2); the last is an unknown work centre

    def expected(self, reads: Singles, which: Ints, task: Ints, resource: Ints) -> Floats:
        """Return what every view expects (views, n, 2) of n operations.

        Args:
            reads: (items, size) rows of the design.
            which: (n,) the operations' items among them.
            task: (n,) tasks.
            resource: (n,) work centres, -1 unknown.
        """
        found = self.base[:, task] + self.effect[:, task, resource]
        order = np.argsort(task, kind="stable")
        starts = np.flatnonzero(np.diff(task[order], prepend=-1))
        for mine in np.split(order, starts[1:]):
            slopes = self.slopes[:, task[mine[0]]].transpose(1, 0, 2).reshape(reads.shape[1], -1)
            product = reads[which[mine]] @ slopes
            found[:, mine] += product.reshape(len(mine), -1, 2).transpose(1, 0, 2)
        return np.asarray(found)


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
    slopes = np.zeros((views.count, sample.tasks, sample.size, 2), dtype=np.float32)
    base = np.full((views.count, sample.tasks, 2), np.nan)
    effect = np.zeros((views.count, sample.tasks, sample.resources + 1, 2), dtype=np.float32)
    errors = np.full((views.count, sample.foretold, 2), np.nan, dtype=np.float32)
    calm = np.full_like(errors, np.nan)
    order = np.argsort(sample.task, kind="stable")
    bounds = np.searchsorted(sample.task[order], np.arange(sample.tasks + 1))
    for task in range(sample.tasks):
        entries = order[bounds[task] : bounds[task + 1]]
        for out, mine, found in _fit_task(sample, entries, shared, views):
            for view, line in enumerate(found):
                slopes[view, task, :, out], effect[view, task, line.named, out] = line.slopes, line.effect
                base[view, task, out] = line.base
                errors[view, mine, out], calm[view, mine, out] = line.errors, line.calm
    return Fitted(lines=Lines(slopes=slopes, base=base, effect=effect), errors=errors, calm=calm)


def _fit_task(
    sample: Sample, entries: Ints, shared: dict[Left, Floats], views: Views
) -> Iterator[tuple[int, Ints, list[TaskLine]]]:
    """Give setup and run with the entries foretold and each view's line: with plans where those make it better."""
    alone = entries[entries < sample.foretold]
    helped = _lines_by_output(sample, entries, shared, views) if len(alone) < len(entries) else {}
    for out, (mine, lines) in _lines_by_output(sample, alone, shared, views).items():
        weight = sample.weight[mine, out]
        others = helped[out][1] if out in helped else lines
        yield out, mine, [better(one, other, weight) for one, other in zip(lines, others, strict=True)]


def _lines_by_output(
    sample: Sample, entries: Ints, shared: dict[Left, Floats], views: Views
) -> dict[int, tuple[Ints, list[TaskLine]]]:
    """Return the entries that know a setup (0) or a run (1), and every view's line fitted to them."""
    return {
        out: (mine, OneTask(rows, sample.target[mine, out], sample.weight[mine, out], out, shared).fit(views))
        for out, mine, rows in _outputs(sample, entries, shared)
    }


def _outputs(sample: Sample, entries: Ints, shared: dict[Left, Floats]) -> Iterator[tuple[int, Ints, TaskRows]]:
    """Give setup and run with the entries that know them; products are made once where both are the same rows."""
    known = [entries[~np.isnan(sample.target[entries, out])] for out in range(2)]
    made: TaskRows | None = None
    for out in range(2):
        if not len(known[out]):
            continue
        alike = np.array_equal(*known) and bool((sample.weight[entries, 0] == sample.weight[entries, 1]).all())
        if made is None or not alike:
            made = TaskRows.of(sample, known[out], out, shared)
        yield out, known[out], made


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
