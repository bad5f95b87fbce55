"""The sweep: whatever a lost message, a dead worker or a missed blob event left lying is taken up again."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from shared.clock import Clock, utc_now
from shared.database.work import WORK_TABLES, WorkRows
from shared.errors import RoutingError
from shared.operations.data_watch import DataWatch
from shared.operations.webhook import Webhook
from shared.registry.registrations import Registrations
from shared.registry.repair import Repair
from shared.settings import Settings
from shared.storage.doorbells import Doorbells

RING_AFTER_SECONDS = 30.0  # a bell rung this long ago and still unheard is taken for lost
MEND_EVERY = timedelta(minutes=10)
STALE_AFTER = timedelta(hours=24)  # scratch folders of work that ended without tidying

log = structlog.get_logger()


@dataclass(kw_only=True)
class Sweep:
    """Looks after everything that nobody else looks after; one object a process."""

    settings: Settings
    work: WorkRows
    doorbells: Doorbells
    registrations: Registrations
    repair: Repair
    tidy_jobs: Callable[[], int]
    tidy_models: Callable[[], int]
    forget_predictions: Callable[[], int]
    make_up: Callable[[], int]  # starts what timers missed
    seal_audit: Callable[[], int]
    clock: Clock = utc_now
    repaired_at: datetime | None = None
    watch: DataWatch = field(init=False)
    webhook: Webhook = field(init=False)

    def __post_init__(self) -> None:
        """Watch the data, and tell of the alerts, in the database of the work rows."""
        self.watch = DataWatch(self.settings, self.work.engine, self.clock)
        self.webhook = Webhook(self.settings, self.work.engine, self.clock)

    def run(self) -> dict[str, int]:
        """Do one round; return how much each part found to do.

        Missed scheduled times made up for, bells rung, drops noticed, scratch folders removed, versions mended, ended
        jobs and their folders removed, versions beyond those kept removed, alerts about the data raised or closed,
        whether the audit could not be sealed, messages that the webhook heard. One part's trouble does not stop the
        others: the next round comes in seconds.
        """
        parts = {
            "made_up": self.make_up,
            "rung": self._ring,
            "noticed": self._notice,
            "removed": self._remove_stale,
            "mended": self._mend,
            "tidied": self.tidy_jobs,
            "retired": self.tidy_models,
            "forgotten": self.forget_predictions,
            "watched": self.watch.run,
            "sealed": self.seal_audit,
            "told": self.webhook.run,  # last: its receiver may be slow
        }
        outcome = dict.fromkeys(parts, 0)
        for name, part in parts.items():
            try:
                outcome[name] = part()
            except RoutingError as trouble:
                log.warning("sweep.part_failed", part=name, code=trouble.code, detail=trouble.detail)
        if any(outcome.values()):
            log.info("sweep.done", **outcome)
        return outcome

    def _ring(self) -> int:
        rung = 0
        for queue, table in WORK_TABLES.items():
            due = self.work.due(
                table,
                now=self.clock(),
                ring_after_seconds=RING_AFTER_SECONDS,
                lease_seconds=self.settings.lease_seconds,
            )
            heard = self.doorbells.try_ring(queue, due)
            self.work.mark_rung(table, heard)
            rung += len(heard)
        return rung

    def _notice(self) -> int:
        return len(self.registrations.note_missed_drops())

    def _remove_stale(self) -> int:
        removed = len(self.registrations.remove_stale_quarantine())
        staging = self.settings.data_dir / "staging"
        for folder in sorted(staging.iterdir()) if staging.is_dir() else []:
            if self._is_stale(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _mend(self) -> int:
        """Bring installed folders and version rows together; it reads whole packages, so not at every round.

        That a version can serve is seen to at every round.
        """
        now = self.clock()
        if self.repaired_at is not None and abs(now - self.repaired_at) < MEND_EVERY:  # a clock may be set back
            return int(self.repair.keep_serving() is not None)
        self.repaired_at = now
        return len(self.repair.run().adopted)

    def _is_stale(self, folder: Path) -> bool:
        try:
            age_seconds = self.clock().timestamp() - folder.stat().st_mtime
        except FileNotFoundError:
            return False
        return age_seconds > STALE_AFTER.total_seconds()
