"""The Azurite that the suite runs on is real, private and gone with its parent."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.azurite.account import StorageAccount
from shared.azurite.files import set_damaged_aside
from shared.azurite.service import Azurite


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
