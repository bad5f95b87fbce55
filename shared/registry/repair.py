"""Brings folders and rows together again after a crash, at start and at every sweep.

A folder that verifies and has no row gets one, pending. Nothing becomes trusted here: a folder that fails a check, or
that has no manifest because an older product wrote it, is left alone and reported.
"""

from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.models import ModelVersions
from shared.database.tables import VersionState
from shared.errors import PackageRejected
from shared.registry.installation import Installer
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import verify_folder
from shared.settings import Settings

log = structlog.get_logger()

ACTOR = "repair"
UNKNOWN_FOLDER = "model-folder-not-registered"
MISSING_FOLDER = "model-folder-missing"


@dataclass(kw_only=True)
class RepairReport:
    """What a repair found, by version."""

    adopted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class Repair:
    """Compares the folder of models with the table of versions."""

    def __init__(
        self, settings: Settings, engine: Engine, alerts: Alerts, *, keys: Keys | None = None, clock: Clock = utc_now
    ) -> None:
        """Work on one instance; keys are those below its data directory unless given."""
        self._settings = settings
        self._alerts = alerts
        self._keys = keys or Keys(settings.keys, clock=clock)
        self._versions = ModelVersions(engine, clock=clock)
        self._installer = Installer(settings, engine, keys=self._keys, clock=clock)
        self._store = ModelStore(settings.models)

    def run(self) -> RepairReport:
        """Adopt good folders without a row, report bad ones and rows without a folder; safe to run at any time."""
        report = RepairReport()
        for version in self._store.names():
            if self._versions.find(version) is None:
                self._adopt(version, report)
        for version in self._store.strange_names():
            self._refuse(version, "its name is not one that a version may have", report)
        self._report_missing(report)
        return report

    def _adopt(self, version: str, report: RepairReport) -> None:
        folder = self._store.folder(version)
        try:
            package = verify_folder(folder, self._keys, allow_unsigned=self._settings.allow_unsigned)
        except PackageRejected as fault:
            self._refuse(version, str(fault), report)
            return
        self._installer.add_row(package, actor=ACTOR, reason="its folder was installed and had no row")
        self._alerts.close_matching(UNKNOWN_FOLDER, version, ACTOR)
        report.adopted.append(version)

    def _refuse(self, version: str, why: str, report: RepairReport) -> None:
        self._alerts.raise_alert(
            UNKNOWN_FOLDER, version[:200], f"The folder {version:.100} among the models is not used: {why}"
        )
        report.refused[version] = why

    def _report_missing(self, report: RepairReport) -> None:
        rows, _ = self._versions.list(limit=100_000)
        for row in rows:
            if row.state in (VersionState.REJECTED, VersionState.REMOVED):
                continue
            if self._store.has(row.version):
                self._alerts.close_matching(MISSING_FOLDER, row.version, ACTOR)
                continue
            self._alerts.raise_alert(
                MISSING_FOLDER,
                row.version,
                f"The folder of the {row.state} version {row.version} is missing. Restore it from a backup, "
                "drop its package again, or activate another version.",
                severity="critical" if row.state == VersionState.ACTIVE else "warning",
            )
            report.missing.append(row.version)
