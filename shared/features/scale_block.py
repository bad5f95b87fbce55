"""A size's or a day's share of an item's vector."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from shared.features.distinct import Distinct
from shared.features.parts import Vector, empty, flag
from shared.features.texts import scale_number

_FINE = 128  # places told apart within one bin
_OUTSIDE = 3  # bins beyond the scale after which a value is near to nothing
_MOST = 1e300  # origins that the greatest size may measure: their number stays finite
_REACH = 4  # bins on either side that a value is spread over


@dataclass(frozen=True, kw_only=True)
class ScaleBlock:
    """Sizes and days: soft bins along a scale (logarithmic for sizes), so that near means a similar ratio."""

    kind: ClassVar[str] = "scale"
    name: str
    size: int
    logarithmic: bool
    origin: float  # sizes far below it count as equally small
    first: float  # place of the first bin
    step: float  # distance between bins, also their width

    @classmethod
    def fit(cls, name: str, column: Distinct, room: int, *, logarithmic: bool) -> Self:
        """Lay the bins over the middle 98 % of the values."""
        numbers = np.asarray(column.values, dtype=np.float64)[column.places]
        numbers = np.sort(numbers[~np.isnan(numbers)])
        sizes = np.abs(numbers[numbers != 0])
        origin = max(float(np.quantile(sizes, 0.05)) / 10, float(sizes.max()) / _MOST, 1 / _MOST) if sizes.size else 1.0
        places = np.arcsinh(numbers / origin) if logarithmic else numbers
        low, high = (float(np.quantile(places, 0.01)), float(np.quantile(places, 0.99))) if places.size else (0.0, 0.0)
        smallest = 0.02 if logarithmic else 1.0
        bins = max(2, min(room, int((high - low) / smallest) + 1))
        step = max((high - low) / (bins - 1), smallest)
        return cls(name=name, size=1 + bins, logarithmic=logarithmic, origin=origin, first=low, step=step)

    @cached_property
    def _table(self) -> Vector:
        """The numbers of every place told apart, from just below the scale to just above it, then of none."""
        bins = np.arange(self.size - 1)
        at = np.arange(-_OUTSIDE * _FINE, (self.size - 2 + _OUTSIDE) * _FINE + 1)[:, None] / _FINE
        nearest = np.clip(np.round(at), 0, self.size - 2)
        soft = np.where(np.abs(bins - nearest) <= _REACH, np.exp(-0.5 * (at - bins) ** 2), 0.0)
        table = np.zeros((len(at) + 2, self.size), dtype=np.float32)
        table[:-2, 1:] = soft / np.sqrt((soft**2).sum(axis=1, keepdims=True))
        table[-1] = flag(self.size)
        return table

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers; further than three bins outside the scale it is near to nothing."""
        number = scale_number(value)
        if number is None:
            return flag(self.size)
        place = ((math.asinh(number / self.origin) if self.logarithmic else number) - self.first) / self.step
        if not -_OUTSIDE <= place <= self.size - 2 + _OUTSIDE:
            return empty(self.size)
        return np.asarray(self._table[round(place * _FINE) + _OUTSIDE * _FINE])

    def encode(self, column: Distinct) -> Vector:
        """Return the numbers of each value of a column, (values, size)."""
        numbers = np.asarray(column.values, dtype=np.float64)
        with np.errstate(over="ignore"):
            places = ((np.arcsinh(numbers / self.origin) if self.logarithmic else numbers) - self.first) / self.step
            inside = (places >= -_OUTSIDE) & (places <= self.size - 2 + _OUTSIDE)
        rows = np.full(len(numbers), len(self._table) - 2, dtype=np.int64)
        rows[inside] = np.round(places[inside] * _FINE).astype(np.int64) + _OUTSIDE * _FINE
        rows[np.isnan(numbers)] = len(self._table) - 1
        return np.asarray(self._table[rows])

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}@{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {
            "kind": self.kind, "name": self.name, "size": self.size, "logarithmic": self.logarithmic,
            "origin": self.origin, "first": self.first, "step": self.step,
        }  # fmt: skip
