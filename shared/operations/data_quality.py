"""How good the data of a snapshot is: measured once and kept, and told beside the snapshots before it."""

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.data_quality import DataQualityRows, KeyFigures
from shared.database.snapshots import SnapshotRows
from shared.database.tables import DataQuality
from shared.errors import NotFound
from shared.operations.data_trend import Change, changes
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.erp.snapshot import Snapshot
    from shared.snapshots.service import Snapshots

_MEASURING = threading.Lock()  # one at a time a process: a full-sized factory takes seconds and over a gigabyte


class DataQualityReports:
    """Hands out data quality documents, measuring a snapshot whose document is missing or of an older release."""

    def __init__(self, settings: Settings, engine: Engine, snapshots: "Snapshots", clock: Clock = utc_now) -> None:
        """Report on the snapshots that `snapshots` hands out and `engine`'s database knows."""
        self._settings = settings
        self._snapshots = snapshots
        self._snapshot_rows = SnapshotRows(engine, clock)
        self._rows = DataQualityRows(engine, clock)

    def report(self, snapshot_id: str | None = None, *, history: int = 0, profile: str | None = None) -> dict[str, Any]:
        """Return a snapshot's document with its `trend` against the snapshot before, and `history` key figures.

        Args:
            snapshot_id: the newest whole snapshot of the profile when left out. One that was tidied away is still told
                of.
            history: how many snapshots' key figures to add, this one's first.
            profile: a profile's name; the instance's own when left out.

        Raises:
            NotFound: there is no such snapshot, or none at all.
            SourceError: the snapshot's files are damaged and it was never measured.
        """
        row = self._of_current(profile) if snapshot_id is None else self._of(snapshot_id)
        before = self._rows.history(row.profile, limit=max(history, 2), until=row.data_as_of)
        entries = [entry for entry in before if entry.snapshot_id != row.snapshot_id]
        own = KeyFigures(snapshot_id=row.snapshot_id, data_as_of=row.data_as_of, figures=row.figures)
        answer = {"snapshot_id": row.snapshot_id, **row.document, "trend": _trend(own, entries[:1])}
        if history:
            answer["history"] = [_entry(entry) for entry in [own, *entries][:history]]
        return answer

    def _of_current(self, profile: str | None) -> DataQuality:
        from shared.erp.profiles.model import load_profile

        wanted = profile or load_profile(self._settings.profile).name
        newest = self._snapshot_rows.current(wanted)
        if newest is None:
            raise self._no_snapshot(wanted, is_own=profile is None)
        return self._stored(newest.id) or self._measured(self._snapshots.current(wanted))

    def _no_snapshot(self, profile: str, *, is_own: bool) -> NotFound:
        """Say that a profile has no snapshot, and which others have: somebody may have meant one of these."""
        others = self._snapshot_rows.profiles()
        if not others:
            return NotFound(
                "There is no snapshot of the ERP yet.",
                remedy="`manage.py data extract` or POST /api/data/snapshots reads it.",
            )
        own = ", this instance's own profile" if is_own else ""
        return NotFound(
            f"There is no snapshot of {profile}{own}, but of {', '.join(others)}.",
            remedy=f"`manage.py data quality --profile {others[0]}` shows that one; over HTTP, name a snapshot that "
            "GET /api/data/snapshots lists.",
        )

    def _of(self, snapshot_id: str) -> DataQuality:
        from shared.erp.snapshot import open_snapshot

        row = self._snapshot_rows.find(snapshot_id)
        stored = self._stored(snapshot_id) or (self._rows.find(snapshot_id) if row is None else None)
        if stored is not None:
            return stored
        if row is None:
            raise NotFound(f"There is no snapshot {snapshot_id!r}.", remedy="GET /api/data/snapshots lists them.")
        return self._measured(open_snapshot(self._settings.data_dir / row.folder))

    def _stored(self, snapshot_id: str) -> DataQuality | None:
        """Return the row of a snapshot whose document has this release's form."""
        from shared.erp.quality.summary import QUALITY_VERSION

        row = self._rows.find(snapshot_id)
        return row if row is not None and row.schema_version == QUALITY_VERSION else None

    def _measured(self, snapshot: "Snapshot") -> DataQuality:
        from shared.erp.quality.summary import summarise

        with _MEASURING:
            row = self._stored(snapshot.id)
            if row is None:
                self._rows.store(summarise(snapshot))
                row = self._stored(snapshot.id)
        assert row is not None  # it was stored just now
        return row


def _trend(own: KeyFigures, before: list[KeyFigures]) -> dict[str, Any]:
    """Return what got worse and better since the snapshot before, the most first; nothing where there is none."""
    if not before:
        return {"against": None, "worse": [], "better": []}
    found = changes(before[0].figures, own.figures)
    against = {"snapshot_id": before[0].snapshot_id, "data_as_of": before[0].data_as_of.isoformat()}
    better = [change for change in reversed(found) if change.gain > 0]
    return {
        "against": against,
        "worse": [_told(change) for change in found if change.gain < 0],
        "better": [_told(change) for change in better],
    }


def _told(change: Change) -> dict[str, Any]:
    return change.as_json() | {"change": change.gain}


def _entry(entry: KeyFigures) -> dict[str, Any]:
    return asdict(entry) | {"data_as_of": entry.data_as_of.isoformat()}
