"""What a model's items have for each attribute: the most frequent values, or the range of a size or a day.

Worked out once for a model, when somebody first asks: a second for 321,000 items with 36 attributes.
"""

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import polars as pl

from shared.erp.canonical import Attribute, AttributeKind
from shared.prediction.answers import KnownAttribute, KnownValue

MOST_VALUES = 50
_LOW, _HIGH = 0.01, 0.99


class KnownValues:
    """Tells what the items of a frame have; safe to use from many threads."""

    def __init__(self, frame: pl.DataFrame, attributes: Sequence[Attribute]) -> None:
        """Take the items and the attributes to tell of."""
        self._frame = frame
        self._attributes = attributes

    @cached_property
    def all(self) -> list[KnownAttribute]:
        """Every attribute, in the order of the factory's profile."""
        return [self._told(each) for each in self._attributes]

    def _told(self, attribute: Attribute) -> KnownAttribute:
        values = self._frame[attribute.name].drop_nulls()
        is_range = attribute.kind in (AttributeKind.NUMERIC, AttributeKind.DATE)
        low, median, high = _range(values) if is_range else (None, None, None)
        return KnownAttribute(
            name=attribute.name, kind=attribute.kind.value, unit=attribute.unit, family=attribute.family,
            filled=len(values), distinct=values.n_unique(), values=[] if is_range else _most_frequent(values),
            low=low, median=median, high=high,
        )  # fmt: skip


def _most_frequent(values: pl.Series) -> list[KnownValue]:
    counts = values.cast(pl.String).alias("value").value_counts(name="items").filter(pl.col("items") > 1)
    ranked = counts.sort("items", "value", descending=[True, False]).head(MOST_VALUES)
    return [KnownValue(value=value, items=items) for value, items in ranked.iter_rows()]


def _range(values: pl.Series) -> list[float | str | None]:
    """Return what 98 of 100 values lie between, and the median among them; each is a value that an item has."""
    if not len(values):
        return [None, None, None]
    ordered = values.sort()
    found = ordered.gather([round(share * (len(ordered) - 1)) for share in (_LOW, 0.5, _HIGH)]).to_list()
    return [value.isoformat() if isinstance(value, date) else value for value in found]
