"""Exact search: bounds from shortened vectors leave few entries to score in full, and none of the nearest is lost."""

import numpy as np

from shared.similarity.projection import Projection
from shared.similarity.ranking import DIGITS, Floats, Ints, Vectors, similarities

AXES = 48  # beyond this many, reading the shortened vectors takes longer than scoring fewer entries in full saves
_FIRST = 4  # entries scored before the bounds are used, as a multiple of those wanted
_BATCH = 16  # vectors whose bounds are computed together
_ROUNDING = 2e-6  # of float32 sums, relative to both lengths
_TIE = 10.0**-DIGITS


class ExactSearch:
    """The nearest entries to a vector, none missed, ties included."""

    def __init__(self, vectors: Vectors, projection: Projection) -> None:
        """Shorten the entries' vectors by the first axes of `projection`."""
        self._vectors = vectors
        self._projection = Projection(axes=np.ascontiguousarray(projection.axes[:, :AXES]))
        shortened = self._projection.shortened(vectors)
        self._longest = float(np.sqrt(np.einsum("nd,nd->n", shortened, shortened).max(initial=0.0)))
        self._columns = np.ascontiguousarray(shortened.T)  # one row each number: read from end to end by a product

    def pools(self, asked: Vectors, wanted: Ints) -> list[tuple[Ints, Floats]]:
        """Return, for each vector, all entries among its `wanted` nearest or tied with the last, scored."""
        found = []
        for start in range(0, len(asked), _BATCH):
            bounds = self._projection.shortened(asked[start : start + _BATCH]) @ self._columns
            for place, row in enumerate(bounds, start):
                found.append(self._nearest(asked[place], row, int(wanted[place])))
        return found

    def _nearest(self, asked: Vectors, bounds: Vectors, wanted: int) -> tuple[Ints, Floats]:
        first = min(_FIRST * wanted, len(bounds))
        if not asked.any() or not first:  # to a vector of zeros all are alike
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        entries = np.argpartition(bounds, len(bounds) - first)[len(bounds) - first :]
        scores = similarities(self._vectors, entries, asked)
        if first < len(bounds):
            least = np.partition(scores, first - wanted)[first - wanted]
            margin = _TIE + _ROUNDING * self._longest * float(np.linalg.norm(asked))
            entries = np.flatnonzero(bounds >= least - margin)
            scores = similarities(self._vectors, entries, asked)
        if wanted < len(scores):
            kept = scores >= np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
            return entries[kept], scores[kept]
        return entries, scores
