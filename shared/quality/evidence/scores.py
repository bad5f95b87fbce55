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
    histories, items, width = places.shape
    scores = np.zeros((histories, items))
    line = np.arange(histories)[:, np.newaxis]
    for item in range(items):
        here, place = present[:, item, :], places[:, item, :]
        number = np.maximum(here.sum(axis=1, keepdims=True), 1)
        own = weights[:, item, np.newaxis] / number
        ends = np.cumsum(pool, axis=1)
        equal = pool[line, place]
        below = ends[line, place] - equal
        uniform = (below + chances[:, item, :] * (equal + own)) / (ends[:, -1:] + own)
        normal = ndtri(np.clip(uniform, _SURE, 1 - _SURE))
        scores[:, item] = (normal * here).sum(axis=1) / number[:, 0]
        if width == 1:
            pool[line[:, 0], place[:, 0]] += own[:, 0] * here[:, 0]
        else:
            np.add.at(pool, (np.broadcast_to(line, place.shape), place), own * here)
    return scores


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
