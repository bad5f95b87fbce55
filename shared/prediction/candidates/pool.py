"""The routings that may be an item's: of its near items, existing ones that fit it, and new ones composed for it.

Everything is flat: candidate `c` is one of the request `request[c]`; the candidates of a request follow each other.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.candidates.known import Keys, KnownSignatures
from shared.prediction.memory import Floats, Ints
from shared.prediction.nearby import Nearby
from shared.similarity.distinct import rising

LIKELY = 12  # existing signatures that fit best, near or not
FLIPPED = 5  # most uncertain tasks that are tried both ways
COMPOSED = 8  # most probable sets of tasks
HOPELESS = 6.0  # a set whose log-likelihood is this much below the most probable one's is not tried
_WAYS = tuple(((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) > 0 for n in range(FLIPPED + 1))
_FLIPS = tuple(
    (ways, np.ascontiguousarray(ways.T, dtype=np.float64)) for ways in _WAYS
)  # what is flipped, both ways up
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
        if not len(self.sets):
            return known.sums(self.request, self.signature, values)
        found = np.empty((len(self.request), len(values)))
        existing, made = (self.made < 0).nonzero()[0], (self.made >= 0).nonzero()[0]
        found[existing] = known.sums(self.request.take(existing), self.signature.take(existing), values)
        sets = self.sets.take(self.made.take(made), axis=0)
        found[made] = (sets * values.take(self.request.take(made), axis=1)).sum(axis=2).T
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
        return np.asarray(self.sums(known, odds) - np.maximum(odds, 0).sum(axis=2).T.take(self.request, axis=0))


def gather(near: Nearby, known: KnownSignatures, odds: Floats, prior: npt.NDArray[np.float32], views: Ints) -> Pool:
    """Gather the candidates, given the tasks' log odds (batch, tasks) and the common signatures' log shares."""
    batch = len(odds)
    fits = odds.astype(np.float32) @ known.common_sets
    fits += prior[views[0]] if (views == views[0]).all() else prior.take(views, axis=0)
    count = min(LIKELY, fits.shape[1])
    likely = known.common.take(fits.argpartition(-count, axis=1)[:, -count:]).ravel()
    request, sets = _compose(odds, known)
    keys = (sets * known.task_keys).sum(axis=1, dtype=np.uint64)
    found = known.of_sets(keys)
    owner = np.concatenate([np.arange(batch).repeat(count), request])
    signature = np.concatenate([likely, found])
    # What exists only in the view's own fold is not known to exist, unless it is near.
    exists = (signature >= 0) & (known.counts[views.take(owner), signature] > 0)
    near_pairs = near.asked * known.size + near.signature
    pairs = rising(np.concatenate([near_pairs[near.voters], (owner * known.size + signature)[exists]]))
    place, existing = np.divmod(pairs, known.size)
    fresh = found < 0
    hidden = (~fresh & ~exists[len(likely) :]).nonzero()[0]
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
    at = np.minimum(pairs.searchsorted(near_pairs), old - 1)
    if not count:
        made = np.full(old, -1, dtype=np.int64)
        return Pool(
            requests=batch, request=existing[0], signature=existing[1], made=made, sets=new[1], keys=new[2], of_near=at
        )
    owner = np.concatenate([existing[0], new[0]])
    order = owner.argsort(kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    signature, made = np.full((2, old + count), -1, dtype=np.int64)
    signature[:old], made[old:] = existing[1], np.arange(count)
    return Pool(
        requests=batch, request=owner.take(order), signature=signature.take(order), made=made.take(order), sets=new[1],
        keys=new[2], of_near=rank[at] if len(rank) else at,
    )  # fmt: skip


def _among(request: Ints, keys: Keys, others: Ints, other_keys: Keys) -> npt.NDArray[np.bool_]:
    """Tell which pairs of a request and a key are among the others."""
    if not len(others):
        return np.zeros(len(request), dtype=np.bool_)
    known = np.sort(other_keys + others.astype(np.uint64) * _MIXER)
    wanted = keys + request.astype(np.uint64) * _MIXER
    return np.asarray(known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)] == wanted)


def _compose(odds: Floats, known: KnownSignatures) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the most probable sets of tasks of every request, none empty, none with a repetition alone."""
    batch, tasks = odds.shape
    flipped = min(FLIPPED, tasks)
    doubt, starts = np.abs(odds), np.arange(batch)[:, None] * tasks
    places = doubt.argpartition(flipped - 1, axis=1)[:, :flipped]
    flips, ways = _FLIPS[flipped]
    cost = doubt.take(starts + places) @ ways
    count = min(COMPOSED, len(flips))
    best = cost.argpartition(count - 1, axis=1)[:, :count] + np.arange(0, cost.size, len(flips))[:, None]
    # Only sets with a chance are written out at all.
    hopeful = best[cost.take(best) <= HOPELESS]
    request, way = hopeful // len(flips), hopeful % len(flips)
    sets = np.asarray(odds > 0).take(request, axis=0)
    cells = places.take(request, axis=0) + np.arange(0, sets.size, tasks)[:, None]
    sets.reshape(-1)[cells] ^= flips.take(way, axis=0)
    repeated, before = known.repetitions
    fine = sets.any(axis=1)
    if len(repeated):
        fine &= (sets.take(repeated, axis=1) <= sets.take(before, axis=1)).all(axis=1)
    kept = fine.nonzero()[0]
    return request.take(kept), sets.take(kept, axis=0)
