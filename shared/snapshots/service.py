"""Reading the ERP as a piece of work, and which copy of it is in use."""

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.data_quality import DataQualityRows
from shared.database.pulse import Pulse
from shared.database.snapshots import SnapshotRows
from shared.database.tables import Extract, SnapshotRow, WorkState
from shared.database.work import Claim, WorkRows
from shared.erp.extract import extract
from shared.erp.mirror.source import Mirror
from shared.erp.mirror.table import TableRead
from shared.erp.profiles.model import load_profile
from shared.erp.quality.summary import summarise
from shared.erp.snapshot import Snapshot, open_snapshot
from shared.erp.sources.location import ODBC_PREFIX, FolderLocation, Location, own_location
from shared.errors import LeaseLost, NotFound, RoutingError, SourceError
from shared.settings import Settings
from shared.snapshots.tidying import Tidying
from shared.storage.doorbells import Doorbells

log = structlog.get_logger()

EXTRACT_FAILED = "extract-failed"
SNAPSHOT_DAMAGED = "snapshot-damaged"
_ACTOR = "extract"
MAX_ATTEMPTS = 5
# Seconds before another attempt when the ERP does not answer, after the first, second, … one.
_PAUSES_SECONDS = (60.0, 300.0, 900.0, 1800.0)
AT_ONCE = "now:"  # begins the slot of an extract that its asker runs and waits for, so nobody else should run it


@dataclass(frozen=True)
class _Asker:
    """Somebody who runs an extract at once and waits for it, perhaps of a source of their own."""

    source: Location | None


