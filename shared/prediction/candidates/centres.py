"""Which work centre does an operation: the near items' votes and, where it can be learned, boosted trees."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.boosting import fit_boosted
from shared.learning.growing import Growth
from shared.learning.trees import BoostedTrees
from shared.prediction.candidates.operations import FEW_ITEMS, LEAST_ITEMS, by_view
from shared.prediction.candidates.unknown import WithheldLike
from shared.prediction.candidates.votes import SCALES, votes
from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.nearby import Nearby, ranges

Rows = npt.NDArray[np.float32]
FEW_GROWTH = Growth(rounds=8, learning_rate=0.5, leaves=10, least_hessian=0.3, l2=0.3, most_step=6.0, screening=3)
GROWTH = Growth(rounds=30, learning_rate=0.2, leaves=10, l2=0.1, screening=8)
MOST_ITEMS = 20_000  # of a view that trees are grown from
MOST_OUTPUTS = 96  # centres that trees are grown for, the most frequent ones
LEAST_DOING = 60  # items that do an operation, before trees choose its work centre
_LEAST_OF_CENTRE = 5
_UNLEARNED = -4.0  # log odds of a work centre too rare for trees
_DOUBT = 0.1  # near items' worth of belief in how often the work centre does the operation at all
_VOTE_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 8.0)  # how much the votes count beside the trees


@dataclass(frozen=True, kw_only=True)
class Options:
    """Work centres that do a task, in-house and outsourced apart; a task's options follow each other."""

    keys: Ints  # (options,) rising: task, work centre and in-house as one number
    task: Ints
    resource: Ints  # -1 unknown
    inside: npt.NDArray[np.int8]  # -1 unknown
    bounds: Ints  # (tasks + 1,)
    counts: npt.NDArray[np.int32]  # (views, options) items, without the view's fold

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def of_rows(self, routings: Routings, rows: Ints) -> Ints:
        """Return the option that each routing row took."""
        return np.asarray(self.keys.searchsorted(_keys(routings, rows)))


