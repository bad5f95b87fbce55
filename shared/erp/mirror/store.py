"""A copy of one source table on disk: parts that never change, and one document that says which parts count.

A part that no document names does not exist. So a process may be killed at any moment: the document of the last
reading that was finished still names parts that are whole.
"""

import hashlib
import io
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.erp.snapshot import file_digest
from shared.erp.sources.source import BATCH_ROWS
from shared.platform import write_atomically

DOCUMENT = "mirror.json"
SMALL_PART_ROWS = BATCH_ROWS // 2  # parts below this are joined with what is new, so that they never become many


class MirrorDamaged(Exception):
    """The copy is not what was written; the whole table has to be read again."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Stored):
    """One Parquet file with some of the rows."""

    name: str = Field(pattern=r"^[0-9a-f]{32}\.parquet$")
    rows: int
    sha256: str


class Generation(_Stored):
    """The rows of a table as they were at one reading."""

    # Raised whenever a source hands out a value in another type or spelling than before, too.
    form: Literal["routing-ml/mirror@1"] = "routing-ml/mirror@1"
    reading: str  # digest of what was read and how: table or query, columns, key
    read_at: AwareDatetime
    full_read_at: AwareDatetime  # when every row was last read
    parts: tuple[Part, ...]
    mistrust: str | None = None  # why the rows that changed cannot be found, so that all are read each time

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(part.rows for part in self.parts)


class TableStore:
    """The folder of one table's copy; one process at a time writes it, which is the caller's to see to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> Generation | None:
        """Return the last generation that was published whole, or None when there is none.

        Raises:
            MirrorDamaged: the document or a part is missing, torn or changed.
        """
        path = self._folder / DOCUMENT
        if not path.exists():
            return None
        try:
            generation = Generation.model_validate_json(path.read_bytes())
            changed = [part.name for part in generation.parts if file_digest(self._folder / part.name) != part.sha256]
        except (OSError, ValueError) as error:
            raise MirrorDamaged(f"it cannot be read: {error}") from error
        if changed:
            raise MirrorDamaged(f"{changed[0]} is not what was written")
        return generation

    def write(self, rows: pl.DataFrame) -> Part:
        """Write a part; it does not count before a generation that names it is published."""
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        rows.write_parquet(buffer, compression="zstd")
        content = buffer.getvalue()
        name = f"{uuid.uuid4().hex}.parquet"
        write_atomically(self._folder / name, content)
        return Part(name=name, rows=rows.height, sha256=hashlib.sha256(content).hexdigest())

    def write_all(self, batches: Iterable[pl.DataFrame]) -> list[Part]:
        """Write batches as parts of `BATCH_ROWS` rows, the last one smaller."""
        return [self.write(rows) for rows in _rebatched(batches)]

    def publish(self, generation: Generation) -> None:
        """Let the generation count from now on, in one step, and remove the parts that it does not name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._folder / DOCUMENT, generation.model_dump_json(indent=1).encode() + b"\n")
        self.tidy(generation)

    def forget(self) -> None:
        """Let no generation count any more."""
        (self._folder / DOCUMENT).unlink(missing_ok=True)

    def tidy(self, generation: Generation | None) -> None:
        """Remove every part that `generation` does not name; one that cannot be removed is met again next time."""
        named = {part.name for part in generation.parts} if generation is not None else set()
        for path in sorted(self._folder.glob("*")):
            if path.name != DOCUMENT and path.name not in named:
                _remove(path)

    def frame(self, part: Part, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a part's rows: all columns, or the wanted ones in the wanted order."""
        chosen = None if columns is None else list(columns)
        frame = pl.read_parquet(self._folder / part.name, columns=chosen)
        return frame if chosen is None else frame.select(chosen)

    def frames(self, parts: Iterable[Part], columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows of some parts, a part at a time."""
        for part in parts:
            yield self.frame(part, columns)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows keeps a file that somebody still reads
        return


def _rebatched(batches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the same rows in batches of `BATCH_ROWS`, the last one smaller; never more than two batches are held."""
    held: list[pl.DataFrame] = []
    height = 0
    for batch in batches:
        held.append(batch)
        height += batch.height
        while height >= BATCH_ROWS:
            joined = pl.concat(held)
            yield joined.head(BATCH_ROWS)
            held = [joined.slice(BATCH_ROWS)]
            height -= BATCH_ROWS
    if height:
        yield pl.concat(held)
