"""Estimates for the requests of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.observations import Observations
from shared.prediction.minutes.orders import RUN_OFFSET
from shared.prediction.minutes.sample import Singles
from shared.prediction.minutes.scatter import order_quantile, setup_quantile

_FULL_CONFIDENCE_ORDERS = 3.0
_ALMOST_NONE = 1e-3  # share of orders without setup that changes no quantile


class Used(Protocol):
    """Routing rows whose results were used, request by request."""

    @property
    def request(self) -> Ints: ...  # noqa: D102
    @property
    def row(self) -> Ints: ...  # noqa: D102
    @property
    def similarity(self) -> Floats: ...  # noqa: D102
    @property
    def each(self) -> Floats: ...  # noqa: D102


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Minutes of n requests: (n, 2) setup of an order and run of a piece, with 80 % intervals."""

    minutes: Floats  # setup: the median order's, 0 where most orders have none
    low: Floats
    high: Floats
    samples: Ints  # believed orders behind it
    trimmed: Ints  # orders beside them that were left out
    trimmed_mean: Floats  # run minutes of a piece, nan without samples
    std: Floats
    confidence: Floats  # 0 to 1
    used_request: Ints
    used_row: Ints
    setup: Floats  # (n,) of an order that has one
    idle: Floats  # (n,) share of orders without setup
    spread: Floats  # (n, 2) of the logarithms
    view: Ints
    features: Singles  # (n, features) of the items
    groups: Sequence[GroupFactors]
    scores: Floats  # (n, 3, 2)

    @classmethod
    def of(
        cls, *, logs: Floats, spread: Floats, idle: Floats, rows: Singles, view: Ints, seen: Observations,
        groups: Sequence[GroupFactors], scores: Floats, used: Used,
    ) -> "Estimates":  # fmt: skip
        """Turn logarithms and spreads into minutes."""
        setup, run = np.exp(logs[:, 0]) * (idle < 1), np.maximum(np.exp(logs[:, 1]) - RUN_OFFSET, 0.0)
        zero = np.zeros(len(run))
        middle = setup_quantile(zero, logs[:, 0], idle, spread[:, 0])
        middle = np.where(idle > _ALMOST_NONE, middle, setup)
        factor = _factor(groups, view, rows, None)
        ends = []
        for end in range(2):
            first = setup_quantile(scores[:, 0, end], logs[:, 0], idle, spread[:, 0] * factor)
            run_end = np.exp(logs[:, 1] + scores[:, 1, end] * spread[:, 1] * factor) - RUN_OFFSET
            ends.append(np.maximum(np.stack([first, run_end], axis=1), 0.0))
        minutes = np.stack([middle, run], axis=1)
        figures = _figures(len(run), seen, used)
        near = figures.pop("similarity")
        enough = 0.5 + 0.5 * figures["samples"] / (figures["samples"] + _FULL_CONFIDENCE_ORDERS)
        return cls(
            minutes=minutes, low=np.minimum(ends[0], minutes), high=np.maximum(ends[1], minutes),
            confidence=np.clip(near * enough / (1.0 + spread[:, 1] * factor), 0.0, 1.0), used_request=used.request,
            used_row=used.row, setup=setup, idle=idle, spread=spread, view=view, features=rows, groups=groups,
            scores=scores, samples=figures["samples"].astype(np.int64), trimmed=figures["trimmed"].astype(np.int64),
            trimmed_mean=figures["mean"], std=figures["std"],
        )  # fmt: skip

    def order(self, quantity: Floats | float) -> Floats:
        """Return (n, 3) low, central and high minutes of the next order of so many pieces, 80 % between the ends."""
        pieces = np.broadcast_to(np.asarray(quantity, dtype=np.float64), self.idle.shape)
        run = self.minutes[:, 1] * pieces
        whole = self.setup + run
        spread = order_spread(self.setup, run, self.spread)
        spread = spread * _factor(self.groups, self.view, self.features, pieces)
        some = self.idle > _ALMOST_NONE
        middle = np.where(some, self._at(np.zeros(len(run)), run, spread), whole)
        low, high = (self._at(self.scores[:, 2, end], run, spread) for end in range(2))
        return np.stack([np.minimum(low, middle), middle, np.maximum(high, middle)], axis=1)

    def _at(self, score: Floats, run: Floats, spread: Floats) -> Floats:
        return order_quantile(score, self.setup, run, self.idle, spread)


def order_spread(setup: Floats, run: Floats, spread: Floats) -> Floats:
    """Return the spread of an order's logarithm from those of setup and run (n, 2), by their shares of the order."""
    share = setup / np.maximum(setup + run, 1e-9)
    return np.asarray(np.sqrt((share * spread[:, 0]) ** 2 + ((1 - share) * spread[:, 1]) ** 2))


def _factor(groups: Sequence[GroupFactors], view: Ints, rows: Singles, quantity: Floats | None) -> Floats:
    found = np.ones(len(view))
    for one in np.unique(view).tolist():
        mine = np.flatnonzero(view == one)
        found[mine] = groups[one].of(rows[mine], None if quantity is None else quantity[mine])
    return found


def _figures(count: int, seen: Observations, used: Used) -> dict[str, Floats]:
    """Return, for each request, samples, trimmed, mean and standard deviation of the run, and similarity."""
    request, row = used.request, used.row

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(request, values, count), dtype=np.float64)

    with np.errstate(invalid="ignore", divide="ignore"):
        share = used.each / total(used.each)[request]
        mean = total(share * seen.trimmed_mean[row])
        variance = total(share * (seen.std[row] ** 2 + (seen.trimmed_mean[row] - mean[request]) ** 2))
    some = np.bincount(request, minlength=count) > 0
    return {
        "samples": total(seen.orders[row].astype(np.float64)), "trimmed": total(seen.trimmed[row].astype(np.float64)),
        "mean": np.where(some, mean, np.nan), "std": np.where(some, np.sqrt(variance), np.nan),
        "similarity": total(share * used.similarity),
    }  # fmt: skip
