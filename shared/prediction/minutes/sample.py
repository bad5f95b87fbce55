"""The routing rows that regressions learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints

Singles = npt.NDArray[np.float32]
Left = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows with known minutes, and how to get their attributes."""

    row: Ints
    task: Ints
    resource: Ints
    part: Ints
    target: Floats  # (rows, 2) logarithms, nan where unknown
    weight: Floats  # (rows, 2)
    design_of: Callable[[Ints], Singles]  # of entries of this sample
    tasks: int
    resources: int
