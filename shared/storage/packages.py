"""Model packages dropped as blobs: `model-drop/<version>/<files>` with `manifest.json` written last, or one zip.

A zip is `model-drop/<version>.zip`. No blob trigger looks at it, since that would read all of it into memory.
"""

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog
from azure.core.exceptions import IncompleteReadError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

from shared.errors import InvalidInput, NotFound, TooLarge
from shared.storage.clients import CONNECT_SECONDS, READ_SECONDS, Storage, answering
from shared.storage.streams import blob_stream

log = structlog.get_logger()

CONTAINER = "model-drop"
MANIFEST = "manifest.json"
ZIP = ".zip"
_MOST_LISTED = 1_000  # blobs below a drop's name that are looked through; a package has at most 257 files
_UNSAFE_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")


class Drop(NamedTuple):
    """One manifest or zip archive found in the container."""

    version: str  # all that stands in front of /manifest.json or .zip, so possibly no valid name
    etag: str  # of the manifest or the archive
    is_zip: bool = False


@dataclass(frozen=True, kw_only=True)
class StreamedFile:
    """What was written by one download."""

    bytes: int
    sha256: str
    etag: str


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
        """Return every `<version>/manifest.json`, at any depth, and every `<version>.zip` at the top.

        An odd version is listed too, for its rejection.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering("listing dropped packages"):
            try:
                found = [_drop_of(blob.name, str(blob.etag).strip('"')) for blob in self._container.list_blobs()]
            except ResourceNotFoundError:
                return []
        return [drop for drop in found if drop is not None]

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
            _refuse_more_than(max_bytes, download.size, f"{MANIFEST} of {version}")
            return download.readall()

    def file_sizes(self, version: str, paths: Sequence[str]) -> dict[str, int | None]:
        """Return the sizes of files in bytes, None for each that is not there (yet).

        One listing tells them of an ordinary drop; what it does not name, since it lies behind too much else, is asked
        for by itself.

        Raises:
            InvalidInput: `version` or a path is no safe path.
            StorageUnavailable: storage did not answer.
        """
        blobs = {path: self._blob(version, path) for path in paths}
        with answering(f"looking for the files of {version}"):
            try:
                listed = self._container.list_blobs(name_starts_with=f"{version}/", results_per_page=_MOST_LISTED)
                sizes = {blob.name: int(blob.size) for blob in itertools.islice(listed, _MOST_LISTED)}
            except ResourceNotFoundError:
                return dict.fromkeys(paths)
            known = {path: sizes.get(blob.blob_name) for path, blob in blobs.items()}
            if len(sizes) < _MOST_LISTED:
                return known
            return {path: size if size is not None else _size(blobs[path]) for path, size in known.items()}

    def stream_file(self, version: str, path: str, to: Path, max_bytes: int) -> StreamedFile:
        """Write a file to `to` piece by piece and return its size and SHA-256; nothing stays after an error.

        Raises:
            InvalidInput: `version` or `path` is no safe path.
            NotFound: there is no such file.
            TooLarge: it has more than `max_bytes`.
            StorageUnavailable: storage did not answer, or the file changed meanwhile.
        """
        with self._reading(version, path) as blob:
            return _stream(blob, to, max_bytes, f"{path} of {version}")

    def zip_size(self, version: str) -> int | None:
        """Return the size of a version's archive in bytes, or None when there is none.

        Raises:
            InvalidInput: `version` is no safe path.
            StorageUnavailable: storage did not answer.
        """
        with answering(f"looking for the archive of {version}"):
            try:
                return int(self._zip_blob(version).get_blob_properties().size)
            except ResourceNotFoundError:
                return None

    def stream_zip(self, version: str, to: Path, max_bytes: int) -> StreamedFile:
        """Write a version's archive to `to` as `stream_file` does, with the same errors."""
        with answering(f"reading the archive of {version}"):
            try:
                return _stream(self._zip_blob(version), to, max_bytes, f"{version}{ZIP}")
            except ResourceNotFoundError as error:
                raise NotFound(f"There is no archive {version}{ZIP}.", version=version) from error

    def upload_package(self, folder: Path, version: str) -> int:
        """Upload every file below `folder`, the manifest last, and return how many were sent.

        A file that lies there already, of the same size and MD5, is not sent again: so a call that was cut off goes on
        where it ended. The manifest always is, since that is what a drop is noticed by.

        Raises:
            InvalidInput: `version` is no safe path, or the folder has no manifest or holds a link.
            StorageUnavailable: storage did not answer.
        """
        files = in_upload_order(folder)
        self.ensure_container()
        sent = 0
        for path, file in files:
            with answering(f"uploading {path} of {version}"):
                sent += self._upload(file, self._blob(version, path), always=path == MANIFEST)
        log.info("package.uploaded", version=version, files=len(files), sent=sent)
        return sent

    def _upload(self, file: Path, blob: BlobClient, *, always: bool) -> bool:
        """Upload a file unless storage holds it already; the blob appears whole or not at all."""
        with file.open("rb") as data:
            md5 = hashlib.file_digest(data, lambda: hashlib.md5(usedforsecurity=False)).digest()
            if not always and _holds(blob, file.stat().st_size, md5):
                return False
            data.seek(0)
            blob.upload_blob(data, overwrite=True, content_settings=ContentSettings(content_md5=bytearray(md5)))
        return True

    @property
    def _container(self) -> ContainerClient:
        return self._storage.blobs.get_container_client(CONTAINER)

    def _blob(self, version: str, path: str) -> BlobClient:
        return self._container.get_blob_client(f"{_safe(version)}/{_safe(path)}")

    def _zip_blob(self, version: str) -> BlobClient:
        return self._container.get_blob_client(f"{_safe(version)}{ZIP}")

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


