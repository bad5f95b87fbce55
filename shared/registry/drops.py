"""Where the files of a dropped package come from: a folder of blobs, or one zip archive.

Both give a manifest's bytes first, and then no more of a file than its manifest allows. Nothing is written but where
the caller says.
"""

import errno
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol

from shared.errors import NotFound, PackageIncomplete, PackageRejected
from shared.registry.manifest import (
    MANIFEST_NAME,
    MAX_ARTIFACTS,
    MAX_MANIFEST_BYTES,
    Manifest,
    why_not_an_artifact_path,
)
from shared.storage.packages import Packages

_MAX_ENTRIES = 2 * (MAX_ARTIFACTS + 1)  # files, and folders that lie above them
_MAX_DIRECTORY_BYTES = 1024 * 1024
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_HEADER_BYTES = 30
_END_BYTES, _COMMENT_BYTES, _LOCATOR_BYTES, _END_64_BYTES = 22, 65_535, 20, 56
_PIECE = 1024 * 1024
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class DropSource(Protocol):
    """The files of one drop."""

    def manifest(self) -> bytes:
        """Return the manifest's bytes, never more than are allowed.

        Raises:
            PackageIncomplete: it is not there (any more).
            PackageRejected: it cannot be read, or is too large.
        """

    def check(self, manifest: Manifest) -> None:
        """Refuse a drop whose files are not those of its manifest, as far as that can be known without reading them.

        Raises:
            PackageIncomplete: some are not there yet.
            PackageRejected: one has another size, or there is one too many.
        """

    def fetch(self, path: str, to: Path, size: int) -> str:
        """Write a file of `size` bytes to `to` and return the SHA-256 of what was written; several threads may call it.

        Raises:
            PackageIncomplete: it is not there any more.
            PackageRejected, TooLarge: it holds something else.
        """


class FolderDrop:
    """The blobs below `<version>/`; files beside those of the manifest are nobody's business."""

    def __init__(self, packages: Packages, version: str) -> None:
        self._packages = packages
        self._version = version

    def manifest(self) -> bytes:
        """Read it from storage."""
        try:
            return self._packages.read_manifest(self._version, MAX_MANIFEST_BYTES)
        except NotFound as fault:
            raise PackageIncomplete("The manifest is not there any more.", missing=[MANIFEST_NAME]) from fault

    def check(self, manifest: Manifest) -> None:
        """Ask storage for the files' sizes."""
        sizes = self._packages.file_sizes(self._version, [each.path for each in manifest.artifacts])
        missing = [path for path, size in sizes.items() if size is None]
        if missing:
            raise PackageIncomplete(
                f"{len(missing)} of {len(sizes)} files are not there yet, first {missing[0]}.", missing=missing
            )
        for artifact in manifest.artifacts:
            if sizes[artifact.path] != artifact.bytes:
                raise PackageRejected(
                    f"{artifact.path} has {sizes[artifact.path]} bytes, the manifest says {artifact.bytes}.",
                    remedy="Drop the package again, unchanged, under a new version name.",
                    check="files",
                )

    def fetch(self, path: str, to: Path, size: int) -> str:
        """Stream it from storage."""
        try:
            return self._packages.stream_file(self._version, path, to, size).sha256
        except NotFound as fault:
            raise PackageIncomplete(f"{path} is not there any more.", missing=[path]) from fault


