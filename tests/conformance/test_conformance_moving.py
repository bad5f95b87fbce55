"""What another host with the same id left in storage, in the forms in which .NET writes them, is gone on with."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ResourceExistsError

from tests.conformance.account import Account
from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

APP = """
    @app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
    def hourly(timer: func.TimerRequest) -> None:
        record(what="hourly", past_due=timer.past_due)

    @app.blob_trigger(arg_name="blob", path="drop-TAG/{name}", connection="AzureWebJobsStorage", data_type="BINARY")
    def taken(blob: func.InputStream) -> None:
        record(what="taken", name=blob.name)
"""


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.1234567+00:00")


def test_timers_receipts_and_queued_blobs_of_another_host_are_gone_on_with(
    workshop: Workshop, account: Account
) -> None:
    hosts = account.blobs.get_container_client("azure-webjobs-hosts")
    with contextlib.suppress(ResourceExistsError):
        hosts.create_container()
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    before = hour - timedelta(hours=1)
    status = {"Last": _text(before), "Next": hour.strftime("%Y-%m-%dT%H:%M:%S+00:00"), "LastUpdated": _text(before)}
    hosts.upload_blob(f"timers/{account.host_id}/Host.Functions.hourly/status", json.dumps(status))
    container = account.name("drop")
    etags = {name: account.put(name) for name in ("seen", "queued", "new")}
    for name in ("seen", "queued"):
        receipts = f"blobreceipts/{account.host_id}/Host.Functions.taken"
        hosts.upload_blob(f'{receipts}/"{etags[name]}"/{container}/{name}', b"")
    message = {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.taken",
        "BlobType": "BlockBlob",
        "ContainerName": container,
        "BlobName": "queued",
        "ETag": f'"{etags["queued"]}"',
    }
    internal = account.queue(f"azure-webjobs-blobtrigger-{account.host_id}", full=True)
    internal.create_queue()
    internal.send_message(json.dumps(message))
    host = workshop.run(APP)
    assert eventually(lambda: len(host.records("taken")) == 2, seconds=30)
    assert eventually(lambda: host.records("hourly"))[0]["past_due"] is True
    assert host.stop() == 0
    assert sorted(record["name"] for record in host.records("taken")) == [f"{container}/new", f"{container}/queued"]
    assert len(host.records("hourly")) == 1
    written = json.loads(hosts.download_blob(f"timers/{account.host_id}/Host.Functions.hourly/status").readall())
    assert sorted(written) == ["Last", "LastUpdated", "Next"]
    assert datetime.fromisoformat(written["Next"]) == hour + timedelta(hours=1)
