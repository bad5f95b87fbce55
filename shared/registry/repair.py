"""Brings folders and rows together again after a crash, at start and at every sweep.

A folder that verifies and has no row gets one, pending. Nothing becomes trusted here: a folder that fails a check is
left alone and reported, one that has no manifest gets a row that says so. Where nothing could serve, because no version
is active or the active one's folder is gone or damaged, the version that served last and still verifies does again.
"""

from dataclasses import dataclass, field

import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.models import NO_MANIFEST, ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, NotFound, PackageRejected
from shared.registry.installation import Installer
from shared.registry.legacy import LegacyPackages, is_legacy_folder, legacy_row
from shared.registry.manifest import MANIFEST_NAME
from shared.registry.serving import ALERT_KIND as NOT_SERVABLE
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import CheckedPackage, Loading, loading_here
from shared.settings import Settings

log = structlog.get_logger()

_MOST_ROWS = 100_000

ACTOR = "repair"
UNKNOWN_FOLDER = "model-folder-not-registered"
MISSING_FOLDER = "model-folder-missing"
FELL_BACK = "model-fell-back"


@dataclass(kw_only=True)
class RepairReport:
    """What a repair found, by version."""

    adopted: list[str] = field(default_factory=list)
    unsigned: list[str] = field(default_factory=list)  # known now, and vouched for by nobody
    refused: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    fell_back_to: str | None = None


class Repair:
    """Compares the folder of models with the table of versions."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        alerts: Alerts,
        *,
        keys: Keys | None = None,
        clock: Clock = utc_now,
        loading: Loading = loading_here,
    ) -> None:
        """Work on one instance; keys are those below its data directory unless given.

        `loading` may load in another process (`loading_apart`), so that no folder keeps this one from starting.
        """
        self._settings = settings
        self._alerts = alerts
        self._keys = keys or Keys(settings.keys, clock=clock)
        self._clock = clock
        self._versions = ModelVersions(engine, clock=clock)
        self._installer = Installer(settings, engine, keys=self._keys, clock=clock, loading=loading)
        self._store = ModelStore(settings.models)
        self._found_good: tuple[str, int] | None = None  # what told of the active version, and it verified all the same

    def run(self) -> RepairReport:
        """Adopt good folders without a row, report bad ones and rows without a folder; safe to run at any time."""
        report = RepairReport()
        for version in self._store.names():
            if self._versions.find(version) is None:
                self._adopt(version, report)
            elif self._versions.get(version).manifest_sha256 == NO_MANIFEST:
                self._vouch(version, report)
        for version in self._store.strange_names():
            self._refuse(version, "its name is not one that a version may have", report)
        self._report_missing(report)
        report.fell_back_to = self.keep_serving()
        return report

    def keep_serving(self) -> str | None:
        """Where nothing could serve after a restart, activate the version that served last and still verifies.

        That is so where no version is active although one was, and where the active one's folder is gone or is not what
        was activated; a process that could not load it has told of that by an alert, so that nothing is read here while
        all is well. Before the first activation, a person has the first word. Returns the version that was activated.
        """
        active = self._versions.active()
        why = "no version was active" if active is None else self._why_not_servable(active)
        if why is None:
            if active is not None:
                self._close_others(active.version)
            return None
        rows, _ = self._versions.list(limit=_MOST_ROWS, state=VersionState.RETIRED)
        for row in sorted(rows, key=lambda row: row.activated_at or row.registered_at, reverse=True):
            if self._activate_again(row, active.version if active else "", why):
                return row.version
        return None

    def _why_not_servable(self, active: ModelVersion) -> str | None:
        """Return what keeps every process from loading the active version, or None where nothing does."""
        if not self._store.has(active.version):
            return f"the folder of the active version {active.version} is gone"
        told = self._alerts.standing(NOT_SERVABLE, active.version)
        if told is None or (told.id, told.count) == self._found_good:
            return None
        try:
            self._verified(active)
        except (PackageRejected, NotFound, OSError) as fault:
            return f"the active version {active.version} cannot be loaded: {fault}"
        self._found_good = told.id, told.count
        return None

    def _verified(self, row: ModelVersion) -> CheckedPackage:
        """Return a version's package, which is the one that was registered."""
        package = self._installer.verified(self._store.require(row.version))
        if package.manifest_sha256 != row.manifest_sha256:
            raise PackageRejected("Its folder holds another package than the one that was registered.")
        return package

    def _close_others(self, active: str) -> None:
        """Close what tells of versions that are not the active one any more."""
        for kind in (FELL_BACK, NOT_SERVABLE):
            for alert in self._alerts.all_standing(kind):
                if alert.subject != active:
                    self._alerts.close_matching(kind, alert.subject, ACTOR)

    def _activate_again(self, row: ModelVersion, lost: str, why: str) -> bool:
        version = row.version
        try:
            self._verified(row)
            self._versions.transition(version, VersionState.ACTIVE, actor=ACTOR, reason=why, expected_active=lost)
        except (PackageRejected, NotFound, Conflict, OSError) as fault:
            log.warning("model.no_way_back", model_version=version, reason=str(fault))
            return False
        self._alerts.raise_alert(
            FELL_BACK,
            version,
            f"{version}, which served before, was activated, since {why}. See `manage.py models list`, and activate "
            "the version that is meant to serve.",
            severity="critical",
            details={"lost": lost or None},
        )
        return True

    def _adopt(self, version: str, report: RepairReport) -> None:
        folder = self._store.folder(version)
        if is_legacy_folder(folder):
            self._versions.insert(
                legacy_row(version, self._clock()),
                actor=ACTOR,
                reason="its folder has no manifest; nobody vouches for it",
            )
            self._alerts.close_matching(UNKNOWN_FOLDER, version, ACTOR)
            report.unsigned.append(version)
            return
        try:
            package = self._installer.verified(folder)
        except PackageRejected as fault:
            self._refuse(version, str(fault), report)
            return
        self._installer.add_row(package, actor=ACTOR, reason="its folder was installed and had no row")
        self._alerts.close_matching(UNKNOWN_FOLDER, version, ACTOR)
        report.adopted.append(version)

    def _vouch(self, version: str, report: RepairReport) -> None:
        """Complete the row of a folder that was signed by a process that died before it could."""
        if not (self._store.folder(version) / MANIFEST_NAME).exists():
            return
        try:
            package = self._installer.verified(self._store.folder(version))
        except PackageRejected as fault:
            log.warning("model.not_vouched_for", model_version=version, reason=str(fault))
            return
        LegacyPackages(self._keys, self._store, self._versions, clock=self._clock).vouch(
            package, actor=ACTOR, reason="its folder has a manifest now"
        )
        report.adopted.append(version)

    def _refuse(self, version: str, why: str, report: RepairReport) -> None:
        self._alerts.raise_alert(
            UNKNOWN_FOLDER, version[:200], f"The folder {version:.100} among the models is not used: {why}"
        )
        report.refused[version] = why

    def _report_missing(self, report: RepairReport) -> None:
        rows, _ = self._versions.list(limit=_MOST_ROWS)
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
