"""From a source and a profile to a snapshot: read, map, judge, fingerprint, publish whole."""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import structlog

from shared.erp.issues import IssueLog
from shared.erp.location import Location
from shared.erp.mirror import Mirror
from shared.erp.opening import open_source
from shared.erp.profiles import Profile
from shared.erp.snapshot import DOCUMENT, SCHEMA_VERSION, TABLES, Snapshot, file_digest, open_snapshot
from shared.erp.source import Source
from shared.erp.tables import read_items, read_routings, read_work_results
from shared.errors import SourceError
from shared.platform import publish_folder

log = structlog.get_logger()

_FINGERPRINT_ROWS = 200_000  # rows hashed at a time, so that memory stays bounded


def extract(
    profile: Profile,
    location: Location,
    into: Path,
    *,
    now: datetime,
    exclude_items: Collection[str] = (),
    mirror: Mirror | None = None,
) -> Snapshot:
    """Read a source into a new snapshot below `into`, whole or not at all.

    Args:
        profile: the mapping of this source.
        location: the folder or database that is read.
        into: the folder of snapshots.
        now: the moment of reading, aware; it becomes `data_as_of`.
        exclude_items: items whose routings and work results are left out; the items themselves stay.
        mirror: copies of the source's rows, so that only what changed is read; without it everything is.

    Raises:
        SourceError: a file or key column is missing or unreadable, or no item is left.
        SourceUnavailable: the database does not answer, or went away at every attempt.
    """
    moment = now.astimezone(UTC)
    issues = IssueLog()
    excluded = _known_exclusions(exclude_items, profile)
    with (
        open_source(location, profile.source, issues) as source,
        mirror.over(source, profile, location, moment) if mirror else contextlib.nullcontext(source) as rows,
    ):
        frames = _read(rows, profile, issues, moment)
    if frames["items"].is_empty():
        raise SourceError(
            f"No item of {location.shown} could be used: {issues.counts.get('items', {})}.",
            remedy="Check the profile's item table, key column and filters.",
        )
    strangers = sorted(set(excluded) - set(frames["items"]["item_code"]))
    issues.add("items", "an item to exclude is unknown", len(strangers), strangers)
    for name in ("routings", "work_results"):
        frames[name] = frames[name].filter(~pl.col("item_code").is_in(excluded))
    fingerprint = fingerprint_of(frames)
    final = into / f"snap_{moment:%Y%m%d_%H%M%S}_{fingerprint[:8]}"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".snapshot-", dir=into, ignore_cleanup_errors=True) as scratch:
        staging = Path(scratch) / final.name
        staging.mkdir()
        _write(staging, frames, profile, fingerprint, moment, issues, excluded)
        try:
            publish_folder(staging, final)
        except FileExistsError:
            log.info("snapshot.already_there", snapshot=final.name)  # same second, same content
    snapshot = open_snapshot(final)
    log.info("snapshot.taken", snapshot=snapshot.id, profile=profile.name, rows=snapshot.rows, issues=snapshot.issues)
    return snapshot


def _known_exclusions(codes: Collection[str], profile: Profile) -> list[str]:
    trimmed = {code.strip() for code in codes}
    case = profile.source.item_code_case
    return sorted({code.upper() if case == "upper" else code.lower() if case == "lower" else code for code in trimmed})


def _read(source: Source, profile: Profile, issues: IssueLog, now: datetime) -> dict[str, pl.DataFrame]:
    items = read_items(source, profile, issues, now)
    known = items["item_code"]
    return {
        "items": items,
        "routings": read_routings(source, profile, issues, now, known),
        "work_results": read_work_results(source, profile, issues, now, known),
    }


def fingerprint_of(frames: dict[str, pl.DataFrame]) -> str:
    """Return the SHA-256 over the sorted canonical tables, the same for the same data in any source order."""
    digest = hashlib.sha256()
    for name in TABLES:
        frame = frames[name]
        digest.update(f"{name}:{frame.height}:{','.join(frame.columns)}\n".encode())
        for part in frame.iter_slices(_FINGERPRINT_ROWS):
            digest.update(part.write_csv(include_header=False).encode())
    return digest.hexdigest()


def _write(
    staging: Path,
    frames: dict[str, pl.DataFrame],
    profile: Profile,
    fingerprint: str,
    moment: datetime,
    issues: IssueLog,
    excluded: list[str],
) -> None:
    files = {}
    for name in TABLES:
        path = staging / f"{name}.parquet"
        frames[name].write_parquet(path, compression="zstd")
        files[path.name] = {"bytes": path.stat().st_size, "sha256": file_digest(path)}
    document = {
        "schema_version": SCHEMA_VERSION,
        "id": staging.name,
        "profile": profile.model_dump(mode="json", exclude_defaults=True),
        "attributes": [asdict(attribute) for attribute in profile.attributes],
        "fingerprint": fingerprint,
        "data_as_of": moment.isoformat(),
        "rows": {name: frames[name].height for name in TABLES},
        "issues": issues.counts,
        "issue_samples": issues.samples,
        "excluded_items": excluded,
        "files": files,
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)  # attributes keep the profile's order
    (staging / DOCUMENT).write_text(text + "\n", encoding="utf-8")
