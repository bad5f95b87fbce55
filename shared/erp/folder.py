"""A source folder whose files are tables, each named after its file.

CSV arrives as text only: what is a number is the profile's to say, and item codes keep their leading zeros.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import polars as pl

from shared.erp.files import TableFile, table_name
from shared.erp.issues import IssueLog
from shared.erp.profile_errors import nearest
from shared.erp.profiles import SourceRules, SourceTable
from shared.erp.source import BATCH_ROWS, Condition
from shared.errors import SourceError


class Folder:
    """The tables of one source folder; a file is opened only when it is asked for."""

    def __init__(self, folder: Path, source: SourceRules, issues: IssueLog) -> None:
        if not folder.is_dir():
            raise SourceError(
                f"The source folder {folder} does not exist.", remedy="Check the path, or generate or copy the files."
            )
        self._folder = folder
        self._files: dict[str, list[TableFile]] = {}
        self._answers: dict[str, pl.DataFrame] = {}
        for path in sorted(folder.iterdir()):
            name = table_name(path)
            if name is not None and path.is_file():
                file = TableFile(path, delimiter=source.delimiter, issues=issues)
                self._files.setdefault(name.casefold(), []).append(file)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables in the folder."""
        return tuple(table_name(files[0].path) or "" for files in self._files.values())

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the names of a table's or query's columns."""
        if origin.sql is not None:
            return self._query(origin.sql).columns
        return self._file(origin.table or ()).columns

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file, or of a query over the files that it names."""
        if origin.sql is not None:
            frame = self._query(origin.sql).select(columns)
        else:
            frame = self._file(origin.table or ()).read(list(columns))
        if where is not None:
            frame = frame.filter(_meets(where))
        yield from frame.iter_slices(BATCH_ROWS)

    def count(self, origin: SourceTable) -> int:
        """Return how many rows a file or query has."""
        return sum(batch.height for batch in self.batches(origin, self.columns(origin)))

    def close(self) -> None:
        """Let go of what was read."""
        self._files.clear()
        self._answers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _query(self, sql: str) -> pl.DataFrame:
        """Return the rows of a query over the folder's tables; only the files that it names are read."""
        if sql not in self._answers:
            self._answers.clear()  # one answer is kept: that of the query whose columns were just asked for
            self._answers[sql] = self._run(sql)
        return self._answers[sql]

    def _run(self, sql: str) -> pl.DataFrame:
        words = {word.casefold() for word in re.findall(r"\w+", sql)}
        context = pl.SQLContext(register_globals=False)
        for name in self.tables:
            if name.casefold() in words:
                context.register(name, self._file((name,)).read().lazy())
        try:
            return context.execute(sql, eager=True)
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise SourceError(
                f"The profile's query over {self._folder} fails: {error}",
                remedy=f"Tables of the folder: {', '.join(self.tables) or 'none'}.",
            ) from error

    def _file(self, names: Sequence[str]) -> TableFile:
        name = next((name for name in names if name.casefold() in self._files), names[0])
        files = self._files.get(name.casefold(), [])
        if not files:
            raise SourceError(
                f"The source folder {self._folder} has no file {name}.csv, {name}.csv.gz or {name}.parquet"
                f"{nearest(name, self.tables)}.",
                remedy=f"It holds: {', '.join(self.tables) or 'no readable file'}.",
                file=name,
            )
        if len(files) > 1:
            found = ", ".join(file.path.name for file in files)
            raise SourceError(f"The table {name} is ambiguous: {found}.", remedy="Keep one of them.", file=name)
        return files[0]


def _meets(condition: Condition) -> pl.Expr:
    column = pl.col(condition.column)
    if condition.operator == ">=":
        return column >= pl.lit(str(condition.values[0]))
    return column.str.strip_chars().is_in([str(value) for value in condition.values])
