"""What the near items vote for: a vote falls exponentially with what an item is less similar than the nearest one."""

from collections.abc import Sequence

import numpy as np

from shared.prediction.candidates.pool import Pool
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby

SCALES = tuple(float(scale) for scale in np.geomspace(0.005, 0.64, 8))


def nearest(near: Nearby) -> Floats:
    """Return every request's greatest similarity of a voter, 0 where nobody votes."""
    return np.where(near.nearest == -np.inf, 0.0, near.nearest)


def votes(near: Nearby, scale: Floats) -> Floats:
    """Return each near item's vote, given every request's scale; the nearest one's is 1, the asked item's own 0."""
    return np.asarray(np.exp(near.behind / -scale.take(near.asked)) * near.voters)


def shares(near: Nearby, given: Sequence[Floats], pool: Pool) -> list[Floats]:
    """Return, for each kind of votes given, each candidate's share of them: of the near items that have exactly it."""
    count = len(pool.request)
    if not count:
        return [np.zeros(0) for _ in given]
    parts = []
    for one in given:
        total = np.maximum(np.bincount(near.asked, one, pool.requests), 1e-12)
        parts.append(np.bincount(pool.of_near, one, count) / total.take(pool.request))
    return parts


def best_scale(near: Nearby, truth: Ints, used: Ints) -> float:
    """Return the scale at which the votes of near items gave the right signatures the highest chance."""
    right = near.signature == truth[near.asked]
    best, chosen = -np.inf, SCALES[len(SCALES) // 2]
    for scale in SCALES:
        given = votes(near, np.full(len(near.own), scale))
        total = np.maximum(np.bincount(near.asked, given, len(near.own)), 1e-12)
        chance = np.bincount(near.asked, given * right, len(near.own)) / total
        score = float(np.log(np.maximum(chance[used], 1e-2)).mean()) if len(used) else -np.inf
        if score > best:
            best, chosen = score, scale
    return chosen
