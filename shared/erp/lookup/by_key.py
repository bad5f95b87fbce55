"""Single items read from the ERP by their codes: what a look-up asks, over a session that it keeps."""

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl
import structlog

from shared.erp import parsing
from shared.erp.canonical import Attribute
from shared.erp.issues import IssueLog
from shared.erp.lookup.folder_keys import FolderKeys, is_untouched
from shared.erp.mapping.rows import drop_duplicates
from shared.erp.mapping.tables import (
    MapBatch,
    TableReading,
    map_items,
    map_routings,
    mapped_item_schema,
    routing_schema,
)
from shared.erp.profiles.model import Profile, SourceRules, load_profile
from shared.erp.sources.location import FolderLocation, Location, own_location
from shared.erp.sources.opening import open_source
from shared.erp.sources.source import Condition, Source, find_column
from shared.errors import SourceError, SourceUnavailable
from shared.settings import Settings

log = structlog.get_logger()

SESSION_IDLE_SECONDS = 60.0  # a connection that rested longer may have been cut on the way without a word
SESSION_AGE_SECONDS = 600.0  # then the profile is read again too
_TOLERANT_SHARE = 0.25  # of the time limit: a tolerant question that takes longer is not asked again


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
_Operator = Literal["in", "code"]
_ITEM, _STEP = ("item_code",), ("item_code", "routing_no", "sequence")


class KeyedReading:
    """Reads items by their codes over one session; for one thread at a time."""

    def __init__(self, settings: Settings, *, timeout_seconds: float) -> None:
        """Read this instance's ERP; nothing is opened before the first reading."""
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._session: _Session | None = None
        self._keys = FolderKeys()

    def read(self, codes: Sequence[str], *, since: datetime | None, now: datetime, found: Found) -> None:
        """Look the codes up and hand the items to `found`, by the code asked for: first without routings, then with.

        Args:
            codes: as they were asked for.
            since: when the snapshot was read that lacks them; a folder untouched since then is not read again.
            now: the moment of reading, aware.
            found: called with all that was found so far, as soon as there is more to say.

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

    def close(self) -> None:
        """Let go of the session."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _ask(self, codes: Sequence[str], since: datetime | None, now: datetime, found: Found) -> None:
        try:
            session = self._opened()
            if isinstance(session.location, FolderLocation):
                self._ask_folder(session, session.location, codes, since, now, found)
            else:
                session.ask_database(codes, now, found)
        except BaseException:
            self.close()
            raise

    def _ask_folder(
        self, session: "_Session", location: FolderLocation, codes: Sequence[str], since: datetime | None,
        now: datetime, found: Found,
    ) -> None:  # fmt: skip
        with open_source(location, session.rules, IssueLog()) as source:
            if since is not None and is_untouched(location.folder, since):
                found({})
                return
            asking = _Asking(source, session.profile, now)

            def held(trimmed: Sequence[str]) -> set[str]:
                return set(self._keys.held(trimmed, location.folder, session.item_mapping, asking.all_codes))

            # The mapping takes a while even for one code, and only trims it, or changes its case, or reads nothing.
            likely = held([code.strip() for code in codes])
            left = [code for code in codes if code.strip() in likely]
            if not left:
                found({})
                return
            meant = asking.meant(left)
            there = held(list(meant.values()))
            asking.items({code: key for code, key in meant.items() if key in there}, found, "code")

    def _opened(self) -> "_Session":
        if self._session is None or not self._session.is_fresh():
            self.close()
            profile, location = load_profile(self._settings.profile), own_location(self._settings)
            self._session = _Session(profile, location, self._timeout_seconds)
        return self._session


