"""The Azurite that the suite runs on is real, private and gone with its parent."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.azurite import Azurite, StorageAccount


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
    stranger = StorageAccount(name=azurite.account.name, key=StorageAccount.random().key)
    with (
        BlobServiceClient.from_connection_string(stranger.connection_string(azurite.ports)) as blobs,
        pytest.raises(HttpResponseError) as refusal,
    ):
        blobs.get_service_properties()
    assert refusal.value.status_code == 403
