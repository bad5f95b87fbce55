"""Makes a verified package an installed, pending version: the folder first, then the row that names it."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, PackageRejected
from shared.platform import remove_tree
from shared.registry.manifest import parse_manifest, parse_time, read_manifest_file
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import CheckedPackage, Load, Loading, check_listing, check_package, loading_here
from shared.registry.versions import check_version_name, new_version_name
from shared.settings import Settings

log = structlog.get_logger()

_JOB_ID = re.compile(r"job_[0-9a-z_]{1,59}")


def version_row(package: CheckedPackage, *, now: datetime) -> ModelVersion:
    """Return the row of a package that was just installed."""
    manifest = package.manifest
    return ModelVersion(
        version=manifest.version,
        state=VersionState.PENDING,
        manifest_sha256=package.manifest_sha256,
        model_kind=manifest.model_kind,
        schema_version=manifest.schema_version,
        parent=manifest.training.parent,
        job_id=manifest.training.job_id,
        profile=manifest.training.profile,
        data_as_of=parse_time(manifest.training.data_as_of),
        fingerprint=manifest.training.fingerprint,
        metrics=manifest.metrics,
        notes="; ".join(package.warnings)[:2000],
        registered_at=now,
    )


class Installer:
    """Adds packages that are already on this machine: from training, the command line, or a repair."""

    def __init__(
        self, settings: Settings, engine: Engine, *, keys: Keys, clock: Clock = utc_now, loading: Loading = loading_here
    ) -> None:
        """Work on one instance; `loading` may load in another process (`loading_apart`)."""
        self._settings = settings
        self._keys = keys
        self._loading = loading
        self._clock = clock
        self._store = ModelStore(settings.models)
        self._versions = ModelVersions(engine, clock=clock)

    def is_installed(self, version: str, manifest_sha256: str) -> bool:
        """Tell whether this very package lies installed; Conflict when another one has the name."""
        there = self._store.has(version)
        folder_sha256 = self._store.manifest_sha256(version) if there else None
        row = self._versions.find(version)
        others = {folder_sha256, row.manifest_sha256 if row else None} - {None, manifest_sha256}
        if others or (there and folder_sha256 is None):
            raise Conflict(
                f"{version} is installed already, from another package; it was not touched.",
                remedy="Give the new package another version name.",
                state=row.state if row else "installed",
            )
        return there

    def bring_back(self, package: CheckedPackage, *, actor: str, reason: str) -> None:
        """Make a removed version pending again before its folder is put into its place; others are left as they are.

        In this order, because the folder of a removed version may be taken away at any moment.
        """
        row = self._versions.find(package.manifest.version)
        if row is not None and row.state == VersionState.REMOVED:
            self._versions.transition(row.version, VersionState.PENDING, actor=actor, reason=reason)

    def add_row(self, package: CheckedPackage, *, actor: str, reason: str) -> ModelVersion:
        """Insert the row of an installed package unless another process just did, and return it."""
        try:
            self._versions.insert(version_row(package, now=self._clock()), actor=actor, reason=reason)
        except Conflict:
            log.info("model.registered_already", model_version=package.manifest.version)
        return self._versions.get(package.manifest.version)

    def finish_installation(self, version: str, *, job_id: str, reason: str) -> ModelVersion | None:
        """Give the folder that an earlier attempt of `job_id` installed before it died its row, and return that row.

        None when there is no such folder, it is another job's, or it does not verify (which the repair reports).
        """
        if not self._store.has(version):
            return None
        try:
            package = self.verified(self._store.folder(version))
        except PackageRejected as fault:
            log.warning("model.installation_not_finished", model_version=version, reason=str(fault))
            return None
        if package.manifest.training.job_id != job_id:
            return None
        return self.add_row(package, actor=job_id, reason=reason)

    def verified(self, folder: Path) -> CheckedPackage:
        """Return the package of a folder after every check; PackageRejected names the one it fails."""
        with self._loading() as load:
            return self.verified_by(load, folder)

    def verified_by(self, load: Load, folder: Path, hashes: Mapping[str, str] | None = None) -> CheckedPackage:
        """Do as `verified` with a process that is ready already.

        `hashes` are the SHA-256 that were found as the folder's files were written.
        """
        package = check_package(folder, self._keys, allow_unsigned=self._settings.allow_unsigned, hashes=hashes)
        load(package)
        return package

    def register_local(self, folder: Path, *, actor: str, reason: str) -> ModelVersion:
        """Verify a copy of a complete package folder, install that copy, and return its pending row.

        Registering the same package again changes nothing. Raises PackageRejected, or Conflict when another package
        has the version's name.
        """
        manifest = parse_manifest(read_manifest_file(folder))
        version = check_version_name(manifest.version)
        self._settings.quarantine.mkdir(parents=True, exist_ok=True)
        check_listing(folder, manifest)  # a pipe or a device among the files could be copied for ever
        # A job's copy bears its id, so that whoever goes on after a death finds it and removes it.
        owner = actor if _JOB_ID.fullmatch(actor) else "local"
        staging = Path(tempfile.mkdtemp(dir=self._settings.quarantine, prefix=f"{owner}-"))
        try:
            copy = Path(shutil.copytree(folder, staging / version, symlinks=True))
            package = self.verified(copy)
            if not self.is_installed(version, package.manifest_sha256):
                self.bring_back(package, actor=actor, reason=reason)
                self._store.install(copy, version, package.manifest_sha256)
        finally:
            remove_tree(staging)
        return self.add_row(package, actor=actor, reason=reason)

    def free_version_name(self, label: str | None = None) -> str:
        """Return a name that no folder, row, drop or job has: the label, or one made of the time."""
        taken = set(self._store.names())
        while True:
            wanted = new_version_name(self._clock, taken, label=label)
            name = self._versions.free_name(wanted)
            if name not in taken:
                return name
            taken.add(wanted)
