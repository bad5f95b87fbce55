"""Penalised least squares without some parts of the rows, from products that are made once."""

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.sample import Left, Singles

_FEW_ROWS = 1.4  # rows a column, up to which most sets of parts leave fewer rows than columns


class PartSolver:
    """Solves for every set of parts left out; in the space of rows where these are few.

    Many goals are solved at once: they are rows, so that each lies in one piece of memory.
    """

    def __init__(self, design: Singles, weight: Floats, part: Ints) -> None:
        """Take a design (rows, columns), and the rows' weights and parts."""
        self.design = design
        self.part = part
        self.present = np.unique(part).tolist()
        self._root = np.sqrt(weight).astype(np.float32)
        self._scaled = design * self._root[:, None]
        self._dual = len(design) < _FEW_ROWS * design.shape[1]
        self._factors: dict[tuple[Left, float], Any] = {}
        self._seen: dict[Left, npt.NDArray[np.bool_]] = {}

    def coefficients(self, solutions: Singles) -> Singles:
        """Return the coefficients (goals, columns) of solutions."""
        return np.asarray(solutions @ self._scaled) if self._dual else solutions

    def expected(self, coefficients: Singles) -> Singles:
        """Return what coefficients (goals, columns) expect of every row, (goals, rows)."""
        return np.asarray(coefficients @ self.design.T)

    def seen(self, left: Left) -> npt.NDArray[np.bool_]:
        """Tell which rows are not left out."""
        if left not in self._seen:
            kept = np.ones(max([*self.present, *left], default=0) + 1, dtype=bool)
            kept[list(left)] = False
            self._seen[left] = kept[self.part]
        return self._seen[left]

    def prepared(self, goals: Singles) -> Singles:
        """Return goals (goals, rows), 0 where a row is left out, as `solve` takes them."""
        scaled = goals.astype(np.float32) * self._root
        return scaled if self._dual else np.asarray(scaled @ self._scaled)

    @property
    def size(self) -> int:
        """Return how many numbers a solution has."""
        return len(self._scaled) if self._dual else int(self._scaled.shape[1])

    def solve(self, left: Left, penalty: float, prepared: Singles) -> Singles:
        """Return the solution (size,) for one prepared goal that has these parts left out."""
        from scipy.linalg.lapack import spotrs

        if (left, penalty) not in self._factors:
            self.make_ready(left, (penalty,))
        factor = self._factors[left, penalty]
        if self._dual:
            seen, found = self.seen(left), np.zeros_like(prepared)
            found[seen] = spotrs(factor, prepared[seen], lower=1)[0]
            return found
        return np.asarray(spotrs(factor, prepared, lower=1)[0])

    def make_ready(self, left: Left, penalties: Collection[float]) -> None:
        """Factorise what goals without these parts are solved by, under several penalties at once."""
        from scipy.linalg.lapack import spotrf

        missing = [one for one in penalties if (left, one) not in self._factors]
        if not missing:
            return
        matrix = self._matrix(left)
        for one in missing:
            raised = matrix.copy()
            raised.flat[:: len(raised) + 1] += one
            # a symmetric matrix is its own transpose, and in that order nothing is copied
            self._factors[left, one] = spotrf(raised.T, lower=1, clean=0, overwrite_a=1)[0]

    def forget(self) -> None:
        """Free the memory of what was solved so far."""
        self._factors.clear()

    def _matrix(self, left: Left) -> Singles:
        if self._dual:
            seen = np.flatnonzero(self.seen(left))
            return np.asarray(self._kernel.take(seen, axis=0).take(seen, axis=1))
        matrix = self._every_gram.copy()
        for one in left & self._grams.keys():
            matrix -= self._grams[one]
        return np.asarray(matrix, dtype=np.float32)

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
