"""The storage that one test sees of the Azurite that all share."""

import contextlib
import uuid
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy


class Account:
    """The storage of one test: names are made unique, so that tests share one Azurite."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self.tag = uuid.uuid4().hex[:8]
        self.host_id = f"t-{self.tag}"
        self.blobs = BlobServiceClient.from_connection_string(connection_string)
        self._queues = QueueServiceClient.from_connection_string(connection_string)

    def name(self, text: str) -> str:
        return f"{text}-{self.tag}"

    def queue(self, name: str, *, full: bool = False, raw: bool = False) -> QueueClient:
        policies: dict[str, Any] = {}
        if not raw:
            policies = {
                "message_encode_policy": TextBase64EncodePolicy(),
                "message_decode_policy": TextBase64DecodePolicy(),
            }
        return self._queues.get_queue_client(name if full else self.name(name), **policies)

    def send(self, queue: str, *texts: str, raw: bool = False) -> None:
        client = self.queue(queue, raw=raw)
        with contextlib.suppress(ResourceExistsError):
            client.create_queue()
        for text in texts:
            client.send_message(text)

    def waiting(self, queue: str, *, full: bool = False, raw: bool = False) -> list[str]:
        """Texts of the visible messages, left where they are."""
        try:
            messages = self.queue(queue, full=full, raw=raw).peek_messages(max_messages=32)
        except ResourceNotFoundError:
            return []
        return [str(message.content) for message in messages]

    def depth(self, queue: str) -> int:
        """All messages, the invisible ones too; -1 when there is no such queue."""
        try:
            return int(self.queue(queue).get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return -1

    def put(self, blob: str, data: bytes = b"{}", *, container: str = "drop") -> str:
        client = self.blobs.get_container_client(self.name(container))
        with contextlib.suppress(ResourceExistsError):
            client.create_container()
        return str(client.upload_blob(blob, data, overwrite=True).get_blob_properties().etag).strip('"')

    def host_blobs(self, prefix: str) -> list[str]:
        container = self.blobs.get_container_client("azure-webjobs-hosts")
        return [blob.name for blob in container.list_blobs(name_starts_with=prefix)]

    def close(self) -> None:
        self.blobs.close()
        self._queues.close()
