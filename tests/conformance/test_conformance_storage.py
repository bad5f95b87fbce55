"""Storage goes away under load and comes back: HTTP goes on, nothing is lost, listeners return, the log stays calm."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobLeaseClient

from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, start_azurite, wait_until_ready
from shared.platform import free_ports
from tests.conformance.account import Account
from tests.conformance.hosts import EmbeddedHost, eventually
from tests.conformance.workshop import Workshop

pytestmark = [pytest.mark.azurite, pytest.mark.embedded("the events of its log, and the name of its lease")]

MESSAGES, BLOBS = 40, 6
APP = """
    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("pong")

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    def work(msg: func.QueueMessage) -> None:
        time.sleep(0.1)
        record(what="work", number=msg.get_json())

    @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}", connection="AzureWebJobsStorage", data_type="BINARY")
    def seen(blob: func.InputStream) -> None:
        record(what="seen", name=blob.name)

    @app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
    def tick(timer: func.TimerRequest) -> None:
        record(what="tick")
"""


class Storage:
    """An Azurite of the test's own, which comes and goes and keeps what it was given."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._secret, self._ports = folder, StorageAccount.random(), free_ports(3)
        self.account = Account(self._secret.connection_string(self._ports))
        self._running: Azurite | None = None

    def come(self) -> None:
        self._running = start_azurite(self._folder, self._secret, self._ports)
        wait_until_ready(self._running)

    def go(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path / "azurite")
    yield made
    made.go()
    made.account.close()


def test_storage_that_goes_and_comes_under_load_costs_nothing(workshop: Workshop, storage: Storage) -> None:
    account = storage.account
    app_dir = workshop.write(APP.replace("TAG", account.tag))
    host = workshop.start(app_dir, settings={"AzureWebJobsStorage": account.connection_string})
    assert host.get("/api/ping").text == "pong"
    assert eventually(lambda: host.events("queue.unreachable") and host.events("timer.storage_unreachable"))
    storage.come()
    assert eventually(lambda: host.records("tick"), seconds=15)
    path = f"locks/{workshop.account.host_id}/Host.Functions.tick.Listener"
    lock = account.blobs.get_blob_client("azure-webjobs-hosts", path)
    BlobLeaseClient(lock).break_lease(lease_break_period=0)
    account.send("in", *[json.dumps(number) for number in range(MESSAGES)])
    for number in range(BLOBS):
        account.put(f"blob-{number}")
    assert eventually(lambda: len(host.records("work")) > 5)
    storage.go()
    assert [host.get("/api/ping").text for _ in range(50)] == ["pong"] * 50
    assert eventually(lambda: host.events("blob.storage_unreachable"))
    storage.come()
    assert eventually(lambda: _numbers(host) == set(range(MESSAGES)), seconds=25)
    assert eventually(lambda: len({record["name"] for record in host.records("seen")}) == BLOBS, seconds=15)
    assert eventually(lambda: lock.get_blob_properties().lease.state == "leased", seconds=25), "it is taken again"
    ticks = len(host.records("tick"))
    assert eventually(lambda: len(host.records("tick")) > ticks, seconds=20)
    complaints = Counter(
        line["event"] for line in host.log() if line["process"] == "host" and line["level"] in ("warning", "error")
    )
    assert complaints["queue.unreachable"] <= 4, "once a queue, for each time that storage was away"
    assert complaints["blob.storage_unreachable"] <= 2
    assert complaints["timer.storage_unreachable"] <= 2
    assert sum(complaints.values()) < 60, complaints
    assert host.stop() == 0


def _numbers(host: EmbeddedHost) -> set[int]:
    return {record["number"] for record in host.records("work")}
