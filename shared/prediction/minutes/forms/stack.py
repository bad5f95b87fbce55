"""The stacking's form: near items, a forest and a perceptron, weighed by a linear layer."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shared.prediction.memory import Floats
from shared.prediction.minutes.estimates import each_view
from shared.prediction.minutes.forms.asks import Asks, Singles
from shared.prediction.minutes.forms.forest import MISSING, Forest
from shared.prediction.minutes.forms.near import NearRows, weighted_means
from shared.prediction.minutes.forms.perceptron import PerceptronForm

BASES = 3  # near items, forest, perceptron: in this order


@dataclass(frozen=True, kw_only=True)
class StackForm:
    """How far from the usual an operation's minutes are, by three learners and a linear layer over them."""

    kind: ClassVar[str] = "stacking"

    perceptron: PerceptronForm
    forest: Forest
    rows: NearRows
    neighbours: int  # nearest rows of the operation whose mean is taken
    weights: Floats  # (views, BASES) of the linear layer
    bias: Floats  # (views,)

    def expected(self, asks: Asks) -> Floats:
        """Return what the views' stacks expect (n, 2)."""
        usual = self.perceptron.usual
        typical, centre = usual.levels(asks)
        items = self.perceptron.design.rows(asks.vectors, asks.rows)
        bases = np.stack(
            [self._near(asks), self._trees(asks, typical, centre), self.perceptron.differences(items, asks, centre)],
            axis=2,
        )
        weighed = (bases * self.weights.take(asks.view, axis=0)[:, None]).sum(axis=2)
        return np.asarray(typical + weighed + self.bias.take(asks.view)[:, None])

    def _near(self, asks: Asks) -> Floats:
        """Return (n, 2) the mean difference of the nearest rows that do the operation; 0 without any."""
        request, _, _, off = self.rows.said(asks, self.perceptron.usual)
        known = off == off  # nan is no number to itself
        counted = known.cumsum(axis=0)
        starts = request.searchsorted(request)
        before = np.concatenate([np.zeros((1, 2), dtype=counted.dtype), counted]).take(starts, axis=0)
        each = (known & (counted - before <= self.neighbours)).astype(np.float64)
        return weighted_means(request, each, np.nan_to_num(off), np.zeros((len(asks.asked), 2)))

    def _trees(self, asks: Asks, typical: Floats, centre: Floats) -> Floats:
        """Return (n, 2) what the forests say."""
        found = np.empty((len(asks.asked), 2))
        for view, mine in each_view(asks.view):
            rows = tree_rows(asks.rows, asks.asked[mine], typical[mine], centre[mine])
            found[mine] = self.forest.values(view, rows).reshape(-1, 2)
        return found

    def state(self) -> dict[str, Any]:
        """Return plain values and arrays."""
        return self.perceptron.state() | {
            "forest": self.forest.state(), "near_rows": self.rows.state(), "near_count": self.neighbours,
            "final_weights": self.weights, "final_bias": self.bias,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "StackForm":
        """Return what `state` was made of."""
        rows = NearRows.from_state(state["near_rows"] | {"by_results": state["by_results"]})
        return cls(
            perceptron=PerceptronForm.from_state(state), forest=Forest.from_state(state["forest"]), rows=rows,
            neighbours=int(state["near_count"]), weights=state["final_weights"], bias=state["final_bias"],
        )  # fmt: skip


def tree_rows(features: Singles, asked: Any, typical: Floats, centre: Floats) -> Singles:
    """Return (2 n, features + 3) rows for trees: setup and run of each operation, one after the other.

    Args:
        features: (batch, features) of the items, nan where missing.
        asked: (n,) which item.
        typical: (n, 2) logarithms of the operations' usual minutes.
        centre: (n, 2) how their work centres differ.
    """
    found = np.empty((len(asked), 2, features.shape[1] + 3), dtype=np.float32)
    found[:, :, :-3] = np.where(np.isnan(features), np.float32(MISSING), features).take(asked, axis=0)[:, None]
    found[:, :, -3] = np.nan_to_num(typical)
    found[:, :, -2] = centre
    found[:, :, -1] = np.arange(2)
    return found.reshape(-1, features.shape[1] + 3)