class Snapshots:
    """Starts and runs extracts, and hands out the newest snapshot that is whole."""

    def __init__(
        self, settings: Settings, engine: Engine, work: WorkRows, doorbells: Doorbells, clock: Clock = utc_now
    ) -> None:
        """Work for the profile, source and data directory of `settings`."""
        self._settings = settings
        self._work = work
        self._doorbells = doorbells
        self._clock = clock
        self._rows = SnapshotRows(engine, clock)
        self._alerts = Alerts(engine, clock)
        self._quality = DataQualityRows(engine, clock)
        self._tidying = Tidying(settings, work, self._rows, clock)
        self._opened: Snapshot | None = None

    def start(self, slot: str | None, reason: str, *, full: bool = False) -> Extract | None:
        """Ask for an extract: a row, then a bell. None when the slot's extract was asked for already.

        With `full` every row is read, where else only what changed would be. Storage being away is no error: the row
        stands, and the sweep rings later.
        """
        row = self._new_row(slot, reason, full=full)
        if not self._work.insert(row):
            log.info("extract.duplicate", slot=slot)
            return None
        self._work.mark_rung(Extract, self._doorbells.try_ring(Extract.QUEUE, [row.id]))
        return self._work.get(Extract, row.id)

    def run(self, extract_id: str) -> Extract | None:
        """Claim an extract and read the ERP; None when somebody else has it, or it has ended.

        What the source or profile is to blame for ends the row as `failed`, raises an alert and leaves the last good
        snapshot in use; so does a fifth worker's death. An ERP that does not answer raises the alert too, and the row
        waits for another attempt: after 1, 5, 15 and 30 minutes, then no more. Anything else gives the row back at
        once. One that its asker ran at once and died over ends as `skipped`: nobody waits for it any more.

        Raises:
            NotFound: there is no such row.
            LeaseLost: another worker took the row over.
        """
        return self._run(extract_id)

    def _run(self, extract_id: str, *, asker: _Asker | None = None) -> Extract | None:
        self._work.get(Extract, extract_id)
        worker = f"{socket.gethostname()}:{os.getpid()}"
        lease_seconds = self._settings.lease_seconds
        claim = self._work.claim(Extract, extract_id, worker=worker, lease_seconds=lease_seconds)
        if claim is None:
            log.info("extract.not_claimed", id=extract_id)
            return None
        if self._ends_unread(claim, asker):
            return self._work.get(Extract, extract_id)
        pulse = Pulse(self._work, claim, lease_seconds=lease_seconds, every_seconds=self._settings.heartbeat_seconds)
        try:
            with pulse:
                snapshot, reads = self._read(claim, asker)
            pulse.check()
            self._register(claim, snapshot, reads)
        except LeaseLost:
            raise
        except RoutingError as error:
            self._end_unsuccessful(claim, error, asker)
        except Exception as error:
            self._work.release(claim, error=f"{type(error).__name__}: {error}")
            raise
        else:
            self._look_after(snapshot)
        return self._work.get(Extract, extract_id)

    def take_now(
        self, *, reason: str, profile: str | None = None, source: Location | None = None, full: bool = False
    ) -> Snapshot:
        """Read the ERP in this process, at once, and return the new snapshot.

        Args:
            reason: why; kept with the extract.
            profile: another factory's than the instance's own, with `source`.
            source: where that factory's data lies.
            full: read every row, where else only what changed would be.

        Raises:
            SourceError: the source or profile cannot be used; the row and an alert say why.
            SourceUnavailable: the ERP does not answer, or went away while it was read.
        """
        row = self._new_row(f"{AT_ONCE}{uuid.uuid4().hex}", reason, profile, source, full=full)
        self._work.insert(row)
        try:
            done = self._run(row.id, asker=_Asker(source))
        except (SourceError, LeaseLost):
            raise
        except RoutingError as error:
            raise SourceError(error.detail, remedy=error.remedy) from error
        if done is None or done.snapshot_id is None:
            told = None if done is None else done.error
            raise SourceError(
                told or f"The extract {row.id} was taken over by another worker; its row tells the outcome."
            )
        return self._open(self._require_row(done.snapshot_id))

    def newest_row(self) -> SnapshotRow | None:
        """Return the row of the newest snapshot of the instance's profile, None before the first; opens no file."""
        rows, _total = self._rows.list(profile=load_profile(self._settings.profile).name, limit=1)
        return rows[0] if rows else None

    def current(self, profile_name: str | None = None) -> Snapshot:
        """Return the newest snapshot of the profile that is whole; a damaged one raises an alert and is passed over.

        The profile is the instance's own unless its name is given.

        Raises:
            NotFound: there is none.
        """
        profile = profile_name or load_profile(self._settings.profile).name
        rows, _total = self._rows.list(profile=profile, limit=1_000)
        for row in rows:
            try:
                return self._open(row)
            except SourceError as error:
                self._alerts.raise_alert(SNAPSHOT_DAMAGED, row.id, str(error))
        raise NotFound(f"There is no snapshot of the profile {profile}.", remedy="Take one: `manage.py data extract`.")

    def forget_opened(self) -> None:
        """Open and check the current snapshot anew when it is next asked for."""
        self._opened = None

    def ensure_current(self) -> Snapshot:
        """Return the current snapshot, reading the ERP now when there is none.

        Raises:
            SourceError: there is none and the source or profile cannot be used.
        """
        try:
            return self.current()
        except NotFound:
            return self.take_now(reason="there was no snapshot")

    def _new_row(
        self,
        slot: str | None,
        reason: str,
        profile: str | None = None,
        source: Location | None = None,
        *,
        full: bool = False,
    ) -> Extract:
        return Extract(
            id=f"extract_{uuid.uuid4().hex}",
            slot=slot,
            reason=reason,
            profile=profile or self._settings.profile,
            source=(source or own_location(self._settings)).shown,
            full_reading=full,
            created_at=self._clock(),
        )

    def _ends_unread(self, claim: Claim[Extract], asker: _Asker | None) -> bool:
        """End a row that nobody waits for, or that has cost too many workers their lives; tell whether it was one."""
        if asker is None and (claim.row.slot or "").startswith(AT_ONCE):
            told = "the process that asked for it and read it broke off; who still needs it asks again"
            self._work.finish(claim, WorkState.SKIPPED, reason=f"{claim.row.reason}; {told}", step="skipped")
            return True
        if claim.attempt > MAX_ATTEMPTS:
            last = claim.row.error or "the worker died each time"
            self._fail(claim, RoutingError(f"Given up after {MAX_ATTEMPTS} attempts: {last}."))
            return True
        return False

    def _read(self, claim: Claim[Extract], asker: _Asker | None) -> tuple[Snapshot, Mapping[str, TableRead]]:
        row = claim.row
        location = asker.source if asker is not None and asker.source is not None else self._location(row)
        log.info("extract.started", id=row.id, profile=row.profile, attempt=claim.attempt, full=row.full_reading)
        mirror = Mirror(self._settings.mirrors, full=row.full_reading)
        profile = load_profile(row.profile)
        snapshot = extract(profile, location, self._settings.snapshots, now=self._clock(), mirror=mirror)
        return snapshot, mirror.reads

    def _location(self, row: Extract) -> Location:
        """Return where a row's ERP lies; a row holds no connection string, so a database must be this instance's own.

        Raises:
            SourceError: the row was written under another connection than this worker's.
        """
        own = own_location(self._settings)
        if row.source == own.shown:
            return own
        if row.source.startswith(ODBC_PREFIX):
            raise SourceError(
                f"The extract was asked for from {row.source}, and this worker's ERP is {own.shown}.",
                remedy="Give every process the same ROUTING_ERP_CONNECTION, and ask again.",
            )
        return FolderLocation(Path(row.source))

    def _register(self, claim: Claim[Extract], snapshot: Snapshot, reads: Mapping[str, TableRead]) -> None:
        """End the row and insert the snapshot's in one transaction; the same snapshot may be there from another row."""
        row = SnapshotRow(
            id=snapshot.id,
            profile=snapshot.profile_name,
            folder=self._relative(snapshot.folder),
            fingerprint=snapshot.fingerprint,
            data_as_of=snapshot.data_as_of,
            rows=dict(snapshot.rows),
            created_at=self._clock(),
        )
        add = [] if self._rows.find(snapshot.id) is not None else [row]
        self._work.finish(
            claim,
            WorkState.SUCCEEDED,
            add=add,
            snapshot_id=snapshot.id,
            rows=dict(snapshot.rows),
            reads={table: asdict(read) for table, read in reads.items()},
            error=None,
            step="done",
        )
        self._alerts.close_matching(EXTRACT_FAILED, claim.row.profile, _ACTOR)

    def _look_after(self, snapshot: Snapshot) -> None:
        """Keep how good the data was and tidy; the snapshot is in use, whatever comes of these."""
        try:
            self._quality.store(summarise(snapshot))
        except Exception as error:
            log.exception("snapshot.quality_unknown", snapshot=snapshot.id, error=str(error))
        self._tidying.after(snapshot)

    def _end_unsuccessful(self, claim: Claim[Extract], error: RoutingError, asker: _Asker | None) -> None:
        """End the row, or let it wait where trying again helps; who asked and waits is told at once."""
        if asker is not None:
            self._fail(claim, error)
            raise error
        if not error.retryable or claim.attempt >= MAX_ATTEMPTS:
            self._fail(claim, error)
            return
        pause_seconds = _PAUSES_SECONDS[claim.attempt - 1]
        log.warning("extract.waits", id=claim.id, attempt=claim.attempt, seconds=pause_seconds, error=str(error))
        self._work.release(claim, error=str(error), delay_seconds=pause_seconds)
        self._alert(claim, f"{error} Attempt {claim.attempt} of {MAX_ATTEMPTS}; next in {pause_seconds / 60:g} min.")

    def _fail(self, claim: Claim[Extract], error: RoutingError) -> None:
        log.warning("extract.failed", id=claim.id, profile=claim.row.profile, error=str(error))
        self._work.finish(claim, WorkState.FAILED, error=str(error), step="failed")
        self._alert(claim, str(error))

    def _alert(self, claim: Claim[Extract], told: str) -> None:
        self._alerts.raise_alert(
            EXTRACT_FAILED,
            claim.row.profile,
            f"The ERP could not be read, so the last good snapshot stays in use: {told}",
            details={"extract_id": claim.id},
        )

    def _relative(self, folder: Path) -> str:
        return folder.resolve().relative_to(self._settings.data_dir.resolve()).as_posix()

    def _open(self, row: SnapshotRow) -> Snapshot:
        """Open and check a snapshot; the files of the last one opened are not hashed again while they are there."""
        folder = self._settings.data_dir / row.folder
        opened = self._opened
        if opened is None or opened.id != row.id or opened.folder != folder or not folder.is_dir():
            opened = self._opened = open_snapshot(folder)
        return opened

    def _require_row(self, snapshot_id: str) -> SnapshotRow:
        row = self._rows.find(snapshot_id)
        if row is None:
            raise NotFound(f"There is no snapshot {snapshot_id!r}.", id=snapshot_id)
        return row
