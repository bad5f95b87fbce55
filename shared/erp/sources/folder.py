"""A source folder whose files are tables, each named after its file, or after its sheet in a workbook.

Text files arrive as text only: what is a number is the profile's to say, and item codes keep their leading zeros.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import polars as pl

from shared.erp.issues import IssueLog
from shared.erp.profiles.errors import nearest
from shared.erp.profiles.mapped import mapped_columns
from shared.erp.profiles.model import SourceRules, SourceTable
from shared.erp.sources.conditions import meets, searched_texts
from shared.erp.sources.csv_files import CsvFile
from shared.erp.sources.files import WORKBOOK_ENDINGS, ParquetFile, TableFile, table_name
from shared.erp.sources.parts import PartFiles
from shared.erp.sources.queries import named_tables
from shared.erp.sources.source import BATCH_ROWS, Condition
from shared.erp.sources.workbooks import Workbook
from shared.errors import SourceError

_ANY = "*"  # in a table's name: any text, so that several files are one table


class Folder:
    """The tables of one source folder; a file is opened only when it is asked for."""

    def __init__(self, folder: Path, source: SourceRules, issues: IssueLog) -> None:
        if not folder.is_dir():
            raise SourceError(
                f"The source folder {folder} does not exist.", remedy="Check the path, or generate or copy the files."
            )
        self._folder = folder
        self._rules = source
        self._issues = issues
        self._files: list[tuple[str, TableFile]] = []  # by the table's name
        self._workbooks: list[tuple[str, Workbook]] = []  # by the file's name
        self._parts: dict[str, PartFiles] = {}
        self._answers: dict[str, pl.DataFrame] = {}
        for path in sorted(folder.iterdir()):
            name = table_name(path)
            if name is None or not path.is_file():
                continue
            if path.suffix.lower() in WORKBOOK_ENDINGS:
                self._workbooks.append((name, Workbook(path, source)))
            elif path.suffix.lower() == ".parquet":
                self._files.append((name, ParquetFile(path)))
            else:
                self._files.append((name, CsvFile(path, rules=source, issues=issues)))
        self._check_skipped()

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables in the folder; every workbook is opened to tell."""
        names = [name for name, _ in self._files]
        for name, workbook in self._workbooks:
            names += [name] if workbook.only_sheet or not workbook.sheets else list(workbook.sheets)
        return tuple(dict.fromkeys(names))

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def columns(self, origin: SourceTable) -> list[str]:
        """Return the names of a table's or query's columns."""
        if origin.sql is not None:
            return self._query(origin.sql).columns
        return list(self._table(origin).schema)

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file, of the files that make up a table, or of a query over the files that it names."""
        read = [*columns, where.column] if where is not None and where.column not in columns else list(columns)
        if origin.sql is not None:
            rows = self._query(origin.sql).select(read).iter_slices(BATCH_ROWS)
        else:
            rows = self._table(origin).batches(read, searched_texts(where))
        for batch in rows:
            wanted = batch if where is None else batch.filter(meets(batch[where.column], where, self._rules))
            if wanted.height:
                yield wanted.select(columns)

    def count(self, origin: SourceTable) -> int:
        """Return how many rows a file or query has."""
        return sum(batch.height for batch in self.batches(origin, self.columns(origin)[:1]))

    def close(self) -> None:
        """Let go of what was read."""
        self._files.clear()
        self._workbooks.clear()
        self._parts.clear()
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
        context = pl.SQLContext(register_globals=False)
        query, named = named_tables(sql, self._claimed_names())
        for name in named:
            if self._claims(name):
                context.register(name, _whole(self._one(name)))
        try:
            return context.execute(query, eager=True)
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise SourceError(
                f"The profile's query over {self._folder} fails: {error}",
                remedy=f"Tables of the folder: {', '.join(self.tables) or 'none'}.",
            ) from error

    def _table(self, origin: SourceTable) -> TableFile:
        """Return the table of the first of the origin's names that the folder has, or of all of them together."""
        if origin.tables is not None:
            return self._together(origin, [file for name in origin.tables for file in self._named(name)])
        names = origin.table or ()
        for name in names:
            files = self._files_of(name)
            if files:
                return self._together(origin, files) if _ANY in name else files[0]
        raise self._missing(names[0])

    def _together(self, origin: SourceTable, files: Sequence[TableFile]) -> TableFile:
        key = repr(origin)
        if key not in self._parts:
            distinct = list(dict.fromkeys(files))
            comma = self._rules.decimal_comma
            self._parts[key] = PartFiles(distinct, list(mapped_columns(origin)), self._issues, decimal_comma=comma)
        return self._parts[key]

    def _named(self, name: str) -> list[TableFile]:
        files = self._files_of(name)
        if not files:
            raise self._missing(name)
        return files

    def _files_of(self, name: str) -> list[TableFile]:
        """Return the files that a name or pattern means, none where there are none."""
        if _ANY in name:
            return self._matching(name)
        return [self._one(name)] if self._claims(name) else []

    def _missing(self, name: str) -> SourceError:
        return SourceError(
            f"The source folder {self._folder} has no file {name}.csv, {name}.csv.gz, {name}.parquet or "
            f"{name}.xlsx, and no sheet {name}{nearest(name, self.tables)}.",
            remedy=f"It holds: {', '.join(self.tables) or 'no readable file'}.",
            file=name,
        )

    def _matching(self, pattern: str) -> list[TableFile]:
        matches = re.compile(re.escape(pattern).replace(re.escape(_ANY), ".*"), re.IGNORECASE).fullmatch
        names = {name.casefold(): name for name in self._claimed_names() if matches(name)}
        return [self._one(name) for name in names.values() if self._claims(name)]

    def _check_skipped(self) -> None:
        known = {name.casefold() for name in self._claimed_names()} if self._rules.skip_rows else set()
        for name in self._rules.skip_rows:
            if name.casefold() not in known:
                raise SourceError(
                    f"source.skip_rows: {self._folder} has no file or sheet {name}{nearest(name, self.tables)}.",
                    remedy=f"It holds: {', '.join(self.tables) or 'no readable file'}.",
                    file=name,
                )

    def _one(self, name: str) -> TableFile:
        files = self._claims(name)
        if len(files) > 1:
            found = ", ".join(file.path.name for file in files)
            raise SourceError(f"The table {name} is ambiguous: {found}.", remedy="Keep one of them.", file=name)
        return files[0]

    def _claimed_names(self) -> list[str]:
        """Return every name that a file or sheet may have as a table; the workbooks are not opened to be sure."""
        names = [name for name, _ in self._files]
        for name, workbook in self._workbooks:
            names += [name, *workbook.sheet_names]
        return list(dict.fromkeys(names))

    def _claims(self, name: str) -> list[TableFile]:
        """Return the files and sheets that are the table of this name; one when all is well."""
        folded = name.casefold()
        files = [file for known, file in self._files if known.casefold() == folded]
        for known, workbook in self._workbooks:
            sheet = workbook.sheet(folded, by_file_name=known.casefold() == folded)
            if sheet is not None:
                files.append(sheet)
        return files


def _whole(file: TableFile) -> pl.LazyFrame:
    schema = file.schema
    return pl.concat([pl.DataFrame(schema=schema), *file.batches(list(schema))]).lazy()
