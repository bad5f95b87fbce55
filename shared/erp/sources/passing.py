"""A source that stands before another one and hands on whatever it does not change."""

from collections.abc import Iterator, Sequence
from typing import Self

import polars as pl

from shared.erp.profiles.model import SourceTable
from shared.erp.sources.source import Condition, Source


class PassingSource:
    """Answers as the source behind it does."""

    def __init__(self, source: Source) -> None:
        """Stand before `source`; closing this one closes that."""
        self._source = source

    @property
    def name(self) -> str:
        """What messages call the source."""
        return self._source.name

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables and views."""
        return self._source.tables

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the columns of a table or query."""
        return self._source.columns(origin)

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table or query."""
        return self._source.batches(origin, columns, where=where)

    def count(self, origin: SourceTable) -> int:
        """Return how many rows a table or query has."""
        return self._source.count(origin)

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
