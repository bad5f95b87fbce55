"""Receipts of blob triggers: which version of a blob was put on the queue for which function."""

from collections import OrderedDict
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties

from funchost.blobs import BlobFunction, quoted
from funchost.storage import HOSTS_CONTAINER, Storage

_RECEIPT_LEASE_SECONDS = 30
_REMEMBERED = 20_000


class Receipts:
    """One empty blob for each function, blob and ETag; complete once its message has been put on the queue."""

    def __init__(self, storage: Storage, host_id: str) -> None:
        self._storage = storage
        self._host_id = host_id
        self._complete: OrderedDict[str, None] = OrderedDict()
        self._done: set[str] = set()  # what was done and could not be written down yet: the storage went away between

    def path(self, function: BlobFunction, blob: BlobProperties) -> str:
        """Return the receipt's blob name."""
        return f"blobreceipts/{self._host_id}/{function.id}/{quoted(blob.etag)}/{blob.container}/{blob.name}"

    def once(self, function: BlobFunction, blob: BlobProperties, action: Any) -> bool:
        """Do the action unless it was done for this version of the blob; False when another host is at it now."""
        path = self.path(function, blob)
        if path in self._complete:
            return True
        receipt = self._storage.blobs.get_blob_client(HOSTS_CONTAINER, path)
        if not self._is_open(receipt):
            self._remember(path)
            return True
        try:
            lease = receipt.acquire_lease(lease_duration=_RECEIPT_LEASE_SECONDS)
        except HttpResponseError as error:
            if error.status_code == 409:
                return False
            raise
        try:
            if self._is_open(receipt):
                if path not in self._done:
                    action()
                    self._done.add(path)
                receipt.set_blob_metadata({}, lease=lease)
        finally:
            lease.release()
        self._remember(path)
        return True

    def _is_open(self, receipt: BlobClient) -> bool:
        """Whether the receipt is incomplete; a missing one is made so."""
        try:
            return "Incomplete" in {name.capitalize() for name in receipt.get_blob_properties().metadata or {}}
        except ResourceNotFoundError:
            pass
        try:
            receipt.upload_blob(b"", metadata={"Incomplete": "true"}, overwrite=False)
        except ResourceExistsError:
            return self._is_open(receipt)
        except ResourceNotFoundError:
            self._storage.container(HOSTS_CONTAINER).create_container()
            return self._is_open(receipt)
        return True

    def _remember(self, path: str) -> None:
        self._done.discard(path)
        self._complete[path] = None
        while len(self._complete) > _REMEMBERED:
            self._complete.popitem(last=False)
