"""How often the blob scanner looks at its containers."""

import time
from types import SimpleNamespace
from typing import cast

import pytest

from funchost.blob_scan import BlobScanner
from funchost.blobpaths import compile_path
from funchost.blobs import BlobFunction, internal_queue
from funchost.catalogue import Entry
from funchost.state import HostState
from funchost.storage import Storage
from tests.conformance.account import Account


@pytest.mark.azurite
def test_a_container_is_looked_at_more_often_while_files_arrive(account: Account) -> None:
    """What comes last is what a function waits for."""
    trigger = {"path": f"{account.name('drop')}/{{name}}/manifest.json", "connection": ""}
    function = BlobFunction(
        entry=cast("Entry", SimpleNamespace(name="read", trigger=trigger)), path=compile_path(trigger["path"])
    )
    storage = Storage(account.connection_string)
    storage.queue(internal_queue(account.host_id)).create_queue()
    scanner = BlobScanner(
        functions=[function], host_storage=storage, data_storage={"": storage}, host_id=account.host_id,
        scan_seconds=7.0, lock_period_seconds=15, lock_retry_seconds=1.0, state=HostState(), wake=lambda *_: None,
    )  # fmt: skip
    assert scanner._lease.acquire()
    account.put("old/model.bin", b"1")
    pauses = []
    for arrives in (None, None, "a/model.bin", "a/manifest.json", None, "old/model.bin"):
        if arrives is not None:
            time.sleep(1.1)  # storage tells times in whole seconds
            account.put(arrives, b"2")
        scanner._scan_all()
        pauses.append(scanner._pause())
    scanner._lease.release()
    assert pauses == [7.0, 7.0, 0.25, 7.0, 7.0, 0.25]
