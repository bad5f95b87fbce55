"""How far items near another one tell how it differs from its line; measured, for it may be not at all."""

from dataclasses import dataclass

import numpy as np

from shared.prediction.memory import Floats, Ints, Routings
from shared.prediction.minutes.sample import Singles
from shared.prediction.nearby import Nearby, ranges

_LEAST_BETWEEN = 1e-4
_FEW_PAIRS = 30


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Routing rows of the same task in a withheld item and a near one."""

    row: Ints
    other: Ints
    similarity: Floats


def row_pairs(near: Nearby, places: Ints, routings: Routings) -> Pairs:
    """Pair the operations of withheld items with the same ones of the items near them."""
    sizes = routings.offsets[places + 1] - routings.offsets[places]
    rows = ranges(routings.offsets[places], sizes)
    found = near.matching(np.repeat(np.arange(len(places)), sizes), routings.task[rows])
    return Pairs(row=rows[found.request], other=found.row, similarity=near.similarities[found.member])


def measure_pull(
    pairs: Pairs, residuals: Singles, noise: Floats, prior: Floats
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the variance between near items as a line over dissimilarity (2, 2), and how far to follow them (2,).

    Near items' mean difference is followed as far as the least squares of withheld items' own differences say, from
    not at all to wholly.

    Args:
        pairs: of rows.
        residuals: (rows, 2) differences of rows from lines that have not seen them.
        noise: (rows, 2) variance of each row's mean between its orders.
        prior: (rows, 2) variance between items.
    """
    between, pull = np.zeros((2, 2)), np.zeros(2)
    for out in range(2):
        mine, other = residuals[pairs.row, out].astype(np.float64), residuals[pairs.other, out].astype(np.float64)
        kept = ~np.isnan(mine) & ~np.isnan(other)
        mine, other = mine[kept], other[kept]
        row, near, distance = pairs.row[kept], pairs.other[kept], 1.0 - pairs.similarity[kept]
        between[:, out] = _line(distance, (mine - other) ** 2 - noise[row, out] - noise[near, out])
        if len(mine) < _FEW_PAIRS:
            continue
        each = 1.0 / (between[0, out] + between[1, out] * distance + noise[near, out])
        rows, place = np.unique(row, return_inverse=True)
        expected = np.bincount(place, each * other) / (np.bincount(place, each) + 1.0 / prior[rows, out])
        own = residuals[rows, out].astype(np.float64)
        pull[out] = np.clip(float(own @ expected) / max(float(expected @ expected), 1e-12), 0.0, 1.0)
    return between, pull


def _line(distance: Floats, squared: Floats) -> Floats:
    """Return (constant, slope), neither below zero, of mean squared difference over distance."""
    if not len(distance):
        return np.array([_LEAST_BETWEEN, 1.0])
    middle = max(float(squared.mean()), _LEAST_BETWEEN)
    off = distance - distance.mean()
    spread = float(off @ off)
    slope = float(off @ squared) / spread if spread > 1e-9 else 0.0
    slope = min(max(slope, 0.0), middle / max(float(distance.mean()), 1e-9))
    return np.array([max(middle - slope * float(distance.mean()), _LEAST_BETWEEN), slope])
