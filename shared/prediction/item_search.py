"""Items found by a part of their code or of a text attribute, each distinct text looked at once."""

from functools import cached_property

import numpy as np
import polars as pl

from shared.prediction.memory import Ints

_FEW = 1 / 8  # share of distinct texts from which a column is looked at item by item


class ItemSearch:
    """Searches a frame of items; safe to use from many threads."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Take the items, in the order of their codes."""
        self._frame = frame

    @cached_property
    def _columns(self) -> list[tuple[pl.Series, Ints | None]]:
        """Return each text column in lower case: its distinct texts and which of them each item has."""
        found: list[tuple[pl.Series, Ints | None]] = []
        for series in self._frame.iter_columns():
            if series.dtype not in (pl.String, pl.Categorical):
                continue
            texts = series.cast(pl.String).str.to_lowercase()
            distinct = texts.unique(maintain_order=True)
            if len(distinct) > _FEW * len(texts):
                found.append((texts, None))
                continue
            numbers = texts.to_frame("text").join(
                distinct.to_frame("text").with_row_index("number"), on="text", nulls_equal=True, maintain_order="left"
            )["number"]
            found.append((distinct, numbers.to_numpy().astype(np.int32)))
        return found

    def places(self, query: str) -> Ints:
        """Return the places of the items that hold `query` (any case) in their code or a text; all for an empty one."""
        wanted = query.strip().lower()
        if not wanted:
            return np.arange(self._frame.height)
        holding = np.zeros(self._frame.height, dtype=np.bool_)
        for texts, numbers in self._columns:
            holds = texts.str.contains(wanted, literal=True).fill_null(value=False).to_numpy()
            holding |= holds if numbers is None else holds[numbers]
        return np.flatnonzero(holding)
