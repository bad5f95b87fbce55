"""Uploading a package with a signature that can create and write blobs and do nothing else, not even look.

What cannot be looked at cannot be compared either: a file that is there already is left as it is, and whoever reads
the drop compares every file with the signed manifest.
"""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from shared.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from shared.storage.clients import TRANSFER, answering, client_options
from shared.storage.packages import CONTAINER, MANIFEST, ZIP, in_upload_order

log = structlog.get_logger()

_LONGEST_URL = 4_000
_REFUSED = (401, 403)


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What an upload did: how many blobs it wrote, and how many files were there already, of an earlier attempt."""

    written: int
    kept: int


class SignedUpload:
    """Drops packages at a URL that `manage.py storage sas` printed; the URL is a secret and in no text of this."""

    def __init__(self, url: str) -> None:
        """Read the URL.

        Raises:
            InvalidInput: it is no URL of that kind; it is not quoted.
        """
        self._url = url.strip()
        self._archive = _blob_of(self._url)

    def __repr__(self) -> str:
        return "SignedUpload(...)"

    def push(self, folder: Path, version: str) -> Uploaded:
        """Upload a package, its manifest last, or as one archive where the signature is for one.

        What an interrupted upload left is completed by the next one.

        Raises:
            InvalidInput: the folder is no package, or the signature is for another version.
            Conflict: this version was dropped before; it is as it was.
            NotAuthenticated: the signature has expired, was revoked or is for something else.
            NotFound: there is no such storage at the URL.
            StorageUnavailable: storage did not answer.
        """
        files = in_upload_order(folder)
        if self._archive is None:
            return self._push_files(files, version)
        if self._archive != f"{version}{ZIP}":
            raise InvalidInput(
                f"The signature is for {self._archive}, and the package is {version}.",
                remedy=f"Ask for one: `manage.py storage sas --version {version}`.",
            )
        return self._push_archive(files, version)

    def _push_files(self, files: list[tuple[str, Path]], version: str) -> Uploaded:
        written = kept = 0
        with ContainerClient.from_container_url(self._url, **client_options(), **TRANSFER) as container:
            for path, file in files:
                with file.open("rb") as data:
                    if _create(container.get_blob_client(f"{version}/{path}"), data, path):
                        written += 1
                    elif path == MANIFEST:
                        raise _dropped_before(version)
                    else:
                        kept += 1
        log.info("package.uploaded", version=version, files=written, kept=kept)
        return Uploaded(written=written, kept=kept)

    def _push_archive(self, files: list[tuple[str, Path]], version: str) -> Uploaded:
        with (
            tempfile.TemporaryFile() as archive,
            BlobClient.from_blob_url(self._url, **client_options(), **TRANSFER) as blob,
        ):
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
                for path, file in files:
                    packed.write(file, path)
            archive.seek(0)
            if not _create(blob, archive, f"{version}{ZIP}"):
                raise _dropped_before(version)
        log.info("package.uploaded", version=version, files=1)
        return Uploaded(written=1, kept=0)


def _create(blob: BlobClient, data: IO[bytes], path: str) -> bool:
    """Upload what is not there yet; return whether it was not."""
    with _signature_answering(f"uploading {path}"):
        try:
            blob.upload_blob(data, overwrite=False)
        except ResourceExistsError:
            return False
    return True


def _dropped_before(version: str) -> Conflict:
    return Conflict(
        f"{version} was dropped before, and is as it was.",
        remedy="`GET /api/registrations` there says what became of it; a changed package needs a new version name.",
        state="dropped",
    )


@contextmanager
def _signature_answering(doing: str) -> Iterator[None]:
    with answering(doing):
        try:
            yield
        except ResourceNotFoundError:
            raise NotFound(
                f"There is no such storage at the URL, found while {doing}.",
                remedy="Ask for another one: `manage.py storage sas`.",
            ) from None
        except HttpResponseError as error:
            if error.status_code not in _REFUSED:
                raise
            raise NotAuthenticated(
                f"Storage refused the signature while {doing}: it has expired, was revoked, or is for something else.",
                remedy="Ask for another one: `manage.py storage sas`.",
            ) from None


def _blob_of(url: str) -> str | None:
    """Return the name of the one blob that a signature is for, None when it is for the container."""
    refused = InvalidInput(
        "This is not a URL that `manage.py storage sas` printed.",
        remedy="Copy all of it, from http to the end of the line, between single quotes.",
    )
    try:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
    except ValueError:
        raise refused from None
    steps = unquote(parts.path).strip("/").split("/")
    if len(url) > _LONGEST_URL or parts.scheme not in ("http", "https") or not parts.hostname or not query.get("sig"):
        raise refused
    if query.get("sr") == "c" and steps[-1] == CONTAINER:
        return None
    if query.get("sr") == "b" and steps[-2:-1] == [CONTAINER] and steps[-1].endswith(ZIP):
        return steps[-1]
    raise refused
