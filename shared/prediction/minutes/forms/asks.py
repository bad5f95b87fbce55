"""The operations whose minutes a form is asked for."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.observations import Observations
from shared.prediction.nearby import Nearby

Singles = npt.NDArray[np.float32]

TOGETHER = 256  # from so many operations on, those of one kind are multiplied at once


@dataclass(frozen=True, kw_only=True)
class Asks:
    """Operations of the items of a batch, each with the view that answers for it; n of them."""

    vectors: Singles  # (batch, size) of the items
    rows: Singles  # (batch, features) of the items
    asked: Ints  # (n,) which item of the batch
    task: Ints  # (n,) -1 for an operation never seen
    resource: Ints  # (n,) work centre, -1 unknown
    view: Ints  # (n,)
    near: Nearby | None = None  # what is near the items; forms that read it say so
    seen: Observations | None = None
    own_row: Ints | None = None  # (n,) the item's own routing row, which is no near one, or -1

    @property
    def place(self) -> Ints:
        """Return the tasks, 0 for an operation never seen: what arrays by task may be read at."""
        return np.maximum(self.task, 0)

    def part(self, chosen: Ints) -> "Asks":
        """Return some of the operations."""
        own_row = None if self.own_row is None else self.own_row[chosen]
        return Asks(
            vectors=self.vectors, rows=self.rows, asked=self.asked[chosen], task=self.task[chosen],
            resource=self.resource[chosen], view=self.view[chosen], near=self.near, seen=self.seen, own_row=own_row,
        )  # fmt: skip


class Form(Protocol):
    """Expects the logarithms of minutes; fitted once a view, without that view's fold."""

    kind: ClassVar[str]  # what a package's manifest calls a model of this form

    def expected(self, asks: Asks) -> Floats:
        """Return (n, 2) logarithms of setup minutes of an order and run minutes of a piece, nan unknown."""
        ...

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        ...
