"""What the near items vote for: a vote falls exponentially with what an item is less similar than the nearest one."""

from collections.abc import Sequence

import numpy as np

from shared.prediction.candidates.pool import Pool
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby

SCALES = tuple(float(scale) for scale in np.geomspace(0.005, 0.64, 8))


def nearest(near: Nearby) -> Floats:
    """Return every request's greatest similarity of a voter, 0 where nobody votes."""
    found = np.full(len(near.own), -np.inf)
    voting = near.voters
    np.maximum.at(found, near.asked[voting], near.similarities[voting])
    return np.where(np.isfinite(found), found, 0.0)


def votes(near: Nearby, scale: Floats, top: Floats | None = None) -> Floats:
    """Return each near item's vote, given every request's scale; the nearest one's is 1, the asked item's own 0.

    `top` is what `nearest` returns, where it is known already.
    """
    behind = (nearest(near) if top is None else top)[near.asked] - near.similarities
    return np.where(near.voters, np.exp(-np.maximum(behind, 0.0) / scale[near.asked]), 0.0)


def shares(near: Nearby, given: Sequence[Floats], pool: Pool) -> list[Floats]:
    """Return, for each kind of votes given, each candidate's share of them: of the near items that have exactly it."""
    most = len(near.routings.signatures)
    keys, belongs = np.unique(near.asked * most + near.routings.signature[near.places], return_inverse=True)
    if not len(keys):
        return [np.zeros(len(pool.request)) for _ in given]
    wanted = pool.request * most + pool.signature
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = (keys[place] == wanted) & (pool.signature >= 0)
    parts = []
    for one in given:
        total = np.bincount(near.asked, one, pool.requests)
        sums = np.bincount(belongs, one, len(keys))
        parts.append(np.where(found, sums[place] / np.maximum(total[pool.request], 1e-12), 0.0))
    return parts


def best_scale(near: Nearby, truth: Ints, used: Ints) -> float:
    """Return the scale at which the votes of near items gave the right signatures the highest chance."""
    right = near.routings.signature[near.places] == truth[near.asked]
    top = nearest(near)
    best, chosen = -np.inf, SCALES[len(SCALES) // 2]
    for scale in SCALES:
        given = votes(near, np.full(len(near.own), scale), top)
        total = np.maximum(np.bincount(near.asked, given, len(near.own)), 1e-12)
        chance = np.bincount(near.asked, given * right, len(near.own)) / total
        score = float(np.log(np.maximum(chance[used], 1e-2)).mean()) if len(used) else -np.inf
        if score > best:
            best, chosen = score, scale
    return chosen
