"""From candidates to probabilities: a conditional logit over each item's candidates, then an isotonic curve.

A candidate's score is a weighted sum of what speaks for it. Among the alternatives is always "none of these", so the
candidates' probabilities sum to less than 1. The weights are the most likely ones on withheld items (McFadden, 1974),
drawn towards plain ones where items are few.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints

# likelihood by trees, near votes, wide near votes, how frequent, new, likelihood by near items; of "none of these":
# constant, dissimilarity of the nearest item, log-likelihood of the most probable set.
PLAIN = np.array([0.5, 0.7, 0.3, 0.3, -1.0, 0.2, -4.0, 2.0, 0.0])
OF_CANDIDATES = 6
_PULL = 2.0  # withheld items' worth of belief in the plain weights
_LEAST_SPREAD = 0.1  # what hardly differs between candidates keeps its plain weight
_ROUNDS = 30
KNOTS = 24
_LEAST, _MOST = 0.001, 0.999
_CALIBRATED = 5  # most probable candidates of an item that the curve is drawn from
_TELLING = 50  # right answers before similarity is held against anyone
_ODD = 0.02  # share of the withheld items, the least similar ones, that may count as far from all others
_FARTHER = 2.0  # how much farther than the farthest right answer an item may be
_BELIEVED = 3  # answers taken for right before the least similar ones are counted
_TRUST = 2.0  # candidates' worth of trust in the probability itself, in every stretch of the curve


@dataclass(frozen=True, kw_only=True)
class Alternatives:
    """What speaks for the candidates, and for "none of these"."""

    request: Ints  # (candidates,) rising
    features: Floats  # (candidates, OF_CANDIDATES)
    none: Floats  # (requests, 3)

    def probabilities(self, weights: Floats) -> Floats:
        """Return each candidate's probability, given every request's weights (requests, all)."""
        scores = (self.features * weights[:, :OF_CANDIDATES].take(self.request, axis=0)).sum(axis=1)
        none = (self.none * weights[:, OF_CANDIDATES:]).sum(axis=1)
        top = none.copy()
        np.maximum.at(top, self.request, scores)
        risen = np.exp(scores - top.take(self.request))
        total = np.bincount(self.request, risen, len(none)) + np.exp(none - top)
        return np.asarray(risen / total.take(self.request))


def fit_weights(alternatives: Alternatives, right: npt.NDArray[np.bool_], used: npt.NDArray[np.bool_]) -> Floats:
    """Return the weights most likely on the used requests, by Newton's method; `right` marks the true candidates."""
    requests = len(alternatives.none)
    kept = used[alternatives.request]
    request, features = alternatives.request[kept], alternatives.features[kept]
    chosen = np.zeros(requests, dtype=np.bool_)
    chosen[request[right[kept]]] = True
    design = np.zeros((len(features) + int(used.sum()), len(PLAIN)))
    design[: len(features), :OF_CANDIDATES] = features
    design[len(features) :, OF_CANDIDATES:] = alternatives.none[used]
    owner = np.concatenate([request, np.flatnonzero(used)])
    true = np.concatenate([right[kept], ~chosen[used]])
    spread = np.maximum(design.std(axis=0), _LEAST_SPREAD) if len(design) else np.ones(len(PLAIN))
    pull = _PULL * spread**2
    return _newton(design, owner, true, requests, pull)


