"""The mirror: a copy of a database's rows, as they came, between the source and the mapping.

A second extraction reads only the rows that changed and brings the copy up to date; the mapping then works on the
whole copy. So its tables are those of a full extraction by construction. Canonical tables could not be brought up to
date themselves: a row that was left out comes back when its item appears, filters move with the day, and which of two
repeated rows counts is decided over the whole table.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import structlog

from shared.erp.mirror.store import DOCUMENT, TableStore
from shared.erp.mirror.table import TableMirror, TableRead
from shared.erp.profiles.model import Profile, SourceTable
from shared.erp.snapshot import TABLES
from shared.erp.sources.location import FolderLocation, Location, OdbcLocation, connection_attributes
from shared.erp.sources.passing import PassingSource
from shared.erp.sources.source import Condition, Source
from shared.platform import exclusive_lock, remove_tree

log = structlog.get_logger()

UNUSED_AFTER = timedelta(days=30)
_PATIENCE_SECONDS = 5.0
_USERS = ("uid", "user", "user id")


class Mirror:
    """The mirrors below one folder, and what the last reading through them took from the source."""

    def __init__(self, folder: Path, *, full: bool = False) -> None:
        """Keep mirrors below `folder`; with `full` every row is read, whatever they hold."""
        self._folder = folder
        self._full = full
        self.reads: dict[str, TableRead] = {}  # by canonical table

    @contextlib.contextmanager
    def over(self, source: Source, profile: Profile, location: Location, now: datetime) -> Iterator["MirroredSource"]:
        """Put the mirror of a profile and location before an open source.

        One reading at a time works on a mirror; a second one at the same time reads the source past it.
        """
        self.reads.clear()
        reason = _needless(profile, location)
        if reason:
            yield MirroredSource(source, None, profile, now, self.reads, reason=reason)
            return
        folder = self._folder / _name(profile, location)
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive_lock(_lock(folder), timeout_seconds=_PATIENCE_SECONDS))
            except TimeoutError:
                log.warning("mirror.in_use", mirror=folder.name)
                reason = "another extraction was using the mirror"
            mirror = None if reason else folder
            yield MirroredSource(source, mirror, profile, now, self.reads, full=self._full, reason=reason)

    def tidy(self, now: datetime) -> None:
        """Remove the mirrors that nothing was read through for `UNUSED_AFTER`, such as those of other sources."""
        oldest = (now - UNUSED_AFTER).timestamp()
        for folder in sorted(path for path in self._folder.glob("*") if path.is_dir()):
            used = max(path.stat().st_mtime for path in (folder, *folder.glob(f"*/{DOCUMENT}")))
            if used >= oldest:
                continue
            with contextlib.suppress(TimeoutError), exclusive_lock(_lock(folder), timeout_seconds=0):
                remove_tree(folder)
                log.info("mirror.removed", mirror=folder.name)


class MirroredSource(PassingSource):
    """A source whose tables are read from their mirror, after that was brought up to date."""

    def __init__(
        self,
        source: Source,
        folder: Path | None,
        profile: Profile,
        now: datetime,
        reads: dict[str, TableRead],
        *,
        full: bool = False,
        reason: str = "",
    ) -> None:
        """Stand before `source`; without a folder only note what is read, and `reason` says why."""
        super().__init__(source)
        self._folder = folder
        self._rules = profile.source
        self._now = now
        self._reads = reads
        self._full = full
        self._reason = reason
        self._tables: dict[str, SourceTable] = {name: getattr(profile, name) for name in TABLES}

    def batches(
        self, origin: SourceTable, columns: Sequence[str], *, where: Condition | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a table from its mirror; some rows only (`where`), or an unnamed table, from the source."""
        table = next((name for name, known in self._tables.items() if known == origin), None)
        if table is None or where is not None:
            return self._source.batches(origin, columns, where=where)
        if self._folder is None or origin.changes is None:
            return self._noted(table, self._source.batches(origin, columns))
        return self._mirrored(table, origin, columns, self._folder / table)

    def _noted(self, table: str, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        reason = self._reason or "the profile does not say how to find what changed"
        rows = 0
        for batch in batches:
            rows += batch.height
            yield batch
        self._reads[table] = TableRead(mode="full", rows=rows, reason=reason)

    def _mirrored(
        self, table: str, origin: SourceTable, columns: Sequence[str], folder: Path
    ) -> Iterator[pl.DataFrame]:
        assert origin.changes is not None
        store = TableStore(folder)
        mirror = TableMirror(self._source, self._rules, origin, origin.changes, columns, store)
        generation, self._reads[table] = mirror.refresh(self._now, full=self._full)
        log.info("mirror.read", table=table, rows=generation.rows, read=self._reads[table])
        yield from store.frames(generation.parts, columns)


def _needless(profile: Profile, location: Location) -> str:
    """Return why no mirror is kept, or nothing when one is."""
    if isinstance(location, FolderLocation):
        return "a folder's files are read whole"
    if not any(getattr(profile, name).changes for name in TABLES):
        return "the profile does not say how to find what changed"
    return ""


def _name(profile: Profile, location: Location) -> str:
    """Return the folder name of a profile's mirror of a location; users may see other rows, passwords do not matter."""
    told = [location.shown]
    if isinstance(location, OdbcLocation):
        attributes = connection_attributes(location.connection.get_secret_value())
        told += [attributes[name] for name in _USERS if name in attributes]
    digest = hashlib.sha256("\0".join(told).encode()).hexdigest()
    return f"{profile.name}-{digest[:12]}"


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
