"""From a source and a profile to a snapshot: read, map, judge, fingerprint, publish whole."""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import structlog
import tenacity
from tenacity.wait import wait_base

from shared.erp.issues import IssueLog
from shared.erp.mapping.tables import read_items, read_routings, read_work_results
from shared.erp.mirror.source import Mirror
from shared.erp.profiles.model import Profile
from shared.erp.snapshot import DOCUMENT, SCHEMA_VERSION, Snapshot, file_digest, open_snapshot
from shared.erp.sources.location import Location
from shared.erp.sources.opening import open_source
from shared.erp.sources.source import Source
from shared.errors import SourceError, SourceUnavailable
from shared.platform import publish_folder

log = structlog.get_logger()

_FINGERPRINT_ROWS = 200_000  # rows hashed at a time, so that memory stays bounded
_BETWEEN_ATTEMPTS = tenacity.wait_exponential_jitter(multiplier=2, max=60, jitter=2)  # seconds


def extract(
    profile: Profile,
    location: Location,
    into: Path,
    *,
    now: datetime,
    exclude_items: Collection[str] = (),
    mirror: Mirror | None = None,
    wait: wait_base = _BETWEEN_ATTEMPTS,
) -> Snapshot:
    """Read a source into a new snapshot below `into`, whole or not at all.

    A database that does not answer, or goes away in the middle, is asked for everything again in a new session, as
    often as `source.odbc.attempts` of the profile says.

    Args:
        profile: the mapping of this source.
        location: the folder or database that is read.
        into: the folder of snapshots.
        now: the moment of reading, aware; it becomes `data_as_of`.
        exclude_items: items whose routings and work results are left out; the items themselves stay.
        mirror: copies of the source's rows, so that only what changed is read; without it everything is.
        wait: how long to wait before the next attempt.

    Raises:
        SourceError: a file or key column is missing or unreadable, or no item is left.
        SourceUnavailable: the database does not answer, or went away at every attempt.
    """
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(profile.source.odbc.attempts),
        wait=wait,
        retry=tenacity.retry_if_exception_type(SourceUnavailable),
        before_sleep=_log_failure,
        reraise=True,
    )
    excluded = _known_exclusions(exclude_items, profile)
    snapshot = attempts(_take, profile, location, into, now.astimezone(UTC), excluded, mirror)
    log.info("snapshot.taken", snapshot=snapshot.id, profile=profile.name, rows=snapshot.rows, issues=snapshot.issues)
    return snapshot


def _log_failure(state: tenacity.RetryCallState) -> None:
    error = None if state.outcome is None else state.outcome.exception()
    log.warning("snapshot.source_unavailable", attempt=state.attempt_number, error=str(error))


def _known_exclusions(codes: Collection[str], profile: Profile) -> list[str]:
    trimmed = {code.strip() for code in codes}
    case = profile.source.item_code_case
    return sorted({code.upper() if case == "upper" else code.lower() if case == "lower" else code for code in trimmed})


def _take(
    profile: Profile, location: Location, into: Path, moment: datetime, excluded: list[str], mirror: Mirror | None
) -> Snapshot:
    """Read once into a folder of its own, and publish that when it is complete."""
    issues = IssueLog()
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".snapshot-", dir=into, ignore_cleanup_errors=True) as scratch:
        staging = Path(scratch) / "snapshot"
        staging.mkdir()
        fingerprint = Fingerprint()
        rows: dict[str, int] = {}
        with (
            open_source(location, profile.source, issues) as source,
            mirror.over(source, profile, location, moment) if mirror else contextlib.nullcontext(source) as mirrored,
        ):
            for name, frame in read_tables(mirrored, profile, issues, moment):
                kept = _without(frame, excluded, name, issues)
                rows[name] = kept.height
                fingerprint.add(name, kept)
                kept.write_parquet(staging / f"{name}.parquet", compression="zstd")
                del frame, kept  # or this table would stay in memory while the next is read
        final = into / f"snap_{moment:%Y%m%d_%H%M%S}_{fingerprint.value[:8]}"
        _describe(staging, final.name, profile, fingerprint.value, moment, rows, issues, excluded)
        try:
            publish_folder(staging, final)
        except FileExistsError:
            log.info("snapshot.already_there", snapshot=final.name)  # same second, same content
    return open_snapshot(final)


def read_tables(
    source: Source, profile: Profile, issues: IssueLog, now: datetime
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the name and the rows of each canonical table; one that was handed out is not kept.

    Args:
        source: an open source.
        profile: its mapping.
        issues: where bad rows are counted.
        now: the moment of reading, aware, UTC.

    Raises:
        SourceError: a table or column is missing, the data cannot be read, or no item can be used.
    """
    items = read_items(source, profile, issues, now)
    if items.is_empty():
        raise SourceError(
            f"No item of {source.name} could be used: {issues.counts.get('items', {})}.",
            remedy="Check the profile's item table, key column and filters.",
        )
    known = items["item_code"]
    yield "items", items
    del items
    yield "routings", read_routings(source, profile, issues, now, known)
    yield "work_results", read_work_results(source, profile, issues, now, known)


def _without(frame: pl.DataFrame, excluded: list[str], name: str, issues: IssueLog) -> pl.DataFrame:
    """Return a table without the excluded items; the items themselves stay, and unknown ones are pointed out."""
    if name == "items":
        strangers = sorted(set(excluded) - set(frame["item_code"]))
        issues.add("items", "an item to exclude is unknown", len(strangers), strangers)
        return frame
    return frame.filter(~pl.col("item_code").is_in(excluded)) if excluded else frame


class Fingerprint:
    """The SHA-256 over the sorted canonical tables, the same for the same data in any source order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    @property
    def value(self) -> str:
        """The fingerprint of the tables added so far, in lower-case hex."""
        return self._digest.hexdigest()

    def add(self, name: str, frame: pl.DataFrame) -> None:
        """Add a table; the tables of a snapshot come in the order of `shared.erp.snapshot.TABLES`."""
        self._digest.update(f"{name}:{frame.height}:{','.join(frame.columns)}\n".encode())
        for part in frame.iter_slices(_FINGERPRINT_ROWS):
            self._digest.update(part.write_csv(include_header=False).encode())


def _describe(
    staging: Path,
    snapshot_id: str,
    profile: Profile,
    fingerprint: str,
    moment: datetime,
    rows: dict[str, int],
    issues: IssueLog,
    excluded: list[str],
) -> None:
    """Write the document that says what the snapshot's files are."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(staging.glob("*.parquet"))
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "id": snapshot_id,
        "profile": profile.model_dump(mode="json", exclude_defaults=True),
        "attributes": [asdict(attribute) for attribute in profile.attributes],
        "fingerprint": fingerprint,
        "data_as_of": moment.isoformat(),
        "rows": rows,
        "issues": issues.counts,
        "issue_samples": issues.samples,
        "excluded_items": excluded,
        "files": files,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)  # attributes keep the profile's order
    (staging / DOCUMENT).write_text(text + "\n", encoding="utf-8")
