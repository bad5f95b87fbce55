"""The scan for new blobs: one host at a time looks, and puts what it finds on the internal queue."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobProperties

from funchost import logs
from funchost.backoff import LONGEST_TROUBLE_SECONDS, PollDelay
from funchost.blob_receipts import Receipts
from funchost.blobs import BlobFunction, internal_queue, quoted
from funchost.leases import SingletonLease
from funchost.state import HostState
from funchost.storage import HOSTS_CONTAINER, Storage, encode_body, send_message

_EAGER_PAUSE_SECONDS, _EAGER_FOR_SECONDS = 0.25, 30.0
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class ScanInfo:
    """Up to which change full sweeps of a container have seen everything."""

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


class _Beginning:
    """When a sweep began, by the storage's clock: what changed since may stand on a page that was listed before."""

    def __init__(self) -> None:
        self.moment: datetime | None = None

    def note(self, response: PipelineResponse[Any, Any]) -> None:
        """Take the time of the first page's answer."""
        if self.moment is None and (date := response.http_response.headers.get("Date")):
            self.moment = parsedate_to_datetime(date)


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
        began = _Beginning()
        try:
            listed = data.container(container).list_blobs(name_starts_with=prefix or None, raw_response_hook=began.note)
            for blob in listed:
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
        complete_to = min(newest, began.moment or newest)
        if all_done and complete_to > since:
            info.write(complete_to)

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