class _Session:
    """The profile, and the connection where the source is a database; files are opened anew for every reading."""

    def __init__(self, profile: Profile, location: Location, timeout_seconds: float) -> None:
        self.profile = profile
        self.location = location
        self.item_mapping = repr(profile.items)
        self.rules = _hasty(profile.source, timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._opened_at = self._used_at = time.monotonic()
        self._kept: Source | None = None
        self._is_tolerant = True

    def is_fresh(self) -> bool:
        now = time.monotonic()
        return now - self._used_at < SESSION_IDLE_SECONDS and now - self._opened_at < SESSION_AGE_SECONDS

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def ask_database(self, codes: Sequence[str], now: datetime, found: Found) -> None:
        if self._kept is None:
            self._kept = open_source(self.location, self.rules, IssueLog())
        asking = _Asking(self._kept, self.profile, now)
        meant = asking.meant(codes)
        exact = asking.items(meant, found, "in")
        left = {code: key for code, key in meant.items() if code not in exact}
        if left and self._is_tolerant:
            self._ask_tolerantly(asking, left, lambda more: found(exact | more))
        self._used_at = time.monotonic()

    def _ask_tolerantly(self, asking: "_Asking", meant: dict[str, str], found: Found) -> None:
        """Ask again whatever the case and the blanks; a database that reads every row for it is not asked so again."""
        begun = time.monotonic()
        try:
            asking.items(meant, found, "code")
        except SourceError as trouble:
            log.warning("erp.tolerant_lookup_failed", error=str(trouble))
            self._is_tolerant = False
            self.close()
        if time.monotonic() - begun > _TOLERANT_SHARE * self._timeout_seconds:
            self._is_tolerant = False


def _hasty(rules: SourceRules, timeout_seconds: float) -> SourceRules:
    """Return the reading rules with the driver's own time-outs as short as a look-up is."""
    seconds = max(1, math.ceil(timeout_seconds))
    short = {"login_timeout_seconds": seconds, "statement_timeout_seconds": seconds, "attempts": 1}
    return rules.model_copy(update={"odbc": rules.odbc.model_copy(update=short)})


class _Asking:
    """Questions to an open source."""

    def __init__(self, source: Source, profile: Profile, now: datetime) -> None:
        self._source = source
        self._profile = profile
        self._now = now.astimezone(UTC)

    def meant(self, codes: Sequence[str]) -> dict[str, str]:
        """Return each code as the mapping would write it; one that the mapping reads as nothing is left out."""
        keys = self._as_mapped(pl.Series(codes, dtype=pl.String)).to_list()
        return {code: key for code, key in zip(codes, keys, strict=True) if key is not None}

    def all_codes(self) -> pl.Series:
        """Return every item code of the source."""
        reading, column = self._table("items")
        batches = self._source.batches(reading.mapping, [column])
        return pl.concat([pl.Series(dtype=pl.String), *(self._as_mapped(batch[column]) for batch in batches)])

    def items(self, meant: dict[str, str], found: Found, operator: _Operator) -> dict[str, FreshItem]:
        """Hand the items to `found` without their routings, then with them, and return the latter."""
        if not meant:
            found({})
            return {}
        schema = mapped_item_schema(self._profile)
        rows = self._rows(
            "items", meant.values(), operator, _unless_empty(lambda b: map_items(b, self._profile), schema), _ITEM
        )
        by_code = {row["item_code"]: row for row in rows.to_dicts()}
        named = {code: row for code, key in meant.items() if (row := _same_item(key, by_code)) is not None}
        items = {code: self._fresh(row, None) for code, row in named.items()}
        found(items)
        if items:
            steps = self._steps({item.item_code for item in items.values()}, operator)
            items = {
                code: replace(item, routing=steps.filter(pl.col("item_code") == item.item_code))
                for code, item in items.items()
            }
            found(items)
        return items

    def _as_mapped(self, cells: pl.Series) -> pl.Series:
        rules = self._profile.source
        return parsing.text(cells, null_tokens=rules.null_tokens, case=rules.item_code_case)

    def _steps(self, codes: Collection[str], operator: _Operator) -> pl.DataFrame:
        known, schema = pl.Series(sorted(codes), dtype=pl.String), routing_schema(self._profile)
        return self._rows(
            "routings", codes, operator, _unless_empty(lambda b: map_routings(b, self._profile, known), schema), _STEP
        )

    def _rows(
        self, table: str, codes: Collection[str], operator: _Operator, map_batch: MapBatch, key: Sequence[str]
    ) -> pl.DataFrame:
        reading, column = self._table(table)
        spellings = {spelling for code in codes for spelling in (code, code.upper(), code.lower())}
        rows = reading.mapped(map_batch, where=Condition(column, operator, tuple(sorted(spellings))))
        return (
            rows if rows.is_empty() else drop_duplicates(rows, key, table=table, reason="repeated", issues=IssueLog())
        )

    def _table(self, table: str) -> tuple[TableReading, str]:
        """Return a table's reading and the column of its item codes."""
        reading = TableReading(self._source, self._profile, table, IssueLog(), self._now)
        names = getattr(self._profile, table).columns.item_code
        return reading, find_column(names, known=reading.known, table=table, field=f"{table}.item_code")

    def _fresh(self, row: dict[str, Any], routing: pl.DataFrame | None) -> FreshItem:
        values = {name: value for name, value in row.items() if name != "item_code"}
        return FreshItem(
            item_code=row["item_code"], attributes=values, declared=self._profile.attributes, routing=routing,
            profile=self._profile.name, read_at=self._now,
        )  # fmt: skip


def _unless_empty(map_batch: MapBatch, schema: dict[str, pl.DataType]) -> MapBatch:
    """Return the mapping, but of no rows at once: most questions are about codes that the ERP does not have."""
    return lambda batch: map_batch(batch) if batch.frame.height else pl.DataFrame(schema=schema)


def _same_item(code: str, by_code: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the row of a code: the exact one, or the only one that differs in nothing but case."""
    if code in by_code:
        return by_code[code]
    alike = [row for known, row in by_code.items() if known.casefold() == code.casefold()]
    return alike[0] if len(alike) == 1 else None
