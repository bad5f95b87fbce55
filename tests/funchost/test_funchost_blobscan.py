"""How often the blob scanner looks at its containers, and that it overlooks nothing."""

import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.storage.blob import BlobProperties, ContainerClient

from funchost.blob_scan import BlobScanner
from funchost.blobpaths import compile_path
from funchost.blobs import BlobFunction, internal_queue
from funchost.catalogue import Entry
from funchost.state import HostState
from funchost.storage import Storage
from tests.conformance.account import Account


class OneBlobAPage:
    """A container that is listed a blob at a time, with something done after the first page."""

    def __init__(self, container: ContainerClient, after_the_first: Callable[[], None]) -> None:
        self._container = container
        self._after_the_first = after_the_first

    def list_blobs(self, **options: Any) -> Iterator[BlobProperties]:
        for number, page in enumerate(self._container.list_blobs(results_per_page=1, **options).by_page()):
            yield from page
            if number == 0:
                self._after_the_first()


@pytest.fixture
def scanner(account: Account) -> Iterator[BlobScanner]:
    """A scanner of one function that holds the lease."""
    trigger = {"path": f"{account.name('drop')}/{{name}}/manifest.json", "connection": ""}
    function = BlobFunction(
        entry=cast("Entry", SimpleNamespace(name="read", trigger=trigger)), path=compile_path(trigger["path"])
    )
    storage = Storage(account.connection_string)
    storage.queue(internal_queue(account.host_id)).create_queue()
    made = BlobScanner(
        functions=[function], host_storage=storage, data_storage={"": storage}, host_id=account.host_id,
        scan_seconds=7.0, lock_period_seconds=15, lock_retry_seconds=1.0, state=HostState(), wake=lambda *_: None,
    )  # fmt: skip
    assert made._lease.acquire()
    yield made
    made._lease.release()
    storage.close()


@pytest.mark.azurite
def test_a_container_is_looked_at_more_often_while_files_arrive(account: Account, scanner: BlobScanner) -> None:
    """What comes last is what a function waits for."""
    account.put("old/model.bin", b"1")
    pauses = []
    for arrives in (None, None, "a/model.bin", "a/manifest.json", None, "old/model.bin"):
        if arrives is not None:
            time.sleep(1.1)  # storage tells times in whole seconds
            account.put(arrives, b"2")
        scanner._scan_all()
        pauses.append(scanner._pause())
    assert pauses == [7.0, 7.0, 0.25, 7.0, 7.0, 0.25]


@pytest.mark.azurite
def test_a_blob_that_arrives_on_a_page_already_listed_is_found_by_the_next_scan(
    account: Account, scanner: BlobScanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("m", "n"):
        account.put(f"{name}/manifest.json")
    time.sleep(1.1)  # storage tells times in whole seconds

    def arrive() -> None:
        account.put("a/manifest.json")  # before all that is listed next
        time.sleep(1.1)
        account.put("z/manifest.json")

    [storage] = scanner._data.values()
    container = OneBlobAPage(storage.container(account.name("drop")), arrive)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "container", lambda _: container)
        scanner._scan_all()
    assert noticed(account) == {"m", "n", "z"}
    scanner._scan_all()
    assert noticed(account) == {"m", "n", "z", "a"}


def noticed(account: Account) -> set[str]:
    messages = account.waiting(internal_queue(account.host_id), full=True)
    return {json.loads(message)["BlobName"].partition("/")[0] for message in messages}
