"""Ranked candidate routings of a batch of items, and the work centres of their operations."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.candidates.centres import Centres, fit_centres
from shared.prediction.candidates.known import KnownSignatures, collect
from shared.prediction.candidates.operations import OperationOdds, by_view, fit_operations, near_odds
from shared.prediction.candidates.order import Precedence, learn_order
from shared.prediction.candidates.pool import Pool, gather
from shared.prediction.candidates.scoring import (
    KNOTS,
    OF_CANDIDATES,
    PLAIN,
    Alternatives,
    calibrate,
    first_ones,
    fit_weights,
    least_trusted,
)
from shared.prediction.candidates.unknown import WithheldLike
from shared.prediction.candidates.votes import SCALES, best_scale, nearest, shares, votes
from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.nearby import Nearby

Rows = npt.NDArray[np.float32]
_WIDER = 6.0  # the wide votes' scale, as a multiple of the narrow one's
_NEVER = -1e6  # what nobody has comes after all else, however little weight its frequency has
_OFFERED = 3  # candidates that a planner looks at
_NO_VOTE = 0.01  # share of the votes that a candidate without any is taken to have


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One candidate routing; `signature` is -1 where no known item has it, and then nobody is a member."""

    tasks: tuple[int, ...]
    signature: int
    share: float  # of the near items' votes
    probability: float
    similarity: float  # of its nearest member; without members, of the near item most like it times their likeness
    members: Ints  # indexes into `Nearby`, nearest first


