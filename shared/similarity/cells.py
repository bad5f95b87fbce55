"""Groups of similar entries that lie one after the other: what is near a vector is mostly in the cells nearest to it.

A walk through a graph may end in a wrong region. The nearest cells, scanned beside it, hold what it then lacks.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from shared.similarity.ranking import Floats, Ints, Vectors

_SAMPLE, _ROUNDS = 20_000, 4  # vectors and rounds that the centres are fitted with
_BLOCK = 8_192


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cell `c` is the entries `starts[c]:starts[c + 1]`; its centre is the shortened vector in its middle."""

    centres: Vectors  # (cells, numbers of a shortened vector), of unit length
    starts: Ints  # (cells + 1,)

    @classmethod
    def fit(cls, short: Vectors, *, seed: int) -> tuple[Self, Ints]:
        """Group vectors by spherical k-means, twice as many cells as the square root of their number.

        Returns:
            The cells, and the order in which the vectors lie in them.
        """
        sample = short[np.sort(np.random.default_rng(seed).permutation(len(short))[:_SAMPLE])]
        centres = sample[np.linspace(0, len(sample) - 1, max(1, 2 * math.isqrt(len(short)))).astype(np.int64)]
        for _ in range(_ROUNDS):
            order, starts = _grouped(_nearest(sample, centres), len(centres))
            groups = np.split(sample[order], starts[1:-1])
            sums = np.stack([group.sum(axis=0, dtype=np.float64) for group in groups])
            lengths = np.linalg.norm(sums, axis=1, keepdims=True)
            moved = sums / np.maximum(lengths, np.finfo(np.float64).tiny)
            centres = np.where(lengths > 0, moved, centres).astype(np.float32)
        order, starts = _grouped(_nearest(short, centres), len(centres))
        return cls(centres=centres, starts=starts), order

    def inside(self, cell: int) -> slice:
        """Return a cell's entries."""
        return slice(int(self.starts[cell]), int(self.starts[cell + 1]))

    def near(self, short: Vectors, number: int) -> Ints:
        """Return the cells nearest to each vector: (vectors, `number` or all)."""
        if number >= len(self.centres):
            return np.tile(np.arange(len(self.centres)), (len(short), 1))
        unlike = short.astype(np.float64) @ self._opposite.T
        return np.asarray(unlike.argpartition(number, axis=1)[:, :number])

    @cached_property
    def _opposite(self) -> Floats:
        """Return the centres turned round, in double precision."""
        return -self.centres.astype(np.float64)


def _nearest(short: Vectors, centres: Vectors) -> Ints:
    """Return the nearest centre of each vector."""
    blocks = [short[start : start + _BLOCK] for start in range(0, len(short), _BLOCK)]
    return np.concatenate([(block @ centres.T).argmax(axis=1) for block in blocks])


def _grouped(cell: Ints, cells: int) -> tuple[Ints, Ints]:
    """Return an order in which the members of each cell lie together, and where each cell starts and ends in it."""
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=cells))])
    return np.argsort(cell, kind="stable"), starts
