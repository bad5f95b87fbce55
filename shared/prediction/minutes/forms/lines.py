"""The product's own form: a line over the item's vector and sizes and the work centre, one a task."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.design import Design
from shared.prediction.minutes.forms.asks import TOGETHER, Asks, Singles


@dataclass(frozen=True, kw_only=True)
class LinesForm:
    """Fitted lines; the first axis of each array is the view, the last setup, run."""

    kind: ClassVar[str] = "regression"

    design: Design
    slopes: Singles  # (views, tasks, size, 2)
    base: Floats  # (views, tasks, 2), nan where nothing is known
    effect: Singles  # (views, tasks, resources + 1, 2); the last is an unknown work centre

    def expected(self, asks: Asks) -> Floats:
        """Return what the lines expect (n, 2)."""
        cell = asks.view * self.base.shape[1] + asks.place
        logs = self._products(asks, cell)
        logs += self._bases.take(cell, axis=0)
        centres = self.effect.shape[2]
        logs += self._effects.take(cell * centres + asks.resource % centres, axis=0)  # -1 is the last one
        return logs

    def _products(self, asks: Asks, cell: Ints) -> Floats:
        """Return the (n, 2) products of the items' designs and the lines' slopes."""
        design = self.design.rows(asks.vectors, asks.rows)
        if len(cell) < TOGETHER:
            each = design.take(asks.asked, axis=0)[:, None]
            return np.asarray(np.matmul(each, self._slopes.take(cell, axis=0))[:, 0], dtype=np.float64)
        found = np.empty((len(cell), 2))
        order = np.argsort(cell, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
            found[mine] = design[asks.asked[mine]] @ self._slopes[cell[mine[0]]]
        return found

    @cached_property
    def _bases(self) -> Floats:
        return self.base.reshape(-1, 2)

    @cached_property
    def _effects(self) -> Singles:
        return self.effect.reshape(-1, 2)

    @cached_property
    def _slopes(self) -> Singles:
        return self.slopes.reshape(-1, *self.slopes.shape[2:])

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {
            "design": self.design.state(), "slopes": self.slopes, "base": self.base, "effect": self.effect,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "LinesForm":
        """Return what `state` was made of."""
        return cls(
            design=Design.from_state(state["design"]), slopes=state["slopes"], base=state["base"],
            effect=state["effect"],
        )  # fmt: skip