class ZipDrop:
    """A zip archive on this machine's disk, its files at the top or all in one folder that bears the version's name.

    Stored and deflated files only, none encrypted; what an entry says of its own size is not relied upon.
    """

    def __init__(self, archive: zipfile.ZipFile, version: str) -> None:
        """Look through the entries of an opened archive; `opened_zip` makes one."""
        self._archive = archive
        entries = [entry for entry in archive.infolist() if not _is_folder(entry)]
        for entry in entries:
            _refuse_entry(entry)
        _refuse_overlaps(archive)
        prefix = f"{version}/" if all(entry.filename.startswith(f"{version}/") for entry in entries) else ""
        self._entries = {entry.filename.removeprefix(prefix): entry for entry in entries}
        if len({name.lower() for name in self._entries}) != len(entries):
            _refuse("two files in it have the same path, compared without case")
        for name in self._entries:
            if name != MANIFEST_NAME and (problem := why_not_an_artifact_path(name)):
                _refuse(f"the path {name!r:.200} in it is not one of a package: {problem}")

    def manifest(self) -> bytes:
        """Unpack it."""
        if MANIFEST_NAME not in self._entries:
            _refuse(f"it holds no {MANIFEST_NAME}, neither at its top nor in a folder of the version's name")
        with _reading(MANIFEST_NAME), self._archive.open(self._entries[MANIFEST_NAME]) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
        if len(data) > MAX_MANIFEST_BYTES:
            _refuse(f"its {MANIFEST_NAME} has more than {MAX_MANIFEST_BYTES} bytes")
        return data

    def check(self, manifest: Manifest) -> None:
        """Compare the names; sizes show when the files are unpacked."""
        wanted = {artifact.path for artifact in manifest.artifacts}
        found = self._entries.keys() - {MANIFEST_NAME}
        if missing := sorted(wanted - found):
            _refuse(f"the manifest names {missing[0]!r:.200}, which is not in it")
        if more := sorted(found - wanted):
            _refuse(f"it holds {more[0]!r:.200}, which the manifest does not name")

    def fetch(self, path: str, to: Path, size: int) -> str:
        """Unpack it, and stop at the first byte too many."""
        to.parent.mkdir(parents=True, exist_ok=True)
        left, digest = size, hashlib.sha256()
        with _reading(path), self._archive.open(self._entries[path]) as file, to.open("wb") as target:
            while piece := file.read(min(_PIECE, left + 1)):
                left -= len(piece)
                if left < 0:
                    _refuse(f"{path!r:.200} in it has more bytes than the manifest says")
                target.write(piece)
                digest.update(piece)
        if left:
            _refuse(f"{path!r:.200} in it has fewer bytes than the manifest says")
        return digest.hexdigest()


@contextmanager
def opened_zip(path: Path, version: str) -> Iterator[ZipDrop]:
    """Yield the drop that a zip file holds.

    Raises:
        PackageRejected: it is no zip archive, has too many entries, or one that a package cannot have.
    """
    _refuse_large_directory(path)
    with _reading("its list of files"):
        archive = zipfile.ZipFile(path)
    with archive:
        yield ZipDrop(archive, version)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        if fault.errno != errno.EINVAL:  # a file in it begins where nothing can; anything else is the disk's fault
            raise
        _refuse(f"{what:.200} lies outside of it", fault)
    except _BROKEN as fault:
        _refuse(f"{what:.200} cannot be read: {type(fault).__name__}: {fault}", fault)


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.endswith("/") and entry.file_size == 0


def _refuse_entry(entry: zipfile.ZipInfo) -> None:
    name = f"{entry.filename!r:.200}"
    if entry.filename != entry.orig_filename:
        _refuse(f"the name of {name} holds characters that no file has")
    if entry.flag_bits & 0x41:
        _refuse(f"{name} in it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _refuse(f"{name} in it is compressed by method {entry.compress_type}; stored and deflated files are read")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        _refuse(f"{name} in it is a link or a device, not a file")


def _refuse_overlaps(archive: zipfile.ZipFile) -> None:
    """Refuse an archive where a file's bytes reach into the next one's: a few bytes could be unpacked many times."""
    entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    ends = [*(entry.header_offset for entry in entries[1:]), archive.start_dir]
    for entry, end in zip(entries, ends, strict=False):  # of an empty archive, there is an end more
        if entry.header_offset + _HEADER_BYTES + len(entry.orig_filename) + entry.compress_size > end:
            _refuse(f"{entry.filename!r:.200} in it reaches into what follows")


def _refuse_large_directory(path: Path) -> None:
    """Refuse an archive whose list of files is large, before a library reads all of it into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES - _COMMENT_BYTES - _LOCATOR_BYTES))
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < _END_BYTES:
            _refuse("it has no end of a zip archive; perhaps its upload was cut off")
        entries, directory_bytes = struct.unpack("<HI", tail[at + 10 : at + 16])
        locator = tail[max(0, at - _LOCATOR_BYTES) : at]
        if locator.startswith(_LOCATOR_64):
            (offset,) = struct.unpack("<Q", locator[8:16])
            if offset > size - _END_64_BYTES:
                _refuse("its list of files lies outside of it")
            file.seek(offset)
            end = file.read(_END_64_BYTES)
            if not end.startswith(_END_64):
                _refuse("its list of files is not where it says")
            entries, directory_bytes = struct.unpack("<QQ", end[32:48])
    if entries > _MAX_ENTRIES or directory_bytes > _MAX_DIRECTORY_BYTES:
        _refuse(f"it lists {entries} files in {directory_bytes} bytes; a package has at most {MAX_ARTIFACTS + 1} files")


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise PackageRejected(
        f"The zip archive is refused: {why:.500}.",
        remedy="Pack the folder that `manage.py train --output` wrote, unchanged, and drop it again.",
        check="archive",
    ) from cause
