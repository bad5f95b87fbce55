"""Errors turned into normal scores by their rank among earlier errors, so that neither scale nor tails matter.

An error's rank among all earlier ones, with ties broken by a number that is as good as random, is uniform and
independent of the earlier ranks while errors keep their distribution, whatever that is, and however few there are
(V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005, ch. 2). Its normal quantile is then a
standard normal number. A large reference is kept as it is instead, and ranks among it are as good. Errors are kept as
counts over a logarithmic scale: a small state that loses nothing but differences of less than one seventh.

All arrays have a first axis of independent histories; the product runs one, simulations run thousands.
"""

from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 128  # the first is for zero
_LOWEST, _HIGHEST = 1e-4, 1e3  # errors are relative; beyond these they count as the ends
_STEP = log(_HIGHEST / _LOWEST) / (BINS - 2)
_SURE = 1e-6  # keeps a score finite
_AT_ONCE = 25  # items that are compared with one another


def bins_of(values: Floats) -> Ints:
    """Return the place of each value (not negative) on the logarithmic scale of counts."""
    clipped = np.clip(values, _LOWEST, _HIGHEST)
    places = 1 + np.floor(np.log(clipped / _LOWEST) / _STEP).astype(np.int64)
    return np.where(values <= 0, 0, np.minimum(places, BINS - 1))


def score_items(pool: Floats, places: Ints, weights: Floats, chances: Floats, present: NDArray[np.bool_]) -> Floats:
    """Score items one after another against everything before them; `pool` is updated in place.

    Shapes: `pool` (histories, BINS), `places`, `chances` and `present` (histories, items, values of an item), `weights`
    (histories, items). An item's values share its weight and are averaged to one score; returns (histories, items).
    `chances` in 0 to 1 break ties.
    """
    histories, items, _ = places.shape
    scores = np.zeros((histories, items))
    for start in range(0, items, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        part = places[:, some, :], weights[:, some], present[:, some, :]
        scores[:, some] = _scores(pool, *part, chances[:, some, :])
        add_items(pool, *part)
    return scores


def _scores(pool: Floats, places: Ints, weights: Floats, present: NDArray[np.bool_], chances: Floats) -> Floats:
    """Score items against `pool` and those before them."""
    histories, items, width = places.shape
    number = np.maximum(present.sum(axis=2), 1)
    own = (weights / number)[:, :, np.newaxis]
    counted = own * present
    ends = np.cumsum(pool, axis=1)
    line = np.arange(histories)[:, np.newaxis, np.newaxis]
    equal = pool[line, places]
    below = ends[line, places] - equal
    flat, item = places.reshape(histories, -1), np.repeat(np.arange(items), width)
    mine, other = flat[:, :, np.newaxis], flat[:, np.newaxis, :]
    earlier = (item[:, np.newaxis] > item) * counted.reshape(histories, 1, -1)
    equal = equal + ((mine == other) * earlier).sum(axis=2).reshape(places.shape)
    below = below + ((mine > other) * earlier).sum(axis=2).reshape(places.shape)
    before = np.cumsum(counted.sum(axis=2), axis=1) - counted.sum(axis=2)
    uniform = (below + chances * (equal + own)) / ((ends[:, -1:] + before)[:, :, np.newaxis] + own)
    normal = ndtri(np.clip(uniform, _SURE, 1 - _SURE))
    return np.asarray((normal * present).sum(axis=2) / number)


def add_items(pool: Floats, places: Ints, weights: Floats, present: NDArray[np.bool_]) -> None:
    """Add items to `pool` in place; shapes as in `score_items`."""
    line = np.broadcast_to(np.arange(len(pool))[:, np.newaxis, np.newaxis], places.shape)
    own = weights / np.maximum(present.sum(axis=2), 1)
    np.add.at(pool, (line, places), own[:, :, np.newaxis] * present)


def score_against(pool: Floats, places: Ints, chances: Floats, present: NDArray[np.bool_]) -> Floats:
    """Score items against a `pool` that stays as it is, their own counts among it or not; shapes as in `score_items`.

    Returns (histories, items).
    """
    line = np.arange(len(pool))[:, np.newaxis, np.newaxis]
    ends = np.cumsum(pool, axis=1)
    equal = pool[line, places]
    uniform = (ends[line, places] - equal + chances * equal) / ends[:, -1, np.newaxis, np.newaxis]
    least = 0.5 / ends[:, -1, np.newaxis, np.newaxis]
    normal = ndtri(np.clip(uniform, least, 1 - least))
    return np.asarray((normal * present).sum(axis=2) / np.maximum(present.sum(axis=2), 1))


def shift_of_rise(pool: Floats, factor: float) -> float:
    """Return by how much the mean score moves when every error counted in `pool` (BINS) is `factor` times itself."""
    total = float(pool.sum())
    if total <= 0:
        return 0.0
    ends = np.cumsum(pool) / total
    edges = np.arange(BINS, dtype=np.float64)  # the upper edge of a place, in steps of the scale
    middle = edges - 0.5
    softened = total / (total + 1)

    def score(at: Floats) -> Floats:
        return np.asarray(ndtri(0.5 / (total + 1) + softened * np.interp(at, edges, ends)))

    moved = score(middle + log(factor) / _STEP) - score(middle)
    moved[0] = 0.0  # what is zero stays zero
    return float(pool @ np.maximum(moved, 0.0) / total)
