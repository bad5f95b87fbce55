"""From neighbours to candidate routings: votes for whole signatures, made into probabilities by measurement.

A neighbour's vote falls exponentially with its dissimilarity and rises with the odds that the item calls for the
neighbour's operations (`presence`). How strongly each counts is chosen on withheld items.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import FOLDS, Floats, Ints
from shared.prediction.neighbourhood import Neighbourhood

VIEWS = FOLDS + 1  # one set of statistics without each fold, and the last with everything
EVERYTHING = FOLDS
SCALES = tuple(float(scale) for scale in np.geomspace(0.01, 0.64, 7))
BELIEFS = (0.0, 0.5, 1.0, 2.0, 4.0)
POWERS = (0.25, 0.5, 1.0)
_KNOTS = 24


@dataclass(frozen=True, kw_only=True)
class VoteModel:
    """How similarity becomes votes and votes become probabilities; one row a view."""

    scale: Floats  # (views,) a neighbour this much less similar has 1/e of the vote
    belief: Floats  # (views,) how much the log odds of the neighbour's operations count
    temper: Floats  # (views,) power to which a signature's votes are raised: below 1 where votes repeat each other
    share: Floats  # (views, knots) share of the votes
    probability: Floats  # (views, knots) how often a candidate with that share was right

    def state(self) -> dict[str, Floats]:
        """Return plain arrays."""
        return {
            "scale": self.scale,
            "belief": self.belief,
            "temper": self.temper,
            "share": self.share,
            "probability": self.probability,
        }


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One signature that neighbours voted for."""

    signature: int
    share: float
    probability: float
    similarity: float  # of its nearest neighbour
    members: Ints  # neighbours that have it, nearest first


def log_odds(near: Neighbourhood, odds: Floats) -> Floats:
    """Return each neighbour's sum of the log odds, by task, of its operations."""
    sums = np.bincount(near.row_neighbour, odds[near.routings.task[near.rows]], len(near.places))
    return sums.astype(np.float64)


def _exponentials(log_votes: Floats) -> Floats:
    """Return votes whose largest is 1, so that none underflows that matters."""
    return np.asarray(np.exp(log_votes - log_votes.max(axis=-1, keepdims=True)))


def choose(near: Neighbourhood, odds: Floats, model: VoteModel, view: int) -> list[Choice]:
    """Rank the neighbours' signatures, given each task's log odds.

    Equal ones are ranked by fewer outsourced operations, then fewer operations, then codes.
    """
    voting = np.flatnonzero(near.voters)
    if not len(voting):
        return []
    belief = log_odds(near, odds)[voting] * model.belief[view]
    votes = _exponentials(near.similarities[voting] / model.scale[view] + belief)
    signatures = near.routings.signature[near.places[voting]]
    numbers, belongs = np.unique(signatures, return_inverse=True)
    sums = np.bincount(belongs, votes) ** model.temper[view]
    shares = sums / sums.sum()
    probabilities = np.interp(shares, model.share[view], model.probability[view])
    excess = float(probabilities.sum())
    if excess > 1:
        probabilities = probabilities / excess
    found = []
    for place, number in enumerate(numbers.tolist()):
        members = voting[belongs == place]
        found.append(
            Choice(
                signature=number,
                share=float(shares[place]),
                probability=float(probabilities[place]),
                similarity=float(near.similarities[members[0]]),
                members=members,
            )
        )
    return sorted(found, key=lambda choice: (-round(choice.share, 9), *_preference(near, choice)))


def _preference(near: Neighbourhood, choice: Choice) -> tuple[int, int, tuple[str, ...]]:
    routings = near.routings
    place = int(near.places[choice.members[0]])
    outside = int((routings.inside[routings.offsets[place] : routings.offsets[place + 1]] == 0).sum())
    codes = tuple(routings.operations[operation] for operation in routings.signatures[choice.signature])
    return outside, len(codes), codes


@dataclass(frozen=True, kw_only=True)
class WithheldVotes:
    """What near items withheld items had, and what was right; rows are the withheld items."""

    similarities: Floats  # (items, neighbours), -inf where there were fewer
    odds: Floats  # (items, neighbours) of `log_odds`
    signatures: Ints  # (items, neighbours), -2 where there were fewer
    neighbour_folds: Ints
    truth: Ints
    folds: Ints


