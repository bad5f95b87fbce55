"""Single items read from the ERP by their codes: what a look-up asks, over a session that it keeps."""

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import structlog

from shared.erp import parsing
from shared.erp.canonical import Attribute
from shared.erp.files import table_name
from shared.erp.issues import IssueLog
from shared.erp.location import FolderLocation, Location, own_location
from shared.erp.opening import open_source
from shared.erp.profiles import Profile, SourceRules, load_profile
from shared.erp.rows import drop_duplicates
from shared.erp.source import Condition, Source, find_column
from shared.erp.tables import MapBatch, TableReading, map_items, map_routings
from shared.errors import SourceUnavailable
from shared.settings import Settings

log = structlog.get_logger()

SESSION_IDLE_SECONDS = 60.0  # a connection that rested longer may have been cut on the way without a word
SESSION_AGE_SECONDS = 600.0  # then the profile is read again too
CLOCKS_APART_SECONDS = 60.0  # how far the clock of a file server may be behind


@dataclass(frozen=True, kw_only=True)
class FreshItem:
    """One item as the ERP has it now."""

    item_code: str
    attributes: dict[str, Any]  # in canonical units, None where the ERP has no value
    declared: tuple[Attribute, ...]  # what the profile says of these attributes
    routing: pl.DataFrame | None  # canonical steps of all its routings, none at all; None: not read within the time
    profile: str
    read_at: datetime


Found = Callable[[dict[str, FreshItem]], None]


class KeyedReading:
    """Reads items by their codes over one session; for one thread at a time."""

    def __init__(self, settings: Settings, *, timeout_seconds: float) -> None:
        """Read this instance's ERP; nothing is opened before the first reading."""
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._session: _Session | None = None

    def read(self, codes: Sequence[str], *, since: datetime | None, now: datetime, found: Found) -> None:
        """Look the codes up and hand the items to `found`, by the code asked for: first without routings, then with.

        Args:
            codes: as they were asked for.
            since: when the snapshot was read that lacks them; a folder untouched since then is not read again.
            now: the moment of reading, aware.
            found: called twice where an item is found, once where none is.

        Raises:
            SourceError: the profile or the source is wrong.
            SourceUnavailable: the database does not answer.
        """
        is_kept = self._session is not None and self._session.is_fresh()
        try:
            self._ask(codes, since, now, found)
        except SourceUnavailable:
            if not is_kept:
                raise
            log.info("erp.session_reopened")
            self._ask(codes, since, now, found)

    def _ask(self, codes: Sequence[str], since: datetime | None, now: datetime, found: Found) -> None:
        try:
            self._opened().read(codes, since=since, now=now, found=found)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the session."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _opened(self) -> "_Session":
        if self._session is None or not self._session.is_fresh():
            self.close()
            profile, location = load_profile(self._settings.profile), own_location(self._settings)
            self._session = _Session(profile, location, self._timeout_seconds)
        return self._session


class _Session:
    """The profile, and the connection where the source is a database; files are opened anew for every reading."""

    def __init__(self, profile: Profile, location: Location, timeout_seconds: float) -> None:
        self._profile = profile
        self._location = location
        self._rules = _hasty(profile.source, timeout_seconds)
        self._opened_at = self._used_at = time.monotonic()
        self._kept: Source | None = None

    def is_fresh(self) -> bool:
        now = time.monotonic()
        return now - self._used_at < SESSION_IDLE_SECONDS and now - self._opened_at < SESSION_AGE_SECONDS

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def read(self, codes: Sequence[str], *, since: datetime | None, now: datetime, found: Found) -> None:
        location = self._location
        if isinstance(location, FolderLocation):
            if since is not None and is_untouched(location.folder, since):
                found({})
                return
            with open_source(location, self._rules, IssueLog()) as source:
                _Asking(source, self._profile, now).items(codes, found)
            return
        if self._kept is None:
            self._kept = open_source(location, self._rules, IssueLog())
        _Asking(self._kept, self._profile, now).items(codes, found)
        self._used_at = time.monotonic()


