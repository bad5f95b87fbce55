"""A column as its distinct values and where each item has which: whatever depends on a value is worked out once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.texts import canonical_text, scale_number

NUMBER_KINDS = frozenset({AttributeKind.NUMERIC, AttributeKind.DATE})


Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Distinct:
    """The canonical values of one attribute: texts (None is missing) or float64 numbers (NaN is missing)."""

    values: list[str | None] | Floats
    places: npt.NDArray[np.int64]  # (items,): which of `values` each item has

    @classmethod
    def texts(cls, values: Sequence[Any]) -> Self:
        """Tell the distinct canonical texts of a column, in the order in which they come."""
        return cls._by(values, canonical_text)

    @classmethod
    def numbers(cls, values: Sequence[Any]) -> Self:
        """Read a column's sizes or days; here every item keeps a value of its own."""
        try:
            read = np.array(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            read = np.array([scale_number(value) for value in values], dtype=np.float64)
        return cls(values=np.where(np.isfinite(read), read, np.nan), places=np.arange(len(read), dtype=np.int64))

    @classmethod
    def _by(cls, values: Sequence[Any], canonical: Callable[[Any], str | None]) -> Self:
        try:
            raw = dict.fromkeys(values)
        except TypeError:  # a value that cannot be hashed
            values = [None if value is None else str(value) for value in values]
            raw = dict.fromkeys(values)
        if any(type(value) is not str for value in raw if value is not None):
            values = [None if value is None else str(value) for value in values]  # 1 and 1.0 are different texts
            raw = dict.fromkeys(values)
        known: dict[str | None, int] = {}
        place_of = {value: known.setdefault(canonical(value), len(known)) for value in raw}
        places = np.fromiter(map(place_of.__getitem__, values), dtype=np.int64, count=len(values))
        return cls(values=list(known), places=places)

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: npt.NDArray[np.int64]) -> "Distinct":
        """Return the column of some items; values that they do not have are left out."""
        used, places = np.unique(self.places[rows], return_inverse=True)
        if isinstance(self.values, np.ndarray):
            return Distinct(values=self.values[used], places=places.astype(np.int64))
        return Distinct(values=[self.values[place] for place in used.tolist()], places=places.astype(np.int64))

    def spread(self, numbers: Matrix) -> Matrix:
        """Return each item's row of numbers that are given for each of `values`."""
        own = isinstance(self.values, np.ndarray) and np.array_equal(self.places, np.arange(len(numbers)))
        return numbers if own else numbers[self.places]

    @property
    def kinds(self) -> int:
        """How many different texts there are, missing not counted."""
        return sum(value is not None for value in self.values)

    @property
    def varies(self) -> bool:
        """Whether items differ, those without a value counted as alike."""
        return len(np.unique(self.values) if isinstance(self.values, np.ndarray) else self.values) > 1

    def texts_only(self) -> list[str | None]:
        """Return `values` of a column of texts."""
        return self.values if isinstance(self.values, list) else []

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how many items have each of `values`."""
        return np.bincount(self.places, minlength=len(self.values)).astype(np.int64)


Column = Sequence[Any] | Distinct


def distinct_columns(attributes: Sequence[Attribute], columns: Mapping[str, Column]) -> dict[str, Distinct]:
    """Arrange the attributes' columns once, so that several readers can share the work."""
    return {a.name: distinct_column(a.kind, columns[a.name]) for a in attributes}


def distinct_column(kind: AttributeKind, column: Column) -> Distinct:
    """Arrange a column by its attribute's kind; one that is arranged already stays as it is."""
    if isinstance(column, Distinct):
        return column
    return Distinct.numbers(column) if kind in NUMBER_KINDS else Distinct.texts(column)


def sample_places(items: int, most: int) -> Ints:
    """Return places of at most `most` items, spread evenly over all."""
    return np.asarray(np.arange(items) if items <= most else np.linspace(0, items - 1, most).astype(np.int64))
