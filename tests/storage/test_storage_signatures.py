"""Signatures for uploads, against a real Azurite: what they allow, what not, and how they end."""

import io
import time
import uuid
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import AccessPolicy, BlobClient, ContainerClient, ContainerSasPermissions
from structlog.testing import capture_logs

from shared.azurite.service import Azurite
from shared.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from shared.storage.clients import Storage
from shared.storage.packages import CONTAINER, Drop, Packages
from shared.storage.signatures import MOST_POLICIES, UploadSignatures
from shared.storage.uploads import SignedUpload

pytestmark = pytest.mark.azurite

FILES = {"a.bin": b"small", "tables/big.bin": bytes(range(256)) * 20_000, "manifest.json": b'{"version": "x"}'}


@pytest.fixture
def packages(storage: Storage) -> Packages:
    return Packages(storage)


@pytest.fixture
def signatures(storage: Storage, packages: Packages, tmp_path: Path) -> UploadSignatures:
    packages.ensure_container()
    made = UploadSignatures(storage, packages, tmp_path / "lock")
    made.revoke_all()
    return made


@pytest.fixture
def version() -> str:
    return f"version_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / "package" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "package"


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(HttpResponseError) as caught:
        act()
    assert caught.value.status_code in (401, 403), caught.value


def test_a_package_goes_up_whole_and_nothing_else_is_allowed(
    signatures: UploadSignatures, storage: Storage, packages: Packages, folder: Path, version: str
) -> None:
    url = signatures.make(hours=1).url
    assert SignedUpload(url).push(folder, version).written == len(FILES)
    assert packages.read_manifest(version, 1_000) == FILES["manifest.json"]
    assert packages.file_sizes(version, ["tables/big.bin"]) == {"tables/big.bin": len(FILES["tables/big.bin"])}

    holder = ContainerClient.from_container_url(url, retry_total=0)
    blob = holder.get_blob_client(f"{version}/a.bin")
    query = url.partition("?")[2]
    secret = storage.blobs.create_container(f"private-{uuid.uuid4().hex[:8]}")
    secret.upload_blob("x", b"secret")
    elsewhere = f"{secret.url}/x?{query}"
    for act in (
        lambda: blob.download_blob().readall(),
        blob.get_blob_properties,
        blob.delete_blob,
        lambda: blob.get_block_list("all"),
        lambda: holder.get_blob_client(f"{version}/copy").start_copy_from_url(blob.url),
        lambda: list(holder.list_blobs()),
        holder.get_container_properties,
        holder.get_container_access_policy,
        lambda: holder.set_container_access_policy({}, public_access="container"),
        holder.delete_container,
        lambda: BlobClient.from_blob_url(elsewhere, retry_total=0).download_blob(),
        lambda: BlobClient.from_blob_url(elsewhere, retry_total=0).upload_blob(b"y", overwrite=True),
        lambda: ContainerClient.from_container_url(f"{secret.url}?{query}", retry_total=0).upload_blob("z", b"z"),
    ):
        refused(act)
    assert secret.download_blob("x").readall() == b"secret"


def test_what_was_dropped_stays_and_an_interrupted_upload_is_completed(
    signatures: UploadSignatures, packages: Packages, folder: Path, version: str, storage: Storage
) -> None:
    upload = SignedUpload(signatures.make(hours=1).url)
    storage.blobs.get_container_client(CONTAINER).upload_blob(f"{version}/a.bin", b"of an earlier attempt")
    done = upload.push(folder, version)
    assert (done.written, done.kept) == (len(FILES) - 1, 1)
    before = {drop for drop in packages.list_drops() if drop.version == version}
    (folder / "manifest.json").write_bytes(b'{"version": "changed"}')
    with pytest.raises(Conflict, match="dropped before"):
        upload.push(folder, version)
    assert {drop for drop in packages.list_drops() if drop.version == version} == before
    assert packages.read_manifest(version, 1_000) == FILES["manifest.json"]


def test_a_signature_for_one_version_takes_its_archive_only(
    signatures: UploadSignatures, storage: Storage, packages: Packages, folder: Path, version: str
) -> None:
    made = signatures.make(hours=1, version=version)
    assert made.signature.version == version
    upload = SignedUpload(made.url)
    with pytest.raises(InvalidInput, match=version):
        upload.push(folder, "another")
    assert upload.push(folder, version).written == 1
    assert [Drop(*drop[:1], "", is_zip=True) for drop in packages.list_drops() if drop.version == version] == [
        Drop(version, "", is_zip=True)
    ]
    content = storage.blobs.get_blob_client(CONTAINER, f"{version}.zip").download_blob().readall()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES
    with pytest.raises(Conflict):
        upload.push(folder, version)
    refused(lambda: BlobClient.from_blob_url(made.url, retry_total=0).download_blob())
    other = made.url.replace(f"{version}.zip", "another.zip")
    refused(lambda: BlobClient.from_blob_url(other, retry_total=0).upload_blob(b"x"))
    folderwise = made.url.replace(f"{version}.zip", f"{version}/a.bin").replace(CONTAINER, CONTAINER)
    refused(lambda: BlobClient.from_blob_url(folderwise, retry_total=0).upload_blob(b"x"))


