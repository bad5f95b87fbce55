"""Exact search: bounds from shortened vectors leave few entries to score in full, and none of the nearest is lost."""

from collections.abc import Sequence

import numpy as np

from shared.similarity.cells import Cells
from shared.similarity.projection import Projection
from shared.similarity.ranking import DIGITS, Floats, Ints, Vectors, last_of_nearest, roughly_similar, similarities

AXES = 48  # with fewer, more entries are left to score in full; with more, reading the shortened vectors takes longer
_FIRST = 4  # entries scored before the bounds are used, as a multiple of those wanted
_CELLS = 3  # nearest cells that give the first idea of how near the nearest are
_BATCH = 16  # vectors whose bounds are computed together
_ROUNDING = 4e-6  # of float32 sums, relative to both lengths
_TIE = 10.0**-DIGITS


class ExactSearch:
    """The nearest entries to a vector, none missed, ties included."""

    def __init__(self, vectors: Vectors, projection: Projection, cells: Cells) -> None:
        """Shorten the entries' vectors by the first axes of `projection`."""
        self._vectors, self._projection, self._cells = vectors, projection, cells
        self._axes = min(AXES, projection.axes.shape[1])
        shortened = Projection(axes=np.ascontiguousarray(projection.axes[:, : self._axes])).shortened(vectors)
        self._longest = float(np.sqrt(np.einsum("nd,nd->n", shortened, shortened).max(initial=0.0)))
        self._columns = np.ascontiguousarray(shortened.T)  # one row each number: read from end to end by a product

    def pools(self, asked: Vectors, wanted: Sequence[int]) -> list[tuple[Ints, Floats]]:
        """Return, for each vector, all entries among its `wanted` nearest or tied with the last, scored."""
        found = []
        short, shorter = self._projection.shortened_to(asked, [self._projection.axes.shape[1], self._axes])
        near = self._cells.near(short, _CELLS).tolist()
        for start in range(0, len(asked), _BATCH):
            bounds = shorter[start : start + _BATCH] @ self._columns
            for place, row in enumerate(bounds, start):
                found.append(self._nearest(asked[place], row, near[place], wanted[place]))
        return found

    def _nearest(self, asked: Vectors, bounds: Vectors, cells: list[int], wanted: int) -> tuple[Ints, Floats]:
        if wanted < 1 or not asked.any():  # to a vector of zeros all are alike
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        margin = _TIE + _ROUNDING * self._longest * float(np.linalg.norm(asked))
        inside = np.concatenate([self._vectors[self._cells.inside(cell)] @ asked for cell in cells])
        left = (bounds >= last_of_nearest(inside, wanted) - margin).nonzero()[0]
        hopeful, above = left, bounds.take(left)
        if (others := len(left) - _FIRST * wanted) > 0:
            hopeful = left.take(above.argpartition(others)[others:])
        least = last_of_nearest(similarities(self._vectors, hopeful, asked), wanted) - margin
        left = left[above >= least]
        left = left[roughly_similar(self._vectors, left, asked) >= least]
        scores = similarities(self._vectors, left, asked)
        kept = scores >= last_of_nearest(scores, wanted)
        return left[kept], scores[kept]
