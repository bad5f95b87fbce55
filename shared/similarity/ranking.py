"""What a similarity is, and the one order of all answers: by similarity, then by item code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

DIGITS = 6  # similarities that agree so far are ties
_BLOCK = 4_096  # vectors scored at once
_NONE: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The items near each vector of a batch, flat: those of vector `b` are `bounds[b]:bounds[b + 1]`, nearest first."""

    bounds: Ints  # (batch + 1,)
    places: Ints  # (found,) the items' places in the order of their codes
    similarities: Floats  # (found,)

    @property
    def asked(self) -> Ints:
        """Return which vector of the batch each found item is near to."""
        return np.arange(len(self.bounds) - 1).repeat(self.bounds[1:] - self.bounds[:-1])


def similarities(vectors: Vectors, entries: Ints, asked: Vectors) -> Floats:
    """Return the similarities of some entries to one vector: dot products, rounded.

    The products are summed in double precision, so that neither the number of entries scored together nor the
    processor decides which of two nearly equal similarities is rounded up.
    """
    wide = asked.astype(np.float64)
    if len(entries) <= _BLOCK:
        return (vectors.take(entries, axis=0).astype(np.float64) @ wide).round(DIGITS) + 0.0
    parts = np.split(entries, range(_BLOCK, len(entries), _BLOCK))
    return np.concatenate([similarities(vectors, part, asked) for part in parts])


def roughly_similar(vectors: Vectors, entries: Ints, asked: Vectors) -> Vectors:
    """Return the dot products in single precision: half the time, for leaving out what is far below."""
    if len(entries) <= _BLOCK:
        return np.asarray(vectors.take(entries, axis=0) @ asked)
    parts = np.split(entries, range(_BLOCK, len(entries), _BLOCK))
    return np.concatenate([roughly_similar(vectors, part, asked) for part in parts])


def last_of_nearest(scores: npt.NDArray[Any], wanted: int) -> float:
    """Return the similarity of the last of the `wanted` nearest; below all where there are fewer."""
    if len(scores) < wanted:
        return -np.inf
    ordered = scores.copy()
    ordered.partition(len(scores) - wanted)
    return float(ordered[len(scores) - wanted])


class Members:
    """Which items share each entry."""

    def __init__(self, entry_of: npt.NDArray[np.int32], entries: int) -> None:
        """Group items' places by their entry, in the order of their codes."""
        self._places = np.argsort(entry_of, kind="stable")
        self._sizes = np.bincount(entry_of, minlength=entries)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def of(self, entries: Ints) -> tuple[Ints, Ints]:
        """Return the items of entries, flat: the index into `entries` and the item's place."""
        sizes = self._sizes.take(entries)
        index = np.arange(len(entries)).repeat(sizes)
        before = sizes.cumsum() - sizes
        inside = np.arange(len(index)) + (self._starts.take(entries) - before).take(index)
        return index, self._places.take(inside)

    def rank(self, pools: Sequence[tuple[Ints, Floats]], count: int, without: Sequence[Ints] | None) -> Found:
        """Return the `count` nearest items of each pool of (entries, similarities), less those in `without`."""
        index, places = self.of(np.concatenate([entries for entries, _ in pools]) if pools else _NONE)
        asked = np.arange(len(pools)).repeat([len(entries) for entries, _ in pools]).take(index)
        scores = (np.concatenate([scores for _, scores in pools]) if pools else np.zeros(0)).take(index)
        if without is not None and (kept := self._kept(asked, places, without)) is not None:
            asked, places, scores = asked.take(kept), places.take(kept), scores.take(kept)
        order = np.lexsort((places, -scores, asked))
        sizes = np.bincount(asked, minlength=len(pools))
        bounds = np.zeros(len(pools) + 1, dtype=np.int64)
        np.minimum(sizes, count).cumsum(out=bounds[1:])
        if len(order) > bounds[-1]:
            starts = sizes.cumsum() - sizes
            order = order[np.arange(len(order)) - starts.repeat(sizes) < count]
        return Found(bounds=bounds, places=places.take(order), similarities=scores.take(order))

    def _kept(self, asked: Ints, places: Ints, without: Sequence[Ints]) -> Ints | None:
        """Return which of the found (asked, place) are not to be left out, None for all of them."""
        items = len(self._places)
        parts = [number * items + hidden for number, hidden in enumerate(without) if len(hidden)]
        if not parts:
            return None
        hidden = np.concatenate(parts)
        hidden.sort()
        keys = asked * items + places
        at = hidden.searchsorted(keys)
        np.minimum(at, len(hidden) - 1, out=at)
        return np.asarray((hidden.take(at) != keys).nonzero()[0])
