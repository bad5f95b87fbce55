"""Clients of blob and queue storage for the host's own work, and the writing of output bindings."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.blob import LinearRetry as BlobRetry
from azure.storage.queue import LinearRetry as QueueRetry
from azure.storage.queue import QueueClient, QueueServiceClient

from funchost.bindingdata import BindingData, fill
from funchost.blobpaths import split_path
from funchost.catalogue import Entry, check_queue_name
from funchost.settings import find_connection

HOSTS_CONTAINER = "azure-webjobs-hosts"
_TIMES = {"connection_timeout": 5, "read_timeout": 30}
_KEPT_HOSTS, _KEPT_CONNECTIONS = 2, 64  # 32 messages of a batch and as many of the next; an account has one host


class Storage:
    """One storage account; clients are made on first use and may be used from any thread."""

    def __init__(self, connection_string: str, api_version: str = "") -> None:
        extra: dict[str, Any] = {"api_version": api_version} if api_version else {}
        transports = RequestsTransport(**_TIMES), RequestsTransport(**_TIMES)
        self.blobs = BlobServiceClient.from_connection_string(
            connection_string, retry_policy=BlobRetry(backoff=1, retry_total=1), transport=transports[0], **extra
        )
        self._queues = QueueServiceClient.from_connection_string(
            connection_string, retry_policy=QueueRetry(backoff=1, retry_total=1), transport=transports[1], **extra
        )
        _prepare(transports[0], self.blobs.url)
        _prepare(transports[1], self._queues.url)
        self.account_name: str = self.blobs.account_name or "account"

    def queue(self, name: str) -> QueueClient:
        """Return a client that leaves message texts as they are."""
        return self._queues.get_queue_client(name.lower(), message_encode_policy=None, message_decode_policy=None)

    def container(self, name: str) -> ContainerClient:
        """Return a container's client."""
        return self.blobs.get_container_client(name)

    def close(self) -> None:
        """Close the connections."""
        self.blobs.close()
        self._queues.close()


def _prepare(transport: RequestsTransport, url: str) -> None:
    """Have the SDK's transport keep a connection for each thread that may ask at once.

    A storage on this machine is reached through no proxy; to look for one in the environment takes an eighth of the
    processor time of every call.
    """
    transport.open()
    for adapter in transport.session.adapters.values():
        adapter.init_poolmanager(_KEPT_HOSTS, _KEPT_CONNECTIONS)
    if urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost"):
        transport.session.trust_env = False


class StorageFactory:
    """Gives one Storage for each connection string."""

    def __init__(self, environment: Mapping[str, str], api_version: str) -> None:
        self._environment = environment
        self._api_version = api_version
        self._lock = threading.Lock()
        self._made: dict[str, Storage] = {}

    def named(self, connection: str | None) -> Storage:
        """Return the storage that a binding's `connection` means.

        Raises:
            ValueError: no such connection is set, or its text is no connection string.
        """
        text = find_connection(connection, self._environment)
        with self._lock:
            if text not in self._made:
                self._made[text] = Storage(text, self._api_version)
            return self._made[text]

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for storage in self._made.values():
                storage.close()


def send_message(client: QueueClient, content: str) -> None:
    """Put a message as it is; a missing queue is made."""
    try:
        client.send_message(content)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            client.create_queue()
        client.send_message(content)


def encode_body(body: bytes, encoding: str) -> str:
    """Return a message's text in the host's encoding."""
    return base64.b64encode(body).decode() if encoding == "base64" else body.decode("utf-8")


class Emitter:
    """Writes the outputs of functions that have succeeded."""

    def __init__(self, factory: StorageFactory, encoding: str, wake: Callable[[str, str], None]) -> None:
        self._factory = factory
        self._encoding = encoding
        self._wake = wake

    def emit(self, entry: Entry, outputs: list[dict[str, Any]], data: BindingData) -> None:
        """Write every output.

        Raises:
            azure.core.exceptions.AzureError: the storage refused or could not be reached.
            ValueError: an output has no binding, or its path or queue cannot be filled.
        """
        bindings = {str(binding["name"]): binding for binding in entry.outputs}
        for output in outputs:
            binding = bindings.get(output["name"])
            if binding is None:
                raise ValueError(f"function {entry.name!r} has no output {output['name']!r}")
            storage = self._factory.named(binding.get("connection"))
            if binding["type"] == "queue":
                queue = fill(str(binding["queueName"]), data).lower()
                check_queue_name(queue)
                self._to_queue(storage, queue, output)
            elif binding["type"] == "blob":
                _to_blob(storage, fill(str(binding["path"]), data), output)

    def _to_queue(self, storage: Storage, queue: str, output: Mapping[str, Any]) -> None:
        client = storage.queue(queue)
        for body in queue_bodies(output):
            send_message(client, encode_body(body, self._encoding))
        self._wake(storage.account_name, queue)


def queue_bodies(output: Mapping[str, Any]) -> list[bytes]:
    """Return one message body for each message that an output stands for.

    A text that is a JSON array stands for one message an element, as it does for the real host, which cannot tell it
    from a list.
    """
    if output["type"] == "bytes":
        return [base64.b64decode(output["value"])]
    text = str(output["value"])
    if output["type"] != "json" and not (text.strip().startswith("[") and text.strip().endswith("]")):
        return [text.encode()]
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return [text.encode()]
    items = document if isinstance(document, list) else [document]
    return [_item_text(item).encode() for item in items]


def _item_text(item: Any) -> str:
    """Return an element as .NET writes it: texts bare, truth values capitalised, nothing for null."""
    if item is None:
        return ""
    if isinstance(item, str | bool):
        return str(item)
    return json.dumps(item, ensure_ascii=False)


def _to_blob(storage: Storage, path: str, output: Mapping[str, Any]) -> None:
    container, blob = split_path(path)
    data = base64.b64decode(output["value"]) if output["type"] == "bytes" else str(output["value"]).encode()
    client = storage.blobs.get_blob_client(container, blob)
    try:
        client.upload_blob(data, overwrite=True)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            storage.container(container).create_container()
        client.upload_blob(data, overwrite=True)


class InputReader:
    """Reads the blobs that functions have asked for beside their trigger."""

    def __init__(self, factory: StorageFactory) -> None:
        self._factory = factory

    def read(self, entry: Entry, data: BindingData) -> dict[str, dict[str, str]]:
        """Return each input's type and content (base64) by its name; nothing for a blob that does not exist.

        Raises:
            azure.core.exceptions.AzureError: the storage refused or could not be reached.
            ValueError: a path cannot be filled.
        """
        found: dict[str, dict[str, str]] = {}
        for binding in entry.inputs:
            container, blob = split_path(fill(str(binding["path"]), data))
            client = self._factory.named(binding.get("connection")).blobs.get_blob_client(container, blob)
            try:
                content = client.download_blob().readall()
            except ResourceNotFoundError:
                continue
            binary = str(binding.get("dataType") or "").upper() == "BINARY"
            text = base64.b64encode(content).decode()
            found[str(binding["name"])] = {"type": "bytes" if binary else "string", "value": text}
        return found
