"""The routings that may be an item's: of its near items, existing ones that fit it, and new ones composed for it.

Everything is flat: candidate `c` is one of the request `request[c]`; the candidates of a request follow each other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.candidates.known import KnownSignatures
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby

LIKELY = 12  # existing signatures that fit best, near or not
FLIPPED = 5  # most uncertain tasks that are tried both ways
COMPOSED = 8  # most probable sets of tasks


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Candidates of a batch; `signature` is -1 where nobody has the set `sets[made]`."""

    requests: int
    request: Ints
    signature: Ints
    made: Ints  # row of `sets`, -1 for existing signatures
    sets: npt.NDArray[np.bool_]  # (new, tasks)

    def sums(self, known: KnownSignatures, values: Floats) -> Floats:
        """Return, by candidate, the sum of its request's `values` (requests, tasks) over its tasks."""
        found = np.empty(len(self.request))
        existing = self.signature >= 0
        found[existing] = known.sums(self.request[existing], self.signature[existing], values)
        made = ~existing
        found[made] = (self.sets[self.made[made]] * values[self.request[made]]).sum(axis=1)
        return found

    def likelihood(self, known: KnownSignatures, odds: Floats) -> Floats:
        """Return the log-likelihood of each candidate's set, relative to its request's most probable set."""
        return np.asarray(self.sums(known, odds) - np.maximum(odds, 0).sum(axis=1)[self.request])


def gather(near: Nearby, known: KnownSignatures, odds: Floats, prior: npt.NDArray[np.float32], views: Ints) -> Pool:
    """Gather the candidates, given the tasks' log odds (batch, tasks) and the common signatures' log shares."""
    batch = len(odds)
    keys = [(near.asked * known.size + near.routings.signature[near.places])[near.voters]]
    fits = odds.astype(np.float32) @ known.common_sets + prior[views]
    count = min(LIKELY, fits.shape[1])
    best = np.argpartition(-fits, count - 1, axis=1)[:, :count]
    keys.append((np.arange(batch)[:, None] * known.size + known.common[best]).ravel())
    request, sets = _compose(odds, known)
    found = known.of_sets((sets * known.task_keys).sum(axis=1, dtype=np.uint64))
    keys.append(request[found >= 0] * known.size + found[found >= 0])
    pairs = np.unique(np.concatenate(keys))
    new = np.flatnonzero(found < 0)
    owner = np.concatenate([pairs // known.size, request[new]])
    signature = np.concatenate([pairs % known.size, np.full(len(new), -1)])
    made = np.concatenate([np.full(len(pairs), -1), np.arange(len(new))])
    order = np.argsort(owner, kind="stable")
    return Pool(requests=batch, request=owner[order], signature=signature[order], made=made[order], sets=sets[new])


def _compose(odds: Floats, known: KnownSignatures) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the most probable sets of tasks of every request, none empty, none with a repetition alone."""
    batch, tasks = odds.shape
    flipped = min(FLIPPED, tasks)
    doubt = np.abs(odds)
    places = np.argpartition(doubt, flipped - 1, axis=1)[:, :flipped]
    ways = (np.arange(1 << flipped)[:, None] >> np.arange(flipped)) & 1
    cost = np.take_along_axis(doubt, places, axis=1) @ ways.T
    count = min(COMPOSED, len(ways))
    best = np.argpartition(cost, count - 1, axis=1)[:, :count]
    sets = np.repeat((odds > 0)[:, None, :], count, axis=1)
    changed = ways[best].astype(np.bool_)
    request, way = np.arange(batch)[:, None, None], np.arange(count)[None, :, None]
    sets[request, way, places[:, None, :]] ^= changed
    flat = sets.reshape(batch * count, tasks)
    repeated = np.flatnonzero(known.before >= 0)
    alone = (flat[:, repeated] & ~flat[:, known.before[repeated]]).any(axis=1)
    fine = flat.any(axis=1) & ~alone
    return np.repeat(np.arange(batch), count)[fine], flat[fine]
