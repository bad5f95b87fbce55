"""A database behind ODBC as a source of tables."""

from collections.abc import Iterator, Sequence
from typing import Self

import polars as pl

from shared.erp.location import OdbcLocation
from shared.erp.profiles import SourceRules, SourceTable
from shared.erp.source import Condition
from shared.errors import SourceError


class OdbcSource:
    """The tables and views of one database, read in one read-only session."""

    def __init__(self, location: OdbcLocation, rules: SourceRules) -> None:
        self.name = location.shown
        self._rules = rules.odbc
        raise SourceError("ODBC sources cannot be read yet.")

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of tables and views."""
        raise NotImplementedError

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the column names of a table or query."""
        raise NotImplementedError

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows in batches."""
        raise NotImplementedError

    def count(self, origin: SourceTable) -> int:
        """Return how many rows there are."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the session."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