def test_it_ends_by_itself_by_storages_clock(
    signatures: UploadSignatures, storage: Storage, packages: Packages, folder: Path, version: str, tmp_path: Path
) -> None:
    """A clock of this machine that is wrong by years moves nothing, and is told."""
    clock = datetime(2099, 1, 1, tzinfo=UTC)
    wrong = UploadSignatures(storage, packages, tmp_path / "lock", clock=lambda: clock)
    made = wrong.make(hours=2 / 3600)
    assert made.clocks_differ
    assert made.signature.expires_at is not None
    assert made.signature.expires_at < datetime.now(UTC) + timedelta(seconds=10)
    deadline = time.monotonic() + 30
    while not signatures.known()[0].expired:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(0.1)
    with pytest.raises(NotAuthenticated, match="expired"):
        SignedUpload(made.url).push(folder, version)
    another = signatures.make(hours=1)
    assert not another.clocks_differ
    assert [one.id for one in signatures.known()] == [another.signature.id], "expired ones make room"


def test_a_revoked_one_is_refused_and_the_others_are_not(
    signatures: UploadSignatures, folder: Path, version: str
) -> None:
    one, other = signatures.make(hours=1), signatures.make(hours=1, version=version)
    signatures.revoke(one.signature.id)
    with pytest.raises(NotAuthenticated, match="revoked") as caught:
        SignedUpload(one.url).push(folder, version)
    assert one.url.partition("sig=")[2] not in f"{caught.value!s} {caught.value.__cause__!r} {SignedUpload(one.url)!r}"
    assert SignedUpload(other.url).push(folder, version).written == 1
    assert signatures.revoke_all() == [other.signature.id]
    assert signatures.known() == []
    for unknown in (one.signature.id, "upload-00000000", "of-somebody-else"):
        with pytest.raises(NotFound):
            signatures.revoke(unknown)


def test_five_are_in_force_at_most_and_policies_of_others_stay(signatures: UploadSignatures, storage: Storage) -> None:
    container = storage.blobs.get_container_client(CONTAINER)
    theirs = AccessPolicy(permission=ContainerSasPermissions(read=True), expiry=datetime(2099, 1, 1, tzinfo=UTC))
    container.set_container_access_policy({"theirs": theirs})
    made = [signatures.make(hours=1).signature.id for _ in range(MOST_POLICIES - 1)]
    with pytest.raises(Conflict, match="in force"):
        signatures.make(hours=1)
    assert [one.id for one in signatures.known()] == made
    assert signatures.revoke_all() == made
    (left,) = container.get_container_access_policy()["signed_identifiers"]
    assert (left.id, left.access_policy.permission) == ("theirs", "r")
    container.set_container_access_policy({})


def test_a_container_that_somebody_opened_is_told_and_closed(
    signatures: UploadSignatures, storage: Storage, azurite: Azurite
) -> None:
    container = storage.blobs.get_container_client(CONTAINER)
    assert signatures.public_access is None
    container.set_container_access_policy({}, public_access="container")
    anonymous = ContainerClient.from_container_url(container.url, retry_total=0)
    assert isinstance(list(anonymous.list_blobs()), list)
    assert signatures.public_access == "container"
    signatures.make(hours=1)
    assert signatures.public_access is None
    with pytest.raises(HttpResponseError):
        list(anonymous.list_blobs())


def test_no_log_line_holds_a_signature(signatures: UploadSignatures, folder: Path, version: str) -> None:
    with capture_logs() as lines:
        url = signatures.make(hours=1).url
        SignedUpload(url).push(folder, version)
        signatures.revoke_all()
    assert len(lines) >= 3
    assert url.partition("sig=")[2] not in str(lines)


@pytest.mark.parametrize(
    ("named", "word"),
    [({"hours": 0}, "hours"), ({"hours": 169}, "hours"), ({"hours": float("nan")}, "hours"),
     ({"hours": 1, "version": "../x"}, "version"), ({"hours": 1, "version": "x" * 65}, "version"),
     ({"hours": 1, "ip": "10.0.0.9-10.0.0.1"}, "ip"), ({"hours": 1, "ip": "10.0.0.1&sp=rwd"}, "ip"),
     ({"hours": 1, "address": "evil/?x="}, "address")],
)  # fmt: skip
def test_values_that_break_a_rule_are_refused(
    named: dict[str, float | str], word: str, signatures: UploadSignatures
) -> None:
    with pytest.raises(InvalidInput, match=word):
        signatures.make(**named)  # type: ignore[arg-type]
    assert signatures.known() == []


def test_it_holds_under_whatever_name_a_client_reaches_storage_by(
    signatures: UploadSignatures, packages: Packages, version: str
) -> None:
    """A name with dots is not taken for an account's, as in Azure's own addresses."""
    where, _, query = signatures.make(hours=1).url.partition("?")
    named = {"Host": "files.factory.example:10000", "x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
    answer = httpx.put(f"{where}/{version}/manifest.json?{query}", content=b"{}", headers=named)
    assert answer.status_code == 201, answer.text
    assert packages.read_manifest(version, 100) == b"{}"


def test_an_address_and_a_range_are_in_the_url(signatures: UploadSignatures) -> None:
    url = signatures.make(hours=1, ip="10.1.2.0-10.1.2.255", address="factory.example:10000").url
    assert url.startswith("http://factory.example:10000/")
    assert "sip=10.1.2.0-10.1.2.255" in url
    assert "spr" not in url  # Azurite is reached by plain HTTP


@pytest.mark.parametrize(
    "url",
    ["", "no url", "http://127.0.0.1:1/a/model-drop", "http://127.0.0.1:1/a/model-drop?sr=c&sig=",
     "http://127.0.0.1:1/a/other?sr=c&sig=x", "http://127.0.0.1:1/a/model-drop/x.txt?sr=b&sig=x",
     "ftp://127.0.0.1/a/model-drop?sr=c&sig=x", "http://[::1/a/model-drop?sr=c&sig=x",
     "http://h/a/model-drop?sr=c&sig=" + "x" * 5_000],
)  # fmt: skip
def test_a_url_of_another_kind_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SignedUpload(url)
    assert not url or url not in str(caught.value)