@dataclass(frozen=True, kw_only=True)
class Centres:
    """Chooses among the options of a task: weighted log share of the votes plus the trees' log probability."""

    options: Options
    output: Ints  # (options,) of the trees, -1 where none
    sign: npt.NDArray[np.int8]  # (options,) -1 for the second of two: its odds are the first one's turned round
    trees: tuple[BoostedTrees, ...]  # one a view; none where nothing is to be learned
    scale: Floats  # (views,) of the votes
    weight: Floats  # (views,) of the votes beside trees

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "options": self.options.state(), "output": self.output, "sign": self.sign,
            "trees": [tree.state() for tree in self.trees], "scale": self.scale, "weight": self.weight,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Centres":
        """Return what `state` was made of."""
        trees = tuple(BoostedTrees.from_state(tree) for tree in state["trees"])
        return cls(
            options=Options(**state["options"]), output=state["output"], sign=state["sign"], trees=trees,
            scale=state["scale"], weight=state["weight"],
        )  # fmt: skip

    @cached_property
    def _learned(self) -> npt.NDArray[np.bool_]:
        """Tell which tasks have trees."""
        found = np.zeros(len(self.options.bounds) - 1, dtype=np.bool_)
        found[self.options.task[self.output >= 0]] = True
        return found

    def choose(
        self, near: Nearby, rows: Rows, views: Ints, asked: Ints, task: Ints
    ) -> tuple[Ints, npt.NDArray[np.int8]]:
        """Return each asked operation's work centre and whether it is in-house, -1 where unknown.

        In-house wins where the scores are equal, then the work centre of the lower number.
        """
        resource, inside = np.full(len(task), -1, dtype=np.int64), np.full(len(task), -1, dtype=np.int8)
        pairs = self._pairs(asked, task)
        if not len(pairs.option):
            return resource, inside
        share = self._vote_shares(near, votes(near, self.scale.take(views)), views, pairs)
        learned = self._log_chances(rows, views, pairs)
        score = np.log(share) * self._vote_weight(self.weight.take(views), pairs) + learned
        best = self._best(pairs, score)
        request, option = pairs.request.take(best), pairs.option.take(best)
        resource[request], inside[request] = self.options.resource.take(option), self.options.inside.take(option)
        return resource, inside

    def _pairs(self, asked: Ints, task: Ints) -> "_Pairs":
        known = (task >= 0).nonzero()[0]
        some = task.take(known)
        starts = self.options.bounds.take(some)
        sizes = self.options.bounds.take(some + 1) - starts
        request = known.repeat(sizes)
        first = np.full(len(task), -1, dtype=np.int64)
        first[known] = sizes.cumsum() - sizes
        return _Pairs(
            asked=asked, task=task, request=request, option=ranges(starts, sizes), first=first,
            spoken=self._learned.take(some).repeat(sizes),
        )  # fmt: skip

    def _vote_weight(self, weight: Floats, pairs: "_Pairs") -> Floats:
        """Return how much the votes count for each pair: fully where no trees speak."""
        return np.where(pairs.spoken, weight.take(pairs.asked.take(pairs.request)), 1.0)

    def _vote_shares(self, near: Nearby, given: Floats, views: Ints, pairs: "_Pairs") -> Floats:
        found = near.matching(pairs.asked, pairs.task)
        option = self.options.of_rows(near.routings, found.row)
        cell = option + (pairs.first - self.options.bounds.take(pairs.task)).take(found.request)
        sums = np.bincount(cell, given.take(found.member), len(pairs.option))
        view = views.take(pairs.asked).take(pairs.request)
        counts = self.options.counts.take(view * len(self.options.keys) + pairs.option) + 0.1
        every = np.bincount(pairs.request, counts, len(pairs.task)).take(pairs.request)
        total = np.bincount(pairs.request, sums, len(pairs.task)).take(pairs.request)
        return np.asarray((sums + _DOUBT * counts / every) / (total + _DOUBT))

    def _log_chances(self, rows: Rows, views: Ints, pairs: "_Pairs") -> Floats:
        """Return the log probability of each pair by trees, 0 where the task has none."""
        found = np.zeros(len(pairs.option))
        spoken = pairs.spoken.nonzero()[0]
        if not self.trees or not len(spoken):
            return found
        scores = by_view(views, lambda view, mine: self.trees[view].values(rows[mine]))
        option, asked = pairs.option.take(spoken), pairs.asked.take(pairs.request.take(spoken))
        output, sign = self.output.take(option), self.sign.take(option)
        score = np.where(output >= 0, scores[asked, output] * sign, _UNLEARNED)
        found[spoken] = -np.logaddexp(0, -score)
        return found

    def _best(self, pairs: "_Pairs", score: Floats) -> Ints:
        outside = -self.options.inside.take(pairs.option)
        order = np.lexsort((self.options.resource.take(pairs.option), outside, -score.round(9), pairs.request))
        new = np.ones(len(order), dtype=np.bool_)
        np.not_equal(pairs.request[1:], pairs.request[:-1], out=new[1:])  # requests rise, sorted or not
        return np.asarray(order[new])


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Requests with every option of their tasks; `first` is where a request's pairs begin."""

    asked: Ints  # (requests,)
    task: Ints  # (requests,)
    request: Ints  # (pairs,)
    option: Ints  # (pairs,)
    first: Ints  # (requests,)
    spoken: npt.NDArray[np.bool_]  # (pairs,) whether trees speak of the task


def _keys(routings: Routings, rows: Ints) -> Ints:
    resources = np.int64(len(routings.resources) + 1)  # wide enough for the product
    place = routings.task.take(rows) * resources + routings.resource.take(rows) + 1
    return np.asarray(place * 3 + routings.inside.take(rows) + 1)


def _options(routings: Routings, items: Items, routed_rows: Ints, folds: npt.NDArray[np.int8]) -> Options:
    keys, belongs = np.unique(_keys(routings, routed_rows), return_inverse=True)
    task = keys // 3 // (len(routings.resources) + 1)
    views = range(items.fold_count + 1)
    counts = np.stack([np.bincount(belongs[folds != view], minlength=len(keys)) for view in views])
    return Options(
        keys=keys, task=task, resource=keys // 3 % (len(routings.resources) + 1) - 1,
        inside=(keys % 3 - 1).astype(np.int8), bounds=np.searchsorted(task, np.arange(routings.tasks + 1)),
        counts=counts.astype(np.int32),
    )  # fmt: skip


