"""The routing rows that regressions learn from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints

Singles = npt.NDArray[np.float32]
Left = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows with known minutes, and how to get their attributes.

    After the rows that lines are to foretell come those of plans: what was planned where results are learned from.
    """

    row: Ints
    task: Ints
    resource: Ints
    part: Ints
    group: Ints  # items of one drawing have one
    target: Floats  # (rows, 2) logarithms, nan where unknown
    weight: Floats  # (rows, 2)
    design_of: Callable[[Ints], Singles]  # of entries of this sample
    tasks: int
    resources: int
    plans: int = 0  # how many of the last rows are plans

    @property
    def size(self) -> int:
        """Return how many columns the design has."""
        return self.design_of(np.zeros(1, dtype=np.int64)).shape[1] if len(self.row) else 0

    @property
    def foretold(self) -> int:
        """Return how many of the first rows lines are to foretell."""
        return len(self.row) - self.plans

    def without_plans(self) -> "Sample":
        """Return the rows that lines are to foretell."""
        names = ("row", "task", "resource", "part", "group", "target", "weight")
        return replace(self, plans=0, **{name: getattr(self, name)[: self.foretold] for name in names})
