"""The Azurite that the suite runs on is real, private and gone with its parent."""

import json
import os
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.azurite.account import WELL_KNOWN_ACCOUNT, StorageAccount, StorageKey
from shared.azurite.files import carry_over, set_damaged_aside
from shared.azurite.service import Azurite, AzuriteFailed, start_azurite, wait_until_ready
from shared.bootstrap import Services
from shared.platform import free_ports
from shared.settings import Settings


@pytest.mark.azurite
def test_blobs_and_queues_work_with_ordinary_clients(azurite: Azurite) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        container = blobs.create_container("platform-test")
        container.upload_blob("a/b", b"content")
        assert container.download_blob("a/b").readall() == b"content"
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queue = queues.create_queue("platform-test")
        queue.send_message("hello")
        received = queue.receive_message()
        assert received is not None
        assert received.content == "hello"


@pytest.mark.azurite
def test_another_key_is_refused(azurite: Azurite) -> None:
    stranger = StorageAccount(name=azurite.account.name, keys=StorageAccount.random().keys)
    with (
        BlobServiceClient.from_connection_string(stranger.connection_string(azurite.ports)) as blobs,
        pytest.raises(HttpResponseError) as refusal,
    ):
        blobs.get_service_properties()
    assert refusal.value.status_code == 403


@pytest.mark.parametrize("content", [b'{"filename": "__azur', b"\0\0\0\0", b"[]"])
def test_data_that_a_power_cut_tore_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """Azurite ends at its start over such a file, and an instance would never start again."""
    location = tmp_path / "azurite"
    location.mkdir()
    (location / "__azurite_db_blob__.json").write_bytes(b"{}")
    (location / "__azurite_db_queue__.json").write_bytes(content)
    aside = set_damaged_aside(location, now=datetime(2026, 3, 1, 8, tzinfo=UTC))
    assert aside == tmp_path / "azurite-damaged-20260301-080000"
    assert (aside / "__azurite_db_queue__.json").read_bytes() == content
    assert not location.exists()


def test_whole_new_and_empty_data_stay(tmp_path: Path) -> None:
    location = tmp_path / "azurite"
    assert set_damaged_aside(location, now=datetime.now(UTC)) is None
    location.mkdir()
    (location / "__azurite_db_blob__.json").write_bytes(b'{"filename": "x"}')
    (location / "__azurite_db_queue__.json").write_bytes(b"")
    assert set_damaged_aside(location, now=datetime.now(UTC)) is None
    assert len(list(location.iterdir())) == 2


# ------------------------------------------------------------------------------------------------- who is let in

EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WELL_KNOWN = StorageAccount(name=WELL_KNOWN_ACCOUNT, keys=(StorageKey(value=EMULATOR_KEY),))


@pytest.mark.azurite
def test_the_well_known_account_is_refused_and_so_is_its_key_for_our_account(azurite: Azurite) -> None:
    """A stranger needs no guess for these: they stand in the emulator's manual."""
    for account in (WELL_KNOWN, StorageAccount(name=azurite.account.name, keys=WELL_KNOWN.keys)):
        connection = account.connection_string(azurite.ports)
        for client in (
            BlobServiceClient.from_connection_string(connection, retry_total=0),
            QueueServiceClient.from_connection_string(connection, retry_total=0),
        ):
            with client, pytest.raises(HttpResponseError) as refusal:
                client.get_service_properties()
            assert refusal.value.status_code in (401, 403, 404), refusal.value
    assert WELL_KNOWN_ACCOUNT not in azurite.connection_string


@pytest.mark.azurite
def test_nobody_gets_in_without_a_key(azurite: Azurite) -> None:
    """Neither names, nor content, nor a change; containers and queues are private as they are made."""
    name = f"private-{uuid.uuid4().hex[:8]}"
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        blobs.create_container(name).upload_blob("x", b"secret")
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queues.create_queue(name).send_message("secret")
    blob, queue, table = (f"http://{azurite.host}:{port}/{azurite.account.name}" for port in azurite.ports)
    asked = [
        ("GET", f"{blob}?comp=list"), ("GET", f"{blob}/{name}?restype=container&comp=list"),
        ("GET", f"{blob}/{name}/x"),
        ("PUT", f"{blob}/{name}/y"), ("DELETE", f"{blob}/{name}/x"), ("PUT", f"{blob}/another?restype=container"),
        ("GET", f"{queue}?comp=list"), ("GET", f"{queue}/{name}/messages?peekonly=true"),
        ("POST", f"{queue}/{name}/messages"), ("DELETE", f"{queue}/{name}"), ("GET", f"{table}/Tables"),
    ]  # fmt: skip
    for method, url in asked:
        answer = httpx.request(method, url, headers={"x-ms-version": "2021-12-02", "x-ms-blob-type": "BlockBlob"})
        assert answer.status_code in (401, 403, 404), (method, url, answer.status_code)
        assert "secret" not in answer.text
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        assert blobs.get_blob_client(name, "x").download_blob().readall() == b"secret"
        assert "another" not in {container.name for container in blobs.list_containers()}


