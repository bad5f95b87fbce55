"""Shorter stand-ins for vectors whose dot products are never below those of the vectors they stand for.

A vector x is split into its part in the plane of a few orthonormal axes and the rest, of which only the length is
kept: y = (x·axes, |rest|). By the inequality of Cauchy and Schwarz y(a)·y(b) >= a·b, and |y| = |x|, so that vectors of
unit length stay of unit length and a vector remains the nearest to itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_SAMPLE = 20_000  # vectors that the axes are fitted on
_BLOCK = 2_048


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Orthonormal axes, those that hold most of the vectors' squared length first."""

    axes: npt.NDArray[np.float64]  # (size, axes); rounded ones would give a short rest a wrong length

    @classmethod
    def fit(cls, vectors: Vectors, axes: int, *, seed: int) -> Self:
        """Take the leading eigenvectors of the second moments (not centred) of a seeded sample of vectors."""
        chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:_SAMPLE])
        sample = vectors[chosen].astype(np.float64)
        _, directions = np.linalg.eigh(sample.T @ sample)
        return cls(axes=np.ascontiguousarray(directions[:, ::-1][:, :axes]))

    def shortened(self, vectors: Vectors) -> Vectors:
        """Return the stand-ins: (vectors, axes + 1), the length of the rest last.

        Computed in double precision: a vector has the same stand-in alone and among others, whatever order its
        products are summed in.
        """
        [whole] = self.shortened_to(vectors, [self.axes.shape[1]])
        return whole

    def shortened_to(self, vectors: Vectors, counts: Sequence[int]) -> list[Vectors]:
        """Return the stand-ins by the first axes, once for each number of them (not above all)."""
        found = [np.empty((len(vectors), count + 1), dtype=np.float32) for count in counts]
        for start in range(0, len(vectors), _BLOCK):
            wide = vectors[start : start + _BLOCK].astype(np.float64)
            inside = wide @ self.axes
            squared = np.einsum("nd,nd->n", wide, wide)
            for out, count in zip(found, counts, strict=True):
                mine = inside[:, :count]
                out[start : start + _BLOCK, :-1] = mine
                rest = squared - np.einsum("nd,nd->n", mine, mine)
                out[start : start + _BLOCK, -1] = np.sqrt(np.maximum(rest, 0))
        return found
