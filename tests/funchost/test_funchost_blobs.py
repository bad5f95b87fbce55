"""Blob functions: scan, receipts, patterns, poison and what the function is given."""

import base64
import json
import time
from types import SimpleNamespace
from typing import cast

import pytest

from funchost.blobpaths import compile_path
from funchost.blobs import BlobFunction, BlobScanner, internal_queue
from funchost.catalogue import Entry
from funchost.state import HostState
from funchost.storage import Storage
from tests.conformance.account import Account
from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

READER = """
    @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}/manifest.json", connection="AzureWebJobsStorage")
    @app.blob_output(arg_name="copy", path="copies-TAG/{name}.txt", connection="AzureWebJobsStorage")
    def read(blob: func.InputStream, copy: func.Out[str]) -> None:
        content = blob.read().decode()
        record(what="read", name=blob.name, content=content)
        if content == "bad":
            raise ValueError("no")
        copy.set("copy of " + content)
"""


def test_blobs_that_exist_fire_once_and_again_only_under_another_host_id(workshop: Workshop, account: Account) -> None:
    account.put("a/manifest.json", b"1")
    account.put("b/manifest.json", b"2")
    app_dir = workshop.write(READER)
    first = workshop.start(app_dir)
    assert eventually(lambda: len(first.records("read")) == 2)
    assert first.stop() == 0
    second = workshop.start(app_dir)
    account.put("c/manifest.json", b"3")
    assert eventually(lambda: len(second.records("read")) == 3)
    assert {record["name"].split("/", 1)[1] for record in second.records("read")} == {
        "a/manifest.json",
        "b/manifest.json",
        "c/manifest.json",
    }
    assert second.stop() == 0
    third = workshop.start(app_dir, settings={"AzureFunctionsWebHost__hostid": account.name("other")})
    assert eventually(lambda: len(third.records("read")) == 6)
    copies = account.blobs.get_container_client(account.name("copies"))
    assert copies.get_blob_client("a.txt").download_blob().readall() == b"copy of 1"


def test_an_overwritten_blob_fires_again_and_leaves_a_receipt_for_each_version(
    workshop: Workshop, account: Account
) -> None:
    host = workshop.run(READER)
    etags = []
    for _ in range(2):
        etags.append(account.put("a/manifest.json", b"same"))
        assert eventually(lambda: len(host.records("read")) == len(etags))
    folder = f"blobreceipts/{account.host_id}/Host.Functions.read/"
    container = account.name("drop")
    expected = {f'{folder}"{etag}"/{container}/a/manifest.json' for etag in etags}
    assert eventually(lambda: set(account.host_blobs(folder)) == expected)
    receipt = account.blobs.get_blob_client("azure-webjobs-hosts", sorted(expected)[0])
    assert eventually(lambda: receipt.get_blob_properties().metadata == {})
    scans = f"blobscaninfo/{account.host_id}/{account.blobs.account_name}/{container}/scanInfo"
    assert eventually(lambda: account.host_blobs(scans) == [scans])


def test_a_pattern_is_greedy_and_minds_case(workshop: Workshop, account: Account) -> None:
    for blob in ("A/Manifest.json", "a/model.bin", "a/b/manifest.json", "a/manifest.json"):
        account.put(blob)
    host = workshop.run(
        READER.replace("record(what=", "record(length=blob.length, uri=blob.uri, what=").replace("{name}.txt", "x.txt")
    )
    assert eventually(lambda: len(host.records("read")) >= 2)
    account.put("last/manifest.json")
    assert eventually(lambda: len(host.records("read")) >= 3)
    names = sorted(record["name"].split("/", 1)[1] for record in host.records("read"))
    assert names == ["a/b/manifest.json", "a/manifest.json", "last/manifest.json"]


def test_a_blob_that_always_fails_ends_in_the_common_poison_queue(workshop: Workshop, account: Account) -> None:
    host = workshop.run(READER)
    etag = account.put("a/manifest.json", b"bad")
    assert eventually(lambda: _poisoned(account))
    assert len(host.records("read")) == 2
    message = _poisoned(account)[0]
    assert message == {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.read",
        "BlobType": "BlockBlob",
        "ContainerName": account.name("drop"),
        "BlobName": "a/manifest.json",
        "ETag": f'"{etag}"',
    }


def _poisoned(account: Account) -> list[dict[str, str]]:
    texts = account.waiting("webjobs-blobtrigger-poison", full=True)
    return [found for found in map(json.loads, texts) if found["ContainerName"] == account.name("drop")]


def test_only_the_last_state_of_a_blob_is_seen_and_a_deleted_one_is_forgotten(
    workshop: Workshop, account: Account
) -> None:
    old = account.put("a/manifest.json", b"old")
    account.put("a/manifest.json", b"new")
    account.put("gone/manifest.json", b"x")
    account.blobs.get_blob_client(account.name("drop"), "gone/manifest.json").delete_blob()
    queue = account.queue(f"azure-webjobs-blobtrigger-{account.host_id}", full=True)
    queue.create_queue()
    for blob, etag in (("a/manifest.json", old), ("gone/manifest.json", "0x1")):
        named = {"ContainerName": account.name("drop"), "BlobName": blob, "ETag": f'"{etag}"'}
        queue.send_message(json.dumps({"FunctionId": "Host.Functions.read", "BlobType": "BlockBlob", **named}))
    host = workshop.run(READER)
    assert eventually(lambda: host.events("blob.gone") and host.events("blob.changed") and host.records("read"))
    assert [record["content"] for record in host.records("read")] == ["new"]
    assert eventually(lambda: queue.get_queue_properties().approximate_message_count == 0)
    assert _poisoned(account) == []


def test_binary_content_arrives_byte_for_byte_with_its_properties(workshop: Workshop, account: Account) -> None:
    host = workshop.run(
        """
        import base64

        @app.blob_trigger(arg_name="blob", path="drop-TAG", connection="AzureWebJobsStorage", data_type="BINARY")
        def read(blob: func.InputStream) -> None:
            record(what="read", content=base64.b64encode(blob.read()).decode(), length=blob.length, uri=blob.uri,
                   etag=blob.blob_properties["ETag"], metadata=blob.metadata, name=blob.name)
        """
    )
    etag = account.put("any/where", bytes(range(256)))
    seen = eventually(lambda: host.records("read"))[0]
    assert base64.b64decode(seen["content"]) == bytes(range(256))
    assert seen["length"] == 256
    assert seen["etag"] == f'"{etag}"'
    assert seen["metadata"] == {}
    assert seen["name"] == f"{account.name('drop')}/any/where"
    assert seen["uri"] == account.blobs.get_blob_client(account.name("drop"), "any/where").url


def test_two_hosts_share_the_work_and_double_none(workshop: Workshop, account: Account) -> None:
    app_dir = workshop.write(READER)
    first, second = workshop.start(app_dir), workshop.start(app_dir)
    for number in range(20):
        account.put(f"{number}/manifest.json", str(number).encode())
    assert eventually(lambda: len(first.records("read")) >= 20, seconds=15)
    assert sorted(int(record["content"]) for record in first.records("read")) == list(range(20))
    scanners = [bool(host.events("blob.noticed")) for host in (first, second)]
    assert sorted(scanners) == [False, True]


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
