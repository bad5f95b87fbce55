"""The sweep: whatever a lost message, a dead worker or a missed blob event left lying is taken up again."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from shared.clock import Clock, utc_now
from shared.database.work import WORK_TABLES, WorkRows
from shared.errors import RoutingError
from shared.registry.registrations import Registrations
from shared.settings import Settings
from shared.storage.doorbells import Doorbells

RING_AFTER_SECONDS = 30.0  # a bell rung this long ago and still unheard is taken for lost
STALE_AFTER = timedelta(hours=24)  # scratch folders of work that ended without tidying

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Looks after everything that nobody else looks after."""

    settings: Settings
    work: WorkRows
    doorbells: Doorbells
    registrations: Registrations
    clock: Clock = utc_now

    def run(self) -> dict[str, int]:
        """Do one round; return how many bells were rung, drops noticed and scratch folders removed.

        One part's trouble does not stop the others: the next round comes in seconds.
        """
        outcome = {"rung": 0, "noticed": 0, "removed": 0}
        for name, part in (("rung", self._ring), ("noticed", self._notice), ("removed", self._remove_stale)):
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
            due = self.work.due(table, now=self.clock(), ring_after_seconds=RING_AFTER_SECONDS)
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

    def _is_stale(self, folder: Path) -> bool:
        try:
            age_seconds = self.clock().timestamp() - folder.stat().st_mtime
        except FileNotFoundError:
            return False
        return age_seconds > STALE_AFTER.total_seconds()
