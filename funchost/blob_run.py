"""Runs blob functions for the messages of the internal queue, with the blob's last state only."""

import json
from collections.abc import Mapping, Sequence

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties

from funchost import logs
from funchost.bindingdata import BindingData, properties_of
from funchost.blobs import BlobFunction, quoted
from funchost.invoker import Invocation, Invoker, Outcome, Renewal
from funchost.queues import HeldMessage
from funchost.storage import Storage


class BlobRunner:
    """Runs the blob function that a message of the internal queue names."""

    def __init__(
        self, functions: Sequence[BlobFunction], data_storage: Mapping[str, Storage], invoker: Invoker
    ) -> None:
        self._by_id = {function.id: function for function in functions}
        self._data = data_storage
        self._invoker = invoker

    def run(self, message: HeldMessage, renewal: Renewal) -> Outcome:
        """Run it; messages about functions or blobs that are gone or changed are dropped."""
        try:
            document = json.loads(message.body or b"")
            function = self._by_id.get(document["FunctionId"])
            container, name, etag = document["ContainerName"], document["BlobName"], document["ETag"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            logs.error("blob.message_dropped", message_id=message.id, reason=f"it cannot be read: {error!r}")
            return Outcome(ok=True)
        if function is None:
            logs.warning(
                "blob.message_dropped", function=document["FunctionId"], reason="no such function listens here"
            )
            return Outcome(ok=True)
        try:
            invocation = self.invocation(function, container, name, etag, message.dequeue_count)
        except (AzureError, OSError) as error:
            logs.warning("blob.read_failed", blob=name, reason=str(error).split("\n", 1)[0])
            return Outcome(ok=False, failure="the blob could not be read")
        return Outcome(ok=True) if invocation is None else self._invoker.run(invocation, renewal)

    def poison_storage(self, message: HeldMessage) -> Storage | None:
        """Return the account of the blob that a message names; None when the message cannot be read."""
        try:
            function = self._by_id.get(json.loads(message.body or b"")["FunctionId"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return None if function is None else self._data[str(function.entry.trigger.get("connection") or "")]

    def invocation(
        self,
        function: BlobFunction,
        container: str,
        name: str,
        etag: str | None,
        attempt: int,
        reason: str = "New blob detected",
    ) -> Invocation | None:
        """Read the blob; None when it is gone, or is not the version of this ETag any more.

        Raises:
            azure.core.exceptions.AzureError: the storage cannot be reached.
        """
        client = self._data[str(function.entry.trigger.get("connection") or "")].blobs.get_blob_client(container, name)
        try:
            stream = client.download_blob()
        except ResourceNotFoundError:
            logs.info("blob.gone", function=function.entry.name, blob=f"{container}/{name}")
            return None
        properties = stream.properties
        if etag is not None and quoted(properties.etag) != quoted(etag):
            logs.info("blob.changed", function=function.entry.name, blob=f"{container}/{name}")
            return None
        captured = function.path.match(name) or {}
        binary = str(function.entry.trigger.get("dataType") or "").upper() == "BINARY"
        content = stream.readall()
        given = {**captured, "BlobTrigger": f"{container}/{name}", "Uri": client.url}
        described = {"Metadata": dict(properties.metadata or {})}
        of_content = (
            properties_of(content.decode("utf-8", "replace")) if function.entry.has_places and not binary else {}
        )
        return Invocation(
            entry=function.entry,
            type="bytes" if binary else "string",
            value=content,
            metadata=_metadata(container, client, properties, captured),
            attempt=attempt,
            reason=reason,
            data=BindingData(given, described, of_content),
        )


def _metadata(
    container: str, client: BlobClient, properties: BlobProperties, captured: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    modified = properties.last_modified
    described = {
        "ContentLength": properties.size,
        "Length": properties.size,
        "ETag": quoted(properties.etag),
        "LastModified": modified.isoformat() if modified else None,
        "ContentType": properties.content_settings.content_type,
        "BlobType": str(getattr(properties.blob_type, "value", properties.blob_type) or "BlockBlob"),
    }
    texts = {name: {"type": "string", "value": value} for name, value in captured.items()}
    return {
        **texts,
        "BlobTrigger": {"type": "string", "value": f"{container}/{client.blob_name}"},
        "Uri": {"type": "json", "value": json.dumps(client.url)},
        "Properties": {"type": "json", "value": json.dumps(described)},
        "Metadata": {"type": "json", "value": json.dumps(dict(properties.metadata or {}))},
    }
