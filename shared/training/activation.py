"""Activation without a person, where the configuration allows it; `shared.training.watch` judges what came of it.

A version that a job registered may serve at once when it was compared with the version that is still active. Only a
pending version is activated, and that is one transaction, so however often a message comes and whoever dies, it
happens once, and nobody's later decision is undone.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from shared.database.configuration import ConfigurationStore
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, NotFound, PackageRejected
from shared.registry.lifecycle import Lifecycle

ACTOR = "auto-activation"

log = structlog.get_logger()


class AutoActivation:
    """Lets a job's version serve where the configuration says so."""

    def __init__(self, lifecycle: Lifecycle, versions: ModelVersions, configuration: ConfigurationStore) -> None:
        """Activate through `lifecycle`, which verifies the version once more."""
        self._lifecycle = lifecycle
        self._versions = versions
        self._configuration = configuration

    def consider(self, version: ModelVersion, job_id: str, result: Mapping[str, Any]) -> dict[str, Any] | None:
        """Activate the version that the job registered; return whether that was done and why (not).

        None where the configuration leaves it to a person. Asking twice activates once.
        """
        if not self._configuration.current()[1].training.auto_activate:
            return None
        row = self._versions.get(version.version)
        if row.state != VersionState.PENDING:
            return self._done_before(row, job_id)
        why_not = self._why_not(row, result)
        if why_not is not None:
            return {"activated": False, "reason": why_not}
        comparison = result["comparison"]
        reason = f"registered by {job_id} and activated by itself (training.auto_activate): {result['reason']}"
        details = {"job_id": job_id, "comparison": brief(comparison), "previous": row.parent}
        try:
            self._lifecycle.activate(
                row.version, actor=ACTOR, reason=reason[:2000], expected_active=row.parent, details=details
            )
        except (Conflict, NotFound, PackageRejected) as refusal:
            log.warning("training.not_activated", model_version=row.version, job_id=job_id, reason=str(refusal))
            return {"activated": False, "reason": refusal.detail}
        return {"activated": True, "reason": reason}

    def _done_before(self, row: ModelVersion, job_id: str) -> dict[str, Any]:
        for event in self._versions.events(row.version):
            if event.actor == ACTOR and (event.details or {}).get("job_id") == job_id:
                return {"activated": True, "reason": event.reason}
        return {"activated": False, "reason": f"a person has dealt with it already: it is {row.state}"}

    def _why_not(self, row: ModelVersion, result: Mapping[str, Any]) -> str | None:
        from shared.training.compare import MINIMUM_ITEMS  # its statistics take long to import

        comparison = result.get("comparison")
        if not comparison or comparison["items"] < MINIMUM_ITEMS or comparison["trim_mae_change"]["value"] is None:
            return "it could not be compared with the active version, so a person has to judge it"
        active = self._versions.active()
        if active is None or active.version != row.parent:
            now = "none" if active is None else active.version
            return f"it was compared with {row.parent}, and {now} is active now"
        return None


def brief(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison's figures without both models' own ones, small enough to stand in an event."""
    kept = ("kind", "decision", "reason", "items", "orders", "trim_mae_change", "process_match_change", "answered")
    return {name: comparison[name] for name in kept if name in comparison}
