"""Estimates for the requests of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.observations import Observations
from shared.prediction.minutes.orders import RUN_OFFSET
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
    raw_mean: Floats  # the same with what was left out
    raw_std: Floats
    confidence: Floats  # 0 to 1
    used_request: Ints
    used_row: Ints
    setup: Floats  # (n,) of an order that has one
    idle: Floats  # (n,) share of orders without setup
    spread: Floats  # (n, 2) of the logarithms, with the factors of the item's groups
    view: Ints
    groups: Sequence[GroupFactors]
    scores: Floats  # (n, 3, 2)

    @classmethod
    def of(
        cls, *, logs: Floats, spread: Floats, idle: Floats, factor: Floats, view: Ints, seen: Observations,
        groups: Sequence[GroupFactors], scores: Floats, used: Used,
    ) -> "Estimates":  # fmt: skip
        """Turn logarithms and spreads into minutes."""
        setup, run = np.exp(logs[:, 0]) * (idle < 1), np.maximum(np.exp(logs[:, 1]) - RUN_OFFSET, 0.0)
        minutes, wide = np.stack([setup, run], axis=1), spread * factor[:, None]
        ends = np.exp(logs + scores[:, :2].transpose(2, 0, 1) * wide)
        ends[:, :, 1] = np.maximum(ends[:, :, 1] - RUN_OFFSET, 0.0)
        some = np.flatnonzero(idle > _ALMOST_NONE)
        if len(some):
            rest = idle[some]
            minutes[some, 0] = setup_quantile(np.zeros(len(some)), logs[some, 0], rest, wide[some, 0])
            for end in range(2):
                ends[end, some, 0] = setup_quantile(scores[some, 0, end], logs[some, 0], rest, wide[some, 0])
        figures = _figures(len(run), seen, used)
        near = figures.pop("similarity")
        enough = 0.5 + 0.5 * figures["samples"] / (figures["samples"] + _FULL_CONFIDENCE_ORDERS)
        return cls(
            minutes=minutes, low=ends[0], high=ends[1],
            confidence=np.clip(near * enough / (1.0 + wide[:, 1]), 0.0, 1.0), used_request=used.request,
            used_row=used.row, setup=setup, idle=idle, spread=wide, view=view,
            groups=groups,
            scores=scores, samples=figures["samples"].astype(np.int64), trimmed=figures["trimmed"].astype(np.int64),
            trimmed_mean=figures["trimmed_mean"], std=figures["std"], raw_mean=figures["raw_mean"],
            raw_std=figures["raw_std"],
        )  # fmt: skip

    def order(self, quantity: Floats | float) -> Floats:
        """Return (n, 3) low, central and high minutes of the next order of so many pieces, 80 % between the ends."""
        pieces = np.broadcast_to(np.asarray(quantity, dtype=np.float64), self.idle.shape)
        run = self.minutes[:, 1] * pieces
        whole = self.setup + run
        spread = order_spread(self.setup, run, self.spread)
        for one, mine in each_view(self.view):
            spread[mine] *= self.groups[one].of_quantities(pieces[mine])
        found = np.stack([whole, whole, whole], axis=1)
        found[:, ::2] *= np.exp(self.scores[:, 2] * spread[:, None])
        some = np.flatnonzero(self.idle > _ALMOST_NONE)
        if len(some):
            scores = (self.scores[some, 2, 0], np.zeros(len(some)), self.scores[some, 2, 1])
            for place, score in enumerate(scores):
                found[some, place] = order_quantile(score, self.setup[some], run[some], self.idle[some], spread[some])
        return found


def order_spread(setup: Floats, run: Floats, spread: Floats) -> Floats:
    """Return the spread of an order's logarithm from those of setup and run (n, 2), by their shares of the order."""
    share = setup / np.maximum(setup + run, 1e-9)
    return np.asarray(np.sqrt((share * spread[:, 0]) ** 2 + ((1 - share) * spread[:, 1]) ** 2))


def each_view(view: Ints) -> list[tuple[int, Ints | slice]]:
    """Return each view with the requests it answers."""
    if not len(view):
        return []
    first = int(view[0])
    if bool((view == first).all()):
        return [(first, slice(None))]
    return [(one, np.flatnonzero(view == one)) for one in np.unique(view).tolist()]


def _figures(count: int, seen: Observations, used: Used) -> dict[str, Floats]:
    """Return, for each request, samples, trimmed, means and standard deviations of the run, and similarity."""
    request, row = used.request, used.row
    orders = seen.orders[row].astype(np.float64)
    each = np.bincount(request, used.each, count)
    share = used.each / each[request]

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(request, values, count), dtype=np.float64)

    found = {"samples": total(orders), "trimmed": total(seen.trimmed[row].astype(np.float64))}
    found["similarity"] = total(share * used.similarity)
    none = each <= 0
    for mean, std in (("trimmed_mean", "std"), ("raw_mean", "raw_std")):
        values, spreads = getattr(seen, mean)[row], getattr(seen, std)[row]
        middle = total(share * values)
        variance = total(share * (spreads**2 + (values - middle[request]) ** 2))
        found[mean], found[std] = np.where(none, np.nan, middle), np.where(none, np.nan, np.sqrt(variance))
    return found
