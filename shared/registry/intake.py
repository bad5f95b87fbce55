"""Brings the files of a drop into quarantine: bounded, hashed as they are written, several at a time."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from shared.database.tables import Registration
from shared.errors import NotFound, PackageIncomplete, PackageRejected
from shared.platform import write_atomically
from shared.registry.drops import DropSource, FolderDrop, opened_zip
from shared.registry.manifest import MANIFEST_NAME, MAX_PACKAGE_BYTES, Artifact, Manifest, parse_manifest, sha256_hex
from shared.registry.signing import Keys
from shared.registry.verify import check_signature
from shared.settings import Settings
from shared.storage.packages import Packages

MAX_ARCHIVE_BYTES = MAX_PACKAGE_BYTES + 64 * 1024**2
_SPARE_DISK_BYTES = 64 * 1024**2
_STREAMS = 2  # storage sends one while the other is hashed and written; more bring nothing on two cores


class Spans:
    """How long each part of a registration took, one after the other, in seconds."""

    def __init__(self) -> None:
        """Begin the first part now."""
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, part: str) -> None:
        """Close the part under way and begin the next."""
        now = time.perf_counter()
        self.seconds[part] = round(now - self._since, 3)
        self._since = now


class Intake:
    """Opens drops, reads their manifests and fetches their files; writes below the given folders only."""

    def __init__(self, settings: Settings, packages: Packages, keys: Keys) -> None:
        """Read drops from `packages`; a manifest's signature must be of one of `keys`."""
        self._settings = settings
        self._packages = packages
        self._keys = keys

    @contextmanager
    def opened(self, row: Registration, quarantine: Path) -> Iterator[DropSource]:
        """Yield the drop's files; an archive lies in `quarantine` until the block ends.

        Raises:
            PackageIncomplete: an archive is not there any more.
            PackageRejected: it is none that a package may come in, or another one by now.
            TooLarge: it is larger than any package.
            OSError: the disk has no room for it.
            StorageUnavailable: storage did not answer.
        """
        if not row.is_zip:
            yield FolderDrop(self._packages, row.version)
            return
        path = quarantine / "archive.zip"
        quarantine.mkdir(parents=True)
        self._fetch_zip(row, path)
        with opened_zip(path, row.version) as source:
            yield source
        path.unlink()

    def _fetch_zip(self, row: Registration, path: Path) -> None:
        size = self._packages.zip_size(row.version)
        if size is not None:
            _refuse_to_fill_the_disk(path.parent, size)
        try:
            streamed = self._packages.stream_zip(row.version, path, MAX_ARCHIVE_BYTES)
        except NotFound as fault:
            raise PackageIncomplete(f"The archive {row.version}.zip is not there any more.") from fault
        if sha256_hex(streamed.etag.encode()) != row.manifest_sha256:
            _refuse_replaced("archive")

    def read_manifest(self, row: Registration, source: DropSource) -> tuple[Manifest, bytes]:
        """Return the manifest and its bytes, once its signature is known to be good.

        Raises:
            PackageIncomplete: it is not there any more.
            PackageRejected: it is no manifest, another one by now, of another version, or not signed by a trusted key.
        """
        data = source.manifest()
        if not row.is_zip and sha256_hex(data) != row.manifest_sha256:
            _refuse_replaced("manifest")
        manifest = parse_manifest(data)
        if manifest.version != row.version:
            raise PackageRejected(
                f"The manifest is of {manifest.version} and was dropped as {row.version}.",
                remedy="Drop the package under the version name that its manifest bears.",
                check="manifest",
            )
        check_signature(manifest, self._keys, allow_unsigned=self._settings.allow_unsigned)
        return manifest, data

    def fetch(self, manifest: Manifest, data: bytes, source: DropSource, folder: Path) -> dict[str, str]:
        """Write every file of a drop that passed its check, and the manifest, below `folder`.

        Returns each file's SHA-256 as it was written, the manifest's not; nobody has compared them yet.

        Raises:
            PackageIncomplete: a file is not there any more.
            PackageRejected, TooLarge: a file has another size.
            OSError: the disk has no room.
            StorageUnavailable: storage did not answer.
        """
        folder.mkdir(parents=True)
        _refuse_to_fill_the_disk(folder, manifest.total_bytes)

        def fetch(artifact: Artifact) -> tuple[str, str]:
            return artifact.path, source.fetch(artifact.path, folder / artifact.path, artifact.bytes)

        largest_first = sorted(manifest.artifacts, key=lambda artifact: artifact.bytes, reverse=True)
        with ThreadPoolExecutor(_STREAMS, thread_name_prefix="fetch") as threads:
            hashes = dict(threads.map(fetch, largest_first))
        write_atomically(folder / MANIFEST_NAME, data)
        return hashes


def _refuse_to_fill_the_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_DISK_BYTES:
        raise OSError(f"the package has {needed} bytes and {free} are free")


def _refuse_replaced(what: str) -> NoReturn:
    raise PackageRejected(
        f"Another {what} lies in the place of this one now.",
        remedy=f"Nothing is to be done: the other {what} is a drop of its own.",
        check="manifest",
    )
