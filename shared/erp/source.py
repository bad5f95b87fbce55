"""A source folder whose files are tables, each named after its file.

CSV arrives as text only: what is a number is the profile's to say, and item codes keep their leading zeros.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from shared.erp.files import TableFile, table_name
from shared.erp.issues import IssueLog
from shared.erp.profile_errors import nearest
from shared.erp.profiles import FolderSource
from shared.errors import SourceError


class Folder:
    """The tables of one source folder; a file is opened only when it is asked for."""

    def __init__(self, folder: Path, source: FolderSource, issues: IssueLog) -> None:
        if not folder.is_dir():
            raise SourceError(
                f"The source folder {folder} does not exist.", remedy="Check the path, or generate or copy the files."
            )
        self._folder = folder
        self._files: dict[str, list[TableFile]] = {}
        for path in sorted(folder.iterdir()):
            name = table_name(path)
            if name is not None and path.is_file():
                file = TableFile(path, delimiter=source.delimiter, issues=issues)
                self._files.setdefault(name.casefold(), []).append(file)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables in the folder."""
        return tuple(table_name(files[0].path) or "" for files in self._files.values())

    def columns(self, name: str) -> list[str]:
        """Return the names of a table's columns.

        Raises:
            SourceError: there is no such file, two files claim the name, or the file cannot be read.
        """
        return self._file(name).columns

    def table(self, name: str, wanted: Collection[str] | None = None) -> pl.DataFrame:
        """Return a table by its file's name (case does not matter).

        Args:
            name: the table's name.
            wanted: names of which those that the table has (in any case) are read; every column when left out.

        Raises:
            SourceError: there is no such file, two files claim the name, or the file cannot be read.
        """
        file = self._file(name)
        if wanted is None:
            return file.read()
        folded = {column.casefold() for column in wanted}
        return file.read([column for column in file.columns if column.casefold() in folded])

    def query(self, sql: str) -> pl.DataFrame:
        """Return the rows of a query over the folder's tables; only the files that it names are read.

        Raises:
            SourceError: the query is wrong, or a file that it names cannot be read.
        """
        words = {word.casefold() for word in re.findall(r"\w+", sql)}
        context = pl.SQLContext(register_globals=False)
        for name in self.tables:
            if name.casefold() in words:
                context.register(name, self.table(name).lazy())
        try:
            return context.execute(sql, eager=True)
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise SourceError(
                f"The profile's query over {self._folder} fails: {error}",
                remedy=f"Tables of the folder: {', '.join(self.tables) or 'none'}.",
            ) from error

    def _file(self, name: str) -> TableFile:
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


def find_column(frame: pl.DataFrame, names: Sequence[str], *, known: Sequence[str], table: str, field: str) -> str:
    """Return the first of `names` that the frame has; a column in other case serves when no exact one is there.

    Args:
        frame: the rows.
        names: a column's name and its aliases.
        known: every column of the source table, of which the frame may hold a part.
        table: the source table, to blame in messages.
        field: what the profile wants the column for.

    Raises:
        SourceError: none of the names is there; the message names table, column and the nearest known name.
    """
    folded = {column.casefold(): column for column in frame.columns}
    for name in names:
        if name in frame.columns:
            return name
        if name.casefold() in folded:
            return folded[name.casefold()]
    raise SourceError(
        f"{table} has no column {' or '.join(names)}{nearest(names[0], known)}, which the profile names for {field}.",
        remedy=f"Its columns are: {', '.join(known)}.",
        file=table,
        column=names[0],
    )