def _newton(design: Floats, owner: Ints, true: npt.NDArray[np.bool_], requests: int, pull: Floats) -> Floats:
    weights = PLAIN.copy()

    def chances(at: Floats) -> tuple[Floats, float]:
        scores = design @ at
        top = np.full(requests, -np.inf)
        np.maximum.at(top, owner, scores)
        risen = np.exp(scores - top[owner])
        total = np.bincount(owner, risen, requests)
        chance = risen / total[owner]
        loss = -float(np.log(np.maximum(chance[true], 1e-300)).sum()) + 0.5 * float(pull @ (at - PLAIN) ** 2)
        return chance, loss

    chance, loss = chances(weights)
    for _ in range(_ROUNDS):
        mean = np.stack([np.bincount(owner, chance * column, requests) for column in design.T], axis=1)
        slope = design.T @ (chance - true) + pull * (weights - PLAIN)
        bend = (design * chance[:, None]).T @ design - mean.T @ mean + np.diag(pull)
        step = np.linalg.solve(bend, slope)
        weights, chance, loss, moved = _shortened(chances, weights, step, chance, loss)
        if moved < 1e-6:
            break
    return weights


def _shortened(
    chances: Callable[[Floats], tuple[Floats, float]], weights: Floats, step: Floats, chance: Floats, loss: float
) -> tuple[Floats, Floats, float, float]:
    """Take the step, or the longest half of a half … of it that does not make things worse."""
    length = 1.0
    while length > 1e-4:
        found, new = chances(weights - length * step)
        if new <= loss:
            return weights - length * step, found, new, float(np.abs(length * step).max())
        length /= 2
    return weights, chance, loss, 0.0


def isotonic(values: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return a rising curve (knots, chance of being right); without any pair the values stand for themselves."""
    order = np.argsort(values, kind="stable")
    bins = [part for part in np.array_split(order, min(KNOTS, max(len(order) // 10, 1))) if len(part)]
    if not bins:
        return np.linspace(0, 1, KNOTS), np.clip(np.linspace(0, 1, KNOTS), _LEAST, _MOST)
    middles = np.array([values[part].mean() for part in bins])
    merged: list[tuple[float, float, int]] = []  # right, count, bins
    for middle, part in zip(middles.tolist(), bins, strict=True):
        merged.append((float(right[part].sum()) + _TRUST * middle, len(part) + _TRUST, 1))
        while len(merged) > 1 and merged[-2][0] * merged[-1][1] >= merged[-1][0] * merged[-2][1]:
            last = merged.pop()
            merged[-1] = (merged[-1][0] + last[0], merged[-1][1] + last[1], merged[-1][2] + last[2])
    curve = np.concatenate([np.full(count, share / weight) for share, weight, count in merged])
    knots = np.interp(np.linspace(0, 1, KNOTS), np.linspace(0, 1, len(middles)), middles)
    return knots, np.clip(np.interp(knots, middles, curve), _LEAST, _MOST)


def first_ones(request: Ints, probability: Floats, count: int, ties: tuple[npt.NDArray[Any], ...] = ()) -> Ints:
    """Return the `count` most probable candidates of every request, request by request, best first.

    Of equally probable ones the one with the least `ties` comes first, the last of these being the weightiest.
    """
    order = np.lexsort((*ties, -probability, request))
    owner = request.take(order)
    return order[np.arange(len(order)) - owner.searchsorted(owner) < count]


def calibrate(request: Ints, probability: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the curve from probability to the share that was right."""
    top = first_ones(request, probability, _CALIBRATED)
    return isotonic(probability[top], right[top])


def least_trusted(similarity: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Return the similarity of the nearest item below which answers are not to be trusted, NaN if too few tell.

    It is the greater of two: of the few least similar items, the greatest similarity up to which fewer than half were
    answered right; and twice as far as the farthest item that was answered right, since a few tell little of how
    far right answers reach.
    """
    if right.sum() < _TELLING:
        return float("nan")
    order = np.argsort(similarity, kind="stable")[: max(int(len(similarity) * _ODD), 1)]
    answered, number = np.cumsum(right[order]) + _BELIEVED, np.arange(1, len(order) + 1) + _BELIEVED
    poor = np.flatnonzero(2 * answered < number)
    mostly_wrong = float(similarity[order][poor[-1]]) if len(poor) else -np.inf
    return max(mostly_wrong, 1.0 - _FARTHER * (1.0 - float(similarity[right].min())))
