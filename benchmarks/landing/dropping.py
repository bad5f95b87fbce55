"""Full-size packages under new names, dropped into an instance's storage, and what became of them."""

import contextlib
import hashlib
import http.client
import json
import os
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.platform import remove_tree, write_atomically
from shared.registry.manifest import MANIFEST_NAME, parse_manifest, read_manifest_file
from shared.registry.signing import Keys
from shared.storage.packages import CONTAINER
from tests.acceptance.acceptance_support import RunningInstance

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Landing:
    """One drop: seconds from its last byte in storage to its `pending` row, and what they went into."""

    version: str
    seconds: float
    parts: Mapping[str, float]


@contextlib.contextmanager
def packages_like(source: Path, folder: Path, keys: Keys, count: int) -> Iterator[list[Path]]:
    """Yield `count` packages with the files of `source`, each signed under a new version name; removed afterwards."""
    stem = f"landing-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    made = []
    try:
        for number in range(count):
            package = folder / f"{stem}-{number}"
            made.append(package)
            package.mkdir(parents=True)
            manifest = parse_manifest(read_manifest_file(source))
            for artifact in manifest.artifacts:
                os.link(source / artifact.path, package / artifact.path)
            signed = keys.sign(manifest.model_copy(update={"version": package.name}))
            write_atomically(package / MANIFEST_NAME, signed.to_bytes())
        yield made
    finally:
        for package in made:
            remove_tree(package)


def container_of(connection_string: str) -> ContainerClient:
    """Return the drop container by a client as anybody makes it, with the SDK's own sizes of blocks."""
    return BlobServiceClient.from_connection_string(connection_string).get_container_client(CONTAINER)


def drop_folder(container: ContainerClient, package: Path) -> float:
    """Upload a package, its manifest last, and return the time of day when that was stored."""
    names = sorted(path.name for path in package.iterdir() if path.name != MANIFEST_NAME)
    for name in [*names, MANIFEST_NAME]:
        with (package / name).open("rb") as data:
            container.upload_blob(f"{package.name}/{name}", data, max_concurrency=2)
    return time.time()


def drop_zip(container: ContainerClient, package: Path) -> float:
    """Upload a package as one archive, not compressed, and return the time of day when it was stored."""
    archive = package.with_name(f"{package.name}.zip")
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as writing:
            for path in sorted(package.iterdir()):
                writing.write(path, path.name)
        with archive.open("rb") as data:
            container.upload_blob(archive.name, data, max_concurrency=2)
        return time.time()
    finally:
        archive.unlink(missing_ok=True)


def landed(instance: RunningInstance, version: str, stored_at: float) -> Landing:
    """Wait until the drop is `pending` and return how long that took, by the times of its rows and of the log."""
    row = _outcome(instance, version)
    if row["state"] != "installed" or instance.get(f"models/{version}")["state"] != "pending":
        raise SystemExit(f"{version} was not taken in: {row}")
    noticed, taken, ended = (_seconds(row[name]) for name in ("created_at", "started_at", "ended_at"))
    told = _told(instance, version)
    parts = {"noticed": noticed - stored_at, "taken up": taken - noticed, **told}
    return Landing(
        version=version,
        seconds=ended - stored_at,
        parts={**parts, "rows": ended - taken - sum(told.values())},
    )


def forget(instance: RunningInstance, container: ContainerClient, version: str) -> None:
    """Remove the version's folder and blobs; its rows stay as history."""
    instance.post(f"models/{version}/remove", {"reason": "landing benchmark"}, status=200)
    for blob in list(container.list_blobs(name_starts_with=f"{version}")):
        container.delete_blob(blob.name)


def bare_download(container: ContainerClient, prefix: str) -> float:
    """Return the seconds that the SDK alone takes to stream and hash the same blobs, one after the other."""
    began = time.perf_counter()
    for blob in list(container.list_blobs(name_starts_with=prefix)):
        digest = hashlib.sha256()
        for chunk in container.get_blob_client(blob.name).download_blob().chunks():
            digest.update(chunk)
    return time.perf_counter() - began


def _outcome(instance: RunningInstance, version: str) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for row in _rows(instance):
            if row["version"] == version and row["state"] in ("installed", "rejected"):
                return row
        time.sleep(0.2)
    raise SystemExit(f"no outcome of {version} within {_PATIENCE_SECONDS:.0f} s:\n{instance.told()}")


def _rows(instance: RunningInstance) -> list[dict[str, Any]]:
    """Return the newest registrations, at the cost of one small request."""
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/api/registrations?limit=20")
        rows: list[dict[str, Any]] = json.loads(connection.getresponse().read())["items"]
    return rows


def _told(instance: RunningInstance, version: str) -> dict[str, float]:
    """Return what the log says of each part's seconds."""
    for line in reversed((instance.data_dir / "logs" / "host.log").read_bytes().splitlines()):
        if b"registration.installed" in line and version.encode() in line:
            seconds: dict[str, float] = json.loads(line).get("seconds") or {}
            return seconds
    return {}


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
