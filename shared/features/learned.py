"""How much each attribute should count, learned from which items share a routing.

The attributes' weights are moved so that, within a sample, an item's nearest other items are those with its own
routing (neighbourhood components analysis with one weight an attribute: Goldberger, Roweis, Hinton and Salakhutdinov,
NIPS 17, 2005). Every step looks at another part of the sample against the whole of it, and the last half of the steps
is averaged, so that the factors hardly depend on which items were drawn. They multiply the weights that people set,
stay within bounds, and are rounded so coarsely that no single item decides one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_FACTOR, MOST_FACTOR = 1 / 8, 4.0
SAMPLE = 4_000
_START = 5.0  # sum of the weights to begin with; the steps find how sharply similarity should count
_STEPS = 60
_ANCHORS = 300  # items that a step looks at
_PULL = 0.002  # how strongly a factor is held to 1
_RATE = 0.15
_LEAST_USEFUL = 10  # items whose routing others have too

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LearnedWeights:
    """The factor of each attribute and what it rests on."""

    factors: Floats
    items: int
    before: float  # mean log chance that a weighted random neighbour shares the routing, with the given weights
    after: float


def learn_factors(blocks: Sequence[Matrix], weights: Floats, signatures: Ints, groups: Ints) -> LearnedWeights:
    """Return the attributes' factors for a sample of items.

    Args:
        blocks: each attribute's unit-length numbers, (items, block size).
        weights: the weights that people set, one an attribute.
        signatures: which routing each item has.
        groups: items of one drawing share a number and never count as each other's neighbours.
    """
    active = [place for place, weight in enumerate(weights) if weight > 0]
    sizes = [blocks[place].shape[1] for place in active]
    sample = _Sample(
        numbers=np.concatenate([blocks[place] for place in active], axis=1), sizes=np.array(sizes, dtype=np.int64),
        signatures=signatures, groups=groups,
    )  # fmt: skip
    useful = sample.useful()
    factors = np.ones(len(weights))
    if len(useful) < _LEAST_USEFUL or len(set(signatures[useful].tolist())) < 2:
        return LearnedWeights(factors=factors, items=len(signatures), before=0.0, after=0.0)
    start = np.log(weights[active] / weights[active].sum() * _START)
    found = _climb(sample, useful, start)
    ratio = np.exp((found - start) - np.median(found - start))
    factors[active] = np.clip(2.0 ** (np.round(np.log2(ratio) * 4) / 4), LEAST_FACTOR, MOST_FACTOR)
    parts = [sample.part(items) for items in _parts(useful)]
    before, after = (
        float(np.mean([sample.chance(part, np.exp(theta))[0] for part in parts])) for theta in (start, found)
    )
    return LearnedWeights(factors=factors, items=len(signatures), before=before, after=after)


def _climb(sample: "_Sample", useful: Ints, start: Floats) -> Floats:
    """Return the logarithms of the weights after all steps (Adam), those of the last half averaged."""
    theta, momentum, spread, mean = start.copy(), np.zeros(len(start)), np.zeros(len(start)), np.zeros(len(start))
    parts = [sample.part(items) for items in _parts(np.random.default_rng(len(useful)).permutation(useful))]
    for step in range(1, _STEPS + 1):
        _, slope = sample.chance(parts[step % len(parts)], np.exp(theta))
        offset = (theta - start) - (theta - start).mean()
        slope = slope * np.exp(theta) - 2 * _PULL * offset
        momentum = 0.9 * momentum + 0.1 * slope
        spread = 0.99 * spread + 0.01 * slope**2
        theta = theta + _RATE * (momentum / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-8)
        if 2 * step > _STEPS:
            mean += theta / (_STEPS - _STEPS // 2)
    return mean


def _parts(items: Ints) -> list[Ints]:
    return np.array_split(items, max(1, round(len(items) / _ANCHORS)))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Items that a step looks at, and how they stand to all of the sample."""

    own: Matrix  # their numbers
    sisters: npt.NDArray[np.bool_]  # (items, sample): of the same drawing
    alike: npt.NDArray[np.bool_]  # (items, sample): with the same routing


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """A sample's numbers, side by side by attribute, and what makes two of its items alike."""

    numbers: Matrix  # (items, all blocks' numbers)
    sizes: Ints  # how many numbers each attribute has
    signatures: Ints
    groups: Ints

    def useful(self) -> Ints:
        """Return the items whose routing another drawing's item has too."""
        pairs = np.unique(np.stack([self.signatures, self.groups], axis=1), axis=0)
        routing, drawings = np.unique(pairs[:, 0], return_counts=True)
        return np.flatnonzero(np.isin(self.signatures, routing[drawings > 1]))

    def part(self, items: Ints) -> _Part:
        """Return some items as a step looks at them; made once for all steps."""
        return _Part(
            own=self.numbers[items], sisters=self.groups[items][:, None] == self.groups[None, :],
            alike=self.signatures[items][:, None] == self.signatures[None, :],
        )  # fmt: skip

    def chance(self, part: _Part, weights: Floats) -> tuple[float, Floats]:
        """Return the mean log chance that some items' random neighbours share their routing, and its slope.

        A neighbour is drawn with a chance proportional to exp(weighted similarity).
        """
        own = part.own
        chance = (own * np.repeat(weights, self.sizes).astype(np.float32)) @ self.numbers.T
        chance[part.sisters] = -np.inf
        chance -= chance.max(axis=1, keepdims=True)
        np.exp(chance, out=chance)
        chance /= chance.sum(axis=1, keepdims=True)
        hit = chance * part.alike
        mass = np.maximum(hit.sum(axis=1), np.float32(1e-6))
        hit /= mass[:, None]
        hit -= chance
        by_number = np.einsum("ij,ij->j", own, hit @ self.numbers, dtype=np.float64) / len(own)
        starts = np.cumsum(self.sizes) - self.sizes
        return float(np.log(mass).mean()), np.asarray(np.add.reduceat(by_number, starts))
