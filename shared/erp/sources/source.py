"""What every kind of source can do: name its tables, tell their columns, and hand out rows in batches.

A source hands out what it holds, mostly text: what is a number is the profile's to say, and item codes keep their
leading zeros. Every batch of one call has the same columns and types.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol, Self

import polars as pl

from shared.erp.profiles.errors import nearest
from shared.erp.profiles.model import SourceTable
from shared.errors import SourceError

BATCH_ROWS = 100_000  # what a batch holds at most: bounds the memory of raw text, whatever the table's size
Value = str | int | float | date | datetime


@dataclass(frozen=True)
class Condition:
    """Which rows are wanted: those whose column equals, is at least, or is one of the given values.

    "code" is "in" as people write codes: whatever the case, and whatever blanks are around. It may read every row.
    """

    column: str
    operator: Literal["=", ">=", "in", "code"]
    values: tuple[Value, ...]


class Source(Protocol):
    """The tables of one ERP, in one session; not for several threads at once."""

    @property
    def name(self) -> str:
        """What messages call the source; holds no secret."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of its tables and views."""

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the names of the columns of a table or query, in their order.

        Raises:
            SourceError: there is no such table, its name is ambiguous, or the query is wrong.
        """

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table or query, at most `BATCH_ROWS` at a time and none when there are none.

        Args:
            origin: the table or query; its filters are the caller's to apply.
            columns: exact names of the columns wanted, of those that `columns` returns.
            where: the rows wanted; every row when left out.

        Raises:
            SourceError: the table, query or data cannot be read.
            SourceUnavailable: the database went away.
        """

    def count(self, origin: SourceTable) -> int:
        """Return how many rows a table or query has."""

    def close(self) -> None:
        """Let go of files and connections; a closed source reads nothing more."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def find_column(names: Sequence[str], *, known: Sequence[str], table: str, field: str) -> str:
    """Return the first of `names` that is known; one in other case serves when no exact one is there.

    Args:
        names: a column's name and its aliases.
        known: the columns of the source table.
        table: the source table, to blame in messages.
        field: what the profile wants the column for.

    Raises:
        SourceError: none of the names is there; the message names table, column and the nearest known name.
    """
    folded = {column.casefold(): column for column in known}
    for name in names:
        if name in known:
            return name
        if name.casefold() in folded:
            return folded[name.casefold()]
    raise SourceError(
        f"{table} has no column {' or '.join(names)}{nearest(names[0], known)}, which the profile names for {field}.",
        remedy=f"Its columns are: {', '.join(known)}.",
        file=table,
        column=names[0],
    )
