"""Which old snapshots are removed, and what a crash left behind."""

from datetime import timedelta

import structlog

from shared.clock import Clock
from shared.database.snapshots import SnapshotRows
from shared.database.tables import QualityCycle, TrainingJob, WorkState
from shared.database.work import WorkRows
from shared.erp.mirror.source import Mirror
from shared.erp.snapshot import Snapshot
from shared.platform import remove_tree
from shared.settings import Settings

log = structlog.get_logger()

KEPT_SNAPSHOTS = 5
_ORPHAN_AGE = timedelta(days=1)


class Tidying:
    """Removes what no longer serves below the folder of snapshots."""

    def __init__(self, settings: Settings, work: WorkRows, rows: SnapshotRows, clock: Clock) -> None:
        """Tidy the data directory of `settings`."""
        self._settings = settings
        self._work = work
        self._rows = rows
        self._clock = clock

    def after(self, newest: Snapshot) -> None:
        """Remove old snapshots of a profile that nothing needs, what a crash left, and mirrors that nobody uses.

        What cannot be removed now is met again after the next extract.
        """
        running = {WorkState.RUNNING}
        try:
            self._remove_orphans()
            if self._work.count(TrainingJob, running) or self._work.count(QualityCycle, running):
                return  # one of them may be reading an older snapshot
            self._remove_old(newest)
            Mirror(self._settings.mirrors).tidy(self._clock())
        except OSError as error:
            log.warning("snapshot.tidying_failed", error=str(error))

    def _remove_old(self, newest: Snapshot) -> None:
        rows, _total = self._rows.list(profile=newest.profile_name, limit=10_000)
        needed = self._rows.needed_fingerprints()
        for row in rows[KEPT_SNAPSHOTS:]:
            if row.fingerprint not in needed:
                self._rows.delete(row.id)
                remove_tree(self._settings.data_dir / row.folder)
                log.info("snapshot.removed", snapshot=row.id)

    def _remove_orphans(self) -> None:
        oldest = (self._clock() - _ORPHAN_AGE).timestamp()
        for folder in sorted(self._settings.snapshots.iterdir()):
            left_over = folder.name.startswith((".snapshot-", "snap_")) and self._rows.find(folder.name) is None
            if left_over and folder.stat().st_mtime < oldest:
                remove_tree(folder)
                log.info("snapshot.orphan_removed", folder=folder.name)
