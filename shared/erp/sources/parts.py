"""Files that together are one table, such as one a year: read one after the other, a broken one left out."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
import structlog

from shared.erp.issues import IssueLog
from shared.erp.parsing import plain_text
from shared.erp.profiles.mapped import MappedColumn
from shared.erp.sources.files import TableFile
from shared.errors import SourceError

log = structlog.get_logger()


class PartFiles:
    """The table that several files make up: it has every column that any of them has.

    A column that a file lacks under this name is read from one of its aliases there, or empty. A file that lacks a
    required column, or that cannot be read, is left out and counted; it is an error where that leaves none.
    """

    def __init__(
        self, files: Sequence[TableFile], mapped: Sequence[MappedColumn], issues: IssueLog, *, decimal_comma: bool
    ) -> None:
        self._mapped = mapped
        self._decimal_comma = decimal_comma
        self._issues = issues
        self._schemas: dict[TableFile, dict[str, pl.DataType]] = {}  # sheets may share a path
        self._files = list(files)
        for file in files:
            with self._left_out_if_broken(file):
                self._schemas[file] = self._checked(file)

    @property
    def path(self) -> Path:
        """The first of the files."""
        return self._files[0].path

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns, each spelled as in the first file that has it; text where the files hold different types."""
        return joined_schema([self._schemas[file] for file in self._files], self._mapped)

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield the rows of one file after the other with the wanted columns.

        Each file is read whole before its first row is handed out, so that a broken one adds none.
        """
        schema = {name: dtype for name, dtype in self.schema.items() if name in wanted}
        for file in tuple(self._files):
            there = {name: spelled(self._schemas[file], name, self._mapped) for name in schema}
            frames: list[pl.DataFrame] = []
            with self._left_out_if_broken(file):
                frames = list(file.batches(read_for(there, self._schemas[file]), holding))
            yield from (in_schema(frame, there, schema, decimal_comma=self._decimal_comma) for frame in frames)

    @contextlib.contextmanager
    def _left_out_if_broken(self, file: TableFile) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            self._files.remove(file)
            if not self._files:
                raise
            log.warning("source.part_left_out", file=file.path.name, error=error.detail)
            self._issues.add(f"file {file.path.name}", "cannot be read, left out", 1, [error.detail])

    def _checked(self, file: TableFile) -> dict[str, pl.DataType]:
        schema = file.schema
        folded = {name.casefold() for name in schema}
        for field, names, required in self._mapped:
            if required and not any(name.casefold() in folded for name in names):
                raise SourceError(f"{file.path.name} has no column {' or '.join(names)}, which is needed for {field}.")
        return schema


def joined_schema(
    schemas: Sequence[Mapping[str, pl.DataType]], mapped: Sequence[MappedColumn]
) -> dict[str, pl.DataType]:
    """Return the columns of several tables: each spelled as in the first that has it, text where types differ."""
    first: dict[str, str] = {}
    for schema in schemas:
        for name in schema:
            first.setdefault(name.casefold(), name)
    return {name: _dtype(name, schemas, mapped) for name in first.values()}


def _dtype(name: str, schemas: Sequence[Mapping[str, pl.DataType]], mapped: Sequence[MappedColumn]) -> pl.DataType:
    found = {schema[there] for schema in schemas if (there := spelled(schema, name, mapped)) is not None}
    return found.pop() if len(found) == 1 else pl.String()


def spelled(schema: Collection[str], wanted: str, mapped: Sequence[MappedColumn]) -> str | None:
    """Return what one of the tables calls a column of them all, or None where it has nothing of the kind."""
    aliases = [names for _, names, _ in mapped if wanted.casefold() in map(str.casefold, names)]
    folded = {name.casefold(): name for name in schema}
    for name in (wanted, *(name for names in aliases for name in names)):
        if name.casefold() in folded:
            return folded[name.casefold()]
    return None


def read_for(there: Mapping[str, str | None], schema: Collection[str]) -> list[str]:
    """Return which columns of a table are read for those wanted: one at least, since rows without any are none."""
    return list(dict.fromkeys(name for name in there.values() if name is not None)) or list(schema)[:1]


def in_schema(
    frame: pl.DataFrame, there: Mapping[str, str | None], schema: Mapping[str, pl.DataType], *, decimal_comma: bool
) -> pl.DataFrame:
    """Return a table's rows with the columns of them all, empty where it has nothing of the kind."""
    columns = []
    for name, dtype in schema.items():
        here = there[name]
        cells = pl.repeat(None, frame.height, dtype=dtype, eager=True) if here is None else frame[here]
        if cells.dtype != dtype:
            is_float = cells.dtype.is_float()
            cells = plain_text(cells)
            if is_float and decimal_comma:  # as all the text is read
                cells = cells.str.replace(".", ",", literal=True)
        columns.append(cells.alias(name))
    return pl.DataFrame(columns)
