"""The routings that may be an item's: of its near items, existing ones that fit it, and new ones composed for it.

Everything is flat: candidate `c` is one of the request `request[c]`; the candidates of a request follow each other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.candidates.known import Keys, KnownSignatures
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby

LIKELY = 12  # existing signatures that fit best, near or not
FLIPPED = 5  # most uncertain tasks that are tried both ways
COMPOSED = 8  # most probable sets of tasks
HOPELESS = 6.0  # a set whose log-likelihood is this much below the most probable one's is not tried
_MIXER = np.uint64(0x9E3779B97F4A7C15)  # odd: keeps the keys of different requests apart


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Candidates of a batch; `signature` is -1 where nobody has the set `sets[made]`."""

    requests: int
    request: Ints
    signature: Ints
    made: Ints  # row of `sets`, -1 for existing signatures
    sets: npt.NDArray[np.bool_]  # (new, tasks)
    keys: Keys  # (new,) of the sets

    def sums(self, known: KnownSignatures, values: Floats) -> Floats:
        """Return, by candidate, the sum of its request's `values` (requests, tasks) over its tasks."""
        found = np.empty(len(self.request))
        existing = self.signature >= 0
        found[existing] = known.sums(self.request[existing], self.signature[existing], values)
        made = ~existing
        found[made] = (self.sets[self.made[made]] * values[self.request[made]]).sum(axis=1)
        return found

    def true(self, known: KnownSignatures, truth: Ints) -> npt.NDArray[np.bool_]:
        """Tell which candidates are what their request's item really has; of new ones the set is compared."""
        right = truth[self.request]
        made = np.flatnonzero(self.made >= 0)
        found = np.asarray(self.signature == right)
        found[made] = self.keys[self.made[made]] == known.keys[right[made]]
        return found

    def likelihood(self, known: KnownSignatures, odds: Floats) -> Floats:
        """Return the log-likelihood of each candidate's set, relative to its request's most probable set."""
        return np.asarray(self.sums(known, odds) - np.maximum(odds, 0).sum(axis=1)[self.request])


def gather(near: Nearby, known: KnownSignatures, odds: Floats, prior: npt.NDArray[np.float32], views: Ints) -> Pool:
    """Gather the candidates, given the tasks' log odds (batch, tasks) and the common signatures' log shares."""
    batch = len(odds)
    fits = odds.astype(np.float32) @ known.common_sets + prior[views]
    count = min(LIKELY, fits.shape[1])
    likely = known.common[np.argpartition(-fits, count - 1, axis=1)[:, :count]].ravel()
    request, sets = _compose(odds, known)
    keys = (sets * known.task_keys).sum(axis=1, dtype=np.uint64)
    found = known.of_sets(keys)
    owner = np.concatenate([np.repeat(np.arange(batch), count), request])
    signature = np.concatenate([likely, found])
    # What exists only in the view's own fold is not known to exist, unless it is near.
    exists = (signature >= 0) & (known.counts[views[owner], signature] > 0)
    near_pairs = (near.asked * known.size + near.routings.signature[near.places])[near.voters]
    pairs = _distinct(np.concatenate([near_pairs, (owner * known.size + signature)[exists]]))
    place, existing = pairs // known.size, pairs % known.size
    new = np.flatnonzero(~_among(request, keys, place, known.keys[existing]))
    owner = np.concatenate([place, request[new]])
    order = np.argsort(owner, kind="stable")
    return Pool(
        requests=batch, request=owner[order], signature=np.concatenate([existing, np.full(len(new), -1)])[order],
        made=np.concatenate([np.full(len(pairs), -1), np.arange(len(new))])[order], sets=sets[new], keys=keys[new],
    )  # fmt: skip


def _among(request: Ints, keys: Keys, others: Ints, other_keys: Keys) -> npt.NDArray[np.bool_]:
    """Tell which pairs of a request and a key are among the others."""
    if not len(others):
        return np.zeros(len(request), dtype=np.bool_)
    known = np.sort(other_keys + others.astype(np.uint64) * _MIXER)
    wanted = keys + request.astype(np.uint64) * _MIXER
    return np.asarray(known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)] == wanted)


def _distinct(values: Ints) -> Ints:
    """Return the distinct values, rising; `numpy.unique` takes several times as long for a few."""
    ordered = np.sort(values)
    new = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


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
    hopeless = np.take_along_axis(cost, best, axis=1).ravel() > HOPELESS
    fine = flat.any(axis=1) & ~alone & ~hopeless
    return np.repeat(np.arange(batch), count)[fine], flat[fine]
