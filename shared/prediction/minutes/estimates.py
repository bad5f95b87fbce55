"""Estimates for the requests of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.observations import Observations
from shared.prediction.minutes.orders import RUN_OFFSET
from shared.prediction.minutes.sample import Singles
from shared.prediction.minutes.scatter import order_quantile, setup_quantile

_FULL_CONFIDENCE_ORDERS = 3.0
_NO_WEIGHT = 1e-300
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
    used: Used
    seen: Observations
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
        minutes, wide = np.exp(logs), spread * factor[:, None]
        minutes[:, 0] *= idle < 1
        minutes[:, 1] = np.maximum(minutes[:, 1] - RUN_OFFSET, 0.0)
        setup = minutes[:, 0].copy()
        ends = np.exp(logs + scores[:, :2].transpose(2, 0, 1) * wide)
        ends[:, :, 1] = np.maximum(ends[:, :, 1] - RUN_OFFSET, 0.0)
        some = (idle > _ALMOST_NONE).nonzero()[0]
        if len(some):
            found = setup_quantile(_about_the_median(scores[some, 0]), logs[some, 0], idle[some], wide[some, 0])
            ends[0, some, 0], minutes[some, 0], ends[1, some, 0] = found
        figures = _figures(len(idle), seen, used)
        near, samples = figures.pop("similarity"), figures.pop("samples")
        enough = 0.5 + 0.5 * samples / (samples + _FULL_CONFIDENCE_ORDERS)
        return cls(
            minutes=minutes, low=ends[0], high=ends[1], samples=samples.astype(np.int64),
            trimmed=figures.pop("trimmed").astype(np.int64), **figures,
            confidence=np.minimum(near * enough / (1.0 + wide[:, 1]), 1.0), used=used, seen=seen, setup=setup,
            idle=idle, spread=wide, view=view, groups=groups, scores=scores,
        )  # fmt: skip

    @property
    def used_request(self) -> Ints:
        """Return for which request each of `used_row` was used."""
        return self.used.request

    @property
    def used_row(self) -> Ints:
        """Return the routing rows whose results were used."""
        return self.used.row

    @cached_property
    def raw(self) -> tuple[Floats, Floats]:
        """Return trimmed mean and standard deviation with the orders that they leave out."""
        total = np.bincount(self.used.request, self.used.each, len(self.idle))
        return _spread(self.used, total, self.seen.raw_mean, self.seen.raw_std)

    def order(self, quantity: Floats | float, requests: Ints | None = None) -> Floats:
        """Return (n, 3) low, central and high minutes of the next order of so many pieces, 80 % between the ends.

        With `requests`, answer for those (a request may stand there more than once), else for every one.
        """
        every = np.arange(len(self.idle)) if requests is None else requests
        pieces = np.full(len(every), quantity, dtype=np.float64)
        setup, idle, scores = self.setup.take(every), self.idle.take(every), self.scores[every, 2]
        run = self.minutes[every, 1] * pieces
        whole = setup + run
        spread = order_spread(setup, run, self.spread[every])
        for one, mine in each_view(self.view.take(every)):
            spread[mine] *= self.groups[one].of_quantities(pieces[mine])
        found = whole[:, None].repeat(3, axis=1)
        found[:, ::2] *= np.exp(scores * spread[:, None])
        some = (idle > _ALMOST_NONE).nonzero()[0]
        if len(some):
            about = _about_the_median(scores[some])
            found[some] = order_quantile(about, setup.take(some), run.take(some), idle.take(some), spread.take(some)).T
        return np.asarray(found)


def order_spread(setup: Floats, run: Floats, spread: Floats) -> Floats:
    """Return the spread of an order's logarithm from those of setup and run (n, 2), by their shares of the order."""
    share = setup / np.maximum(setup + run, 1e-9)
    return np.asarray(np.sqrt((share * spread[:, 0]) ** 2 + ((1 - share) * spread[:, 1]) ** 2))


def each_view(view: Ints) -> list[tuple[int, Ints | slice]]:
    """Return each view with the requests it answers."""
    views = sorted(set(view.tolist()))
    if len(views) == 1:
        return [(views[0], slice(None))]
    return [(one, np.flatnonzero(view == one)) for one in views]


def _about_the_median(ends: Floats) -> Floats:
    """Return scores (3, n) of the low end, the median and the high end from those of the ends (n, 2)."""
    scores = np.zeros((3, len(ends)))
    scores[::2] = ends.T
    return scores


def _figures(count: int, seen: Observations, used: Used) -> dict[str, Floats]:
    """Return, for each request, samples, trimmed, mean and standard deviation of the run, and similarity."""
    request, row = used.request, used.row
    near = np.bincount(request, used.each * used.similarity, count)
    total = np.bincount(request, used.each, count)
    mean, std = _spread(used, total, seen.trimmed_mean, seen.std)
    return {
        "samples": np.asarray(np.bincount(request, seen.orders.take(row), count), dtype=np.float64),
        "trimmed": np.asarray(np.bincount(request, seen.trimmed.take(row), count), dtype=np.float64),
        "trimmed_mean": mean, "std": std,
        "similarity": np.minimum(np.maximum(near / np.maximum(total, _NO_WEIGHT), 0.0), 1.0),
    }  # fmt: skip


def _spread(used: Used, total: npt.NDArray[Any], means: Singles, spreads: Singles) -> tuple[Floats, Floats]:
    """Return each request's mean and standard deviation over rows that have their own; nan without any.

    `total` are the weights of each request's rows together.
    """
    request, each, values = used.request, used.each, means.take(used.row).astype(np.float64)
    count, total = len(total), np.where(total > 0, total, np.nan)
    middle = np.bincount(request, each * values, count) / total
    apart = spreads.take(used.row) ** 2 + (values - middle.take(request)) ** 2
    return middle, np.sqrt(np.bincount(request, each * apart, count) / total)
