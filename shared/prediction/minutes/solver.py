"""Penalised least squares without some parts of the rows, from products that are made once."""

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

    def __init__(self, design: Singles, weight: Floats, part: Ints) -> None:
        """Take a design (rows, columns), the rows' weights and their parts."""
        self.design = design
        self.part = part
        self.present = np.unique(part).tolist()
        self._root = np.sqrt(weight).astype(np.float32)
        self._scaled = design * self._root[:, None]
        self._dual = len(design) < design.shape[1]
        self._factors: dict[tuple[Left, float], Any] = {}
        self._held: tuple[Left, Floats] | None = None

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
        from scipy.linalg.lapack import dpotrs

        if self._dual:
            seen = self.seen(left)
            held, _ = dpotrs(self._factor(left, penalty), prepared[seen].astype(np.float64), lower=1)
            return np.asarray(held @ self._scaled[seen])
        return np.asarray(dpotrs(self._factor(left, penalty), prepared.astype(np.float64), lower=1)[0])

    def forget(self) -> None:
        """Free the memory of what was solved so far."""
        self._factors.clear()
        self._held = None

    def _factor(self, left: Left, penalty: float) -> Floats:
        from scipy.linalg.lapack import dpotrf

        if (left, penalty) not in self._factors:
            if self._held is None or self._held[0] != left:  # penalties of one set follow each other
                self._held = (left, self._matrix(left))
            matrix = self._held[1].copy()
            matrix[np.diag_indices(len(matrix))] += penalty
            # a symmetric matrix is its own transpose, and in that order nothing is copied
            self._factors[left, penalty] = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)[0]
        return self._factors[left, penalty]  # type: ignore[no-any-return]

    def _matrix(self, left: Left) -> Floats:
        if self._dual:
            seen = self.seen(left)
            return np.asarray(self._kernel[np.ix_(seen, seen)], dtype=np.float64)
        matrix = np.zeros((self.design.shape[1],) * 2)
        for one, gram in self._grams.items():
            if one not in left:
                matrix += gram
        return matrix

    @cached_property
    def _kernel(self) -> Singles:
        return np.asarray(self._scaled @ self._scaled.T)

    @cached_property
    def _grams(self) -> dict[int, Singles]:
        scaled = (self._scaled[self.part == one] for one in self.present)
        return {one: mine.T @ mine for one, mine in zip(self.present, scaled, strict=True)}
