"""A CSV file as a table of text: streamed where it is sound, and read as well as it can be where it is not."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
import structlog

from shared.erp.issues import SAMPLES_KEPT, IssueLog
from shared.erp.profiles.model import SourceRules
from shared.erp.sources.csv_text import (
    below_rows,
    damaged_lines,
    encoding_of,
    first_row,
    is_utf8,
    is_utf16,
    row_blocks,
    without_ragged_lines,
)
from shared.erp.sources.files import even_slices, header_names, table_name, unreadable
from shared.errors import SourceError

log = structlog.get_logger()

BLOCK_BYTES = 1 << 24  # read at a time: bounds the memory, whatever the file's size
_SEARCHED_BYTES = 1 << 22  # read at a time where most blocks are only searched for a key
_HEADER_BYTES = 1 << 16
_BOM = "\ufeff".encode()
_BROKEN = (OSError, EOFError, zlib.error, pl.exceptions.PolarsError)


class CsvFile:
    """A CSV file, gzipped or not; every column is text. It is open only while its columns or rows are read."""

    def __init__(self, path: Path, *, rules: SourceRules, issues: IssueLog) -> None:
        self.path = path
        self.encoding = rules.encoding
        self.skipped = rules.skipped(table_name(path) or path.name)
        self._delimiter = rules.delimiter
        self._issues: IssueLog | None = issues

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns by their trimmed names; SourceError when the file cannot be read."""
        try:
            with self._open() as stream:
                return {name: pl.String() for name in self._names(_Text(self, stream, _HEADER_BYTES)) if name}
        except _BROKEN as error:
            raise unreadable(self.path, error) from error

    def batches(self, wanted: Sequence[str], holding: Collection[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield the rows with the wanted columns in the file's order.

        Args:
            wanted: trimmed names of columns.
            holding: where given, rows that hold none of these texts in any case may be left out.

        Raises:
            SourceError: the file cannot be read.
        """
        rows = 0
        try:
            with self._open() as stream:
                text = _Text(self, stream, _SEARCHED_BYTES if holding else BLOCK_BYTES)
                chosen = {place: name for place, name in enumerate(self._names(text)) if name in wanted}
                for frame in text.frames(list(chosen), [each.lower().encode() for each in holding]):
                    frame.columns = list(chosen.values())
                    rows += frame.height
                    yield from even_slices(frame)
        except _BROKEN as error:
            raise unreadable(self.path, error) from error
        if not holding:
            self._issues = None  # a second reading finds the same faults
            log.info("source.file_read", file=self.path.name, rows=rows, columns=len(chosen))

    def parse(self, text: bytes, places: list[int]) -> pl.DataFrame:
        """Return the rows of a sound text, header first; of its columns those at the given places."""
        return pl.read_csv(io.BytesIO(text), separator=self._delimiter, infer_schema=False, columns=places)

    def parse_ragged(self, text: bytes, places: list[int]) -> pl.DataFrame:
        """Return the rows of a text, header first, without those that have too many fields; these are counted."""
        kept, ragged = without_ragged_lines(text, self._delimiter)
        self._count("more fields than the header", ragged)
        return self.parse(kept, places)

    def decode(self, start: int) -> bytes:
        """Return the file from its byte `start` on as UTF-8; damaged lines of the whole file are counted."""
        with self._open() as stream:
            raw = stream.read()
        encoding, damaged = self._encoding(raw)
        self._count(f"bytes that are not {encoding}", damaged)
        log.info("source.decoded", file=self.path.name, encoding=encoding, damaged_lines=len(damaged))
        return raw[start:].decode(encoding, errors="replace").encode()

    def _encoding(self, raw: bytes) -> tuple[str, list[str]]:
        if self.encoding is None or is_utf16(raw):
            return encoding_of(raw)
        return self.encoding, damaged_lines(raw, self.encoding)

    def _open(self) -> BinaryIO:
        if self.path.suffix.lower() == ".gz":
            return cast("BinaryIO", gzip.open(self.path))
        return self.path.open("rb")

    def _names(self, text: "_Text") -> list[str]:
        line = next(csv.reader(io.StringIO(text.header.decode("utf-8")), delimiter=self._delimiter))
        return header_names(line)

    def _count(self, reason: str, lines: Sequence[str]) -> None:
        if self._issues is not None:
            samples = [line[:80] for line in lines[:SAMPLES_KEPT]]
            self._issues.add(f"file {self.path.name}", reason, len(lines), samples)


class _Text:
    """One reading of a file: its header, then the rows below it, block by block.

    A block that is not UTF-8 makes the rest be decoded, by what the whole file looks like.
    """

    def __init__(self, file: CsvFile, stream: BinaryIO, block_bytes: int) -> None:
        self._file = file
        self._block_bytes = block_bytes
        self._blocks = row_blocks(stream, block_bytes)
        self._next_byte = 0  # of the file, behind the blocks taken so far
        block = self._taken() or b""
        head = block[: len(block) - len(below_rows(block, file.skipped + 1))]
        if is_utf16(block) or file.encoding is not None or not is_utf8(head):
            self._go_on_decoded(0)
            block = self._taken() or b""
        block = below_rows(block.removeprefix(_BOM), file.skipped)
        if not block.strip():
            raise SourceError(f"{file.path.name} is empty.", remedy="Export it again.", file=file.path.name)
        self.header = first_row(block)
        self._first: bytes | None = block[len(self.header) :]

    def frames(self, places: list[int], needles: Collection[bytes]) -> Iterator[pl.DataFrame]:
        """Yield the rows of each block, or only of the blocks in which one of the lower-case needles stands."""
        block, self._first = self._first, None
        while block is not None:
            if block and (not needles or _holds_one(block.lower(), needles)):
                frame = self._frame(block, places)
                if frame is None:
                    self._go_on_decoded(self._next_byte - len(block))
                else:
                    yield frame
            block = self._taken()

    def _frame(self, block: bytes, places: list[int]) -> pl.DataFrame | None:
        """Return the rows of a block, or None where it is not UTF-8."""
        text = self.header + block
        try:
            return self._file.parse(text, places)
        except pl.exceptions.PolarsError:
            return self._file.parse_ragged(text, places) if is_utf8(block) else None

    def _taken(self) -> bytes | None:
        block = next(self._blocks, None)
        self._next_byte += len(block or b"")
        return block

    def _go_on_decoded(self, start: int) -> None:
        self._blocks = row_blocks(io.BytesIO(self._file.decode(start)), self._block_bytes)


def _holds_one(block: bytes, needles: Collection[bytes]) -> bool:
    return any(needle in block for needle in needles)