@dataclass(frozen=True, kw_only=True)
class CandidateModel:
    """Chooses routings; every array's first axis is the view."""

    known: KnownSignatures
    operations: OperationOdds
    precedence: Precedence
    centres: Centres
    scale: Floats  # (views,) an item this much less similar than the nearest has 1/e of its vote
    weights: Floats  # (views, features)
    knots: Floats  # (views, KNOTS)
    right: Floats  # (views, KNOTS)
    least: Floats  # (views,) similarity of the nearest item below which answers are not to be trusted, NaN unknown

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {
            "known": self.known.state(), "operations": self.operations.state(),
            "precedence": self.precedence.state(), "centres": self.centres.state(), "scale": self.scale,
            "weights": self.weights, "knots": self.knots, "right": self.right, "least": self.least,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "CandidateModel":
        """Return what `state` was made of."""
        return cls(
            known=KnownSignatures(**state["known"]), operations=OperationOdds.from_state(state["operations"]),
            precedence=Precedence(**state["precedence"]), centres=Centres.from_state(state["centres"]),
            scale=state["scale"], weights=state["weights"], knots=state["knots"], right=state["right"],
            least=state["least"],
        )  # fmt: skip

    @cached_property
    def _log_shares(self) -> npt.NDArray[np.float32]:
        """Return the common signatures' log shares by view, as heavy as the score takes them on likelihood's scale."""
        heavy = self.weights[:, [3]] / np.maximum(self.weights[:, [0]], 0.1)
        table = np.where(self.known.counts > 0, heavy * self.known.log_share_table[:, :-1], _NEVER)
        return table[:, self.known.common].astype(np.float32)

    @cached_property
    def _priors(self) -> Floats:
        return self.operations.shares.astype(np.float64)

    def _alternatives(self, near: Nearby, rows: Rows, views: Ints) -> tuple[Pool, Alternatives, Floats]:
        scale = self.scale.take(views)
        narrow, wide = votes(near, scale), votes(near, scale * _WIDER)
        consensus = near_odds(near, wide, self._priors.take(views, axis=0))
        odds = self.operations.odds(consensus, rows, views)
        pool = gather(near, self.known, odds, self._log_shares, views)
        share, wide_share = shares(near, (narrow, wide), pool)
        features = np.empty((len(share), OF_CANDIDATES))
        features[:, 0::5] = pool.likelihoods(self.known, np.array([odds, consensus]))
        features[:, 1], features[:, 2] = np.log(share + _NO_VOTE), np.log(wide_share + _NO_VOTE)
        features[:, 3] = self.known.log_shares(pool.signature, views.take(pool.request))
        features[:, 4] = pool.made >= 0
        none = np.ones((len(views), 3))
        none[:, 1] = 1 - nearest(near)
        none[:, 2] = -np.log1p(np.exp(-np.abs(odds))).sum(axis=1)
        return pool, Alternatives(request=pool.request, features=features, none=none), share

    def choose(self, near: Nearby, rows: Rows, views: Ints, count: int) -> list[list[Choice]]:
        """Return every asked item's `count` most probable routings, best first.

        Equally probable ones come by fewer outsourced operations, then fewer operations, then those that exist.

        Args:
            near: the near items of the batch.
            rows: (batch, features) of the feature table.
            views: (batch,) which statistics to use: an item's own fold when it is asked as if unknown.
            count: how many routings at most.
        """
        if not len(views):
            return []
        pool, alternatives, share = self._alternatives(near, rows, views)
        raw = alternatives.probabilities(self.weights.take(views, axis=0))
        probability = self._calibrated(raw, views, pool)
        top = first_ones(pool.request, raw.round(9), count, self._ties(pool))
        found: list[list[Choice]] = [[] for _ in range(pool.requests)]
        for place in top.tolist():
            request = int(pool.request[place])
            choice = self._choice(
                near, pool, place, float(share[place]), float(probability[place]), int(views[request])
            )
            found[request].append(choice)
        return found

    def _ties(self, pool: Pool) -> tuple[npt.NDArray[Any], ...]:
        """Return what decides between equally probable candidates, the weightiest last."""
        new = pool.made >= 0
        lengths, outside = self.known.lengths.take(pool.signature), self.known.outside.take(pool.signature)
        if len(pool.sets):
            lengths[new] = pool.sets[pool.made[new]].sum(axis=1)
            outside[new] = 0
        return pool.signature, new, lengths, outside

    @cached_property
    def _curves(self) -> list[tuple[Floats, Floats]]:
        knots, right = (np.pad(table, ((0, 0), (1, 0))) for table in (self.knots, self.right))
        return list(zip(knots, right, strict=True))

    def _calibrated(self, raw: Floats, views: Ints, pool: Pool) -> Floats:
        # Below the first knot the curve falls to 0: many next to impossible candidates must not add up.
        def curve(one: int, mine: Ints | slice) -> Floats:
            return np.asarray(np.interp(raw[mine], *self._curves[one]))

        found = by_view(views.take(pool.request), curve)
        total = np.bincount(pool.request, found, pool.requests)
        return np.asarray(found / np.maximum(total, 1.0).take(pool.request))

    def _choice(
        self, near: Nearby, pool: Pool, place: int, share: float, probability: float, view: int
    ) -> Choice:  # fmt: skip
        request, signature = int(pool.request[place]), int(pool.signature[place])
        start, end = int(near.bounds[request]), int(near.bounds[request + 1])
        members = start + ((pool.of_near[start:end] == place) & near.voters[start:end]).nonzero()[0]
        if signature >= 0:
            tasks = tuple(self.known.tasks[self.known.bounds[signature] : self.known.bounds[signature + 1]].tolist())
        else:
            chosen = np.flatnonzero(pool.sets[pool.made[place]])
            tasks = self.precedence.ordered(chosen, view, near_order(near, request, chosen))
            signature = self.known.of_sequence(pool.keys[pool.made[place]], tasks)
        similarity = float(near.similarities[members[0]]) if len(members) else likeness(near, request, tasks)
        return Choice(
            tasks=tasks, signature=signature, share=share, probability=probability, similarity=similarity,
            members=members,
        )  # fmt: skip

    def least_similarity(self, views: Ints, minimum: float) -> Floats:
        """Return, by request, how similar the nearest item must be: `minimum`, or more where withheld items tell so.

        `scoring.least_trusted` says how they tell.
        """
        return np.asarray(np.fmax(self.least[views], minimum))

    def work_centres(
        self, near: Nearby, rows: Rows, views: Ints, asked: Ints, task: Ints
    ) -> tuple[Ints, npt.NDArray[np.int8]]:
        """Return every asked operation's work centre (-1 unknown) and whether it is in-house (1, 0, -1 unknown)."""
        return self.centres.choose(near, rows, views, asked, task)


def near_order(near: Nearby, request: int, chosen: Ints) -> Floats:
    """Return how strongly the near items do each chosen task before each other one, (chosen, chosen)."""
    (start, end), (first, last) = _parts(near, request)
    task = near.task[first:last]
    place = np.minimum(chosen.searchsorted(task), len(chosen) - 1)
    kept = (chosen.take(place) == task).nonzero()[0]
    step = np.full((end - start, len(chosen)), np.nan)
    step[near.row_near[first:last].take(kept) - start, place.take(kept)] = near.rows[first:last].take(kept)
    weight = np.maximum(near.similarities[start:end], 0.0) * near.voters[start:end]
    return np.asarray(((step[:, :, None] < step[:, None, :]) * weight[:, None, None]).sum(axis=0))


def likeness(near: Nearby, request: int, tasks: tuple[int, ...]) -> float:
    """Return the greatest product of a near item's similarity and the share of tasks that it has in common."""
    (start, end), (first, last) = _parts(near, request)
    if start == end:
        return 0.0
    wanted = np.zeros(near.routings.tasks, dtype=np.bool_)
    wanted[list(tasks)] = True
    own = near.row_near[first:last] - start
    common = np.bincount(own, wanted.take(near.task[first:last]), end - start)
    either = near.routing_sizes[start:end] + len(tasks) - common
    share = common / np.maximum(either, 1)
    return float((near.similarities[start:end] * share * near.voters[start:end]).max())


def _parts(near: Nearby, request: int) -> tuple[list[int], list[int]]:
    """Return from where to where an asked item's near items reach, and their routing rows."""
    part = slice(request, request + 2)
    return near.bounds[part].tolist(), near.row_bounds[part].tolist()


def fit_candidates(
    table_rows: Rows, categorical: npt.NDArray[np.bool_], routings: Routings, items: Items, routed: Ints,
    withheld: WithheldLike, seed: int,
) -> CandidateModel:  # fmt: skip
    """Learn which routings items call for.

    Args:
        table_rows: (routed, features) of the feature table.
        categorical: (features,) which features are categories.
        routings: the current routings.
        items: every item.
        routed: places of the items with a routing, rising.
        withheld: a sample of them asked as if unknown; what the weights and the curve are fitted on.
        seed: draws the items that trees are grown from.
    """
    views = items.fold_count + 1
    model = CandidateModel(
        known=collect(routings, items, routed),
        operations=fit_operations(table_rows, categorical, routings, items, routed, seed),
        precedence=learn_order(routings, items, routed),
        centres=fit_centres(table_rows, categorical, routings, items, routed, withheld, seed),
        scale=np.full(views, SCALES[len(SCALES) // 2]), weights=np.tile(PLAIN, (views, 1)),
        knots=np.tile(np.linspace(0, 1, KNOTS), (views, 1)), right=np.tile(np.linspace(0, 1, KNOTS), (views, 1)),
        least=np.full(views, np.nan),
    )  # fmt: skip
    return fit_scores(model, withheld, routings.signature[withheld.places]) if len(withheld.places) else model


def fit_scores(model: CandidateModel, withheld: WithheldLike, truth: Ints) -> CandidateModel:
    """Fit scale, weights and curve of every view on the withheld items of other folds."""
    near, rows, own = withheld.near, withheld.rows, withheld.views
    scale, weights = model.scale.copy(), model.weights.copy()
    knots, right, least = model.knots.copy(), model.right.copy(), model.least.copy()
    for view in range(len(scale)):
        used = own != view
        if not used.any():
            continue
        scale[view] = best_scale(near, truth, np.flatnonzero(used))
        asked = replace(model, scale=np.full(len(scale), scale[view]))
        pool, alternatives, _ = asked._alternatives(near, rows, own)
        true = pool.true(model.known, truth)
        weights[view] = fit_weights(alternatives, true, used)
        chance = alternatives.probabilities(np.tile(weights[view], (len(own), 1)))
        kept = used[pool.request]
        knots[view], right[view] = calibrate(pool.request[kept], chance[kept], true[kept])
        offered = first_ones(pool.request, chance, _OFFERED)
        answered = np.bincount(pool.request[offered], true[offered], len(own)) > 0
        least[view] = least_trusted(nearest(near)[used], answered[used])
    return replace(model, scale=scale, weights=weights, knots=knots, right=right, least=least)
