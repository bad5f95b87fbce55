"""Blob functions: scan, receipts, patterns, poison and what the function is given."""

import base64
import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from tests.conformance.account import Account
from tests.conformance.hosts import Host, eventually
from tests.conformance.scenarios import scenario
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

READER = """
    @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}/manifest.json", connection="AzureWebJobsStorage")
    @app.blob_output(arg_name="copy", path="copies-TAG/{name}.txt", connection="AzureWebJobsStorage")
    def read(blob: func.InputStream, copy: func.Out[str]) -> None:
        content = blob.read().decode()
        record(what="read", name=blob.name.split("/", 1)[1], content=content)
        if content.startswith("bad"):
            raise ValueError("no")
        copy.set("copy of " + content)
"""
SHARED = (
    READER
    + """
    def on(path, **options):
        return app.blob_trigger(arg_name="blob", path=path, connection="AzureWebJobsStorage", **options)

    def seen(what, blob):
        record(what=what, name=blob.name.split("/", 1)[1], content=blob.read().decode())

    @on("state-TAG/{name}")
    def state(blob: func.InputStream) -> None:
        seen("state", blob)

    @on("moved-TAG")
    def moved(blob: func.InputStream) -> None:
        seen("moved", blob)

    @on("swept-TAG/{name}")
    def swept(blob: func.InputStream) -> None:
        seen("swept", blob)

    @on("appear-TAG/{name}", source=func.BlobSource.LOGS_AND_CONTAINER_SCAN)
    async def appear(blob: func.InputStream) -> None:
        seen("appear", blob)

    @on("pairs-TAG/{line}/{number}.txt")
    def first_of_pair(blob: func.InputStream) -> None:
        seen("first", blob)

    @on("pairs-TAG/{line}/7.txt")
    def second_of_pair(blob: func.InputStream) -> None:
        seen("second", blob)

    @on("any-TAG", data_type="BINARY")
    def any_kind(blob: func.InputStream) -> None:
        import base64
        record(what="any", content=base64.b64encode(blob.read()).decode(), length=blob.length, uri=blob.uri,
               properties=blob.blob_properties, metadata=blob.metadata, name=blob.name)

    @on("%BOX%/{name}.txt", data_type="BINARY")
    @app.blob_input(arg_name="beside", path="%BOX%/{name}.note", connection="AzureWebJobsStorage")
    @app.blob_output(arg_name="copy", path="copied-TAG/{name}.copy", connection="AzureWebJobsStorage")
    def copied(blob: bytes, beside: str, copy: func.Out[bytes]) -> None:
        copy.set(blob + (beside or "").encode())

    @on("posts-TAG/{name}.json")
    @app.blob_output(arg_name="copy", path="posted-TAG/{order}/{Metadata.line}/{name}",
                     connection="AzureWebJobsStorage")
    def posts(blob: func.InputStream, copy: func.Out[str]) -> None:
        copy.set(blob.read().decode())

    @on("resting-TAG")
    def resting(blob: func.InputStream) -> None:
        seen("resting", blob)

    @on("never-TAG", source="EventGrid")
    def by_event_grid(blob: func.InputStream) -> None:
        pass

    @on("{container}/x")
    def by_any_container(blob: func.InputStream) -> None:
        pass

    @on("never-TAG")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
    def stubborn(blob: func.InputStream) -> None:
        pass
"""
)


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop, shared_account: Account) -> Host:
    """The host of all tests that only ask; what another host has left lies there before it starts."""
    _leave_notifications(shared_account)
    _leave_receipts(shared_account)
    _leave_scan_info(shared_account)
    settings = {"BOX": shared_account.name("box"), "AzureWebJobs.resting.Disabled": "true"}
    started: Host = shared_workshop.start(shared_workshop.write(SHARED), settings=settings)
    return started


def _leave_notifications(account: Account) -> None:
    old = account.put("changed", b"old", container="state")
    account.put("changed", b"new", container="state")
    gone = account.put("gone", b"x", container="state")
    account.blobs.get_blob_client(account.name("state"), "gone").delete_blob()
    for blob, etag in (("changed", old), ("gone", gone)):
        _notify(account, "state", blob, etag)


def _leave_receipts(account: Account) -> None:
    for blob, metadata in (("done", {}), ("begun", {"Incomplete": "Incomplete"}), ("unseen", None)):
        etag = account.put(blob, blob.encode(), container="moved")
        if metadata is not None:
            path = f'blobreceipts/{account.host_id}/Host.Functions.moved/"{etag}"/{account.name("moved")}/{blob}'
            _hosts_container(account).upload_blob(path, b"", metadata=metadata)


