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
_FLIPS = tuple(((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(np.float64) for n in range(FLIPPED + 1))
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
    of_near: Ints  # (near,) the candidate that a near item has exactly; of one that does not vote any

    def sums(self, known: KnownSignatures, values: Floats) -> Floats:
        """Return, by candidate and kind, the sum of its request's `values` (kinds, requests, tasks) over its tasks."""
        found = np.empty((len(self.request), len(values)))
        existing, made = np.flatnonzero(self.made < 0), np.flatnonzero(self.made >= 0)
        found[existing] = known.sums(self.request[existing], self.signature[existing], values)
        if len(made):
            found[made] = (self.sets[self.made[made]] * values[:, self.request[made]]).sum(axis=2).T
        return found

    def true(self, known: KnownSignatures, truth: Ints) -> npt.NDArray[np.bool_]:
        """Tell which candidates are what their request's item really has; of new ones the set is compared."""
        right = truth[self.request]
        made = np.flatnonzero(self.made >= 0)
        found = np.asarray(self.signature == right)
        found[made] = self.keys[self.made[made]] == known.keys[right[made]]
        return found

    def likelihoods(self, known: KnownSignatures, odds: Floats) -> Floats:
        """Return the log-likelihood of each candidate's set, relative to its request's most probable set.

        (candidates, kinds), given every kind's log odds (kinds, requests, tasks).
        """
        return np.asarray(self.sums(known, odds) - np.maximum(odds, 0).sum(axis=2).T[self.request])


def gather(near: Nearby, known: KnownSignatures, odds: Floats, prior: npt.NDArray[np.float32], views: Ints) -> Pool:
    """Gather the candidates, given the tasks' log odds (batch, tasks) and the common signatures' log shares."""
    batch = len(odds)
    fits = odds.astype(np.float32) @ known.common_sets + prior[views]
    count = min(LIKELY, fits.shape[1])
    likely = known.common[fits.argpartition(-count, axis=1)[:, -count:]].ravel()
    request, sets = _compose(odds, known)
    keys = (sets * known.task_keys).sum(axis=1, dtype=np.uint64)
    found = known.of_sets(keys)
    owner = np.concatenate([np.repeat(np.arange(batch), count), request])
    signature = np.concatenate([likely, found])
    # What exists only in the view's own fold is not known to exist, unless it is near.
    exists = (signature >= 0) & (known.counts[views[owner], signature] > 0)
    near_pairs = near.asked * known.size + near.routings.signature[near.places]
    pairs = _distinct(np.concatenate([near_pairs[near.voters], (owner * known.size + signature)[exists]]))
    place, existing = np.divmod(pairs, known.size)
    fresh = found < 0
    hidden = np.flatnonzero(~fresh & ~exists[len(likely) :])
    if len(hidden):
        fresh[hidden] = ~_among(request[hidden], keys[hidden], place, known.keys[existing])
    new = fresh.nonzero()[0]
    return _joined(batch, pairs, (place, existing), (request[new], sets[new], keys[new]), near_pairs)


def _joined(
    batch: int, pairs: Ints, existing: tuple[Ints, Ints], new: tuple[Ints, npt.NDArray[np.bool_], Keys],
    near_pairs: Ints,
) -> Pool:  # fmt: skip
    """Put existing signatures and new sets of the same request beside each other."""
    old, count = len(pairs), len(new[0])
    owner = np.concatenate([existing[0], new[0]])
    order = owner.argsort(kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    signature, made = np.full((2, old + count), -1, dtype=np.int64)
    signature[:old], made[old:] = existing[1], np.arange(count)
    at = pairs.searchsorted(near_pairs)
    np.minimum(at, old - 1, out=at)
    return Pool(
        requests=batch, request=owner[order], signature=signature[order], made=made[order], sets=new[1], keys=new[2],
        of_near=rank[at] if len(rank) else at,
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
    doubt, each = np.abs(odds), np.arange(batch)[:, None]
    places = doubt.argpartition(flipped - 1, axis=1)[:, :flipped]
    ways = _FLIPS[flipped]
    cost = doubt[each, places] @ ways.T
    count = min(COMPOSED, len(ways))
    best = cost.argpartition(count - 1, axis=1)[:, :count]
    # Only sets with a chance are written out at all.
    request, way = (cost[each, best] <= HOPELESS).nonzero()
    flips = ways[best[request, way]] > 0
    sets = (odds > 0)[request]
    sets[np.arange(len(request))[:, None], places[request]] ^= flips
    repeated, before = known.repetitions
    fine = sets.any(axis=1)
    if len(repeated):
        fine &= ~(sets[:, repeated] & ~sets[:, before]).any(axis=1)
    return request[fine], sets[fine]
