"""The neighbours' form: a weighted robust mean of what near items' orders took, else the operation's usual minutes.

A near item counts by its similarity and by how many recent orders it has; minutes that stand far off what the operation
usually takes are drawn in. With few near items that do the operation the mean is drawn towards the usual minutes.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.forms.asks import Asks
from shared.prediction.minutes.forms.usual import Usual

_BOUND = 1.5  # robust standard deviations beyond which a near item's minutes are drawn in


@dataclass(frozen=True, kw_only=True)
class NearRows:
    """Which routing rows of near items may be read, and for what."""

    fold: npt.NDArray[np.int8]  # (rows,) of their items: a view reads no row of its own fold
    by_results: npt.NDArray[np.bool_]  # (tasks,) whether results, not planned times, are read

    def said(self, asks: Asks, usual: Usual) -> tuple[Ints, Ints, Floats, Floats]:
        """Return request, routing row, similarity, and (said, 2) how the row's minutes differ from the usual ones.

        Differences are drawn in; nan where unknown. Requests rise, and the nearest row of each comes first.
        """
        assert asks.near is not None, "this form reads what is near"
        assert asks.seen is not None, "this form reads what was booked"
        found = asks.near.matching(asks.asked, asks.task)
        allowed = self.fold.take(found.row) != asks.view.take(found.request)
        if asks.own_row is not None:
            allowed &= found.row != asks.own_row.take(found.request)
        kept = allowed.nonzero()[0]
        request, row = found.request.take(kept), found.row.take(kept)
        place = asks.place.take(request)
        learned = self.by_results.take(place)[:, None]
        cell = asks.view.take(request) * usual.typical.shape[1] + place
        logs = np.where(learned, asks.seen.results.take(row, axis=0), asks.seen.planned.take(row, axis=0))
        most = _BOUND * usual.spread.reshape(-1, 2).take(cell, axis=0)
        off = np.clip(logs - usual.typical.reshape(-1, 2).take(cell, axis=0), -most, most)
        return request, row, asks.near.similarities.take(found.member.take(kept)), off

    def trust(self, asks: Asks, request: Ints, row: Ints) -> Floats:
        """Return (said, 2) what rows count for: near 1 with many recent orders; a plan as one order of today."""
        assert asks.seen is not None, "this form reads what was booked"
        learned = self.by_results.take(asks.place.take(request))[:, None]
        recent = np.where(learned, asks.seen.recent.take(row, axis=0), 1.0)
        return np.asarray(recent / (recent + 1.0))

    def state(self) -> dict[str, Any]:
        """Return plain arrays; which tasks are learned from results the minutes say."""
        return {"fold": self.fold}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "NearRows":
        """Return what `state` was made of."""
        return cls(fold=state["fold"], by_results=state["by_results"])


@dataclass(frozen=True, kw_only=True)
class NeighboursForm:
    """The baseline that learns nothing but how far to trust what is near."""

    kind: ClassVar[str] = "neighbours"

    usual: Usual
    rows: NearRows
    scale: Floats  # (views, 2) an item this much less similar than a twin counts 1/e
    pull: Floats  # (views, 2) near items' worth of trust in the usual minutes

    def expected(self, asks: Asks) -> Floats:
        """Return the usual minutes (n, 2), drawn towards the mean of what near items took."""
        typical, _ = self.usual.levels(asks)
        request, row, similarity, off = self.rows.said(asks, self.usual)
        view = asks.view.take(request)
        each = self.rows.trust(asks, request, row)
        each *= np.exp((similarity[:, None] - 1.0) / self.scale.take(view, axis=0))
        each[np.isnan(off)] = 0.0
        return typical + weighted_means(request, each, np.nan_to_num(off), self.pull.take(asks.view, axis=0))

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {
            "usual": self.usual.state(), "near_rows": self.rows.state(), "near_scale": self.scale,
            "near_pull": self.pull,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "NeighboursForm":
        """Return what `state` was made of."""
        rows = NearRows.from_state(state["near_rows"] | {"by_results": state["by_results"]})
        return cls(
            usual=Usual.from_state(state["usual"]), rows=rows, scale=state["near_scale"], pull=state["near_pull"]
        )


def weighted_means(request: Ints, each: Floats, off: Floats, more: Floats) -> Floats:
    """Return the weighted means (n, 2) of what was said to each request, drawn towards 0.

    Args:
        request: (said,) which request.
        each: (said, 2) weights.
        off: (said, 2) values.
        more: (n, 2) weight of the 0.
    """
    count = len(more)
    cell = ((request * 2)[:, None] + np.arange(2)).ravel()
    total = np.bincount(cell, each.ravel(), count * 2).reshape(count, 2)
    mean = np.bincount(cell, (each * off).ravel(), count * 2).reshape(count, 2)
    return np.asarray(mean / np.maximum(total + more, 1e-12))