def _leave_scan_info(account: Account) -> None:
    account.put("old", b"old", container="swept")
    changed: datetime = account.blobs.get_blob_client(account.name("swept"), "old").get_blob_properties().last_modified
    text = (changed + timedelta(seconds=1)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    path = f"blobscaninfo/{account.host_id}/{account.blobs.account_name}/{account.name('swept')}/scanInfo"
    _hosts_container(account).upload_blob(path, json.dumps({"LatestScan": text}))


def _hosts_container(account: Account) -> Any:
    container = account.blobs.get_container_client("azure-webjobs-hosts")
    if not container.exists():
        container.create_container()
    return container


def _internal(account: Account) -> QueueClient:
    return account.queue(f"azure-webjobs-blobtrigger-{account.host_id}", full=True)


def _notify(account: Account, container: str, blob: str, etag: str) -> None:
    """Say that a blob has changed, to the function that is named as its container."""
    queue = _internal(account)
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
    document = {
        "Type": "BlobTrigger", "FunctionId": f"Host.Functions.{container}", "BlobType": "BlockBlob",
        "ContainerName": account.name(container), "BlobName": blob, "ETag": f'"{etag}"',
    }  # fmt: skip
    queue.send_message(json.dumps(document))


def _poisoned(account: Account, container: str = "drop") -> list[dict[str, str]]:
    texts = account.waiting("webjobs-blobtrigger-poison", full=True)
    return [found for found in map(json.loads, texts) if found["ContainerName"] == account.name(container)]


def _names(host: Host, what: str, prefix: str = "") -> list[str]:
    return sorted(record["name"] for record in host.records(what) if record["name"].startswith(prefix))


def _content(account: Account, container: str, blob: str) -> bytes | None:
    client = account.blobs.get_blob_client(account.name(container), blob)
    return client.download_blob().readall() if client.exists() else None


# ------------------------------------------------------------------------------------------- asked of the shared host


@scenario(30)
def test_an_overwritten_blob_fires_again_and_leaves_a_receipt_for_each_version(
    host: Host, shared_account: Account
) -> None:
    etags = []
    for _ in range(2):
        etags.append(shared_account.put("twice/manifest.json", b"same"))
        assert eventually(lambda: len(_names(host, "read", "twice/")) == len(etags))
    folder = f"blobreceipts/{shared_account.host_id}/Host.Functions.read/"
    container = shared_account.name("drop")
    expected = {f'{folder}"{etag}"/{container}/twice/manifest.json' for etag in etags}
    assert eventually(lambda: expected <= set(shared_account.host_blobs(folder)))
    receipt = shared_account.blobs.get_blob_client("azure-webjobs-hosts", min(expected))
    assert eventually(lambda: receipt.get_blob_properties().metadata == {})
    assert receipt.get_blob_properties().size == 0
    scans = f"blobscaninfo/{shared_account.host_id}/{shared_account.blobs.account_name}/{container}/scanInfo"
    assert eventually(lambda: shared_account.host_blobs(scans) == [scans])
    kept = json.loads(_hosts_container(shared_account).download_blob(scans).readall())
    assert list(kept) == ["LatestScan"]
    assert datetime.fromisoformat(kept["LatestScan"]).utcoffset() == timedelta()


@scenario(30)
def test_a_change_of_metadata_fires_again(host: Host, shared_account: Account) -> None:
    shared_account.put("noted", b"n", container="any")
    assert eventually(lambda: _any(host, shared_account, "noted"))
    shared_account.blobs.get_blob_client(shared_account.name("any"), "noted").set_blob_metadata({"line": "7"})
    assert eventually(lambda: len(_any(host, shared_account, "noted")) == 2)
    assert [record["metadata"] for record in _any(host, shared_account, "noted")] == [{}, {"line": "7"}]


def _any(host: Host, account: Account, name: str) -> list[dict[str, Any]]:
    full = f"{account.name('any')}/{name}"
    return [record for record in host.records("any") if record["name"] == full]


@scenario(31)
def test_a_pattern_is_greedy_and_minds_case(host: Host, shared_account: Account) -> None:
    for blob in ("m/A/Manifest.json", "m/a/model.bin", "manifest.json", "m/a/b/manifest.json", "m/a/manifest.json"):
        shared_account.put(blob, b"31")
    assert eventually(lambda: len(_names(host, "read", "m/")) >= 2)
    shared_account.put("m/last/manifest.json", b"31")
    assert eventually(lambda: len(_names(host, "read", "m/")) >= 3)
    assert _names(host, "read", "m") == ["m/a/b/manifest.json", "m/a/manifest.json", "m/last/manifest.json"]
    assert eventually(lambda: _content(shared_account, "copies", "m/a/b.txt")) == b"copy of 31"
    assert eventually(lambda: _content(shared_account, "copies", "m/a.txt")) == b"copy of 31"


def test_each_function_whose_pattern_fits_gets_the_blob(host: Host, shared_account: Account) -> None:
    shared_account.put("L1/7.txt", b"x", container="pairs")
    assert eventually(lambda: _names(host, "first") == _names(host, "second") == ["L1/7.txt"])


@scenario(32)
def test_a_blob_that_always_fails_ends_in_the_common_poison_queue(host: Host, shared_account: Account) -> None:
    etag = shared_account.put("bad/manifest.json", b"bad")
    assert eventually(lambda: _poisoned(shared_account))
    assert _names(host, "read", "bad/") == ["bad/manifest.json"] * 2
    assert _poisoned(shared_account) == [
        {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.read",
            "BlobType": "BlockBlob",
            "ContainerName": shared_account.name("drop"),
            "BlobName": "bad/manifest.json",
            "ETag": f'"{etag}"',
        }
    ]


@scenario(33)
def test_only_the_last_state_of_a_blob_is_seen_and_a_deleted_one_is_forgotten(
    host: Host, shared_account: Account
) -> None:
    assert eventually(lambda: host.records("state"))
    assert eventually(lambda: _internal(shared_account).get_queue_properties().approximate_message_count == 0)
    assert [record["content"] for record in host.records("state")] == ["new"]
    assert _poisoned(shared_account, "state") == []


@scenario(33)
@pytest.mark.embedded("its log is this host's own")
def test_the_log_says_why_a_notification_was_dropped(host: Any, shared_account: Account) -> None:
    assert eventually(lambda: host.events("blob.gone", function="state"))
    assert eventually(lambda: host.events("blob.changed", function="state"))


@scenario(35)
def test_binary_content_arrives_byte_for_byte_with_its_properties(host: Host, shared_account: Account) -> None:
    etag = shared_account.put("any/where", bytes(range(256)), container="any")
    seen = eventually(lambda: _any(host, shared_account, "any/where"))[0]
    assert base64.b64decode(seen["content"]) == bytes(range(256))
    assert seen["length"] == 256
    assert seen["properties"]["ETag"] == f'"{etag}"'
    assert seen["metadata"] == {}
    assert seen["uri"] == shared_account.blobs.get_blob_client(shared_account.name("any"), "any/where").url


def test_an_empty_blob_fires_too(host: Host, shared_account: Account) -> None:
    shared_account.put("empty", b"", container="any")
    assert eventually(lambda: _any(host, shared_account, "empty"))[0]["content"] == ""


@pytest.mark.parametrize(
    "name", ["with space", "a#b?c&d", "라우팅/한글 공정", "100%41", "+plus'quote\"", "{braces}", "x..y"]
)
def test_a_name_of_any_letters_is_found_read_and_filled_in(host: Host, shared_account: Account, name: str) -> None:
    """The container is named by a setting."""
    shared_account.put(f"{name}.note", b" noted", container="box")
    shared_account.put(f"{name}.txt", name.encode(), container="box")
    expected = name.encode() + b" noted"
    assert eventually(lambda: _content(shared_account, "copied", f"{name}.copy") == expected)


def test_paths_are_filled_from_a_blobs_content_and_metadata(host: Host, shared_account: Account) -> None:
    client = shared_account.blobs.get_container_client(shared_account.name("posts"))
    client.create_container()
    client.upload_blob("n.json", b'{"order": 17}', metadata={"line": "L2"})
    assert eventually(lambda: _content(shared_account, "posted", "17/L2/n") == b'{"order": 17}')


def test_a_container_that_appears_later_is_scanned(host: Host, shared_account: Account) -> None:
    assert not shared_account.blobs.get_container_client(shared_account.name("appear")).exists()
    shared_account.put("first", b"1", container="appear")
    assert eventually(lambda: _names(host, "appear") == ["first"])


def test_a_disabled_function_gets_no_blob_and_leaves_no_receipt(host: Host, shared_account: Account) -> None:
    shared_account.put("1", b"1", container="resting")
    shared_account.put("after", b"1", container="any")
    assert eventually(lambda: _any(host, shared_account, "after"))
    assert host.records("resting") == []
    assert shared_account.host_blobs(f"blobreceipts/{shared_account.host_id}/Host.Functions.resting/") == []


def test_receipts_of_another_host_are_honoured(host: Host, shared_account: Account) -> None:
    """What a host had noticed before is not repeated by the next, and what it had only begun is not lost."""
    assert eventually(lambda: _names(host, "moved") == ["begun", "unseen"])
    time.sleep(0.7)  # two more scans
    assert _names(host, "moved") == ["begun", "unseen"]


def test_the_scan_info_of_another_host_is_honoured(host: Host, shared_account: Account) -> None:
    """What is older than the last full sweep is not looked at; what is newer is."""
    shared_account.put("new", b"new", container="swept")
    assert eventually(lambda: "new" in _names(host, "swept"))
    assert _names(host, "swept") == ["new"]


UNKNOWN = '{"FunctionId": "Host.Functions.nobody", "ContainerName": "c", "BlobName": "b", "ETag": "e"}'


@pytest.mark.parametrize("text", ["no JSON", '"a text"', "{}", "[" * 20_000, UNKNOWN])
def test_a_notification_that_means_nothing_here_is_dropped(host: Host, shared_account: Account, text: str) -> None:
    _internal(shared_account).send_message(text)
    assert eventually(lambda: _internal(shared_account).get_queue_properties().approximate_message_count == 0)
    assert text not in shared_account.waiting("webjobs-blobtrigger-poison", full=True)


def test_a_notification_that_is_not_base64_is_dropped(host: Host, shared_account: Account) -> None:
    name = _internal(shared_account).queue_name
    assert eventually(lambda: _internal(shared_account).get_queue_properties().approximate_message_count == 0)
    shared_account.queue(name, full=True, raw=True).send_message("plain <text>")
    assert eventually(lambda: _internal(shared_account).get_queue_properties().approximate_message_count == 0)
    assert "plain <text>" not in shared_account.waiting("webjobs-blobtrigger-poison", full=True, raw=True)


@pytest.mark.embedded("what needs Azure is refused here, with the reason")
@pytest.mark.parametrize(
    ("function", "reason"), [("by_event_grid", "EventGrid"), ("by_any_container", "container"), ("stubborn", "retry")]
)
def test_what_this_host_cannot_do_is_refused_by_name(host: Host, function: str, reason: str) -> None:
    assert reason in host.errors_of(function)[0]
    assert host.errors_of("read") == []


# ------------------------------------------------------------------------------------------------- hosts of their own


def _receipt(account: Account, blob: str) -> str:
    """The name of the newest version's receipt."""
    folder = f"blobreceipts/{account.host_id}/Host.Functions.read/"
    return next(name for name in account.host_blobs(folder) if name.endswith(f"/{account.name('drop')}/{blob}"))


@scenario(29)
def test_blobs_that_exist_fire_once_and_again_without_receipt_or_under_another_host_id(
    workshop: Workshop, account: Account
) -> None:
    account.put("a/manifest.json", b"1")
    account.put("b/manifest.json", b"2")
    app_dir = workshop.write(READER)
    first = workshop.start(app_dir)
    assert eventually(lambda: len(first.records("read")) == 2)
    assert first.stop() == 0
    second = workshop.start(app_dir)
    account.put("c/manifest.json", b"3")
    assert eventually(lambda: len(second.records("read")) == 3)
    assert _names(second, "read") == ["a/manifest.json", "b/manifest.json", "c/manifest.json"]
    assert second.stop() == 0
    account.blobs.get_blob_client("azure-webjobs-hosts", _receipt(account, "c/manifest.json")).delete_blob()
    again = workshop.start(app_dir)
    assert eventually(lambda: len(again.records("read")) == 4)
    assert _names(again, "read")[2:] == ["c/manifest.json"] * 2
    assert again.stop() == 0
    third = workshop.start(app_dir, settings={"AzureFunctionsWebHost__hostid": account.name("other")})
    assert eventually(lambda: len(third.records("read")) == 7)
    assert len(set(_names(third, "read"))) == 3
    assert _content(account, "copies", "a.txt") == b"copy of 1"


@scenario(34)
def test_two_hosts_share_the_work_and_double_none(workshop: Workshop, account: Account, kind: str) -> None:
    """One blob at a time in each, so that what one cannot do yet is there for the other."""
    source = READER.replace("copy.set", "time.sleep(0.05); record(what='end'); copy.set")
    app_dir = workshop.write(source, host_json={"extensions": {"blobs": {"maxDegreeOfParallelism": 1}}})
    hosts = [workshop.start(app_dir) for _ in range(2)]
    first = hosts[0]
    drop = account.blobs.create_container(account.name("drop"))
    for number in range(50):
        drop.upload_blob(f"{number}/manifest.json", str(number).encode())
    assert eventually(lambda: len(first.records("end")) >= 50, seconds=60)
    records = first.records("read")
    assert sorted(int(record["content"]) for record in records) == list(range(50))
    assert len({record["pid"] for record in records}) == 2
    for pid in {record["pid"] for record in records}:
        told = [record["what"] for record in first.records() if record["pid"] == pid]
        assert told == ["read", "end"] * (len(told) // 2)
    lock = account.blobs.get_blob_client(
        "azure-webjobs-hosts", f"locks/{account.host_id}/WebJobs.Internal.Blobs.Listener"
    )
    assert lock.get_blob_properties().lease.state == "leased"
    if kind == "embedded":  # whose log says which of them did
        assert sorted(len(host.events("blob.noticed")) for host in hosts) == [0, 50]
