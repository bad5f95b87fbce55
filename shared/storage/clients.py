"""The one factory of blob and queue clients: short time-outs, few retries, and one error when storage is away.

Nothing here, and nothing that uses it, writes the connection string to a log or an error.
"""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from shared.azurite.account import names_well_known_account
from shared.errors import SetupError, StorageUnavailable

CONNECT_SECONDS = 3
READ_SECONDS = 20
RETRIES = 2
_MEBIBYTE = 1024 * 1024
TRANSFER: dict[str, Any] = {  # of files: in blocks of 4 MiB
    "max_single_put_size": 4 * _MEBIBYTE,
    "max_block_size": 4 * _MEBIBYTE,
    "max_single_get_size": 4 * _MEBIBYTE,
    "max_chunk_get_size": 4 * _MEBIBYTE,
}


def client_options(api_version: str = "") -> dict[str, Any]:
    """Return the time limits and retries of every client; `api_version` asks for a certain storage API."""
    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retry_total": RETRIES,
        "initial_backoff": 0.2,
        "increment_base": 0.7,
        "random_jitter_range": 0.1,
    }
    return options | ({"api_version": api_version} if api_version else {})


class Storage:
    """Blob and queue clients of one storage account, made when first used; share one instance between threads."""

    def __init__(self, connection_string: str, api_version: str = "") -> None:
        """Remember how to connect; `api_version` asks for a certain storage API, empty for the SDK's own."""
        self._connection_string = connection_string
        self._options = client_options(api_version)

    def __repr__(self) -> str:
        return "Storage(...)"

    @property
    def is_known_to_everybody(self) -> bool:
        """Whether this is the emulator's own account, whose key is printed in its manual."""
        return names_well_known_account(self._connection_string)

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """The blob client; files travel in blocks of 4 MiB.

        Raises:
            StorageUnavailable: no storage is set.
            SetupError: the connection string cannot be read.
        """
        with _readable_connection_string(self._connection_string):
            return BlobServiceClient.from_connection_string(self._connection_string, **TRANSFER, **self._options)

    @property
    def account_name(self) -> str:
        """The account's name.

        Raises:
            SetupError: the connection string has no account key, and so no account of its own.
        """
        return self._credential("account_name")

    @property
    def account_key(self) -> str:
        """The account's key, for signatures.

        Raises:
            SetupError: the connection string has none.
        """
        return self._credential("account_key")

    def _credential(self, part: str) -> str:
        value = getattr(self.blobs.credential, part, None)
        if not value:
            raise SetupError(
                "The storage connection string has no account key, so nothing can be signed.",
                remedy="Set AzureWebJobsStorage to a connection string with AccountName and AccountKey.",
            )
        return str(value)

    @cached_property
    def queues(self) -> QueueServiceClient:
        """The queue client; take single queues from `queue`, which encodes messages as the Functions host expects.

        Raises:
            StorageUnavailable: no storage is set.
            SetupError: the connection string cannot be read.
        """
        with _readable_connection_string(self._connection_string):
            return QueueServiceClient.from_connection_string(self._connection_string, **self._options)

    def queue(self, name: str) -> QueueClient:
        """Return a client of one queue whose messages are base64 text on the wire, in both directions."""
        return self.queues.get_queue_client(
            name, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
        )

    def ping(self) -> None:
        """Ask both services something trivial.

        Raises:
            StorageUnavailable: one of them did not answer.
        """
        with answering("looking for it"):
            self.blobs.get_service_properties()
            self.queues.get_service_properties()


@contextlib.contextmanager
def answering(doing: str) -> Iterator[None]:
    """Turn the SDK's connection and server errors into `StorageUnavailable`; let "not found" and "exists" pass.

    `doing` completes the sentence "Storage failed while ...".
    """
    try:
        yield
    except (ResourceNotFoundError, ResourceExistsError):
        raise
    except HttpResponseError as error:
        if error.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise StorageUnavailable(
                f"Storage refused the account's key while {doing}.",
                remedy="Check ROUTING_STORAGE_CONNECTION (or AzureWebJobsStorage) and this machine's clock.",
            ) from error
        code = getattr(getattr(error, "error_code", None), "value", error.reason)
        raise StorageUnavailable(
            f"Storage answered {error.status_code} ({code}) while {doing}.",
            remedy="Try again; if it stays so, look at the storage service's log.",
        ) from error
    except AzureError as error:
        raise StorageUnavailable(
            f"Storage could not be reached while {doing}: {type(error).__name__}.",
            remedy="Check that the storage service (Azurite or Azure) runs where ROUTING_STORAGE_CONNECTION says.",
        ) from error


@contextlib.contextmanager
def _readable_connection_string(connection_string: str) -> Iterator[None]:
    if not connection_string:
        raise StorageUnavailable(
            "No storage is set up here yet.",
            remedy='`manage.py up` makes one; a host that is started otherwise needs AzureWebJobsStorage="$(python3 '
            'manage.py storage connection-string)".',
        )
    try:
        yield
    except (ValueError, KeyError):
        # The SDK's own message may quote the string, so it is not chained.
        raise SetupError(
            "The storage connection string cannot be read.",
            remedy="ROUTING_STORAGE_CONNECTION (or AzureWebJobsStorage) must name account, key and endpoints.",
        ) from None
