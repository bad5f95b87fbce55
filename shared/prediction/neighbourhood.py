"""The items near one asked item, with their operations gathered for voting and for times."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints, Routings


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """Neighbours, nearest first; `own` is the asked item's place where its own results may be used, else -1."""

    routings: Routings
    places: Ints
    similarities: Floats
    own: int = -1

    @cached_property
    def _sizes(self) -> Ints:
        offsets = self.routings.offsets
        return np.asarray(offsets[self.places + 1] - offsets[self.places])

    @cached_property
    def rows(self) -> Ints:
        """Return the neighbours' routing rows, neighbour by neighbour."""
        ends = np.cumsum(self._sizes)
        total = int(ends[-1]) if len(ends) else 0
        first = self.routings.offsets[self.places] - (ends - self._sizes)
        return np.asarray(np.arange(total) + np.repeat(first, self._sizes))

    @cached_property
    def row_neighbour(self) -> Ints:
        """Return which neighbour each row belongs to."""
        return np.repeat(np.arange(len(self.places)), self._sizes)

    @cached_property
    def _task(self) -> Ints:
        return self.routings.task[self.rows]

    def doing(self, task: int) -> Ints:
        """Return which of `rows` are this task."""
        return np.flatnonzero(self._task == task)

    @cached_property
    def voters(self) -> npt.NDArray[np.bool_]:
        """Tell which neighbours vote: all but the asked item itself."""
        return np.asarray(self.places != self.own)
