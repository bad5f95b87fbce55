"""Regression trees as flat arrays: all trees of a view are walked side by side, a level at a time."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats
from shared.prediction.minutes.forms.asks import Singles

Ints32 = npt.NDArray[np.int32]
MISSING = -1.0  # what trees read in the place of a missing value
_ROWS_AT_ONCE = 4_096  # keeps the places of all trees within the processor's cache


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Mean of trees; a row goes to `first` where its column is not above the threshold, else to the node after it.

    A leaf leads to itself: its threshold is above everything.
    """

    roots: Ints32  # (views, trees)
    depth: int  # splits on the longest way
    column: Ints32  # (nodes,)
    threshold: Singles  # (nodes,)
    first: Ints32  # (nodes,)
    value: Floats  # (nodes,)

    def values(self, view: int, rows: Singles) -> Floats:
        """Return the means (n,) of a view's trees for rows (n, columns) without missing values."""
        found = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = np.ascontiguousarray(rows[start : start + _ROWS_AT_ONCE])
            found[start : start + len(part)] = self._walked(view, part)
        return found

    def _walked(self, view: int, rows: Singles) -> Floats:
        cells, begins = rows.ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        place = self.roots[view][None, :].repeat(len(rows), axis=0)
        for _ in range(self.depth):
            above = cells.take(self.column.take(place) + begins) > self.threshold.take(place)
            place = self.first.take(place)
            place += above
        return np.asarray(self.value.take(place).mean(axis=1))

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Forest":
        """Return what `state` was made of."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})
