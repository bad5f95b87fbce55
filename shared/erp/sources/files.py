"""The files of a source folder: which of them hold tables, and what a table in a file can do."""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Protocol

import polars as pl
import structlog

from shared.erp.sources.source import BATCH_ROWS
from shared.errors import SourceError

log = structlog.get_logger()

WORKBOOK_ENDINGS = (".xlsx", ".xlsm")
ENDINGS = (".csv", ".csv.gz", ".parquet", *WORKBOOK_ENDINGS)
_LOCK_PREFIX = "~$"  # of the file that a spreadsheet program lays beside a workbook that is open


def table_name(path: Path) -> str | None:
    """Return the name of the table that a file holds, or None for a file of another kind."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    return None if ending is None or path.name.startswith(_LOCK_PREFIX) else path.name[: -len(ending)]


class TableFile(Protocol):
    """A table in a file, which is opened when its columns or rows are asked for."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns by their trimmed names; SourceError when the file cannot be read."""

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield the rows, at most `BATCH_ROWS` at a time, with the wanted columns in the file's order.

        Args:
            wanted: trimmed names of columns.
            holding: where given, rows that hold none of these texts may be left out.

        Raises:
            SourceError: the file cannot be read.
        """


class ParquetFile:
    """A Parquet file, read by batches of rows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns by their trimmed names; SourceError when the file cannot be read."""
        return dict(zip(self._names().values(), self._raw_schema().values(), strict=True))

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:  # noqa: ARG002
        """Yield the rows with the wanted columns in the file's order."""
        chosen = {raw: name for raw, name in self._names().items() if name in wanted}
        rows = 0
        scan = pl.scan_parquet(self.path).select(list(chosen))
        try:
            for frame in scan.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                rows += frame.height
                yield from even_slices(frame.rename(chosen))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(self.path, error) from error
        log.info("source.file_read", file=self.path.name, rows=rows, columns=len(chosen))

    def _names(self) -> dict[str, str]:
        raw = list(self._raw_schema())
        return dict(zip(raw, header_names(raw), strict=True))

    def _raw_schema(self) -> dict[str, pl.DataType]:
        try:
            return dict(pl.read_parquet_schema(self.path))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(self.path, error) from error


def header_names(names: Sequence[str]) -> list[str]:
    """Return a header's names trimmed; columns of one name are numbered, so that none is taken for another."""
    trimmed = [name.strip() for name in names]
    taken = set(trimmed)
    unique = []
    for name in trimmed:
        if name and trimmed.count(name) > 1:
            name = next(free for number in count(1) if (free := f"{name}_{number}") not in taken)
            taken.add(name)
        unique.append(name)
    return unique


def even_slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield a frame in parts of at most `BATCH_ROWS` rows, none much smaller than the others."""
    parts = -(-frame.height // BATCH_ROWS)
    if parts:
        yield from frame.iter_slices(-(-frame.height // parts))


def unreadable(path: Path, error: Exception) -> SourceError:
    """Return the error that names a file and why it cannot be read."""
    return SourceError(f"{path} cannot be read: {error}", remedy="Export the file again.", file=path.name)
