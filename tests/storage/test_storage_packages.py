"""Dropped packages: uploaded manifest last, streamed with limits, and never outside their folder."""

import hashlib
import os
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from shared.azurite.service import Azurite
from shared.errors import InvalidInput, NotFound, TooLarge
from shared.storage.clients import Storage
from shared.storage.packages import CONTAINER, Drop, Packages

pytestmark = pytest.mark.azurite


@pytest.fixture
def packages(storage: Storage) -> Packages:
    packages = Packages(storage)
    packages.ensure_container()
    return packages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "tables").mkdir(parents=True)
    (folder / "manifest.json").write_bytes(b'{"version":"x"}\n')
    (folder / "a.joblib").write_bytes(b"small")
    (folder / "tables" / "big.parquet").write_bytes(os.urandom(9 * 1024 * 1024 + 17))
    (folder / "zz.json").write_bytes(b"")
    return folder


def test_package_comes_back_as_it_went_manifest_uploaded_last(
    packages: Packages, storage: Storage, folder: Path, version: str, tmp_path: Path
) -> None:
    """Several blocks, an empty file and a folder travel whole; the manifest is the youngest blob."""
    assert packages.upload_package(folder, version) == 4
    blobs = list(storage.blobs.get_container_client(CONTAINER).list_blobs(name_starts_with=f"{version}/"))
    manifest = next(blob for blob in blobs if blob.name.endswith("manifest.json"))
    assert all(blob.last_modified <= manifest.last_modified for blob in blobs)
    for name in ("a.joblib", "tables/big.parquet", "zz.json"):
        source = (folder / name).read_bytes()
        streamed = packages.stream_file(version, name, tmp_path / "out" / name, max_bytes=20_000_000)
        assert (tmp_path / "out" / name).read_bytes() == source
        assert (streamed.bytes, streamed.sha256) == (len(source), hashlib.sha256(source).hexdigest())
        assert packages.file_sizes(version, [name]) == {name: len(source)}
    assert packages.read_manifest(version, 1_000) == b'{"version":"x"}\n'


def test_an_upload_goes_on_where_it_was_cut_off(
    packages: Packages, storage: Storage, folder: Path, version: str, tmp_path: Path
) -> None:
    """Only what is missing or other than here is sent; an equal size alone proves nothing."""
    container = storage.blobs.get_container_client(CONTAINER)
    packages.upload_package(folder, version)
    etags = {blob.name: blob.etag for blob in container.list_blobs(name_starts_with=f"{version}/")}
    container.delete_blob(f"{version}/manifest.json")
    container.delete_blob(f"{version}/zz.json")
    container.upload_blob(f"{version}/a.joblib", b"lamls", overwrite=True)
    assert packages.upload_package(folder, version) == 3
    packages.stream_file(version, "a.joblib", tmp_path / "a", max_bytes=5)
    assert (tmp_path / "a").read_bytes() == b"small"
    big = f"{version}/tables/big.parquet"
    assert container.get_blob_client(big).get_blob_properties().etag.strip('"') == etags[big], "it was not sent again"


def test_drop_is_listed_with_the_etag_that_changes_when_it_is_dropped_again(
    packages: Packages, folder: Path, version: str
) -> None:
    """The sweep can tell a manifest it has seen from a new one."""
    packages.upload_package(folder, version)
    first = next(drop for drop in packages.list_drops() if drop.version == version)
    packages.upload_package(folder, version)
    second = next(drop for drop in packages.list_drops() if drop.version == version)
    assert isinstance(first, Drop)
    assert first.etag != second.etag


def test_odd_drops_are_listed_too(packages: Packages, storage: Storage, version: str) -> None:
    """A manifest too deep or under a forbidden name is reported, a look-alike is not."""
    container = storage.blobs.get_container_client(CONTAINER)
    for name in (f"{version}/deep/manifest.json", f"ACTIVE{version}/manifest.json", f"{version}/not-manifest.json"):
        container.upload_blob(name, b"{}", overwrite=True)
    versions = {drop.version for drop in packages.list_drops()}
    assert {f"{version}/deep", f"ACTIVE{version}"} <= versions
    assert version not in versions


def test_too_large_a_file_is_refused_and_leaves_nothing(
    packages: Packages, folder: Path, version: str, tmp_path: Path
) -> None:
    """The limit holds for files and for the manifest, before anything is written."""
    packages.upload_package(folder, version)
    with pytest.raises(TooLarge):
        packages.stream_file(version, "tables/big.parquet", tmp_path / "out" / "big", max_bytes=1_000_000)
    with pytest.raises(TooLarge):
        packages.read_manifest(version, 5)
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_file_is_not_found_and_has_no_size(packages: Packages, version: str, tmp_path: Path) -> None:
    """An incomplete package is told from a broken connection."""
    assert packages.file_sizes(version, ["a.joblib"]) == {"a.joblib": None}
    with pytest.raises(NotFound, match=r"a\.joblib"):
        packages.stream_file(version, "a.joblib", tmp_path / "a", max_bytes=10)
    with pytest.raises(NotFound, match="manifest"):
        packages.read_manifest(version, 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "a\\b", "", ".", "a//b", "C:/x", "a\nb", " a", "a "]
)
def test_path_that_leaves_the_package_is_refused(packages: Packages, version: str, path: str, tmp_path: Path) -> None:
    """Neither a file's path nor a version may climb out of its folder."""
    with pytest.raises(InvalidInput):
        packages.stream_file(version, path, tmp_path / "a", max_bytes=10)
    with pytest.raises(InvalidInput):
        packages.read_manifest(path, 10)


def test_folder_without_a_manifest_or_with_a_link_is_not_uploaded(
    packages: Packages, folder: Path, version: str, storage: Storage
) -> None:
    """Nothing is sent before the folder is known to be a package."""
    (folder / "link").symlink_to(folder / "a.joblib")
    with pytest.raises(InvalidInput, match="link"):
        packages.upload_package(folder, version)
    (folder / "link").unlink()
    (folder / "manifest.json").unlink()
    with pytest.raises(InvalidInput, match="manifest"):
        packages.upload_package(folder, version)
    found = storage.blobs.get_container_client(CONTAINER).list_blob_names(name_starts_with=f"{version}/")
    assert list(found) == []


def test_listing_without_a_container_finds_nothing(azurite: Azurite, storage: Storage) -> None:
    """Before the first drop the container need not exist."""

    class Elsewhere(Packages):
        @property
        def _container(self) -> ContainerClient:
            return storage.blobs.get_container_client("never-made")

    assert Elsewhere(storage).list_drops() == []
