"""Queue listeners: polling with back-off, renewal, retry by dequeue count, poison queues."""

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from funchost import logs
from funchost.backoff import PollDelay
from funchost.bindingdata import BindingData, datum_of, properties_of
from funchost.catalogue import Entry
from funchost.groups import WorkerGroup
from funchost.invoker import Invocation, Invoker, Outcome, Renewal
from funchost.persistence import Refused, try_while_held
from funchost.state import HostState
from funchost.storage import Storage, send_message

_POISON_SUFFIX = "-poison"
_LONGEST_NAME = 63


@dataclass(frozen=True, kw_only=True)
class QueueRules:
    """How one queue is read; durations in seconds."""

    batch_size: int
    new_batch_threshold: int
    max_polling_seconds: float
    retry_visibility_seconds: int
    message_visibility_seconds: int
    max_dequeue_count: int
    encoding: str


@dataclass(kw_only=True)
class HeldMessage:
    """A received message with the pop receipt that is valid now."""

    id: str
    content: str
    body: bytes | None
    dequeue_count: int
    pop_receipt: str
    first_receipt: str
    inserted_on: datetime | None
    expires_on: datetime | None
    next_visible_on: datetime | None
    held_until: float = 0.0  # on the monotonic clock: nobody else receives it before


RunMessage = Callable[[HeldMessage, Renewal], Outcome]


def poison_name(queue: str) -> str | None:
    """Return the name of a queue's poison queue; None for a poison queue itself and for names that are too long."""
    if queue.endswith(_POISON_SUFFIX) or len(queue) + len(_POISON_SUFFIX) > _LONGEST_NAME:
        return None
    return queue + _POISON_SUFFIX


def decode_body(content: str, encoding: str) -> bytes | None:
    """Return a message's bytes; None when it should be base64 and is not."""
    if encoding == "none":
        return content.encode()
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


