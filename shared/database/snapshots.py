"""Which copies of the ERP's tables exist, and which of them something still needs."""

from builtins import list as list_of
from datetime import datetime

from sqlalchemy import Engine, func
from sqlmodel import col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import Extract, ModelVersion, SnapshotRow, VersionState


class SnapshotRows:
    """The table of snapshots."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep rows in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def insert(self, row: SnapshotRow) -> None:
        """Add a snapshot."""
        with writing(self._engine) as session:
            session.add(SnapshotRow(**row.model_dump()))
            note(session, "snapshot.taken", row.id, after=row.model_dump(include={"profile", "fingerprint", "rows"}))

    def find(self, id: str) -> SnapshotRow | None:  # noqa: A002 - the column's own name
        """Return one snapshot's row, or None when there is none of that id."""
        with reading(self._engine) as session:
            return session.get(SnapshotRow, id)

    def current(self, profile: str) -> SnapshotRow | None:
        """Return the newest snapshot of a profile, or None."""
        rows, _total = self.list(profile=profile, limit=1)
        return rows[0] if rows else None

    def profiles(self) -> list_of[str]:
        """Return the names of the profiles that have snapshots, in order."""
        with reading(self._engine) as session:
            return list_of(session.exec(select(SnapshotRow.profile).distinct().order_by(SnapshotRow.profile)).all())

    def first_asked_for(self, profile: str) -> datetime | None:
        """Return when an extract of `profile` (a name or a path, as the settings say it) was first asked for."""
        with reading(self._engine) as session:
            return session.exec(select(func.min(Extract.created_at)).where(col(Extract.profile) == profile)).one()

    def list(self, *, profile: str | None = None, limit: int = 50, offset: int = 0) -> tuple[list_of[SnapshotRow], int]:
        """Return snapshots, newest data first, and how many there are in all."""
        wanted = col(SnapshotRow.profile) == profile if profile is not None else col(SnapshotRow.id).is_not(None)
        order = (col(SnapshotRow.data_as_of).desc(), col(SnapshotRow.created_at).desc(), col(SnapshotRow.id).desc())
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(SnapshotRow).where(wanted)).one()
            rows = session.exec(select(SnapshotRow).where(wanted).order_by(*order).limit(limit).offset(offset)).all()
        return list_of(rows), total

    def needed_fingerprints(self) -> set[str]:
        """Return the fingerprints of data that a pending or active model version was trained on."""
        serving = col(ModelVersion.state).in_([VersionState.PENDING, VersionState.ACTIVE])
        with reading(self._engine) as session:
            return set(session.exec(select(ModelVersion.fingerprint).where(serving)).all())

    def delete(self, id: str) -> None:  # noqa: A002
        """Forget a snapshot; a row that is gone already is fine."""
        with writing(self._engine) as session:
            row = session.get(SnapshotRow, id)
            if row is not None:
                session.delete(row)
                note(session, "snapshot.removed", id, before=row.model_dump(include={"profile", "fingerprint"}))
