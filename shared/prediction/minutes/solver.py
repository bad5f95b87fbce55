"""Penalised least squares without some parts of the rows, from products that are made once."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.sample import Left, Singles


class PartSolver:
    """Solves for every set of parts left out; in the space of rows where there are fewer rows than columns.

    Many goals are solved at once: they are rows, so that each lies in one piece of memory.
    """

    def __init__(self, design: Singles, weight: Floats, part: Ints, penalties: Sequence[float]) -> None:
        """Take a design (rows, columns), the rows' weights and parts, and the penalties that may be asked for."""
        self.design = design
        self.part = part
        self.present = np.unique(part).tolist()
        self._root = np.sqrt(weight).astype(np.float32)
        self._scaled = design * self._root[:, None]
        self._dual = len(design) < design.shape[1]
        self._penalties = penalties
        self._factors: dict[tuple[Left, float], Any] = {}

    def expected(self, coefficients: Floats) -> Singles:
        """Return what coefficients (goals, columns) expect of every row, (goals, rows)."""
        return np.asarray(coefficients.astype(np.float32) @ self.design.T)

    def seen(self, left: Left) -> npt.NDArray[np.bool_]:
        """Tell which rows are not left out."""
        kept = np.ones(max([*self.present, *left], default=0) + 1, dtype=bool)
        kept[list(left)] = False
        return np.asarray(kept[self.part])

    def prepared(self, goals: Singles) -> Singles:
        """Return goals (goals, rows), 0 where a row is left out, as `solve` takes them."""
        scaled = goals.astype(np.float32) * self._root
        return scaled if self._dual else np.asarray(scaled @ self._scaled)

    def solve(self, left: Left, penalty: float, prepared: Singles) -> Floats:
        """Return the coefficients (columns,) for one prepared goal that has these parts left out."""
        from scipy.linalg.lapack import spotrs

        if self._dual:
            seen = self.seen(left)
            held, _ = spotrs(self._factor(left, penalty), prepared[seen], lower=1)
            return np.asarray(held @ self._scaled[seen])
        return np.asarray(spotrs(self._factor(left, penalty), prepared, lower=1)[0])

    def forget(self) -> None:
        """Free the memory of what was solved so far."""
        self._factors.clear()

    def _factor(self, left: Left, penalty: float) -> Floats:
        from scipy.linalg.lapack import spotrf

        if (left, penalty) not in self._factors:  # all penalties of one set at once: its matrix is not kept
            matrix = self._matrix(left)
            for one in self._penalties:
                raised = matrix.astype(np.float32)
                raised.flat[:: len(matrix) + 1] += one
                # a symmetric matrix is its own transpose, and in that order nothing is copied
                self._factors[left, one] = spotrf(raised.T, lower=1, clean=0, overwrite_a=1)[0]
        return self._factors[left, penalty]  # type: ignore[no-any-return]

    def _matrix(self, left: Left) -> Floats:
        if self._dual:
            seen = self.seen(left)
            return np.asarray(self._kernel[np.ix_(seen, seen)], dtype=np.float64)
        matrix = self._every_gram.copy()
        for one in left & self._grams.keys():
            matrix -= self._grams[one]
        return matrix

    @cached_property
    def _kernel(self) -> Singles:
        return np.asarray(self._scaled @ self._scaled.T)

    @cached_property
    def _grams(self) -> dict[int, Singles]:
        scaled = (self._scaled[self.part == one] for one in self.present)
        return {one: mine.T @ mine for one, mine in zip(self.present, scaled, strict=True)}

    @cached_property
    def _every_gram(self) -> Floats:
        return np.asarray(sum(self._grams.values(), np.zeros((self.design.shape[1],) * 2)))
