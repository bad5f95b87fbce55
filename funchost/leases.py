"""Leases on blobs, by which several hosts agree on who runs a timer or scans for blobs."""

import contextlib
import threading
import time

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient

from funchost import logs
from funchost.storage import HOSTS_CONTAINER, Storage


class SingletonLease:
    """Holds `locks/<host id>/<name>` and renews it at half its time on a thread of its own."""

    def __init__(self, storage: Storage, host_id: str, name: str, period_seconds: int) -> None:
        self.name = name
        self._storage = storage
        self._blob: BlobClient = storage.blobs.get_blob_client(HOSTS_CONTAINER, f"locks/{host_id}/{name}")
        self._period_seconds = period_seconds
        self._lease: BlobLeaseClient | None = None
        self._valid_until = 0.0
        self._released = threading.Event()

    @property
    def held(self) -> bool:
        """Whether the lease is ours now; false as soon as it may have run out."""
        return self._lease is not None and time.monotonic() < self._valid_until

    def acquire(self) -> bool:
        """Try once; False when another holds it.

        Raises:
            azure.core.exceptions.AzureError: the storage cannot be reached.
        """
        asked = time.monotonic()
        try:
            lease = self._blob.acquire_lease(lease_duration=self._period_seconds)
        except ResourceNotFoundError:
            self._make_blob()
            return self.acquire()
        except HttpResponseError as error:
            if error.status_code == 409:
                return False
            raise
        self._released.set()  # ends the renewing of one that ran out while storage was away
        self._lease = lease
        self._valid_until = asked + self._period_seconds
        self._released = threading.Event()
        threading.Thread(
            target=self._renew_loop, args=(lease, self._released), name=f"lease-{self.name}", daemon=True
        ).start()
        return True

    def release(self) -> None:
        """Give it back, so that another can take it at once."""
        self._released.set()
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            lease.release()
        except (AzureError, OSError) as error:
            logs.warning("lease.release_failed", lease=self.name, reason=str(error).split("\n", 1)[0])

    def _make_blob(self) -> None:
        with contextlib.suppress(ResourceExistsError):
            self._storage.container(HOSTS_CONTAINER).create_container()
        with contextlib.suppress(ResourceExistsError):
            self._blob.upload_blob(b"", overwrite=False)

    def _renew_loop(self, lease: BlobLeaseClient, released: threading.Event) -> None:
        told = False
        while not released.wait(self._period_seconds / 2):
            asked = time.monotonic()
            try:
                lease.renew()
                self._valid_until, told = asked + self._period_seconds, False
            except (AzureError, OSError) as error:
                if isinstance(error, HttpResponseError) and error.status_code in (404, 409, 412):
                    logs.warning("lease.lost", lease=self.name)
                    if self._lease is lease:
                        self._lease = None
                    return
                if not told:
                    told = True  # once for each time that storage is away
                    logs.warning("lease.renewal_failed", lease=self.name, reason=str(error).split("\n", 1)[0])
