"""What fitting needs of the items that are asked as if unknown."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Ints
from shared.prediction.nearby import Nearby


class WithheldLike(Protocol):
    """Items asked as if unknown, found without themselves and their sisters."""

    @property
    def near(self) -> Nearby: ...  # noqa: D102
    @property
    def places(self) -> Ints: ...  # noqa: D102
    @property
    def views(self) -> Ints: ...  # noqa: D102
    @property
    def rows(self) -> npt.NDArray[np.float32]: ...  # noqa: D102
