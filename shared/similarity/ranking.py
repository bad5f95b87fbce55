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


@dataclass(frozen=True, kw_only=True)
class Found:
    """The items near each vector of a batch, flat: those of vector `b` are `bounds[b]:bounds[b + 1]`, nearest first."""

    bounds: Ints  # (batch + 1,)
    places: Ints  # (found,) the items' places in the order of their codes
    similarities: Floats  # (found,)


def similarities(vectors: Vectors, entries: Ints, asked: Vectors) -> Floats:
    """Return the similarities of some entries to one vector: dot products, rounded.

    The products are summed in double precision, so that neither the number of entries scored together nor the
    processor decides which of two nearly equal similarities is rounded up.
    """
    wide = asked.astype(np.float64)
    if len(entries) <= _BLOCK:
        return np.round(vectors[entries].astype(np.float64) @ wide, DIGITS) + 0.0
    parts = np.split(entries, range(_BLOCK, len(entries), _BLOCK))
    return np.concatenate([similarities(vectors, part, asked) for part in parts])


def roughly_similar(vectors: Vectors, entries: Ints, asked: Vectors) -> Vectors:
    """Return the dot products in single precision: half the time, for leaving out what is far below."""
    parts = np.split(entries, range(_BLOCK, len(entries), _BLOCK)) if len(entries) > _BLOCK else [entries]
    return np.concatenate([vectors[part] @ asked for part in parts])


def last_of_nearest(scores: npt.NDArray[Any], wanted: int) -> float:
    """Return the similarity of the last of the `wanted` nearest; below all where there are fewer."""
    if len(scores) < wanted:
        return -np.inf
    return float(np.partition(scores, len(scores) - wanted)[len(scores) - wanted])


class Members:
    """Which items share each entry."""

    def __init__(self, entry_of: npt.NDArray[np.int32], entries: int) -> None:
        """Group items' places by their entry, in the order of their codes."""
        self._places = np.argsort(entry_of, kind="stable")
        self._starts = np.zeros(entries + 1, dtype=np.int64)
        np.cumsum(np.bincount(entry_of, minlength=entries), out=self._starts[1:])

    def of(self, entries: Ints) -> tuple[Ints, Ints]:
        """Return the items of entries, flat: the index into `entries` and the item's place."""
        starts = self._starts[entries]
        sizes = self._starts[entries + 1] - starts
        ends = np.cumsum(sizes)
        inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - sizes - starts, sizes)
        return np.repeat(np.arange(len(entries)), sizes), self._places[inside]

    def rank(
        self, pools: Sequence[tuple[Ints, Floats]], count: int, without: Sequence[Ints] | None, items: int
    ) -> Found:
        """Return the `count` nearest items of each pool of (entries, similarities), less those in `without`."""
        sizes = [len(entries) for entries, _ in pools]
        index, places = self.of(np.concatenate([np.zeros(0, dtype=np.int64), *(entries for entries, _ in pools)]))
        scores = np.concatenate([np.zeros(0), *(scores for _, scores in pools)])[index]
        asked = np.repeat(np.arange(len(pools)), sizes)[index]
        if without is not None:
            hidden = np.concatenate([np.zeros(0, dtype=np.int64), *(b * items + w for b, w in enumerate(without))])
            if len(hidden):
                kept = ~np.isin(asked * items + places, hidden)
                asked, places, scores = asked[kept], places[kept], scores[kept]
        order = np.lexsort((places, -scores, asked))
        starts = np.searchsorted(asked[order], np.arange(len(pools) + 1))
        inside = np.arange(len(order)) - starts[asked[order]]
        order = order[inside < count]
        bounds = np.concatenate([[0], np.cumsum(np.minimum(np.diff(starts), count))])
        return Found(bounds=bounds, places=places[order], similarities=scores[order])
