"""Blob triggers: one host scans the containers, every host works off the internal queue; receipts keep doubles out."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobProperties

from funchost import logs
from funchost.backoff import LONGEST_TROUBLE_SECONDS, PollDelay
from funchost.bindingdata import BindingData, properties_of
from funchost.blobpaths import BlobPath, compile_path
from funchost.catalogue import Entry
from funchost.invoker import Invocation, Invoker, Outcome, Renewal
from funchost.leases import SingletonLease
from funchost.queues import HeldMessage
from funchost.state import HostState
from funchost.storage import HOSTS_CONTAINER, Storage, encode_body, send_message

POISON_QUEUE = "webjobs-blobtrigger-poison"
_RECEIPT_LEASE_SECONDS = 30
_REMEMBERED = 20_000
_EAGER_PAUSE_SECONDS, _EAGER_FOR_SECONDS = 0.25, 30.0
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def internal_queue(host_id: str) -> str:
    """Return the name of the queue through which blob work passes."""
    return f"azure-webjobs-blobtrigger-{host_id}"


@dataclass(frozen=True, kw_only=True)
class BlobFunction:
    """A blob function with its compiled path."""

    entry: Entry
    path: BlobPath

    @property
    def id(self) -> str:
        """The name by which receipts and messages know it."""
        return f"Host.Functions.{self.entry.name}"


def blob_functions(entries: Sequence[Entry]) -> list[BlobFunction]:
    """Return the blob functions among the entries."""
    return [BlobFunction(entry=entry, path=compile_path(str(entry.trigger["path"]))) for entry in entries]


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


class ScanInfo:
    """The newest change that a full sweep of a container has seen."""

    def __init__(self, storage: Storage, data: Storage, host_id: str, container: str) -> None:
        self._storage = storage
        self._blob = storage.blobs.get_blob_client(
            HOSTS_CONTAINER, f"blobscaninfo/{host_id}/{data.account_name}/{container}/scanInfo"
        )
        self._known: datetime | None = None

    def read(self) -> datetime:
        """Return the time from which on blobs are looked at; long ago at the first run."""
        if self._known is None:
            try:
                text = json.loads(self._blob.download_blob().readall())["LatestScan"]
                moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
                self._known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            except ResourceNotFoundError:
                self._known = _LONG_AGO
            except (ValueError, KeyError, TypeError) as error:
                logs.warning("blob.scan_info_unreadable", blob=self._blob.blob_name, reason=repr(error))
                self._known = _LONG_AGO
        return self._known

    def write(self, moment: datetime) -> None:
        """Keep a newer time."""
        if moment <= self.read():
            return
        self._known = moment
        text = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")  # which .NET reads as UTC wherever it runs
        data = json.dumps({"LatestScan": text}).encode()
        self._blob.upload_blob(data, overwrite=True)

    def forget(self) -> None:
        """Read it again next time: another host may have scanned meanwhile."""
        self._known = None


class BlobScanner:
    """Scans every container that a blob function names, while it holds the lease."""

    def __init__(
        self,
        *,
        functions: Sequence[BlobFunction],
        host_storage: Storage,
        data_storage: Mapping[str, Storage],
        host_id: str,
        scan_seconds: float,
        lock_period_seconds: int,
        lock_retry_seconds: float,
        state: HostState,
        wake: Any,
    ) -> None:
        self._functions = functions
        self._storage = host_storage
        self._data = data_storage
        self._host_id = host_id
        self._scan_seconds = scan_seconds
        self._lock_retry_seconds = lock_retry_seconds
        self._state = state
        self._wake = wake
        self._lease = SingletonLease(host_storage, host_id, "WebJobs.Internal.Blobs.Listener", lock_period_seconds)
        self._receipts = Receipts(host_storage, host_id)
        self._infos: dict[tuple[str, str], ScanInfo] = {}
        self._others: dict[tuple[str, str], tuple[int, datetime]] = {}  # blobs that no function looks at, as last seen
        self._eager_until = 0.0
        self._storage_is_down = False
        self._trouble = PollDelay(LONGEST_TROUBLE_SECONDS)
        self._thread = threading.Thread(target=self._loop, name="blob-scan", daemon=True)

    def start(self) -> None:
        """Begin scanning."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the scan under way and the return of the lease."""
        self._thread.join(timeout_seconds)

    def _loop(self) -> None:
        stopping = self._state.stopping
        while not stopping.is_set():
            pause = self._scan_seconds
            try:
                if not self._lease.held and not self._lease.acquire():
                    pause = self._lock_retry_seconds
                    for info in self._infos.values():
                        info.forget()
                elif self._state.takes_work:
                    self._scan_all()
                    pause = self._pause()
                if self._storage_is_down:
                    self._storage_is_down = False
                    self._trouble.reset()
                    logs.info("blob.storage_reachable_again")
            except (AzureError, OSError) as error:
                if not self._storage_is_down:
                    self._storage_is_down = True
                    logs.warning("blob.storage_unreachable", reason=str(error).split("\n", 1)[0])
                pause = max(pause, self._trouble.next_seconds())
            stopping.wait(pause)
        self._lease.release()

    def _pause(self) -> float:
        """Return the seconds until the next scan: few while blobs arrive that may announce one with a function."""
        eager = time.monotonic() < self._eager_until
        return min(self._scan_seconds, _EAGER_PAUSE_SECONDS) if eager else self._scan_seconds

    def _note_others(self, key: tuple[str, str], others: tuple[int, datetime], something_noticed: bool) -> None:
        """Compare the blobs that no function looks at with those of the scan before."""
        before = self._others.get(key, others)
        self._others[key] = others
        if something_noticed:
            self._eager_until = 0.0
        elif others != before:
            self._eager_until = time.monotonic() + _EAGER_FOR_SECONDS

    def _scan_all(self) -> None:
        places: dict[tuple[str, str], list[BlobFunction]] = {}
        for function in self._functions:
            key = (str(function.entry.trigger.get("connection") or ""), function.path.container)
            places.setdefault(key, []).append(function)
        for (connection, container), functions in places.items():
            if self._state.stopping.is_set() or not self._lease.held:
                return
            self._scan(self._data[connection], (connection, container), functions)

    def _scan(self, data: Storage, key: tuple[str, str], functions: Sequence[BlobFunction]) -> None:
        container = key[1]
        info = self._infos.setdefault(key, ScanInfo(self._storage, data, self._host_id, container))
        since = info.read()
        newest, all_done = since, True
        others, youngest, noticed = 0, _LONG_AGO, False
        prefix = functions[0].path.prefix if len(functions) == 1 else ""
        try:
            for blob in data.container(container).list_blobs(name_starts_with=prefix or None):
                wanted_by = [function for function in functions if function.path.match(blob.name) is not None]
                if not wanted_by:
                    others, youngest = others + 1, max(youngest, blob.last_modified)
                if blob.last_modified < since:
                    continue
                noticed |= blob.last_modified > since and bool(wanted_by)
                for function in wanted_by:
                    all_done &= self._notice(function, blob)
                newest = max(newest, blob.last_modified)
                if self._state.stopping.is_set():
                    return
        except ResourceNotFoundError:
            return
        self._note_others(key, (others, youngest), noticed)
        if all_done and newest > since:
            info.write(newest)

    def _notice(self, function: BlobFunction, blob: BlobProperties) -> bool:
        message = {
            "Type": "BlobTrigger",
            "FunctionId": function.id,
            "BlobType": str(getattr(blob.blob_type, "value", blob.blob_type) or "BlockBlob"),
            "ContainerName": blob.container,
            "BlobName": blob.name,
            "ETag": quoted(blob.etag),
        }
        queue = internal_queue(self._host_id)

        def put() -> None:
            send_message(self._storage.queue(queue), encode_body(json.dumps(message).encode(), "base64"))
            logs.info("blob.noticed", function=function.entry.name, container=blob.container, blob=blob.name)
            self._wake(self._storage.account_name, queue)

        return self._receipts.once(function, blob, put)


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


def quoted(etag: str | None) -> str:
    """Return an ETag in its quotes, which some calls of the SDK leave out."""
    return f'"{(etag or "").strip(chr(34))}"'
