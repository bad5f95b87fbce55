"""One blob as one answer, piece by piece.

The SDK's own download asks for a range of a few MiB at a time and joins each from its pieces: for a package of 700 MB
that took this process three times the processor time, and Azurite too, of one request for the whole blob.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core import PipelineClient
from azure.core.exceptions import ResourceNotFoundError, map_error
from azure.core.pipeline.policies import RetryPolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.storage.blob import BlobClient, BlobSasPermissions, generate_blob_sas

PIECE_BYTES = 256 * 1024  # stays in the processor's cache while it is hashed and written
_VALID = timedelta(hours=2)  # of a link that this process uses at once; clocks may differ a little


@dataclass(frozen=True, kw_only=True)
class BlobStream:
    """A blob that is being read."""

    size_bytes: int
    etag: str
    pieces: Iterator[bytes]  # of up to PIECE_BYTES; never more than `size_bytes` together


@contextmanager
def blob_stream(blob: BlobClient, *, connect_seconds: float, read_seconds: float) -> Iterator[BlobStream]:
    """Ask for a whole blob and yield it as it arrives; an answer that ends too soon raises.

    Raises:
        ResourceNotFoundError: there is no such blob.
        AzureError: storage did not answer, or stopped in the middle.
    """
    request = HttpRequest("GET", _readable_url(blob))
    client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
        "",
        policies=[RetryPolicy(retry_total=2, retry_backoff_factor=0.2)],
        connection_timeout=connect_seconds,
        read_timeout=read_seconds,
        connection_data_block_size=PIECE_BYTES,
    )
    with client:
        response = client.send_request(request, stream=True)
        try:
            if response.status_code != 200:
                map_error(response.status_code, response, {404: ResourceNotFoundError})
                response.raise_for_status()
            headers = response.headers
            yield BlobStream(
                size_bytes=int(headers["content-length"]), etag=headers["etag"].strip('"'), pieces=response.iter_raw()
            )
        finally:
            response.close()


def _readable_url(blob: BlobClient) -> str:
    """Return the blob's address with the right to read it, which the client's own key gives."""
    if "?" in blob.url:  # the connection string holds a shared access signature itself
        return blob.url
    signature = generate_blob_sas(
        account_name=str(blob.account_name),
        container_name=blob.container_name,
        blob_name=blob.blob_name,
        account_key=blob.credential.account_key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + _VALID,
    )
    return f"{blob.url}?{signature}"