def _hasty(rules: SourceRules, timeout_seconds: float) -> SourceRules:
    """Return the reading rules with the driver's own time-outs as short as a look-up is."""
    seconds = max(1, math.ceil(timeout_seconds))
    short = {"login_timeout_seconds": seconds, "statement_timeout_seconds": seconds, "attempts": 1}
    return rules.model_copy(update={"odbc": rules.odbc.model_copy(update=short)})


def is_untouched(folder: Path, since: datetime) -> bool:
    """Tell whether every table of a folder is surely older than `since`.

    A file counts by its content's time and by the time at which it came to lie there, since copying may keep the
    first. Equal times, and those within a minute, count as touched.
    """
    latest = since.timestamp() - CLOCKS_APART_SECONDS
    files = [path.stat() for path in folder.iterdir() if table_name(path) is not None]
    return bool(files) and all(max(file.st_mtime, file.st_ctime) < latest for file in files)


class _Asking:
    """One question to an open source."""

    def __init__(self, source: Source, profile: Profile, now: datetime) -> None:
        self._source = source
        self._profile = profile
        self._now = now.astimezone(UTC)

    def items(self, codes: Sequence[str], found: Found) -> None:
        meant = self._meant(codes)
        spellings = {spelling for code in meant.values() for spelling in _spellings(code)}
        rows = self._rows("items", spellings, lambda batch: map_items(batch, self._profile), ("item_code",))
        by_code = {row["item_code"]: row for row in rows.to_dicts()}
        named = {code: row for code, key in meant.items() if (row := _same_item(key, by_code)) is not None}
        found({code: self._fresh(row, None) for code, row in named.items()})
        if not named:
            return
        mine = sorted({str(row["item_code"]) for row in named.values()})
        steps = self._steps(mine)
        found({
            code: self._fresh(row, steps.filter(pl.col("item_code") == row["item_code"]))
            for code, row in named.items()
        })  # fmt: skip

    def _meant(self, codes: Sequence[str]) -> dict[str, str]:
        """Return each code as the mapping would write it; one that the mapping reads as nothing is left out."""
        rules = self._profile.source
        read = parsing.text(
            pl.Series(list(codes), dtype=pl.String), null_tokens=rules.null_tokens, case=rules.item_code_case
        )
        return {code: key for code, key in zip(codes, read.to_list(), strict=True) if key is not None}

    def _steps(self, codes: Sequence[str]) -> pl.DataFrame:
        known = pl.Series(codes, dtype=pl.String)
        spellings = {spelling for code in codes for spelling in _spellings(code)}
        key = ("item_code", "routing_no", "sequence")
        return self._rows("routings", spellings, lambda batch: map_routings(batch, self._profile, known), key)

    def _rows(self, table: str, spellings: Collection[str], map_batch: MapBatch, key: Sequence[str]) -> pl.DataFrame:
        reading = TableReading(self._source, self._profile, table, IssueLog(), self._now)
        names = getattr(self._profile, table).columns.item_code
        column = find_column(names, known=reading.known, table=table, field=f"{table}.item_code")
        rows = reading.mapped(map_batch, where=Condition(column, "in", tuple(sorted(spellings))))
        return drop_duplicates(rows, key, table=table, reason="repeated", issues=IssueLog())

    def _fresh(self, row: dict[str, Any], routing: pl.DataFrame | None) -> FreshItem:
        values = {name: value for name, value in row.items() if name != "item_code"}
        return FreshItem(
            item_code=row["item_code"], attributes=values, declared=self._profile.attributes, routing=routing,
            profile=self._profile.name, read_at=self._now,
        )  # fmt: skip


def _spellings(code: str) -> Iterable[str]:
    return (code, code.upper(), code.lower())


def _same_item(code: str, by_code: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of a code: the exact one, or the only one that differs in nothing but case."""
    if code in by_code:
        return by_code[code]
    alike = [row for known, row in by_code.items() if known.casefold() == code.casefold()]
    return alike[0] if len(alike) == 1 else None
