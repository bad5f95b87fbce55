"""One file of a source folder as a table: CSV in whatever encoding it came, gzipped or not, or Parquet."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import structlog

from shared.erp.issues import SAMPLES_KEPT, IssueLog
from shared.errors import SourceError

log = structlog.get_logger()

ENDINGS = (".csv", ".csv.gz", ".parquet")
_REPLACEMENT = "\ufffd"
_CHUNK = 1 << 24
_UNREADABLE = (OSError, EOFError, zlib.error, pl.exceptions.PolarsError)


def table_name(path: Path) -> str | None:
    """Return the name of the table that a file holds, or None for a file of another kind."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    return None if ending is None else path.name[: -len(ending)]


class TableFile:
    """A file that is opened when its columns are asked for, and whose bytes are let go once it has been read."""

    def __init__(self, path: Path, *, delimiter: str, issues: IssueLog) -> None:
        self.path = path
        self._delimiter = delimiter
        self._issues: IssueLog | None = issues
        self._text: bytes | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns, trimmed; SourceError when the file cannot be read."""
        try:
            return [name.strip() for name in self._raw_columns()]
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    def read(self, wanted: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the rows, all columns or the wanted ones; every CSV column is text.

        Raises:
            SourceError: the file cannot be read.
        """
        try:
            raw = self._raw_columns()
            chosen = [name for name in raw if wanted is None or name.strip() in wanted]
            frame = self._rows(chosen)
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        self._text = None
        self._issues = None  # a second reading finds the same faults
        log.info("source.file_read", file=self.path.name, rows=frame.height, columns=frame.width)
        return frame.rename({name: name.strip() for name in chosen})

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() == ".parquet"

    def _raw_columns(self) -> list[str]:
        if self._is_parquet:
            return list(pl.read_parquet_schema(self.path))
        line = next(csv.reader(io.StringIO(_first_record(self._content())), delimiter=self._delimiter))
        repeated = sorted({name for name in line if line.count(name) > 1})
        if repeated:
            raise SourceError(
                f"{self.path.name} has more than one column {', '.join(repeated)}.",
                remedy="Rename or leave out the repeated columns when exporting.",
                file=self.path.name,
            )
        return line

    def _rows(self, chosen: list[str]) -> pl.DataFrame:
        if self._is_parquet:
            return pl.read_parquet(self.path, columns=chosen)
        try:
            return self._read_csv(self._content(), chosen)
        except pl.exceptions.PolarsError:
            return self._read_csv(self._without_ragged_lines(self._content()), chosen)

    def _read_csv(self, text: bytes, chosen: list[str]) -> pl.DataFrame:
        return pl.read_csv(io.BytesIO(text), separator=self._delimiter, infer_schema=False, columns=chosen)

    def _content(self) -> bytes:
        """Return the file as UTF-8 without a byte order mark."""
        if self._text is None:
            raw = self.path.read_bytes()
            self._text = self._decoded(gzip.decompress(raw) if self.path.suffix.lower() == ".gz" else raw)
            if not self._text.strip():
                raise SourceError(f"{self.path.name} is empty.", remedy="Export it again.", file=self.path.name)
        return self._text

    def _decoded(self, raw: bytes) -> bytes:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            return raw.decode("utf-16", errors="replace").encode()
        raw = raw.removeprefix(codecs.BOM_UTF8)
        return raw if _is_utf8(raw) else self._rescued(raw)

    def _rescued(self, raw: bytes) -> bytes:
        """Decode a file that is not UTF-8: as the encoding in which fewer lines are broken, counting these."""
        lines = {
            encoding: raw.decode(encoding, errors="replace").splitlines(keepends=True)
            for encoding in ("utf-8", "cp949")
        }
        broken = {encoding: [line for line in text if _REPLACEMENT in line] for encoding, text in lines.items()}
        encoding = min(("cp949", "utf-8"), key=lambda name: len(broken[name]))
        if encoding == "cp949" and len(broken["utf-8"]) * 2 < sum(not line.isascii() for line in lines["utf-8"]):
            encoding = "utf-8"  # most of its letters are good UTF-8: a few lines are damaged, the file is not cp949
        self._count(f"bytes that are not {encoding}", [line.strip() for line in broken[encoding]])
        log.info("source.decoded", file=self.path.name, encoding=encoding, broken_lines=len(broken[encoding]))
        return "".join(lines[encoding]).encode()

    def _without_ragged_lines(self, text: bytes) -> bytes:
        """Return the file without the rows that have more fields than the header, counting these."""
        rows = csv.reader(io.StringIO(text.decode("utf-8"), newline=""), delimiter=self._delimiter)
        header = next(rows)
        kept = io.StringIO(newline="")
        writer = csv.writer(kept, delimiter=self._delimiter, lineterminator="\n")
        writer.writerow(header)
        ragged: list[str] = []
        for row in rows:
            if len(row) > len(header):
                ragged.append(self._delimiter.join(row))
            elif row:
                writer.writerow(row)
        self._count("more fields than the header", ragged)
        return kept.getvalue().encode()

    def _count(self, reason: str, lines: Sequence[str]) -> None:
        if self._issues is not None:
            samples = [line[:80] for line in lines[:SAMPLES_KEPT]]
            self._issues.add(f"file {self.path.name}", reason, len(lines), samples)

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self.path} cannot be read: {error}", remedy="Export the file again.", file=self.path.name)


def _is_utf8(raw: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(raw)
    try:
        for start in range(0, len(raw), _CHUNK):
            decoder.decode(view[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _first_record(text: bytes) -> str:
    """Return the header, which may be quoted and span lines: everything up to a line break outside quotes."""
    end = 0
    while True:
        end = text.find(b"\n", end) + 1
        if end == 0:
            return text.decode("utf-8")
        if text.count(b'"', 0, end) % 2 == 0:
            return text[:end].decode("utf-8")