def fit_centres(
    table_rows: Rows, categorical: npt.NDArray[np.bool_], routings: Routings, items: Items, routed: Ints,
    withheld: WithheldLike, seed: int,
) -> Centres:  # fmt: skip
    """Grow trees where work centres can be learned; choose scale and weight of the votes on withheld items."""
    sizes = routings.offsets[routed + 1] - routings.offsets[routed]
    rows = ranges(routings.offsets[routed], sizes)
    folds = np.repeat(items.folds[routed], sizes)
    options = _options(routings, items, rows, folds)
    output, sign = _outputs(options)
    trees: list[BoostedTrees] = []
    if (output >= 0).any() and table_rows.shape[1] and len(routed) >= LEAST_ITEMS:
        owner = np.repeat(np.arange(len(routed)), sizes)
        targets = _targets(options, np.where(sign > 0, output, -1), owner, options.of_rows(routings, rows), len(routed))
        order = np.random.default_rng(seed).permutation(len(routed))
        for view in range(items.fold_count + 1):
            mine = np.sort(order[items.folds[routed[order]] != view][:MOST_ITEMS])
            growth = GROWTH if len(mine) > FEW_ITEMS else FEW_GROWTH
            trees.append(fit_boosted(table_rows[mine], targets[mine], categorical, growth=growth, seed=seed))
    views = items.fold_count + 1
    model = Centres(
        options=options, output=output if trees else np.full_like(output, -1), sign=sign, trees=tuple(trees),
        scale=np.full(views, SCALES[len(SCALES) // 2]), weight=np.ones(views),
    )  # fmt: skip
    return _tuned(model, routings, withheld)


def _outputs(options: Options) -> tuple[Ints, npt.NDArray[np.int8]]:
    """Number the outputs of trees, and say which options read theirs turned round.

    Trees are grown for options of tasks with a choice, done often enough; the only two of a task share one output.
    """
    counts = options.counts[-1]
    often = counts >= _LEAST_OF_CENTRE
    tasks = len(options.bounds) - 1
    choice = np.bincount(options.task, often, tasks) > 1
    known = np.bincount(options.task, counts, tasks) >= LEAST_DOING
    wanted = np.flatnonzero(often & (choice & known)[options.task])
    ranked = np.sort(wanted[np.argsort(-counts[wanted], kind="stable")[:MOST_OUTPUTS]])
    first = np.searchsorted(options.task[ranked], options.task[ranked])
    pair = np.bincount(options.task, minlength=tasks)[options.task[ranked]] == 2
    second = pair & (np.arange(len(ranked)) > first)
    output, sign = np.full(len(counts), -1, dtype=np.int64), np.ones(len(counts), dtype=np.int8)
    output[ranked] = np.cumsum(~second) - 1
    sign[ranked[second]] = -1
    return output, sign


def _targets(options: Options, output: Ints, owner: Ints, taken: Ints, routed: int) -> Rows:
    """Return, by routed item and output, 1 where the item does the task there, 0 elsewhere, NaN where it lacks it."""
    outputs = int(output.max()) + 1
    found = np.full((routed, outputs), np.nan, dtype=np.float32)
    for option in np.flatnonzero(output >= 0).tolist():
        mine = options.task[taken] == options.task[option]
        found[owner[mine], output[option]] = taken[mine] == option
    return found


def _tuned(model: Centres, routings: Routings, withheld: WithheldLike) -> Centres:
    """Choose scale and weight of the votes by how many withheld operations get their work centre, view by view."""
    places = withheld.places
    sizes = routings.offsets[places + 1] - routings.offsets[places]
    rows = ranges(routings.offsets[places], sizes)
    asked = np.repeat(np.arange(len(places)), sizes)
    pairs = model._pairs(asked, routings.task[rows])
    true = model.options.of_rows(routings, rows)
    learned = model._log_chances(withheld.rows, withheld.views, pairs)
    right = np.zeros((len(SCALES), len(_VOTE_WEIGHTS), len(rows)), dtype=np.bool_)
    for first, one in enumerate(SCALES):
        given = votes(withheld.near, np.full(len(places), one))
        log_share = np.log(model._vote_shares(withheld.near, given, withheld.views, pairs))
        for second, heavy in enumerate(_VOTE_WEIGHTS):
            best = model._best(pairs, log_share * model._vote_weight(np.full(len(places), heavy), pairs) + learned)
            right[first, second, pairs.request[best]] = pairs.option[best] == true[pairs.request[best]]
    scale, weight = model.scale.copy(), model.weight.copy()
    for view in range(len(scale)):
        used = withheld.views[asked] != view
        if used.any():
            place = np.unravel_index(int(np.argmax(right[:, :, used].sum(axis=2))), right.shape[:2])
            scale[view], weight[view] = SCALES[place[0]], _VOTE_WEIGHTS[place[1]]
    return replace(model, scale=scale, weight=weight)
