"""Messages and blobs: a function that does nothing beside the bare storage SDK, on one Azurite."""

import contextlib
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import ResourceExistsError

from benchmarks.host.running import host, python_child, write_app
from benchmarks.prediction.figures import Figure
from benchmarks.prediction.instance import eventually
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, start_azurite, wait_until_ready
from shared.platform import free_ports
from tests.conformance.account import Account
from tests.conformance.hosts import EmbeddedHost

QUEUE_RATIO, NOTICE_SECONDS = 0.7, 2.5
_PAGE = 16  # messages a receive, the host's default batchSize
_LISTENERS = """
import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="msg", queue_name="host-TAG", connection="AzureWebJobsStorage")
def taken(msg: func.QueueMessage) -> None:
    pass


@app.blob_trigger(arg_name="blob", path="drop-TAG/{name}", connection="AzureWebJobsStorage")
def dropped(blob: func.InputStream) -> None:
    pass
"""


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much is sent."""

    rounds: int
    messages: int  # a round and a contender
    blobs: int


@contextmanager
def storage(folder: Path) -> Iterator[Azurite]:
    """Run an Azurite until the block ends."""
    running = start_azurite(folder, StorageAccount.random(), free_ports(3))
    try:
        wait_until_ready(running)
        yield running
    finally:
        running.stop()


@contextmanager
def listening(folder: Path, account: Account) -> Iterator[EmbeddedHost]:
    """Run a host that listens to a queue and a container until the block ends."""
    for queue in ("host", "bare"):
        with contextlib.suppress(ResourceExistsError):
            account.queue(queue).create_queue()
    app_dir = write_app(folder, _LISTENERS.replace("TAG", account.tag))
    settings = {"AzureWebJobsStorage": account.connection_string, "AzureFunctionsWebHost__hostid": account.host_id}
    with host(app_dir, settings) as running:
        yield running


def messages(running: EmbeddedHost, account: Account, amounts: Amounts) -> Figure:
    """Return messages a second through a function that does nothing, over those of a bare receive-and-delete loop."""
    own: list[float] = []
    bare: list[float] = []
    for number in range(amounts.rounds):
        if number % 2:
            own.append(_handled_a_second(running, account, amounts.messages))
        bare.append(_bare_a_second(account, amounts.messages))
        if not number % 2:
            own.append(_handled_a_second(running, account, amounts.messages))
    ratios = [mine / theirs for mine, theirs in zip(own, bare, strict=True)]
    return Figure(
        what="queue no-op, messages/s over a bare SDK loop", value=statistics.median(ratios), unit="x",
        limit=QUEUE_RATIO, at_least=True,
        note=f"{statistics.median(own):,.0f}/s and {statistics.median(bare):,.0f}; {amounts.rounds} rounds of "
        f"{amounts.messages:,} messages {min(ratios):.2f} to {max(ratios):.2f}",
    )  # fmt: skip


def _handled_a_second(running: EmbeddedHost, account: Account, count: int) -> float:
    """Send to a host that rests, wake it, and time it until the last message is deleted."""
    assert running.admin("POST", "host/drain").status_code == 202
    eventually(lambda: running.admin("GET", "host/drain/status").json()["state"] == "Completed", "the host rests", 30)
    account.send("host", *_texts(count))
    before = len(running.events("function.succeeded", function="taken"))
    began = time.perf_counter()
    assert running.admin("POST", "host/resume").status_code == 200
    eventually(lambda: account.depth("host") == 0, "every message is deleted", 120)
    seconds = time.perf_counter() - began
    ran = len(running.events("function.succeeded", function="taken")) - before
    if ran != count:
        raise SystemExit(f"the function ran {ran} times for {count} messages")
    return count / seconds


def _bare_a_second(account: Account, count: int) -> float:
    account.send("bare", *_texts(count))
    given = {"connection": account.connection_string, "queue": account.name("bare"), "page": _PAGE}
    told = python_child(["benchmarks.host.peers", "queue"], given)
    if told["handled"] != count:
        raise SystemExit(f"the bare loop handled {told['handled']} of {count} messages")
    return count / float(told["seconds"])


def _texts(count: int) -> Sequence[str]:
    return [f'{{"job": {number}}}' for number in range(count)]


def blobs(running: EmbeddedHost, account: Account, amounts: Amounts) -> list[Figure]:
    """Return how long a blob lies there before it is noticed, at the default scan interval; at random moments."""
    noticed: list[float] = []
    handled: list[float] = []
    account.put("first.bin")  # makes the container
    _time_of(running, "first.bin", "blob.noticed")
    for number in range(amounts.blobs):
        time.sleep(random.Random(number).uniform(0.0, 2.0))
        name = f"blob-{number}.bin"
        account.put(name)
        put_at = time.time()
        noticed.append(_time_of(running, name, "blob.noticed") - put_at)
        _wait_for_runs(running, number + 2)
        handled.append(time.time() - put_at)
    note = f"median {statistics.median(noticed):.2f}, {len(noticed)} blobs put at random moments, alone"
    return [
        Figure(what="blob noticed, the longest wait", value=max(noticed), unit="s", limit=NOTICE_SECONDS, note=note),
        Figure(what="its function has run, the longest wait", value=max(handled), unit="s",
               note=f"median {statistics.median(handled):.2f}"),
    ]  # fmt: skip


def _wait_for_runs(running: EmbeddedHost, count: int) -> None:
    eventually(lambda: _runs(running) >= count, f"{count} blobs are handled", 30)


def _runs(running: EmbeddedHost) -> int:
    return len(running.events("function.succeeded", function="dropped"))


def _time_of(running: EmbeddedHost, blob: str, event: str) -> float:
    from datetime import datetime

    [line] = eventually(lambda: running.events(event, blob=blob), f"{event} of {blob}", 60)
    return datetime.fromisoformat(line["timestamp"]).timestamp()
