"""The folder of installed model versions: one folder a version, complete or not there."""

import errno
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import structlog

from shared.errors import Conflict, NotFound
from shared.platform import publish_folder, remove_tree
from shared.registry.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, sha256_hex
from shared.registry.versions import check_version_name, why_not_a_version_name

log = structlog.get_logger()

INCOMING_PREFIX = ".incoming-"
ASIDE_PREFIX = ".removed-"
STALE_SECONDS = 6 * 3600.0


class ModelStore:
    """Installed versions below one folder; nothing here looks into a package's files."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def folder(self, version: str) -> Path:
        """Return where a version lies or would lie; InvalidInput for a name that no version may have."""
        return self._models / check_version_name(version)

    def names(self) -> list[str]:
        """Return the names of all folders that a version may have, whether or not they hold a good package."""
        return [entry.name for entry in self._entries() if why_not_a_version_name(entry.name) is None]

    def strange_names(self) -> list[str]:
        """Return the names of folders that no version may have."""
        return [entry.name for entry in self._entries() if why_not_a_version_name(entry.name) is not None]

    def has(self, version: str) -> bool:
        """Tell whether a folder of this name is there."""
        return self.folder(version).is_dir()

    def require(self, version: str) -> Path:
        """Return an installed version's folder; NotFound when it is not there."""
        folder = self.folder(version)
        if not folder.is_dir():
            raise NotFound(
                f"The folder of {version} is not below {self._models.name}/.",
                remedy="Drop the package again or restore the folder from a backup.",
                version=version,
            )
        return folder

    def manifest_sha256(self, version: str) -> str | None:
        """Return the SHA-256 of an installed version's manifest file, or None when it has none."""
        path = self.folder(version) / MANIFEST_NAME
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            return sha256_hex(file.read(MAX_MANIFEST_BYTES + 1))

    def install(self, staging: Path, version: str, manifest_sha256: str) -> Path:
        """Make the complete folder `staging` the version's folder, in one step, and return it.

        `staging` is used up. Installing the same manifest twice is the same as once; another package under the name,
        or under one that differs in case only, is a Conflict and leaves the installed one untouched.
        """
        final = self.folder(version)
        self._refuse_same_name_in_other_case(version)
        self._models.mkdir(parents=True, exist_ok=True)
        try:
            self._publish(staging, final)
        except FileExistsError as fault:
            if self.manifest_sha256(version) != manifest_sha256:
                raise Conflict(
                    f"Another package is installed as {version}; it was not touched.",
                    remedy="Give the new package another version name.",
                    state="installed",
                ) from fault
            remove_tree(staging)
        log.info("package.installed", model_version=version)
        return final

    def make_incoming(self) -> Path:
        """Return a new folder beside the versions, which nobody takes for one; a forgotten one is removed in time."""
        self._models.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._models, prefix=INCOMING_PREFIX))

    def set_aside(self, version: str) -> Path | None:
        """Take a version's folder out of its place, in one step, and return where it lies now; None if it is not there.

        Where a file of it is open (Windows), it stays in its place; whoever asks again later may succeed.
        """
        aside = self._models / f"{ASIDE_PREFIX}{version}-{secrets.token_hex(4)}.{int(time.time())}"
        try:
            self.folder(version).rename(aside)
        except FileNotFoundError:
            return None
        except PermissionError as fault:
            log.info("model.folder_in_use", model_version=version, error=str(fault))
            return None
        return aside

    def put_back(self, aside: Path, version: str) -> None:
        """Undo `set_aside`, unless the place was taken meanwhile."""
        try:
            publish_folder(aside, self.folder(version))
        except FileExistsError:
            remove_tree(aside)

    def remove_stale_aside(self) -> None:
        """Remove what a process that was killed had set aside six hours ago or earlier."""
        for entry in self._models.glob(f"{ASIDE_PREFIX}*"):
            since = entry.name.rpartition(".")[2]
            if since.isdigit() and time.time() - int(since) > STALE_SECONDS:
                remove_tree(entry)

    def remove_stale_incoming(self) -> None:
        """Remove what a killed installation left behind six hours ago or earlier."""
        for entry in self._models.glob(f"{INCOMING_PREFIX}*"):
            if time.time() - entry.lstat().st_mtime > STALE_SECONDS:
                remove_tree(entry)

    def _publish(self, staging: Path, final: Path) -> None:
        try:
            publish_folder(staging, final)
        except OSError as fault:
            if fault.errno != errno.EXDEV:
                raise
            self._publish_from_other_disk(staging, final)

    def _publish_from_other_disk(self, staging: Path, final: Path) -> None:
        incoming = self.make_incoming()
        try:
            publish_folder(Path(shutil.copytree(staging, incoming / final.name)), final)
            remove_tree(staging)
        finally:
            remove_tree(incoming)

    def _refuse_same_name_in_other_case(self, version: str) -> None:
        for entry in self._entries():
            if entry.name != version and entry.name.lower() == version.lower():
                raise Conflict(
                    f"{entry.name} differs from {version} in case only, which Windows cannot tell apart.",
                    remedy="Give the new package another version name.",
                    state="installed",
                )

    def _entries(self) -> list[Path]:
        if not self._models.is_dir():
            return []
        return sorted(
            entry for entry in self._models.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))
        )