@pytest.mark.azurite
def test_it_listens_on_loopback_and_nowhere_else(azurite: Azurite) -> None:
    """127.0.0.2 is this machine too: it answers for whoever listens on every address."""
    for port in azurite.ports:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.azurite
def test_no_command_line_shows_a_key(azurite: Azurite) -> None:
    command = Path(f"/proc/{azurite.process.pid}/cmdline").read_bytes()
    assert b"azurite" in command
    assert azurite.account.keys[0].value.encode() not in command
    assert azurite.account.keys[0].value not in f"{azurite!r}"


# --------------------------------------------------------------------------------------------- a change of account


@pytest.mark.azurite
def test_blobs_and_messages_of_the_well_known_account_are_carried_over(tmp_path: Path) -> None:
    """Azurite shows an account its own data only, so an installation that gets an account of its own would lose all.

    The second start is where it was told to listen, with a key that was rotated: both of its keys are good.
    """
    location, content = tmp_path / "azurite", os.urandom(5_000_000)
    ports = free_ports(3)
    before = start_azurite(location, WELL_KNOWN, ports)
    try:
        wait_until_ready(before)
        with BlobServiceClient.from_connection_string(before.connection_string) as blobs:
            container = blobs.create_container("model-drop", metadata={"made": "before"})
            container.upload_blob("v/model.bin", content, metadata={"a": "b"})
            container.upload_blob("v/empty", b"")
        with QueueServiceClient.from_connection_string(before.connection_string) as queues:
            queues.create_queue("extracts").send_message("one")
            queues.get_queue_client("extracts").send_message("two")
        settings = Settings(data_dir=tmp_path / "data", ROUTING_STORAGE_CONNECTION=before.connection_string)
        condition = Services(settings).health.detail()["parts"]["storage"]
        assert (condition["status"], "everybody knows" in condition["detail"]) == ("degraded", True)
        assert EMULATOR_KEY not in f"{condition}"
    finally:
        before.stop()

    first = StorageAccount.random()
    account = first.rotated(now=datetime.now(UTC))
    assert carry_over(location, account.name) == WELL_KNOWN_ACCOUNT
    assert carry_over(location, account.name) is None, "once is enough"
    after = start_azurite(location, account, ports, bind_address="127.0.0.2")
    try:
        wait_until_ready(after)
        for key in account.keys:
            one_key = StorageAccount(name=account.name, keys=(key,)).connection_string(ports, after.host)
            with BlobServiceClient.from_connection_string(one_key) as blobs:
                container = blobs.get_container_client("model-drop")
                assert container.get_container_properties().metadata == {"made": "before"}
                assert {blob.name for blob in container.list_blobs("v/")} == {"v/model.bin", "v/empty"}
                assert container.download_blob("v/model.bin").readall() == content
                container.upload_blob(f"w/{key.fingerprint}", b"new")
        with QueueServiceClient.from_connection_string(after.connection_string) as queues:
            messages = queues.get_queue_client("extracts").receive_messages(messages_per_page=10)
            assert sorted(message.content for message in messages) == ["one", "two"]
        with (
            BlobServiceClient.from_connection_string(WELL_KNOWN.connection_string(ports, after.host)) as blobs,
            pytest.raises(HttpResponseError),
        ):
            blobs.get_service_properties()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), timeout=5)
    finally:
        after.stop()


def test_data_of_several_accounts_stays_as_it_is(tmp_path: Path) -> None:
    """Two containers of one name cannot become one; and own data is not mixed with another's."""

    def index(*owners: str) -> str:
        documents = [{"accountName": owner, "name": "model-drop"} for owner in owners]
        return json.dumps({"collections": [{"name": "$CONTAINERS_COLLECTION$", "data": documents}]})

    file = tmp_path / "__azurite_db_blob__.json"
    for owners in (("theirs", "others"), ("theirs", "own"), ("own",), ()):
        file.write_text(index(*owners))
        assert carry_over(tmp_path, "own") is None
        assert file.read_text() == index(*owners)
    file.write_text(index("theirs"))
    (tmp_path / "__azurite_db_queue__.json").write_text(index("own"))  # as a start that was killed in between left it
    assert carry_over(tmp_path, "own") == "theirs"
    assert json.loads(file.read_text()) == json.loads(index("own"))


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(AzuriteFailed, match="everywhere"):
        start_azurite(tmp_path, StorageAccount.random(), (1, 2, 3), bind_address="everywhere")
