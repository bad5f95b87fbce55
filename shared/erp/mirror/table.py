"""One source table and its copy on disk: reading what changed, or everything where that cannot be told."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl
import structlog

from shared.erp.mirror.stamps import first_to_read, mistrust
from shared.erp.mirror.store import SMALL_PART_ROWS, Generation, MirrorDamaged, Part, TableStore
from shared.erp.profiles.model import Changes, SourceRules, SourceTable
from shared.erp.sources.source import Condition, Source, find_column
from shared.errors import SourceError, SourceUnavailable

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """What one reading of a table took from the source."""

    mode: Literal["full", "incremental"]
    rows: int  # rows read with all their columns
    keys: int = 0  # rows of which only key and stamp were read, to find those that were deleted
    reason: str = ""  # why every row was read


class _Disagrees(Exception):
    """The copy and the source cannot be brought together from what changed."""


class TableMirror:
    """The copy of one table that a profile declares `changes` for; used once a session."""

    def __init__(
        self,
        source: Source,
        rules: SourceRules,
        origin: SourceTable,
        changes: Changes,
        columns: Sequence[str],
        store: TableStore,
    ) -> None:
        """Find out which columns are read: those wanted, the key, and the stamp of the last change."""
        known = source.columns(origin)
        label = origin.shown
        self._source = source
        self._origin = origin
        self._changes = changes
        self._store = store
        self._stamp = find_column(changes.changed_at, known=known, table=label, field="changes.changed_at")
        self._key = [find_column((name,), known=known, table=label, field="changes.key") for name in changes.key]
        self._key_and_stamp = list(dict.fromkeys([*self._key, self._stamp]))
        wanted = {*columns, *self._key_and_stamp}
        self.columns = [name for name in known if name in wanted]
        said = {
            "rules": rules.model_dump(mode="json", exclude={"odbc"}),  # some decide how a source writes its values
            "table": origin.table,
            "tables": origin.tables,
            "sql": origin.sql,
            "columns": self.columns,
            "key": self._key,
            "changed_at": self._stamp,
        }
        self._reading = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        self._rows_read = 0
        self._keys_read = 0

    def refresh(self, now: datetime, *, full: bool) -> tuple[Generation, TableRead]:
        """Bring the copy up to date and publish it; what was there before stays until then.

        Args:
            now: the moment of reading, aware.
            full: read every row, whatever the copy holds.
        """
        last, reason = self._last(now)
        self._store.tidy(last)
        if full:
            reason = "asked for"
        if last is not None and not reason:
            try:
                return self._read_changes(last, now)
            except SourceUnavailable:
                raise
            except (_Disagrees, SourceError) as error:
                reason = str(error)
                log.warning("mirror.disagrees", table=self._origin.table, reason=reason)
                self._store.forget()  # a session that refused a question may refuse the next: then it is a new one's
        return self._read_whole(reason, now)

    def _last(self, now: datetime) -> tuple[Generation | None, str]:
        """Return the last generation, and why it is not enough to read what changed since (empty when it is)."""
        try:
            last = self._store.load()
        except MirrorDamaged as error:
            log.warning("mirror.damaged", table=self._origin.table, error=str(error))
            return None, f"the mirror is damaged: {error}"
        if last is None:
            return None, "first reading"
        if last.reading != self._reading:
            return last, "the profile reads the table otherwise than at the last reading"
        if last.mistrust is not None:
            return last, last.mistrust
        if not last.rows:
            return last, "the table was empty"
        days = self._changes.full_every_days
        if not timedelta(0) <= now - last.full_read_at <= timedelta(days=days):
            return last, f"the last full reading is not within {days:g} days"
        return last, ""

    def _read_whole(self, reason: str, now: datetime) -> tuple[Generation, TableRead]:
        parts = self._store.write_all(self._rows())
        found = self._mistrust(parts)
        if found is not None:
            log.warning("mirror.changes_unusable", table=self._origin.table, reason=found)
        generation = Generation(
            reading=self._reading, read_at=now, full_read_at=now, parts=tuple(parts), mistrust=found
        )
        self._store.publish(generation)
        return generation, self._told("full", reason)

    def _mistrust(self, parts: list[Part]) -> str | None:
        if not parts:
            return None
        rows = pl.concat(self._store.frames(parts, self._key_and_stamp))
        return mistrust(rows[self._stamp]) or self._repeated(rows)

    def _repeated(self, rows: pl.DataFrame) -> str | None:
        repeated = rows.height - rows.select(pl.struct(self._key).n_unique()).item()
        return f"the key {', '.join(self._key)} is repeated in {repeated} rows" if repeated else None

    def _read_changes(self, last: Generation, now: datetime) -> tuple[Generation, TableRead]:
        known = list(self._store.frames(last.parts, self._key_and_stamp))
        stamps = pl.concat([rows[self._stamp] for rows in known])
        overlap = timedelta(hours=self._changes.overlap_hours)
        start = first_to_read(stamps, now=now, overlap=overlap)
        if start is None:
            raise _Disagrees(f"no {self._stamp} says when a row changed")
        since = Condition(self._stamp, ">=", (start,))
        new_parts = self._store.write_all(self._rows(since))
        new = self._new_keys(last, new_parts)
        kept = [~_among(rows, new, self._key) for rows in known]
        expected = sum(int(mask.sum()) for mask in kept) + new.height
        missed = any((mask & (rows[self._stamp] >= start)).any() for rows, mask in zip(known, kept, strict=True))
        if missed or expected != self._source.count(self._origin):
            kept = self._without_deleted(known, kept, new)
        parts = self._merged(last, kept, new_parts)
        generation = last.model_copy(update={"read_at": now, "parts": tuple(parts)})
        self._store.publish(generation)
        return generation, self._told("incremental", "")

    def _told(self, mode: Literal["full", "incremental"], reason: str) -> TableRead:
        return TableRead(mode=mode, rows=self._rows_read, keys=self._keys_read, reason=reason)

    def _new_keys(self, last: Generation, new_parts: list[Part]) -> pl.DataFrame:
        """Return key and stamp of the rows just read; they must be of the copy's types and name a row each."""
        old = self._store.frame(last.parts[0]).clear()
        for rows in self._store.frames(new_parts):
            if rows.schema != old.schema:
                raise _Disagrees("the columns' types are others than at the last reading")
        new = pl.concat([old.select(self._key_and_stamp), *self._store.frames(new_parts, self._key_and_stamp)])
        repeated = self._repeated(new)
        if repeated is not None:
            raise _Disagrees(repeated)
        return new

    def _keys_there(self, like: pl.DataFrame) -> pl.DataFrame:
        """Return key and stamp of every row of the source."""
        batches = list(self._batches(self._key_and_stamp))
        self._keys_read += sum(batch.height for batch in batches)
        if any(batch.schema != like.schema for batch in batches):
            raise _Disagrees("the types of key and stamp are others than at the last reading")
        there = pl.concat([like.clear(), *batches])
        repeated = self._repeated(there)
        if repeated is not None:
            raise _Disagrees(repeated)
        return there

    def _without_deleted(self, known: list[pl.DataFrame], kept: list[pl.Series], new: pl.DataFrame) -> list[pl.Series]:
        """Return which known rows stay when those that the source lacks go; then both must hold the same stamps."""
        there = self._keys_there(new)
        kept = [mask & _among(rows, there, self._key) for rows, mask in zip(known, kept, strict=True)]
        left = pl.concat([new, *(rows.filter(mask) for rows, mask in zip(known, kept, strict=True))])
        if left.height != there.height or not _among(left, there, self._key_and_stamp).all():
            raise _Disagrees(f"{self._stamp} was not raised where a row changed: was a clock set back?")
        return kept

    def _merged(self, last: Generation, kept: list[pl.Series], new_parts: list[Part]) -> list[Part]:
        """Return the parts of the next generation; a large part that no row left is taken over as it is."""
        masks = dict(zip(last.parts, kept, strict=True))
        loose = {part: mask for part, mask in masks.items() if part.rows < SMALL_PART_ROWS or not mask.all()}
        small = [part for part in new_parts if part.rows < SMALL_PART_ROWS]

        def rows() -> Iterator[pl.DataFrame]:
            for part, mask in loose.items():
                yield self._store.frame(part).filter(mask)
            yield from self._store.frames(small)

        whole = [part for part in (*last.parts, *new_parts) if part not in loose and part not in small]
        return whole + self._store.write_all(rows())

    def _rows(self, where: Condition | None = None) -> Iterator[pl.DataFrame]:
        for batch in self._batches(self.columns, where):
            self._rows_read += batch.height
            yield batch

    def _batches(self, columns: list[str], where: Condition | None = None) -> Iterator[pl.DataFrame]:
        for batch in self._source.batches(self._origin, columns, where=where):
            yield batch.select(columns)


def _among(rows: pl.DataFrame, others: pl.DataFrame, on: list[str]) -> pl.Series:
    """Return which rows have a partner among `others`, whose values of `on` are distinct; empty equals empty."""
    partners = others.select(*on, pl.lit(value=True).alias("\0found"))
    joined = rows.select(on).join(partners, on=on, how="left", nulls_equal=True, maintain_order="left")
    return joined["\0found"].fill_null(value=False)
