"""Columns of numbers and of categories as small integers, which is what trees are grown from.

A column's distinct values are put in order once; for a set of rows they are only counted. Numbers are told apart where
scikit-learn's boosting tells them apart: halfway between values that occur, or at quantiles where these are many.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MISSING = 255
_MOST_BINS = 255  # of a column's values

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of some rows."""

    place: int  # in the table
    categorical: bool
    codes: Bytes  # each row's bin, or MISSING
    missing: bool  # in any row
    bins: int
    edges: Floats  # the numbers between the bins, or each bin's category


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Columns side by side, as trees are grown from them."""

    columns: list[Column]
    codes: Bytes  # (rows, columns), a column's side by side in memory; `width` - 1 where missing
    width: int  # bins of the widest column, the one of missing values included

    @classmethod
    def of(cls, columns: list[Column]) -> "Bins":
        """Put columns side by side."""
        width = max((column.bins for column in columns), default=0) + 1
        codes = np.array([column.codes for column in columns])
        codes[codes == MISSING] = width - 1
        return cls(columns=columns, codes=codes.T, width=width)

    @classmethod
    def in_groups(cls, columns: list[Column]) -> "list[Bins]":
        """Return narrow columns and wide ones apart, where that spares work.

        Whatever is counted by bin takes room for the widest column's bins in every column, and most columns have few.
        """
        sizes = np.sort([column.bins for column in columns]) + 1
        narrow = np.arange(1, len(sizes) + 1)
        cells = narrow * sizes + (len(sizes) - narrow) * sizes.max(initial=0)
        most = sizes[np.argmin(cells)] if len(sizes) else 0
        groups = [column for column in columns if column.bins < most], [c for c in columns if c.bins >= most]
        return [cls.of(group) for group in groups if group]


class Ranked:
    """A table whose values are known by their ranks among the distinct ones of their column."""

    def __init__(self, rows: npt.NDArray[np.float32], categorical: npt.NDArray[np.bool_]) -> None:
        """Rank (n, columns) values, NaN where missing; categorical columns hold codes of 0 to 254."""
        self._categorical = categorical
        ranked = [np.unique(column, return_inverse=True) for column in rows.T]
        self._values = [values[~np.isnan(values)].astype(np.float64) for values, _ in ranked]
        self._ranks = [ranks for _, ranks in ranked]  # numpy puts what is missing last

    @property
    def slots(self) -> npt.NDArray[np.int32]:
        """Return, by column, the number above its greatest category; 0 where it holds numbers."""
        above = [int(values.max(initial=-1)) + 1 for values in self._values]
        return np.where(self._categorical, above, 0).astype(np.int32)

    def columns(self, places: Ints) -> list[Column]:
        """Return the columns that differ among some rows, categorical ones first."""
        order = np.argsort(~self._categorical, kind="stable")
        found = [self._column(place, places) for place in order.tolist()]
        return [column for column in found if column.bins + column.missing > 1]

    def _column(self, place: int, places: Ints) -> Column:
        values, ranks, categorical = self._values[place], self._ranks[place][places], bool(self._categorical[place])
        counts = np.bincount(ranks, minlength=len(values) + 1)
        here = np.flatnonzero(counts[:-1])
        edges = values[here] if categorical else _between(values[here], counts[here])
        codes = np.append(np.searchsorted(edges, values), MISSING).astype(np.uint8)
        return Column(
            place=place, categorical=categorical, codes=codes[ranks], missing=bool(counts[-1]),
            bins=len(edges) if categorical or not len(here) else len(edges) + 1, edges=edges,
        )  # fmt: skip


def _between(values: Floats, counts: Ints) -> Floats:
    """Return the numbers between the bins, given distinct values and how often each occurs."""
    if len(values) <= _MOST_BINS:
        return (values[1:] + values[:-1]) / 2
    shares = np.linspace(0, 100, _MOST_BINS + 1)[1:-1]
    return np.unique(np.percentile(np.repeat(values, counts), shares, method="averaged_inverted_cdf"))