class QueueListener:
    """Polls one queue on a thread of its own and runs its messages on others."""

    def __init__(
        self,
        *,
        storage: Storage,
        queue: str,
        poison: str | None,
        rules: QueueRules,
        run: RunMessage,
        poison_storage: Callable[[HeldMessage], Storage | None] | None = None,
        state: HostState,
        worker: WorkerGroup,
        wake: Callable[[str, str], None],
    ) -> None:
        self.queue = queue
        self.storage = storage
        self._poison = poison
        self._rules = rules
        self._run = run
        self._poison_storage = poison_storage or (lambda _: storage)
        self._state = state
        self._worker = worker
        self._wake_others = wake
        self._client: QueueClient = storage.queue(queue)
        self._room = threading.Condition()
        self._in_flight = 0
        self._wake = threading.Event()
        self._delay = PollDelay(rules.max_polling_seconds)
        self._storage_is_down = False
        self._pool = ThreadPoolExecutor(
            rules.batch_size + rules.new_batch_threshold, thread_name_prefix=f"queue-{queue}"
        )
        self._thread = threading.Thread(target=self._poll_loop, name=f"poll-{queue}", daemon=True)

    def start(self) -> None:
        """Begin polling."""
        self._thread.start()

    def notify(self) -> None:
        """Poll now: somebody in this host has put a message here."""
        self._delay.reset()
        self._wake.set()

    def stop(self) -> None:
        """Poll no more; messages under way are finished by their own threads."""
        self._wake.set()
        with self._room:
            self._room.notify_all()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the messages under way to be completed or released."""
        deadline = time.monotonic() + timeout_seconds
        self._thread.join(timeout_seconds)
        with self._room:
            self._room.wait_for(lambda: self._in_flight == 0, max(0.0, deadline - time.monotonic()))
        self._pool.shutdown(wait=False)

    def _poll_loop(self) -> None:
        while not self._state.stopping.is_set():
            if not self._state.wait_for_work(1.0) or not self._worker.wait_ready(1.0) or not self._has_room():
                continue
            self._wake.clear()
            messages = self._receive()
            if messages:
                self._delay.reset()
                for message in messages:
                    with self._room:
                        self._in_flight += 1
                    self._pool.submit(self._process, message)
            else:
                self._wake.wait(self._delay.next_seconds())

    def _has_room(self) -> bool:
        with self._room:
            return self._room.wait_for(
                lambda: self._in_flight <= self._rules.new_batch_threshold or self._state.stopping.is_set(), 1.0
            )

    def _receive(self) -> list[HeldMessage]:
        size = self._rules.batch_size
        asked = time.monotonic()
        try:
            received = list(
                self._client.receive_messages(
                    messages_per_page=size, max_messages=size, visibility_timeout=self._rules.message_visibility_seconds
                )
            )
        except ResourceNotFoundError:
            received = []
        except (AzureError, OSError) as error:
            if not self._storage_is_down:
                self._storage_is_down = True
                logs.warning("queue.unreachable", queue=self.queue, reason=str(error).split("\n", 1)[0])
            return []
        if self._storage_is_down:
            self._storage_is_down = False
            logs.info("queue.reachable_again", queue=self.queue)
        held_until = asked + self._rules.message_visibility_seconds
        return [self._held(message, held_until) for message in received]

    def _held(self, message: QueueMessage, held_until: float) -> HeldMessage:
        content = message.content if isinstance(message.content, str) else ""
        return HeldMessage(
            id=message.id,
            content=content,
            body=decode_body(content, self._rules.encoding),
            dequeue_count=int(message.dequeue_count or 1),
            pop_receipt=message.pop_receipt or "",
            first_receipt=message.pop_receipt or "",
            inserted_on=message.inserted_on,
            expires_on=message.expires_on,
            next_visible_on=message.next_visible_on,
            held_until=held_until,
        )

    def _process(self, message: HeldMessage) -> None:
        try:
            self._process_one(message)
        except Exception as error:  # noqa: BLE001 - one message must not end the listener; it comes back by itself
            logs.error("queue.message_failed", queue=self.queue, message_id=message.id, exception=repr(error))
        finally:
            with self._room:
                self._in_flight -= 1
                self._room.notify_all()

    def _process_one(self, message: HeldMessage) -> None:
        if message.dequeue_count > self._rules.max_dequeue_count:
            self._bury(message, "it was received more often than maxDequeueCount")
            return
        if message.body is None:
            self._bury(message, "its text is not base64")
            return
        if self._state.stopping.is_set():
            self._release(message, 0)
            return
        renewal = Renewal(every_seconds=self._rules.message_visibility_seconds / 2, renew=lambda: self._renew(message))
        outcome = self._run(message, renewal)
        if outcome.ok:
            self._delete(message)
        elif outcome.cut:
            self._release(message, 0)
        elif message.dequeue_count >= self._rules.max_dequeue_count:
            self._bury(message, outcome.failure or "its function failed")
        else:
            self._release(message, self._rules.retry_visibility_seconds)

    def _renew(self, message: HeldMessage) -> None:
        try:
            self._update(message, self._rules.message_visibility_seconds)
        except (AzureError, OSError) as error:
            logs.warning("queue.renewal_failed", queue=self.queue, message_id=message.id, reason=str(error))

    def _update(self, message: HeldMessage, visibility_seconds: int) -> None:
        asked = time.monotonic()
        updated = self._client.update_message(
            message.id, pop_receipt=message.pop_receipt, visibility_timeout=visibility_seconds
        )
        message.pop_receipt = updated.pop_receipt or message.pop_receipt
        message.held_until = asked + visibility_seconds

    def _release(self, message: HeldMessage, visibility_seconds: int) -> None:
        if self._persistently("release", message, lambda: self._update(message, visibility_seconds)):
            self._delay.reset()
            self._wake.set()

    def _delete(self, message: HeldMessage) -> bool:
        return self._persistently(
            "delete", message, lambda: self._client.delete_message(message.id, pop_receipt=message.pop_receipt)
        )

    def _bury(self, message: HeldMessage, reason: str) -> None:
        if self._poison is None:
            logs.error("queue.message_left", queue=self.queue, message_id=message.id, reason=reason)
            return
        poison, storage = self._poison, self._poison_storage(message)
        if storage is None:
            logs.error("queue.message_dropped", queue=self.queue, message_id=message.id, reason=reason)
            self._delete(message)
            return
        copied = self._persistently("bury", message, lambda: send_message(storage.queue(poison), message.content))
        if copied and self._delete(message):
            logs.error(
                "queue.poisoned", queue=self.queue, poison_queue=poison, message_id=message.id,
                dequeue_count=message.dequeue_count, reason=reason,
            )  # fmt: skip
            self._wake_others(storage.account_name, poison)

    def _persistently(self, action: str, message: HeldMessage, attempt: Callable[[], Any]) -> bool:
        """Try as long as the message is ours; a lost receipt or a message that is gone is only logged."""
        try:
            try_while_held(attempt, held_until=lambda: message.held_until, stopping=self._state.stopping)
        except Refused as refusal:
            logs.warning(f"queue.{action}_refused", queue=self.queue, message_id=message.id, reason=str(refusal))
        except (AzureError, OSError) as error:
            logs.error(f"queue.{action}_failed", queue=self.queue, message_id=message.id, reason=str(error))
        else:
            return True
        return False


def queue_function_runner(entry: Entry, invoker: Invoker) -> RunMessage:
    """Return what runs a queue function for a message."""

    def run(message: HeldMessage, renewal: Renewal) -> Outcome:
        return invoker.run(queue_invocation(entry, message, "New queue message detected"), renewal)

    return run


def queue_invocation(entry: Entry, message: HeldMessage, reason: str) -> Invocation:
    """Return the invocation of a queue function with the metadata that the real host gives."""
    body = message.body or b""
    binary = str(entry.trigger.get("dataType") or "").upper() == "BINARY"
    text = _as_text(body)
    properties = {} if text is None else properties_of(text)
    texts = {"Id": message.id, "PopReceipt": message.first_receipt}
    if text is not None:
        texts["QueueTrigger"] = text
    moments = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    times = {name: utc_text(moment) for name, moment in moments.items() if moment is not None}
    metadata = {name: datum_of(value) for name, value in {**properties, **texts}.items()}
    metadata.update({name: {"type": "json", "value": json.dumps(moment)} for name, moment in times.items()})
    metadata["DequeueCount"] = {"type": "json", "value": str(message.dequeue_count)}
    return Invocation(
        entry=entry,
        type="bytes" if binary else "string",
        value=body,
        metadata=metadata,
        attempt=message.dequeue_count,
        reason=reason,
        data=BindingData(texts, times, {"DequeueCount": message.dequeue_count}, properties),
    )


def utc_text(moment: datetime) -> str:
    """Return an aware time in the form that `azure.functions` reads."""
    offset = moment.utcoffset() or timedelta()
    return (moment.replace(tzinfo=None) - offset).isoformat(timespec="microseconds") + "+00:00"


def _as_text(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
