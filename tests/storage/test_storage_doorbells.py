"""Doorbells are base64 messages that name a row; a queue that is missing or away is no surprise."""

import base64
import json
import time

import pytest
from azure.storage.queue import QueueServiceClient

from shared.azurite.service import Azurite
from shared.errors import MalformedRequest, StorageUnavailable
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells, growing_delay_seconds, parse_doorbell

pytestmark = pytest.mark.azurite


def test_bell_makes_its_queue_and_travels_as_base64(azurite: Azurite, storage: Storage, queue_name: str) -> None:
    """A client without any policy sees base64 text, which is what the Functions host decodes."""
    Doorbells(storage).ring(queue_name, "job_1")
    plain = QueueServiceClient.from_connection_string(azurite.connection_string).get_queue_client(queue_name)
    (message,) = plain.peek_messages()
    assert json.loads(base64.b64decode(message.content)) == {"id": "job_1"}


def test_receiver_reads_what_was_rung(storage: Storage, queue_name: str) -> None:
    """The project's own queue client decodes the body, and parsing gives the id back."""
    Doorbells(storage).ring(queue_name, "job_ü")
    message = storage.queue(queue_name).receive_message()
    assert message is not None
    assert parse_doorbell(message.content) == "job_ü"


def test_delayed_bell_is_counted_but_not_seen_before_its_time(storage: Storage, queue_name: str) -> None:
    """The visibility time-out belongs to the message, so that delays can grow."""
    bells = Doorbells(storage)
    bells.ring(queue_name, "later", delay_seconds=1)
    assert storage.queue(queue_name).receive_message() is None
    assert bells.depth(queue_name) == 1
    deadline = time.monotonic() + 10
    message = None
    while message is None and time.monotonic() < deadline:
        time.sleep(0.1)
        message = storage.queue(queue_name).receive_message()
    assert message is not None


def test_depth_of_a_missing_queue_is_zero_until_it_is_made(storage: Storage, queue_name: str) -> None:
    """Counting makes nothing; `ensure` does, once and again."""
    bells = Doorbells(storage)
    assert bells.depth(queue_name) == 0
    assert queue_name not in {queue.name for queue in storage.queues.list_queues()}
    bells.ensure(queue_name)
    bells.ensure(queue_name)
    assert queue_name in {queue.name for queue in storage.queues.list_queues()}


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", '"x"', "{}", '{"id": 7}', '{"id": ""}', json.dumps({"id": "x" * 65}), "[" * 100_000]
)
def test_body_that_is_no_doorbell_is_malformed(body: str) -> None:
    """Anything but an object with a text id goes to the poison queue with its reason."""
    with pytest.raises(MalformedRequest):
        parse_doorbell(body)


def test_bell_that_cannot_be_rung_says_so_quickly_or_is_left_to_the_sweep() -> None:
    """With nobody listening, `ring` raises within seconds and `try_ring` returns what was sent: nothing."""
    away = Doorbells(Storage(unreachable_connection_string()))
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="ROUTING_STORAGE_CONNECTION"):
        away.ring("extracts", "x")
    assert away.try_ring("extracts", ["x", "y"]) == []
    assert time.monotonic() - started < 10


def unreachable_connection_string() -> str:
    from shared.platform import free_ports

    (port,) = free_ports(1)
    key = base64.b64encode(b"secret-key-of-nobody").decode()
    return (
        f"DefaultEndpointsProtocol=http;AccountName=nobody;AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/nobody;QueueEndpoint=http://127.0.0.1:{port}/nobody;"
    )


def test_delays_grow_to_a_limit() -> None:
    """Ten seconds, doubled each time, never more than ten minutes."""
    delays = [growing_delay_seconds(attempt) for attempt in range(1, 12)]
    assert delays[:3] == [10, 20, 40]
    assert delays == sorted(delays)
    assert delays[-1] == growing_delay_seconds(10_000) == 600
