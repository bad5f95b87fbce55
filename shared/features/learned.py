"""How much each attribute should count, learned from which items share a routing.

The attributes' weights are moved so that, within a sample, an item's nearest other items are those with its own
routing (neighbourhood components analysis with one weight an attribute). The measured factors multiply the weights
that people set, stay within bounds, and are rounded so coarsely that no single item decides one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_FACTOR, MOST_FACTOR = 1 / 8, 4.0
SAMPLE = 700
_START = 5.0  # sum of the weights to begin with; the steps find how sharply similarity should count
_STEPS = 60
_PULL = 0.002  # how strongly a factor is held to 1
_RATE = 0.15

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LearnedWeights:
    """The factor of each attribute and what it rests on."""

    factors: npt.NDArray[np.float64]
    items: int
    before: float  # mean log chance that a weighted random neighbour shares the routing, with the given weights
    after: float


def learn_factors(
    blocks: Sequence[Matrix], weights: npt.NDArray[np.float64], signatures: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
) -> LearnedWeights:  # fmt: skip
    """Return the attributes' factors for a sample of items.

    Args:
        blocks: each attribute's unit-length numbers, (items, block size).
        weights: the weights that people set, one an attribute.
        signatures: which routing each item has.
        groups: items of one drawing share a number and never count as each other's neighbours.
    """
    items = len(signatures)
    active = [place for place, weight in enumerate(weights) if weight > 0]
    apart = groups[:, None] != groups[None, :]
    same = (signatures[:, None] == signatures[None, :]) & apart
    useful = same.any(axis=1)
    factors = np.ones(len(weights))
    if useful.sum() < 10 or len(set(signatures[useful].tolist())) < 2:
        return LearnedWeights(factors=factors, items=items, before=0.0, after=0.0)
    similar = np.stack([blocks[place] @ blocks[place].T for place in active])
    start = np.log(weights[active] / weights[active].sum() * _START)
    theta, momentum, spread, best = start.copy(), np.zeros(len(active)), np.zeros(len(active)), start.copy()
    history: list[float] = []
    for step in range(1, _STEPS + 1):
        value, slope = _objective(similar, np.exp(theta), apart, same, useful)
        offset = (theta - start) - (theta - start).mean()
        value -= _PULL * float((offset**2).sum())
        if not history or value > max(history):
            best = theta.copy()
        history.append(value)
        slope = slope * np.exp(theta) - 2 * _PULL * offset
        momentum = 0.9 * momentum + 0.1 * slope
        spread = 0.99 * spread + 0.01 * slope**2
        theta = theta + _RATE * (momentum / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-8)
    ratio = np.exp((best - start) - np.median(best - start))
    rounded = 2.0 ** (np.round(np.log2(ratio) * 4) / 4)
    factors[active] = np.clip(rounded, LEAST_FACTOR, MOST_FACTOR)
    return LearnedWeights(factors=factors, items=items, before=history[0], after=max(history))


def _objective(
    similar: Matrix, weights: npt.NDArray[np.float64], apart: npt.NDArray[np.bool_], same: npt.NDArray[np.bool_],
    useful: npt.NDArray[np.bool_],
) -> tuple[float, npt.NDArray[np.float64]]:  # fmt: skip
    score = np.tensordot(weights.astype(np.float32), similar, axes=1)
    score -= score.max(axis=1, keepdims=True)
    chance = np.exp(score)
    chance *= apart
    chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-30)
    hit = chance * same
    mass = np.maximum(hit.sum(axis=1), 1e-6)
    value = float(np.log(mass[useful]).mean())
    pull = (hit / mass[:, None] - chance) * (useful / useful.sum()).astype(np.float32)[:, None]
    slope = np.array([float(np.vdot(pull, block)) for block in similar])
    return value, slope
