"""The receipts of blobs, over a real Azurite."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient

from funchost.blob_receipts import Receipts
from funchost.blobpaths import compile_path
from funchost.blobs import BlobFunction
from funchost.catalogue import Entry
from funchost.storage import Storage
from tests.conformance.account import Account

pytestmark = pytest.mark.azurite


def test_a_blob_is_put_on_the_queue_once_where_its_receipt_cannot_be_completed_at_once(account: Account) -> None:
    """As when the storage goes away between the two."""
    account.put("a")
    blob = next(iter(account.blobs.get_container_client(account.name("drop")).list_blobs()))
    function = BlobFunction(entry=cast(Entry, SimpleNamespace(name="read")), path=compile_path("drop/{name}"))
    receipts = Receipts(Storage(account.connection_string), account.host_id)
    receipt = account.blobs.get_blob_client("azure-webjobs-hosts", receipts.path(function, blob))
    put: list[Any] = []

    def put_and_lose_the_lease() -> None:
        put.append(blob.name)
        BlobLeaseClient(receipt).break_lease(lease_break_period=0)

    with pytest.raises(HttpResponseError):
        receipts.once(function, blob, put_and_lose_the_lease)
    assert receipt.get_blob_properties().metadata == {"Incomplete": "true"}
    assert receipts.once(function, blob, put_and_lose_the_lease)
    assert put == ["a"]
    assert receipt.get_blob_properties().metadata == {}