def fit_votes(cases: WithheldVotes) -> VoteModel:
    """Choose the kernel's scale and calibrate the shares on withheld items, once without each fold."""
    scale, belief, temper = np.empty(VIEWS), np.zeros(VIEWS), np.ones(VIEWS)
    share, probability = np.empty((VIEWS, _KNOTS)), np.empty((VIEWS, _KNOTS))
    for view in range(VIEWS):
        allowed = (cases.neighbour_folds != view) & np.isfinite(cases.similarities)
        used = (cases.folds != view) & allowed.any(axis=1)
        if not used.any():
            scale[view], share[view] = SCALES[len(SCALES) // 2], np.linspace(0, 1, _KNOTS)
            probability[view] = np.clip(share[view], 0.001, 0.999)
            continue
        similarities = np.where(allowed, cases.similarities, -np.inf)[used]
        groups, truth = _group(np.where(allowed, cases.signatures, -2)[used], cases.truth[used])
        best, shares = -np.inf, np.zeros(0)
        for near, odds, power in product(SCALES, BELIEFS, POWERS):
            votes = _exponentials(similarities / near + cases.odds[used] * odds)
            found = _shares(groups, votes, power)
            chance = float(np.log(np.maximum(_at(found, truth), 1e-3)).mean())
            if chance > best:
                best, shares, scale[view], belief[view], temper[view] = chance, found, near, odds, power
        share[view], probability[view] = _isotonic(_pairs(shares, truth))
    return VoteModel(scale=scale, belief=belief, temper=temper, share=share, probability=probability)


def _group(signatures: Ints, truth: Ints) -> tuple[Ints, Ints]:
    """Number each item's neighbours' signatures from 0; return these and the number of the right one, -1 if absent."""
    groups, right = np.empty_like(signatures), np.full(len(truth), -1, dtype=np.int64)
    for row, codes in enumerate(signatures):
        numbers, groups[row] = np.unique(codes, return_inverse=True)
        place = int(np.searchsorted(numbers, truth[row]))
        if place < len(numbers) and numbers[place] == truth[row]:
            right[row] = place
    return groups, right


def _shares(groups: Ints, votes: Floats, power: float) -> Floats:
    """Return each item's shares by number of its signature."""
    width = groups.shape[1]
    flat = (np.arange(len(groups))[:, None] * width + groups).ravel()
    sums = np.bincount(flat, votes.ravel(), len(groups) * width).reshape(groups.shape) ** power
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))


def _at(shares: Floats, truth: Ints) -> Floats:
    return np.where(truth >= 0, shares[np.arange(len(truth)), np.maximum(truth, 0)], 0.0)


def _pairs(shares: Floats, truth: Ints) -> list[tuple[float, bool]]:
    """Return the five largest shares of each item and whether each was right."""
    order = np.argsort(-shares, axis=1, kind="stable")[:, :5]
    return [
        (float(shares[row, place]), place == truth[row])
        for row, places in enumerate(order)
        for place in places.tolist()
        if shares[row, place] > 0
    ]


def _isotonic(pairs: list[tuple[float, bool]]) -> tuple[Floats, Floats]:
    """Return a rising curve from share to the chance of being right, drawn towards the share where pairs are few."""
    ordered = sorted(pairs)
    shares = np.array([share for share, _ in ordered])
    rights = np.array([right for _, right in ordered], dtype=np.float64)
    bins = np.array_split(np.arange(len(shares)), min(_KNOTS, max(len(shares), 1)))
    levels: list[list[float]] = []  # share sum, right sum, count
    for chunk in bins:
        if not len(chunk):
            continue
        believed = 2.0  # pairs' worth of trust in the share itself
        middle = float(shares[chunk].mean())
        levels.append([middle, float(rights[chunk].sum()) + believed * middle, len(chunk) + believed])
    merged: list[list[float]] = []
    widths: list[int] = []
    for _, right, count in levels:
        merged.append([right, count])
        widths.append(1)
        while len(merged) > 1 and merged[-2][0] / merged[-2][1] >= merged[-1][0] / merged[-1][1]:
            merged[-2:] = [[merged[-2][0] + merged[-1][0], merged[-2][1] + merged[-1][1]]]
            widths[-2:] = [widths[-2] + widths[-1]]
    curve = [right / count for (right, count), width in zip(merged, widths, strict=True) for _ in range(width)]
    knots = np.interp(np.linspace(0, 1, _KNOTS), np.linspace(0, 1, len(levels)), [level[0] for level in levels])
    values = np.interp(knots, [level[0] for level in levels], curve)
    return knots, np.clip(values, 0.001, 0.999)


def vote_weights(near: Neighbourhood, model: VoteModel, view: int) -> npt.NDArray[np.float64]:
    """Return every neighbour's vote for an operation's work centre; the asked item itself has none."""
    voting = near.similarities[near.voters]
    top = float(voting[0]) if len(voting) else 1.0
    return np.asarray(np.exp((near.similarities - top) / model.scale[view]) * near.voters)
