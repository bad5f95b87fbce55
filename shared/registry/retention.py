"""How long installed versions are kept, and how one is removed so that a death in between leaves nothing half gone.

Removal has two phases: the row becomes `removed` in one transaction, which refuses the active, the previous and pinned
versions; then the folder goes. A folder that a killed process left behind a removed row goes at the next sweep.
Dropping the very same package again brings the version back as `pending`.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict
from shared.platform import remove_tree
from shared.registry.store import ModelStore

log = structlog.get_logger()

ACTOR = "retention"
_MOST_ROWS = 100_000


class Retention:
    """Removes what nobody is to go back to."""

    def __init__(self, versions: ModelVersions, store: ModelStore, *, keep: Callable[[], int]) -> None:
        """Keep `keep()` versions beside the active, the previous and pinned ones."""
        self._versions = versions
        self._store = store
        self._keep = keep

    def run(self) -> int:
        """Remove versions beyond the number kept, and folders of removed ones; return how many versions went."""
        chosen = [row.version for row in self.beyond()]
        removed = [version for version in chosen if self._removed(version)]
        self._clear_all()
        return len(removed)

    def beyond(self) -> list[ModelVersion]:
        """Return the versions beyond the number kept, the latest in use first."""
        rows, _ = self._versions.list(limit=_MOST_ROWS)
        previous = self._versions.previous()
        kept_anyway = {VersionState.ACTIVE, VersionState.REMOVED}
        others = [
            row
            for row in rows
            if row.state not in kept_anyway and not row.pinned and (previous is None or row.version != previous.version)
        ]
        return sorted(others, key=_last_in_use, reverse=True)[self._keep() :]

    def remove(self, version: str, *, actor: str, reason: str) -> ModelVersion:
        """Remove one version now, and return its row.

        Raises:
            NotFound: no such version.
            Conflict: it is active, is the one to roll back to, is pinned, or is removed already.
        """
        row = self._versions.transition(version, VersionState.REMOVED, actor=actor, reason=reason)
        self._clear(version)
        return row

    def _removed(self, version: str) -> bool:
        try:
            reason = f"beyond the {self._keep()} versions that are kept"
            self._versions.transition(version, VersionState.REMOVED, actor=ACTOR, reason=reason)
        except Conflict as fault:  # activated or pinned since it was chosen
            log.info("model.not_removed", model_version=version, reason=str(fault))
            return False
        return True

    def _clear_all(self) -> None:
        rows, _ = self._versions.list(limit=_MOST_ROWS, state=VersionState.REMOVED)
        for row in rows:
            self._clear(row.version)
        self._store.remove_stale_aside()

    def _clear(self, version: str) -> None:
        """Remove a version's folder, unless the version came back meanwhile."""
        aside = self._store.set_aside(version)
        if aside is None:
            return
        row = self._versions.find(version)
        if row is not None and row.state != VersionState.REMOVED:
            self._store.put_back(aside, version)
            return
        remove_tree(aside)
        log.info("model.removed", model_version=version)


def _last_in_use(row: ModelVersion) -> tuple[datetime, str]:
    return row.activated_at or row.registered_at, row.version
