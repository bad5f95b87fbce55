"""The perceptron's form: a feed-forward network over the item, the operation and its work centre, as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.design import Design
from shared.prediction.minutes.estimates import each_view
from shared.prediction.minutes.forms.asks import Asks, Singles
from shared.prediction.minutes.forms.usual import Usual


@dataclass(frozen=True, kw_only=True)
class Network:
    """Layers of rectified linear units and a linear output, one network a view.

    It reads an item's design, then a 1 in the column of the task's setup or run, then how the work centre differs. So
    the item's part of the first layer is worked out once an item, and the rest is looked up.
    """

    weights: Sequence[Floats]  # (views, inputs, outputs) of each layer
    biases: Sequence[Floats]  # (views, outputs) of each layer

    def values(self, view: int, items: Singles, asked: Ints, task: Ints, centre: Floats) -> Floats:
        """Return (n, 2) outputs for the setups and runs of n operations.

        Args:
            view: the network's.
            items: (batch, size) designs.
            asked: (n,) which item.
            task: (n,) tasks.
            centre: (n, 2) how the work centres differ.
        """
        first, size = self.weights[0][view], items.shape[1]
        wide = first.shape[1]
        item = items.astype(np.float64) @ first[:size] + self.biases[0][view]
        codes = first[size:-1].reshape(-1, 2, wide).take(task, axis=0)
        codes += item.take(asked, axis=0)[:, None]
        codes += centre[:, :, None] * first[-1]
        hidden = codes.reshape(-1, wide)
        for weights, biases in zip(self.weights[1:], self.biases[1:], strict=True):
            np.maximum(hidden, 0.0, out=hidden)
            hidden = hidden @ weights[view]
            hidden += biases[view]
        return np.asarray(hidden.reshape(-1, 2))

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"weights": list(self.weights), "biases": list(self.biases)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Network":
        """Return what `state` was made of."""
        return cls(weights=tuple(state["weights"]), biases=tuple(state["biases"]))


@dataclass(frozen=True, kw_only=True)
class PerceptronForm:
    """How far from the usual an operation's minutes are, by a network."""

    kind: ClassVar[str] = "mlp"

    design: Design
    usual: Usual
    network: Network

    def expected(self, asks: Asks) -> Floats:
        """Return what the views' networks expect (n, 2)."""
        typical, centre = self.usual.levels(asks)
        return typical + self.differences(self.design.rows(asks.vectors, asks.rows), asks, centre)

    def differences(self, items: Singles, asks: Asks, centre: Floats) -> Floats:
        """Return (n, 2) differences from the usual minutes, given the items' designs and their work centres'."""
        found = np.empty((len(asks.asked), 2))
        place = asks.place
        for view, mine in each_view(asks.view):
            found[mine] = self.network.values(view, items, asks.asked[mine], place[mine], centre[mine])
        return found

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"design": self.design.state(), "usual": self.usual.state(), "network": self.network.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "PerceptronForm":
        """Return what `state` was made of."""
        return cls(
            design=Design.from_state(state["design"]), usual=Usual.from_state(state["usual"]),
            network=Network.from_state(state["network"]),
        )  # fmt: skip