def _drop_of(name: str, etag: str) -> Drop | None:
    """Return what a blob of this name is the sign of, if of anything."""
    manifest = f"/{MANIFEST}"
    if name.endswith(manifest) and name != manifest:
        return Drop(name.removesuffix(manifest), etag)
    if name.endswith(ZIP) and "/" not in name and name != ZIP:
        return Drop(name.removesuffix(ZIP), etag, is_zip=True)
    return None


def _size(blob: BlobClient) -> int | None:
    try:
        return int(blob.get_blob_properties().size)
    except ResourceNotFoundError:
        return None


def _holds(blob: BlobClient, size: int, md5: bytes) -> bool:
    """Tell whether a blob was uploaded from a file of this size and MD5."""
    try:
        found = blob.get_blob_properties()
    except ResourceNotFoundError:
        return False
    return found.size == size and bytes(found.content_settings.content_md5 or b"") == md5


def _refuse_more_than(max_bytes: int, size: int, what: str) -> None:
    if size > max_bytes:
        raise TooLarge(f"{what} has {size} bytes; at most {max_bytes} are read.", bytes=size, limit=max_bytes)


def _stream(blob: BlobClient, to: Path, max_bytes: int, what: str) -> StreamedFile:
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.part")
    digest, written = hashlib.sha256(), 0
    try:
        with (
            part.open("wb", buffering=0) as target,
            blob_stream(blob, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as download,
        ):
            _refuse_more_than(max_bytes, download.size_bytes, what)
            for piece in download.pieces:
                target.write(piece)
                digest.update(piece)
                written += len(piece)
            os.fsync(target.fileno())  # while other files still arrive, not all at once at the end
        if written != download.size_bytes:
            raise IncompleteReadError(f"{what} ended after {written} of {download.size_bytes} bytes.")
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
    return StreamedFile(bytes=written, sha256=digest.hexdigest(), etag=download.etag)


def in_upload_order(folder: Path) -> list[tuple[str, Path]]:
    """Return every file below `folder` with its path inside the package, the manifest last.

    Raises:
        InvalidInput: the folder has no manifest or holds a link.
    """
    files = {}
    for file in folder.rglob("*"):
        if file.is_symlink():
            raise InvalidInput(f"{file} is a link, and a package holds plain files only.")
        if file.is_file():
            files[file.relative_to(folder).as_posix()] = file
    if MANIFEST not in files:
        raise InvalidInput(f"{folder} has no {MANIFEST}.", remedy="Upload a folder that `train --output` wrote.")
    return [(path, files[path]) for path in (*sorted(files.keys() - {MANIFEST}), MANIFEST)]
