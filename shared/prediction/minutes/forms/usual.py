"""What an operation usually takes, whatever the item: the level that learned forms start from."""

from dataclasses import dataclass, fields
from typing import Any

from shared.prediction.memory import Floats
from shared.prediction.minutes.forms.asks import Asks, Singles


@dataclass(frozen=True, kw_only=True)
class Usual:
    """Logarithms of minutes by operation; the first axis of each array is the view, the last setup, run."""

    typical: Floats  # (views, tasks, 2) medians, nan where nothing is known
    spread: Floats  # (views, tasks, 2) robust standard deviations about them
    centres: Singles  # (views, tasks, resources + 1, 2) how a work centre differs; the last is an unknown one

    def levels(self, asks: Asks) -> tuple[Floats, Floats]:
        """Return the asked operations' typical logarithms (n, 2), and how their work centres differ (n, 2)."""
        cell = asks.view * self.typical.shape[1] + asks.place
        centres = self.centres.shape[2]
        differ = self.centres.reshape(-1, 2).take(cell * centres + asks.resource % centres, axis=0)  # -1 is the last
        return self.typical.reshape(-1, 2).take(cell, axis=0), differ

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Usual":
        """Return what `state` was made of."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})
