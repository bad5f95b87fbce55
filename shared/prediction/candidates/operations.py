"""Which operations an item calls for: boosted trees on its attributes, else the near items' shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.learning.boosting import fit_boosted
from shared.learning.growing import Growth
from shared.learning.trees import BoostedTrees
from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.nearby import Nearby, ranges

LEAST_ITEMS = 200  # that boosting learns from; neighbours' shares say more where there are fewer
MOST_ITEMS = 60_000  # of a view that trees are grown from
MOST_TASKS = 64  # that trees are grown for, the most uncertain ones
FEW_ITEMS = 10_000  # up to here fewer and bolder trees are as right, in half of the time
FEW_GROWTH = Growth(rounds=20, learning_rate=0.3, least_hessian=0.3, l2=0.1, most_step=6.0, screening=8)
GROWTH = Growth(rounds=24, learning_rate=0.25, l2=0.1, screening=10)
_LEAST_OF_EITHER = 5  # items that have a task, and that lack it
_DOUBT = 1.0  # near items' worth of belief in the overall share
_RARE = 1e-4  # share of the votes below which, or above whose complement, votes say no more
_CERTAIN = 9.0  # log odds beyond this say no more


@dataclass(frozen=True, kw_only=True)
class OperationOdds:
    """Log odds of every task; `learned` tasks by trees, the others by the near items' shares."""

    learned: Ints
    trees: tuple[BoostedTrees, ...]  # one a view; none where too little is known
    shares: npt.NDArray[np.float32]  # (views, tasks) of the items that have the task

    def odds(self, consensus: Floats, rows: npt.NDArray[np.float32], views: Ints) -> Floats:
        """Return (batch, tasks) log odds, given the near items' by `near_odds`."""
        found = consensus.copy()
        if len(self.learned):
            found[:, self.learned] = by_view(views, lambda view, mine: self.trees[view].values(rows[mine]))
        np.maximum(found, -_CERTAIN, out=found)
        return np.asarray(np.minimum(found, _CERTAIN, out=found))

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {"learned": self.learned, "trees": [tree.state() for tree in self.trees], "shares": self.shares}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "OperationOdds":
        """Return what `state` was made of."""
        trees = tuple(BoostedTrees.from_state(tree) for tree in state["trees"])
        return cls(learned=state["learned"], trees=trees, shares=state["shares"])


def by_view(views: Ints, answer: Callable[[int, Ints | slice], Floats]) -> Floats:
    """Return the answers to every request, asked for view by view; most batches have one view."""
    asked = set(views.tolist())
    if len(asked) == 1:
        return answer(asked.pop(), slice(None))
    parts = {view: np.flatnonzero(views == view) for view in sorted(asked)}
    found = np.concatenate([answer(view, mine) for view, mine in parts.items()])
    return found[np.argsort(np.concatenate(list(parts.values())))]


def near_odds(near: Nearby, votes: Floats, prior: Floats) -> Floats:
    """Return (batch, tasks) log odds from the near items' votes and from how many items have the task at all."""
    batch, tasks = prior.shape
    cells = np.bincount(near.cells, votes.take(near.row_near), batch * tasks)
    total = np.bincount(near.asked, votes, batch)[:, None]
    share = (cells.reshape(batch, tasks) + _DOUBT * prior) / (total + _DOUBT)
    np.maximum(share, _RARE, out=share)
    np.minimum(share, 1 - _RARE, out=share)
    return np.asarray(np.log(share / (1 - share)))


def fit_operations(
    rows: npt.NDArray[np.float32], categorical: npt.NDArray[np.bool_], routings: Routings, items: Items, routed: Ints,
    seed: int,
) -> OperationOdds:  # fmt: skip
    """Learn each task's odds once without each fold and once from everything; `rows` are the routed items'."""
    folds, views = items.folds[routed], range(items.fold_count + 1)
    table = _task_table(routings, routed)
    shares = np.stack([_share(table[folds != view]) for view in views])
    have = table.sum(axis=0, dtype=np.int64)
    uncertain = np.flatnonzero(np.minimum(have, len(routed) - have) >= _LEAST_OF_EITHER)
    ranked = uncertain[np.argsort(-np.minimum(have, len(routed) - have)[uncertain], kind="stable")]
    learned = np.sort(ranked[:MOST_TASKS])
    if len(routed) < LEAST_ITEMS or not rows.shape[1]:
        return OperationOdds(learned=learned[:0], trees=(), shares=shares)
    order = np.random.default_rng(seed).permutation(len(routed))
    trees = []
    for view in views:
        chosen = np.sort(order[folds[order] != view][:MOST_ITEMS])
        growth = GROWTH if len(chosen) > FEW_ITEMS else FEW_GROWTH
        trees.append(fit_boosted(rows[chosen], table[np.ix_(chosen, learned)], categorical, growth=growth, seed=seed))
    return OperationOdds(learned=learned, trees=tuple(trees), shares=shares)


def _task_table(routings: Routings, routed: Ints) -> npt.NDArray[np.bool_]:
    sizes = routings.offsets[routed + 1] - routings.offsets[routed]
    table = np.zeros((len(routed), routings.tasks), dtype=np.bool_)
    table[np.repeat(np.arange(len(routed)), sizes), routings.task[ranges(routings.offsets[routed], sizes)]] = True
    return table


def _share(table: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    return np.asarray((table.sum(axis=0) + 0.5) / (len(table) + 1), dtype=np.float32)
