"""Queue messages that say "look at this row" and nothing else."""

import base64
import binascii
import json
from collections.abc import Collection

import structlog
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from shared.errors import MalformedRequest, StorageUnavailable
from shared.storage.clients import Storage, answering

log = structlog.get_logger()

FIRST_DELAY_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 600.0
_SEVEN_DAYS_SECONDS = 7 * 24 * 3600
_LONGEST_ID = 64


class Doorbells:
    """Sends doorbell messages and counts them."""

    def __init__(self, storage: Storage) -> None:
        """Ring in the queues of `storage`."""
        self._storage = storage

    def ring(self, queue: str, id: str, *, delay_seconds: float = 0.0) -> None:  # noqa: A002 - the message's own word
        """Send `{"id": id}` to `queue`, to be seen after `delay_seconds`; a missing queue is made.

        Raises:
            StorageUnavailable: it could not be sent. The row stands, and the sweep rings later.
        """
        self.send(queue, doorbell_body(id), delay_seconds=delay_seconds)

    def try_ring(self, queue: str, ids: Collection[str], *, delay_seconds: float = 0.0) -> list[str]:
        """Ring for each id and return those that were sent; storage being away is logged and is no error.

        Give the result to `WorkRows.mark_rung`; the sweep rings for the others.
        """
        rung: list[str] = []
        for id in ids:  # noqa: A001
            try:
                self.ring(queue, id, delay_seconds=delay_seconds)
            except StorageUnavailable as error:
                log.warning("doorbell.failed", queue=queue, id=id, unsent=len(ids) - len(rung), error=str(error))
                break
            rung.append(id)
        return rung

    def send(self, queue: str, body: str, *, delay_seconds: float = 0.0) -> None:
        """Send any text to `queue`, such as a buried message that is replayed; a missing queue is made.

        Raises:
            StorageUnavailable: it could not be sent.
        """
        client = self._storage.queue(queue)
        delay = min(max(int(delay_seconds), 0), _SEVEN_DAYS_SECONDS - 1)
        with answering(f"sending a message to {queue}"):
            try:
                client.send_message(body, visibility_timeout=delay)
            except ResourceNotFoundError:
                _create(client)
                client.send_message(body, visibility_timeout=delay)
        log.info("doorbell.rung", queue=queue, delay_seconds=delay)

    def ensure(self, queue: str) -> None:
        """Make `queue` when it is missing.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering(f"making the queue {queue}"):
            _create(self._storage.queue(queue))

    def depth(self, queue: str) -> int:
        """Return how many messages `queue` holds, invisible ones included; 0 when there is no such queue.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering(f"counting the messages of {queue}"):
            try:
                return int(self._storage.queue(queue).get_queue_properties().approximate_message_count or 0)
            except ResourceNotFoundError:
                return 0


def doorbell_body(id: str) -> str:  # noqa: A002
    """Return the message's text for a row's id."""
    return json.dumps({"id": id})


def message_text(body: bytes) -> str:
    """Return a received message's text, whether its sender wrote it as base64, as this product does, or plainly.

    Never raises: bytes that are no UTF-8 come out as replacement characters.
    """
    text = body.decode("utf-8", errors="replace").strip()
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return text


def parse_doorbell(body: str) -> str:
    """Return the row's id that a message names.

    Raises:
        MalformedRequest: the text is not a JSON object with a non-empty text `id`.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"The message is not JSON: {error}.", remedy='Send {"id": "..."}.') from error
    if not isinstance(message, dict):
        raise MalformedRequest("The message is not a JSON object.", remedy='Send {"id": "..."}.')
    id = message.get("id")  # noqa: A001
    if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
        raise MalformedRequest(
            f'The message\'s "id" must be a text of 1 to {_LONGEST_ID} characters.', remedy='Send {"id": "..."}.'
        )
    return id


def growing_delay_seconds(attempt: int) -> float:
    """Return the rest before the `attempt`-th further look (from 1): 10 s, then doubling, at most 10 min."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** min(max(attempt - 1, 0), 30), LONGEST_DELAY_SECONDS)


def _create(client: QueueClient) -> None:
    try:
        client.create_queue()
    except ResourceExistsError:
        return
