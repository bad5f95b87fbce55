"""Makes the timer, queue and blob listeners of an app, and starts, fires and ends them."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError

from funchost import logs
from funchost.blob_run import BlobRunner
from funchost.blob_scan import BlobScanner
from funchost.blobs import POISON_QUEUE, BlobFunction, blob_functions, internal_queue
from funchost.catalogue import Entry
from funchost.groups import WorkerGroup
from funchost.hostjson import HostJson
from funchost.invoker import Invoker, Outcome, Renewal
from funchost.metrics import Metrics
from funchost.queues import (
    HeldMessage,
    QueueListener,
    QueueRules,
    RunMessage,
    poison_name,
    queue_function_runner,
    queue_invocation,
)
from funchost.settings import HostSettings
from funchost.state import HostState
from funchost.storage import Emitter, InputReader, Storage, StorageFactory
from funchost.timers import TimerListener


class Listeners:
    """All listeners of one host."""

    def __init__(
        self,
        *,
        settings: HostSettings,
        host_json: HostJson,
        environment: Mapping[str, str],
        entries: Sequence[Entry],
        worker: WorkerGroup,
        state: HostState,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._host_json = host_json
        self._state = state
        self._worker = worker
        self._lock_retry_seconds = settings.lock_retry_seconds or host_json.listener_lock_retry.total_seconds()
        self._factory = StorageFactory(environment, settings.storage_api_version)
        self.reader = InputReader(self._factory)
        self.emitter = Emitter(self._factory, host_json.message_encoding, self.wake)
        timeout = host_json.function_timeout
        self._invoker = Invoker(
            worker=worker,
            state=state,
            reader=self.reader,
            emitter=self.emitter,
            metrics=metrics,
            timeout_seconds=None if timeout is None else timeout.total_seconds(),
        )
        events = [entry for entry in entries if entry.runs and entry.kind != "httpTrigger"]
        self.needs_worker = bool(events)
        self._timers = {entry.name: self._timer(entry) for entry in events if entry.kind == "timerTrigger"}
        self._queues = [self._queue(entry) for entry in events if entry.kind == "queueTrigger" and entry.listens]
        self._blobs = blob_functions([entry for entry in events if entry.kind == "blobTrigger"])
        self._data = {
            connection: self._factory.named(connection or None)
            for connection in {str(blob.entry.trigger.get("connection") or "") for blob in self._blobs}
        }
        listening = [blob for blob in self._blobs if blob.entry.listens]
        self._blob_runner = BlobRunner(listening, self._data, self._invoker)
        self._scanner = self._make_scanner(listening) if listening else None
        if listening:
            self._queues.append(self._blob_queue())

    def start(self) -> None:
        """Start everything that is not disabled."""
        for queue in self._queues:
            queue.start()
        for timer in self._timers.values():
            if timer.entry.listens:
                timer.start()
        if self._scanner is not None:
            self._scanner.start()

    def finish(self, timeout_seconds: float) -> None:
        """After the stop was signalled: wait for messages to be completed or released and leases to be given back."""
        deadline = time.monotonic() + timeout_seconds
        for queue in self._queues:
            queue.stop()
        for listener in (*self._queues, *self._timers.values(), *((self._scanner,) if self._scanner else ())):
            listener.join(max(0.05, deadline - time.monotonic()))
        self._factory.close()

    def wake(self, account: str, queue: str) -> None:
        """Make the listener of a queue poll at once."""
        for listener in self._queues:
            if listener.queue == queue and listener.storage.account_name == account:
                listener.notify()

    def fire_by_hand(self, entry: Entry, text: str) -> None:
        """Run a function outside of its trigger; a failure is logged and retries nothing."""
        reason = "This function was programmatically called via the host APIs."
        if not self._worker.wait_ready(30):
            logs.error("function.failed", function=entry.name, reason="no event worker is running")
        elif entry.kind == "timerTrigger":
            self._timers[entry.name].invoke_by_hand()
        elif entry.kind == "queueTrigger":
            self._invoker.run(queue_invocation(entry, _message_by_hand(text), reason))
        elif entry.kind == "blobTrigger":
            self._fire_blob(next(blob for blob in self._blobs if blob.entry.name == entry.name), text, reason)

    def _fire_blob(self, function: BlobFunction, path: str, reason: str) -> None:
        container, _, name = path.lstrip("/").partition("/")
        try:
            invocation = self._blob_runner.invocation(function, container, name, None, 1, reason)
        except (AzureError, OSError) as error:
            logs.error("function.failed", function=function.entry.name, reason=str(error).split("\n", 1)[0])
            return
        if invocation is None:
            logs.error("function.failed", function=function.entry.name, reason=f"there is no blob {path!r}")
        else:
            self._invoker.run(invocation)

    def _timer(self, entry: Entry) -> TimerListener:
        return TimerListener(
            entry=entry,
            storage=self._factory.named(None),
            host_id=self._settings.host_id,
            lock_period_seconds=round(self._host_json.listener_lock_period.total_seconds()),
            lock_retry_seconds=self._lock_retry_seconds,
            invoker=self._invoker,
            state=self._state,
        )

    def _queue(self, entry: Entry) -> QueueListener:
        queue = str(entry.trigger["queueName"]).lower()
        host_json = self._host_json
        rules = QueueRules(
            batch_size=host_json.batch_size,
            new_batch_threshold=host_json.new_batch_threshold,
            max_polling_seconds=host_json.max_polling_interval.total_seconds(),
            retry_visibility_seconds=round(host_json.visibility_timeout.total_seconds()),
            message_visibility_seconds=self._settings.message_visibility_seconds,
            max_dequeue_count=host_json.max_dequeue_count,
            encoding=host_json.message_encoding,
        )
        storage = self._factory.named(entry.trigger.get("connection"))
        return self._listener(storage, queue, poison_name(queue), rules, queue_function_runner(entry, self._invoker))

    def _blob_queue(self) -> QueueListener:
        degree = self._host_json.blob_parallelism
        batch = min(32, degree // 2 + 1)
        rules = QueueRules(
            batch_size=batch,
            new_batch_threshold=max(0, degree - batch),
            max_polling_seconds=self._host_json.max_polling_interval.total_seconds(),
            retry_visibility_seconds=0,
            message_visibility_seconds=self._settings.message_visibility_seconds,
            max_dequeue_count=self._host_json.poison_blob_threshold,
            encoding="base64",
        )
        queue = internal_queue(self._settings.host_id)
        return self._listener(
            self._factory.named(None),
            queue,
            POISON_QUEUE,
            rules,
            self._run_blob,
            self._blob_runner.poison_storage,
        )

    def _run_blob(self, message: HeldMessage, renewal: Renewal) -> Outcome:
        outcome = self._blob_runner.run(message, renewal)
        for queue in self._queues:  # to one of which it has handed its work, as likely as not
            queue.notify()
        return outcome

    def _listener(
        self,
        storage: Storage,
        queue: str,
        poison: str | None,
        rules: QueueRules,
        run: RunMessage,
        poison_storage: Callable[[HeldMessage], Storage | None] | None = None,
    ) -> QueueListener:
        return QueueListener(
            storage=storage,
            queue=queue,
            poison=poison,
            rules=rules,
            run=run,
            poison_storage=poison_storage,
            state=self._state,
            worker=self._worker,
            wake=self.wake,
        )

    def _make_scanner(self, functions: Sequence[BlobFunction]) -> BlobScanner:
        return BlobScanner(
            functions=functions,
            host_storage=self._factory.named(None),
            data_storage=self._data,
            host_id=self._settings.host_id,
            scan_seconds=self._settings.blob_scan_seconds,
            lock_period_seconds=round(self._host_json.listener_lock_period.total_seconds()),
            lock_retry_seconds=self._lock_retry_seconds,
            state=self._state,
            wake=self.wake,
        )


def _message_by_hand(text: str) -> HeldMessage:
    now = datetime.now(UTC)
    return HeldMessage(
        id="",
        content=text,
        body=text.encode(),
        dequeue_count=0,
        pop_receipt="",
        first_receipt="",
        inserted_on=now,
        expires_on=now + timedelta(days=7),
        next_visible_on=now,
    )
