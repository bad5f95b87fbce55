"""Penalised least squares without some parts of the rows, from products that are made once."""

from typing import Any

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.sample import Left, Singles


class PartSolver:
    """Solves for every set of parts left out; in the space of rows where there are fewer rows than columns."""

    def __init__(self, design: Singles, weight: Floats, part: Ints) -> None:
        """Take a design (rows, columns), the rows' weights and their parts."""
        self.design = design
        self.part = part
        self.present = sorted(set(part.tolist()))
        self._root = np.sqrt(weight)
        self._scaled = design * self._root[:, None].astype(np.float32)
        self._dual = len(design) < design.shape[1]
        if self._dual:
            self._kernel = (self._scaled @ self._scaled.T).astype(np.float64)
        else:
            scaled = (self._scaled[part == one] for one in self.present)
            self._grams = {one: mine.T @ mine for one, mine in zip(self.present, scaled, strict=True)}
        self._factors: dict[tuple[Left, float], Any] = {}

    def expected(self, coefficients: Floats) -> Floats:
        """Return what coefficients expect of every row."""
        return np.asarray(self.design @ coefficients.astype(np.float32), dtype=np.float64)

    def seen(self, left: Left) -> Any:
        """Tell which rows are not left out."""
        return ~np.isin(self.part, list(left))

    def solve(self, left: Left, penalty: float, goal: Floats) -> Floats:
        """Return the coefficients (columns,) for the goals (rows,) of the rows that are not left out."""
        from scipy.linalg import cho_factor, cho_solve

        seen = self.seen(left)
        if (left, penalty) not in self._factors:
            self._factors[left, penalty] = cho_factor(self._matrix(left, penalty), check_finite=False, overwrite_a=True)
        if self._dual:
            right = self._root[seen] * goal[seen]
            held = cho_solve(self._factors[left, penalty], right, check_finite=False)
            return np.asarray(self._scaled[seen].T @ held)
        right = self._scaled.T @ np.where(seen, self._root * goal, 0.0).astype(np.float32)
        return np.asarray(cho_solve(self._factors[left, penalty], right, check_finite=False))

    def _matrix(self, left: Left, penalty: float) -> Floats:
        if self._dual:
            seen = self.seen(left)
            matrix = self._kernel[np.ix_(seen, seen)]
        else:
            matrix = sum(
                (self._grams[one] for one in self.present if one not in left),
                start=np.zeros((self.design.shape[1],) * 2),
            )
        matrix[np.diag_indices(len(matrix))] += penalty
        return np.asarray(matrix)
