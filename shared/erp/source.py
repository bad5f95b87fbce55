"""Reading a folder of CSV, gzipped CSV and Parquet files, each a table named after its file.

CSV arrives as text only: what is a number is the profile's to say, and item codes keep their leading zeros.
"""

import csv
import gzip
import io
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import structlog

from shared.erp.issues import SAMPLES_KEPT, IssueLog
from shared.erp.profile_errors import nearest
from shared.erp.profiles import FolderSource
from shared.errors import SourceError

log = structlog.get_logger()

ENDINGS = (".csv", ".csv.gz", ".parquet")
_REPLACEMENT = "\ufffd"


class Folder:
    """The tables of one source folder; each file is read once, and only when asked for."""

    def __init__(self, folder: Path, source: FolderSource, issues: IssueLog) -> None:
        if not folder.is_dir():
            raise SourceError(
                f"The source folder {folder} does not exist.", remedy="Check the path, or generate or copy the files."
            )
        self._folder = folder
        self._source = source
        self._issues = issues
        self._read: dict[str, pl.DataFrame] = {}
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
            if ending is not None and path.is_file():
                self._files.setdefault(path.name[: -len(ending)].casefold(), []).append(path)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables in the folder."""
        return tuple(_stem(paths[0]) for paths in self._files.values())

    def table(self, name: str) -> pl.DataFrame:
        """Return a table by its file's name (case does not matter).

        Raises:
            SourceError: there is no such file, two files claim the name, or the file cannot be read.
        """
        paths = self._files.get(name.casefold(), [])
        if not paths:
            raise SourceError(
                f"The source folder {self._folder} has no file {name}.csv, {name}.csv.gz or {name}.parquet"
                f"{nearest(name, self.tables)}.",
                remedy=f"It holds: {', '.join(self.tables) or 'no readable file'}.",
                file=name,
            )
        if len(paths) > 1:
            found = ", ".join(path.name for path in paths)
            raise SourceError(f"The table {name} is ambiguous: {found}.", remedy="Keep one of them.", file=name)
        if name.casefold() not in self._read:
            self._read[name.casefold()] = self._load(paths[0])
        return self._read[name.casefold()]

    def query(self, sql: str) -> pl.DataFrame:
        """Return the rows of a query over the folder's tables; only the files that it names are read.

        Raises:
            SourceError: the query is wrong, or a file that it names cannot be read.
        """
        words = {word.casefold() for word in re.findall(r"\w+", sql)}
        context = pl.SQLContext(register_globals=False)
        for folded, paths in self._files.items():
            if folded in words:
                name = _stem(paths[0])
                context.register(name, self.table(name).lazy())
        try:
            return context.execute(sql, eager=True)
        except (pl.exceptions.PolarsError, ValueError) as error:
            raise SourceError(
                f"The profile's query over {self._folder} fails: {error}",
                remedy=f"Tables of the folder: {', '.join(self.tables) or 'none'}.",
            ) from error

    def _load(self, path: Path) -> pl.DataFrame:
        try:
            if path.suffix.lower() == ".parquet":
                frame = pl.read_parquet(path)
            else:
                raw = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
                frame = self._parse(path.name, self._decode(path.name, raw))
        except (OSError, EOFError, pl.exceptions.PolarsError) as error:
            raise SourceError(
                f"{path} cannot be read: {error}", remedy="Export the file again.", file=path.name
            ) from error
        log.info("source.file_read", file=path.name, rows=frame.height, columns=frame.width)
        return frame

    def _decode(self, file: str, raw: bytes) -> bytes:
        """Return the file as UTF-8, read as what it is: UTF-8 (with or without BOM), UTF-16 or cp949."""
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            return raw.decode("utf-16", errors="replace").encode()
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return self._rescue(file, raw)
        return raw

    def _rescue(self, file: str, raw: bytes) -> bytes:
        """Decode a file that is not UTF-8: as the encoding in which fewer lines are broken, counting these."""
        lines = {
            encoding: raw.decode(encoding, errors="replace").splitlines(keepends=True)
            for encoding in ("utf-8", "cp949")
        }
        broken = {encoding: [line for line in text if _REPLACEMENT in line] for encoding, text in lines.items()}
        encoding = min(("cp949", "utf-8"), key=lambda name: len(broken[name]))
        if encoding == "cp949" and len(broken["utf-8"]) * 2 < sum(not line.isascii() for line in lines["utf-8"]):
            encoding = "utf-8"  # most of its Korean is good UTF-8: a few lines are damaged, the file is not cp949
        samples = [line.strip()[:80] for line in broken[encoding][:SAMPLES_KEPT]]
        self._issues.add(f"file {file}", f"bytes that are not {encoding}", len(broken[encoding]), samples)
        log.info("source.decoded", file=file, encoding=encoding, broken_lines=len(broken[encoding]))
        return "".join(lines[encoding]).encode()

    def _parse(self, file: str, raw: bytes) -> pl.DataFrame:
        if not raw.strip():
            raise SourceError(f"{file} is empty.", remedy="Export the file again.", file=file)
        try:
            frame = self._read_csv(raw)
        except pl.exceptions.PolarsError:
            frame = self._read_csv(self._without_ragged_lines(file, raw))
        return frame.rename({name: name.strip() for name in frame.columns})

    def _read_csv(self, raw: bytes) -> pl.DataFrame:
        return pl.read_csv(io.BytesIO(raw), separator=self._source.delimiter, infer_schema=False)

    def _without_ragged_lines(self, file: str, raw: bytes) -> bytes:
        """Return the file without the rows that have more fields than the header, counting these."""
        rows = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""), delimiter=self._source.delimiter)
        header = next(rows)
        kept = io.StringIO(newline="")
        writer = csv.writer(kept, delimiter=self._source.delimiter, lineterminator="\n")
        writer.writerow(header)
        ragged: list[str] = []
        for row in rows:
            if len(row) > len(header):
                ragged.append(self._source.delimiter.join(row)[:80])
            elif row:
                writer.writerow(row)
        self._issues.add(f"file {file}", "more fields than the header", len(ragged), ragged[:SAMPLES_KEPT])
        return kept.getvalue().encode()


def _stem(path: Path) -> str:
    ending = next(ending for ending in ENDINGS if path.name.lower().endswith(ending))
    return path.name[: -len(ending)]


def find_column(frame: pl.DataFrame, names: Sequence[str], *, table: str, field: str) -> str:
    """Return the first of `names` that the frame has; a column in other case serves when no exact one is there.

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
        f"{table} has no column {' or '.join(names)}{nearest(names[0], frame.columns)}, which the profile names for "
        f"{field}.",
        remedy=f"Its columns are: {', '.join(frame.columns)}.",
        file=table,
        column=names[0],
    )
