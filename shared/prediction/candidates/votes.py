"""What the near items vote for: a vote falls exponentially with what an item is less similar than the nearest one."""

import numpy as np

from shared.prediction.candidates.pool import Pool, near_signatures
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby

SCALES = tuple(float(scale) for scale in np.geomspace(0.005, 0.64, 8))


def nearest(near: Nearby) -> Floats:
    """Return every request's greatest similarity of a voter, 0 where nobody votes."""
    found = np.full(len(near.own), -np.inf)
    voting = near.voters
    np.maximum.at(found, near.asked[voting], near.similarities[voting])
    return np.where(np.isfinite(found), found, 0.0)


def votes(near: Nearby, scale: Floats) -> Floats:
    """Return each near item's vote, given every request's scale; the nearest one's is 1, the asked item's own 0."""
    behind = nearest(near)[near.asked] - near.similarities
    return np.where(near.voters, np.exp(-np.maximum(behind, 0.0) / scale[near.asked]), 0.0)


def shares(near: Nearby, given: Floats, pool: Pool) -> Floats:
    """Return each candidate's share of its request's votes: of the near items that have exactly it."""
    signatures, _ = near_signatures(near)
    most = len(near.routings.signatures)
    keys, belongs = np.unique(near.asked * most + signatures, return_inverse=True)
    if not len(keys):
        return np.zeros(len(pool.request))
    sums = np.bincount(belongs, given)
    total = np.bincount(near.asked, given, pool.requests)
    wanted = pool.request * most + pool.signature
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = (keys[place] == wanted) & (pool.signature >= 0)
    return np.where(found, sums[place] / np.maximum(total[pool.request], 1e-12), 0.0)


def best_scale(near: Nearby, truth: Ints, used: Ints) -> float:
    """Return the scale at which the votes of near items gave the right signatures the highest chance."""
    signatures, _ = near_signatures(near)
    right = signatures == truth[near.asked]
    best, chosen = -np.inf, SCALES[len(SCALES) // 2]
    for scale in SCALES:
        given = votes(near, np.full(len(near.own), scale))
        total = np.maximum(np.bincount(near.asked, given, len(near.own)), 1e-12)
        chance = np.bincount(near.asked, given * right, len(near.own)) / total
        score = float(np.log(np.maximum(chance[used], 1e-2)).mean()) if len(used) else -np.inf
        if score > best:
            best, chosen = score, scale
    return chosen
