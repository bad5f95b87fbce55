"""Model packages dropped as blobs: `model-drop/<version>/<files>`, with `manifest.json` written last."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import structlog
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from shared.errors import InvalidInput, NotFound, TooLarge
from shared.storage.clients import Storage, answering

log = structlog.get_logger()

CONTAINER = "model-drop"
MANIFEST = "manifest.json"
_UNSAFE_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")


class Drop(NamedTuple):
    """One manifest found in the container."""

    version: str  # all that stands in front of /manifest.json, so possibly no valid name
    manifest_etag: str


@dataclass(frozen=True, kw_only=True)
class StreamedFile:
    """What was written by one download."""

    bytes: int
    sha256: str


class Packages:
    """Reads and writes dropped packages; names are checked here against leaving the package, and no further."""

    def __init__(self, storage: Storage) -> None:
        """Work on the drop container of `storage`."""
        self._storage = storage

    def ensure_container(self) -> None:
        """Make the drop container when it is missing.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering(f"making the container {CONTAINER}"), contextlib.suppress(ResourceExistsError):
            self._container.create_container()

    def list_drops(self) -> list[Drop]:
        """Return every `<version>/manifest.json`, at any depth; an odd version is listed too, for its rejection.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        suffix = f"/{MANIFEST}"
        with answering("listing dropped packages"):
            try:
                return [
                    Drop(blob.name.removesuffix(suffix), str(blob.etag).strip('"'))
                    for blob in self._container.list_blobs()
                    if blob.name.endswith(suffix) and blob.name != suffix
                ]
            except ResourceNotFoundError:
                return []

    def read_manifest(self, version: str, max_bytes: int) -> bytes:
        """Return the manifest's bytes.

        Raises:
            InvalidInput: `version` is no safe path.
            NotFound: there is no manifest.
            TooLarge: it has more than `max_bytes`.
            StorageUnavailable: storage did not answer.
        """
        with self._reading(version, MANIFEST) as blob:
            download = blob.download_blob()
            _refuse_more_than(max_bytes, download.size, version, MANIFEST)
            return download.readall()

    def file_size(self, version: str, path: str) -> int | None:
        """Return a file's size in bytes, or None when it is not there (yet).

        Raises:
            InvalidInput: `version` or `path` is no safe path.
            StorageUnavailable: storage did not answer.
        """
        with answering(f"looking for {path} of {version}"):
            try:
                return int(self._blob(version, path).get_blob_properties().size)
            except ResourceNotFoundError:
                return None

    def stream_file(self, version: str, path: str, to: Path, max_bytes: int) -> StreamedFile:
        """Write a file to `to` piece by piece and return its size and SHA-256; nothing stays after an error.

        Raises:
            InvalidInput: `version` or `path` is no safe path.
            NotFound: there is no such file.
            TooLarge: it has more than `max_bytes`.
            StorageUnavailable: storage did not answer, or the file changed meanwhile.
        """
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(f"{to.name}.part")
        try:
            with self._reading(version, path) as blob, part.open("wb") as target:
                download = blob.download_blob()
                _refuse_more_than(max_bytes, download.size, version, path)
                streamed = _copy(download.chunks(), target)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
        return streamed

    def upload_package(self, folder: Path, version: str) -> int:
        """Upload every file below `folder`, the manifest last, and return how many there were.

        Raises:
            InvalidInput: `version` is no safe path, or the folder has no manifest or holds a link.
            StorageUnavailable: storage did not answer.
        """
        files = _files_below(folder)
        if MANIFEST not in files:
            raise InvalidInput(f"{folder} has no {MANIFEST}.", remedy="Upload a folder that `train --output` wrote.")
        self.ensure_container()
        for path in [*sorted(files.keys() - {MANIFEST}), MANIFEST]:
            with answering(f"uploading {path} of {version}"), files[path].open("rb") as data:
                self._blob(version, path).upload_blob(data, overwrite=True)
        log.info("package.uploaded", version=version, files=len(files))
        return len(files)

    @property
    def _container(self) -> ContainerClient:
        return self._storage.blobs.get_container_client(CONTAINER)

    def _blob(self, version: str, path: str) -> BlobClient:
        return self._container.get_blob_client(f"{_safe(version)}/{_safe(path)}")

    @contextlib.contextmanager
    def _reading(self, version: str, path: str) -> Iterator[BlobClient]:
        with answering(f"reading {path} of {version}"):
            try:
                yield self._blob(version, path)
            except ResourceNotFoundError as error:
                raise NotFound(f"The package {version} has no {path}.", version=version, path=path) from error


def _safe(path: str) -> str:
    """Return `path` when it stays below its folder on every system, blob storage included."""
    parts = path.split("/")
    if _UNSAFE_CHARACTERS.search(path) or any(part in {"", ".", ".."} or part != part.strip() for part in parts):
        raise InvalidInput(
            f"{path!r} is not a path inside a package.", remedy="Use plain names, separated by single slashes."
        )
    return path


def _refuse_more_than(max_bytes: int, size: int, version: str, path: str) -> None:
    if size > max_bytes:
        raise TooLarge(
            f"{path} of {version} has {size} bytes; at most {max_bytes} are read.", bytes=size, limit=max_bytes
        )


def _copy(chunks: Iterator[bytes], target: IO[bytes]) -> StreamedFile:
    digest, written = hashlib.sha256(), 0
    for chunk in chunks:
        target.write(chunk)
        digest.update(chunk)
        written += len(chunk)
    return StreamedFile(bytes=written, sha256=digest.hexdigest())


def _files_below(folder: Path) -> dict[str, Path]:
    files = {}
    for file in folder.rglob("*"):
        if file.is_symlink():
            raise InvalidInput(f"{file} is a link, and a package holds plain files only.")
        if file.is_file():
            files[file.relative_to(folder).as_posix()] = file
    return files
