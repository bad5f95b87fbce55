"""The routings that exist, as sets and sequences of tasks, and how many items have each."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Items, Routings
from shared.prediction.nearby import ranges

Keys = npt.NDArray[np.uint64]
MOST_COMMON = 4_096  # signatures that every item is held against, near or not


@dataclass(frozen=True, kw_only=True)
class KnownSignatures:
    """Signature `s` does the tasks `tasks[bounds[s]:bounds[s + 1]]` in this order."""

    bounds: Ints  # (signatures + 1,)
    tasks: Ints
    task_count: int
    counts: npt.NDArray[np.int32]  # (views, signatures) items that have it, without the view's fold
    common: Ints  # the most frequent signatures
    outside: npt.NDArray[np.float32]  # (signatures,) mean number of outsourced operations
    before: npt.NDArray[np.int32]  # (tasks,) the same operation one occurrence earlier, -1 for the first

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def size(self) -> int:
        """How many signatures there are."""
        return len(self.bounds) - 1

    @cached_property
    def lengths(self) -> Ints:
        """Return the number of tasks of every signature."""
        return np.diff(self.bounds)

    @cached_property
    def common_sets(self) -> npt.NDArray[np.float32]:
        """Return which tasks the common signatures have: (tasks, common) of 0 and 1."""
        found = np.zeros((self.task_count, len(self.common)), dtype=np.float32)
        sizes = self.lengths[self.common]
        found[self.tasks[ranges(self.bounds[self.common], sizes)], np.repeat(np.arange(len(sizes)), sizes)] = 1
        return found

    @cached_property
    def task_keys(self) -> Keys:
        """Return a random number for every task; a set is known by the sum of its tasks' (Zobrist's way)."""
        return np.random.default_rng(0).integers(0, 2**64, self.task_count, dtype=np.uint64)

    @cached_property
    def keys(self) -> Keys:
        """Return the key of every signature's set."""
        sums = np.zeros(self.size, dtype=np.uint64)
        np.add.at(sums, np.repeat(np.arange(self.size), self.lengths), self.task_keys[self.tasks])
        return sums

    @cached_property
    def _by_key(self) -> tuple[Keys, Ints]:
        order = np.lexsort((-self.counts[-1], self.keys))
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = self.keys[order][1:] != self.keys[order][:-1]
        return self.keys[order][first], order[first]

    def of_sets(self, keys: Keys) -> Ints:
        """Return the most frequent signature that has exactly the set of each key, -1 where none does."""
        known, signatures = self._by_key
        place = np.minimum(known.searchsorted(keys), len(known) - 1)
        return np.where(known.take(place) == keys, signatures.take(place), -1)

    def of_sequence(self, key: np.uint64, tasks: tuple[int, ...]) -> int:
        """Return the signature that does exactly these tasks in this order, -1 where none does."""
        first = int(self._ordered_keys.searchsorted(key))
        last = int(self._ordered_keys.searchsorted(key, side="right"))
        for signature in self._key_order[first:last].tolist():
            if tuple(self.tasks[self.bounds[signature] : self.bounds[signature + 1]].tolist()) == tasks:
                return int(signature)
        return -1

    @cached_property
    def _key_order(self) -> Ints:
        """Return the signatures by key, those of one key by number."""
        return self.keys.argsort(kind="stable")

    @cached_property
    def _ordered_keys(self) -> Keys:
        return self.keys[self._key_order]

    @cached_property
    def log_share_table(self) -> npt.NDArray[np.float32]:
        """Return (views, signatures + 1) the log share of items with each signature; last, of one that nobody has."""
        counts = np.pad(self.counts, ((0, 0), (0, 1)))
        return np.asarray(np.log((counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 1)), dtype=np.float32)

    def log_shares(self, signature: Ints, view: Ints) -> Floats:
        """Return the log share of pairs of a signature (-1: one that nobody has) and a view."""
        width = self.log_share_table.shape[1]
        found = self.log_share_table.take(view * width + signature % width)  # -1 is the last one
        return np.asarray(found, dtype=np.float64)

    @cached_property
    def repetitions(self) -> tuple[Ints, Ints]:
        """Return the tasks that repeat an operation, and each one's occurrence before."""
        repeated = np.flatnonzero(self.before >= 0)
        return repeated, self.before[repeated].astype(np.int64)

    def sums(self, request: Ints, signature: Ints, values: Floats) -> Floats:
        """Return (pairs, kinds) the sums of `values` (kinds, requests, tasks) over a signature's tasks.

        Pairs are those of a request and a signature.
        """
        if not len(signature):
            return np.zeros((0, len(values)))
        sizes = self.lengths.take(signature)
        task = self.tasks.take(ranges(self.bounds.take(signature), sizes))
        kinds, _, tasks = values.shape
        mine = values.reshape(kinds, -1).take(request.repeat(sizes) * tasks + task, axis=1)
        found: Floats = np.add.reduceat(mine, sizes.cumsum() - sizes, axis=1).T
        return found


def collect(routings: Routings, items: Items, routed: Ints) -> KnownSignatures:
    """Collect the signatures of the routed items."""
    signature, count = routings.signature[routed], len(routings.signatures)
    first = np.zeros(count, dtype=np.int64)
    first[signature[::-1]] = routed[::-1]
    sizes = routings.offsets[first + 1] - routings.offsets[first]
    views = [*range(items.fold_count), items.fold_count]
    counts = np.stack([np.bincount(signature[items.folds[routed] != view], minlength=count) for view in views])
    owner = np.repeat(signature, routings.offsets[routed + 1] - routings.offsets[routed])
    rows = ranges(routings.offsets[routed], routings.offsets[routed + 1] - routings.offsets[routed])
    outside = np.bincount(owner, routings.inside[rows] == 0, count) / np.maximum(counts[-1], 1)
    keys = routings.task_keys
    earlier = np.searchsorted(keys, keys - 1)
    same = keys[np.minimum(earlier, len(keys) - 1)] == keys - 1
    return KnownSignatures(
        bounds=np.concatenate([[0], np.cumsum(sizes)]), tasks=routings.task[ranges(routings.offsets[first], sizes)],
        task_count=routings.tasks, counts=counts.astype(np.int32),
        common=np.sort(np.argsort(-counts[-1], kind="stable")[:MOST_COMMON]), outside=outside.astype(np.float32),
        before=np.where(same, earlier, -1).astype(np.int32),
    )  # fmt: skip
