"""What people do with versions: look into one, activate, reject, go back. Every change is an event with a reason."""

from typing import Any

from shared.clock import Clock, utc_now
from shared.database.models import TRANSITIONS, ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, InvalidInput, NotFound, PackageRejected
from shared.registry.bill_of_materials import bill_of_materials
from shared.registry.dry_run import difference, report_of
from shared.registry.manifest import Manifest, parse_manifest, read_manifest_file
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import CHECKS, CheckedPackage, Loading, check_package, loading_here
from shared.settings import Settings

MAX_REASON = 2_000


class Lifecycle:
    """The states of installed versions, changed only after the folder was verified again."""

    def __init__(
        self,
        settings: Settings,
        versions: ModelVersions,
        *,
        keys: Keys | None = None,
        clock: Clock = utc_now,
        loading: Loading = loading_here,
    ) -> None:
        """Change the rows of `versions`; `loading` makes the last check of a package, in this process unless given."""
        self._loading = loading
        self._settings = settings
        self._versions = versions
        self._keys = keys or Keys(settings.keys, clock=clock)
        self._store = ModelStore(settings.models)

    def activate(
        self,
        version: str,
        *,
        actor: str,
        reason: str,
        expected_active: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> ModelVersion:
        """Verify the version's folder once more, then make it the active version, and return its row.

        `expected_active` is what the caller believes to be active ("" for none, None for do not ask); `details` are
        kept with the event.

        Raises:
            NotFound: no such version, or its folder is gone.
            Conflict: its state forbids it, or another version is active than expected.
            PackageRejected: the folder is not what was registered, or does not answer as it did when it was made.
        """
        self._refuse_forbidden(version, VersionState.ACTIVE)
        with self._loading() as load:  # makes ready while the files are hashed
            load(self._checked(version))
        return self._move(version, VersionState.ACTIVE, actor, reason, expected_active, details)

    def rollback(self, *, actor: str, reason: str, expected_active: str | None = None) -> ModelVersion:
        """Activate the version that served before the active one, and return its row.

        Its bytes are compared with what was registered; it is not loaded first, since it has served before and
        going back must be quick.

        Raises:
            Conflict: there is no earlier version, or another version is active than expected.
            PackageRejected: the earlier version's folder was changed.
        """
        previous = self._versions.previous()
        if previous is None:
            raise Conflict(
                "No version served before the active one.",
                remedy="Activate a version by its name.",
                state="no-previous-version",
            )
        self._checked(previous.version)
        return self._move(previous.version, VersionState.ACTIVE, actor, reason, expected_active)

    def reject(self, version: str, *, actor: str, reason: str, expected_active: str | None = None) -> ModelVersion:
        """Refuse a pending version for good, and return its row; its folder stays for whoever wants to know why.

        Raises:
            NotFound: no such version.
            Conflict: it is not pending.
        """
        return self._move(version, VersionState.REJECTED, actor, reason, expected_active)

    def verify(self, version: str) -> dict[str, Any]:
        """Run every check of an activation without activating; see `dry_run.report_of`.

        Where they pass, `difference` tells what would be other than with the active version. Raises NotFound when there
        is neither row nor folder.
        """
        row = self._versions.find(version)
        try:
            with self._loading() as load:
                package = self._checked(version)
                load(package)
        except PackageRejected as fault:
            return report_of(version, row, fault)
        except NotFound:
            if row is None:
                raise
            missing = PackageRejected("The version's folder is missing.", remedy="Restore it.", check=CHECKS[0])
            return report_of(version, row, missing)
        report = report_of(version, row, None, package.warnings)
        active = self._manifest_of_active()
        return report | {"difference": None if active is None else difference(package.manifest, active)}

    def _manifest_of_active(self) -> Manifest | None:
        """Return what the active version says of itself, or None where there is none that does."""
        active = self._versions.active()
        if active is None or not self._store.has(active.version):
            return None
        try:
            return parse_manifest(read_manifest_file(self._store.folder(active.version)))
        except PackageRejected:
            return None

    def bill_of_materials(self, version: str) -> dict[str, Any]:
        """Return an installed version's CycloneDX document, made from its manifest alone.

        Raises:
            NotFound: no such folder.
            PackageRejected: its manifest is missing or not one.
        """
        return bill_of_materials(parse_manifest(read_manifest_file(self._store.require(version))))

    def _checked(self, version: str) -> CheckedPackage:
        row = self._versions.find(version)
        folder = self._store.require(version)
        package = check_package(folder, self._keys, allow_unsigned=self._settings.allow_unsigned)
        if row is not None and row.manifest_sha256 != package.manifest_sha256:
            raise PackageRejected(
                f"The folder of {version} holds another package than the one that was registered.",
                remedy="Restore the folder from a backup, or drop the other package under a name of its own.",
                check="manifest",
            )
        return package

    def _refuse_forbidden(self, version: str, to: str) -> None:
        """Refuse before the costly checks what the transition would refuse after them."""
        row = self._versions.get(version)
        if to not in TRANSITIONS[row.state]:
            raise Conflict(
                f"The version {version} is {row.state} and cannot become {to}.", state=row.state, version=version
            )

    def _move(
        self,
        version: str,
        to: str,
        actor: str,
        reason: str,
        expected: str | None,
        details: dict[str, Any] | None = None,
    ) -> ModelVersion:
        reason = reason.strip()
        if not reason or len(reason) > MAX_REASON:
            raise InvalidInput(
                f"A change of version needs a reason of 1 to {MAX_REASON} characters.",
                errors=[{"field": "reason", "message": "say why, for whoever reads the history"}],
            )
        return self._versions.transition(
            version, to, actor=actor, reason=reason, expected_active=expected, details=details
        )
