"""Files that together are one table, such as one a year: read one after the other, a broken one left out."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
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

    def __init__(self, files: Sequence[TableFile], mapped: Sequence[MappedColumn], issues: IssueLog) -> None:
        self._mapped = mapped
        self._issues = issues
        self._schemas: dict[Path, dict[str, pl.DataType]] = {}
        self._files = list(files)
        for file in files:
            with self._left_out_if_broken(file):
                self._schemas[file.path] = self._checked(file)

    @property
    def path(self) -> Path:
        """The first of the files."""
        return self._files[0].path

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns, each spelled as in the first file that has it; text where the files hold different types."""
        spelled = {name.casefold(): name for file in reversed(self._files) for name in self._schemas[file.path]}
        in_order = (name.casefold() for file in self._files for name in self._schemas[file.path])
        return {spelled[folded]: self._dtype(spelled[folded]) for folded in dict.fromkeys(in_order)}

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield the rows of one file after the other with the wanted columns.

        Each file is read whole before its first row is handed out, so that a broken one adds none.
        """
        schema = {name: dtype for name, dtype in self.schema.items() if name in wanted}
        for file in tuple(self._files):
            there = {name: self._spelled(file, name) for name in schema}
            frames: list[pl.DataFrame] = []
            with self._left_out_if_broken(file):
                frames = list(file.batches([name for name in there.values() if name is not None], holding))
            yield from (_in_schema(frame, there, schema) for frame in frames)

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

    def _spelled(self, file: TableFile, wanted: str) -> str | None:
        """Return what a file calls a column of the whole table, or None where it has nothing of the kind."""
        aliases = [names for _, names, _ in self._mapped if wanted.casefold() in map(str.casefold, names)]
        folded = {name.casefold(): name for name in self._schemas[file.path]}
        for name in (wanted, *(name for names in aliases for name in names)):
            if name.casefold() in folded:
                return folded[name.casefold()]
        return None

    def _dtype(self, name: str) -> pl.DataType:
        spelled = {file.path: self._spelled(file, name) for file in self._files}
        found = {self._schemas[path][there] for path, there in spelled.items() if there is not None}
        return found.pop() if len(found) == 1 else pl.String()


def _in_schema(frame: pl.DataFrame, there: dict[str, str | None], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    columns = []
    for name, dtype in schema.items():
        spelled = there[name]
        cells = pl.repeat(None, frame.height, dtype=dtype, eager=True) if spelled is None else frame[spelled]
        columns.append((cells if cells.dtype == dtype else plain_text(cells)).alias(name))
    return pl.DataFrame(columns)
