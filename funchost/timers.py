"""Timer listeners: one owner by lease, status blob, past due once, no overlap, retries by policy."""

import contextlib
import json
import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from funchost import logs
from funchost.backoff import LONGEST_TROUBLE_SECONDS, PollDelay
from funchost.catalogue import Entry
from funchost.invoker import Invocation, Invoker, Outcome
from funchost.leases import SingletonLease
from funchost.retries import parse_retry
from funchost.state import HostState
from funchost.storage import HOSTS_CONTAINER, Storage
from schedules.ncrontab import CronSchedule, Schedule, parse_schedule
from schedules.zone import local_zone

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_CLOCK_STEP_SECONDS = 5.0


def _unknown_zone(name: str) -> None:
    logs.warning("timer.unknown_zone", zone=name, meaning="the machine's own time zone is used")


@dataclass(frozen=True, kw_only=True)
class TimerStatus:
    """When a timer ran last, runs next, and when this was written."""

    last: datetime
    next: datetime
    updated: datetime

    def document(self, zone: tzinfo) -> dict[str, str]:
        """Return the form of the status blob."""

        def text(moment: datetime) -> str:
            return "0001-01-01T00:00:00" if moment == _NEVER else moment.astimezone(zone).isoformat()

        return {"Last": text(self.last), "Next": text(self.next), "LastUpdated": text(self.updated)}


class StatusStore:
    """Reads and writes the status blob of one timer."""

    def __init__(self, storage: Storage, host_id: str, function: str, zone: tzinfo) -> None:
        self._storage = storage
        self._blob = storage.blobs.get_blob_client(
            HOSTS_CONTAINER, f"timers/{host_id}/Host.Functions.{function}/status"
        )
        self._zone = zone

    def read(self) -> TimerStatus | None:
        """Return the status, or None when there is none that can be read."""
        try:
            document = json.loads(self._blob.download_blob().readall())
            return TimerStatus(
                last=self._moment(document["Last"]),
                next=self._moment(document["Next"]),
                updated=self._moment(document.get("LastUpdated") or document["Last"]),
            )
        except ResourceNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            logs.warning("timer.status_unreadable", blob=self._blob.blob_name, reason=repr(error))
            return None

    def write(self, status: TimerStatus) -> None:
        """Replace the status."""
        data = json.dumps(status.document(self._zone)).encode()
        try:
            self._blob.upload_blob(data, overwrite=True)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):
                self._storage.container(HOSTS_CONTAINER).create_container()
            self._blob.upload_blob(data, overwrite=True)

    def _moment(self, text: str) -> datetime:
        if text.startswith("0001-"):
            return _NEVER
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC)


class TimerListener:
    """Fires one timer function, on a thread of its own."""

    def __init__(
        self,
        *,
        entry: Entry,
        storage: Storage,
        host_id: str,
        lock_period_seconds: int,
        lock_retry_seconds: float,
        invoker: Invoker,
        state: HostState,
    ) -> None:
        self.entry = entry
        self._schedule: Schedule = parse_schedule(str(entry.trigger["schedule"]))
        self._zone = local_zone(os.environ, unknown=_unknown_zone)
        self._invoker = invoker
        self._state = state
        self._lock_retry_seconds = lock_retry_seconds
        self._lease = SingletonLease(storage, host_id, f"Host.Functions.{entry.name}.Listener", lock_period_seconds)
        self._retry = parse_retry(entry.retry) if entry.retry is not None else None
        self._store = StatusStore(storage, host_id, entry.name, self._zone)
        self._monitored = uses_monitor(entry, self._schedule)
        self._status: TimerStatus | None = None
        self._storage_is_down = False
        self._trouble = PollDelay(LONGEST_TROUBLE_SECONDS)
        self._thread = threading.Thread(target=self._loop, name=f"timer-{entry.name}", daemon=True)

    def start(self) -> None:
        """Begin: get the lease, then fire by schedule."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for a run under way and the return of the lease."""
        self._thread.join(timeout_seconds)

    def invoke_by_hand(self) -> Outcome:
        """Run now, outside of the schedule."""
        try:
            status = self._store.read() if self._monitored else None
        except (AzureError, OSError):
            status = self._status
        return self._invoke(
            status, past_due=False, reason="This function was programmatically called via the host APIs."
        )

    def _loop(self) -> None:
        first = True
        while not self._state.stopping.is_set():
            if self._try_acquire():
                self._serve(first_time=first)
                first = False
                self._lease.release()
            elif self._state.stopping.wait(
                self._trouble.next_seconds() if self._storage_is_down else self._lock_retry_seconds
            ):
                break

    def _try_acquire(self) -> bool:
        try:
            acquired = self._lease.acquire()
        except (AzureError, OSError) as error:
            if not self._storage_is_down:
                self._storage_is_down = True
                logs.warning("timer.storage_unreachable", function=self.entry.name, reason=str(error).split("\n", 1)[0])
            return False
        if self._storage_is_down:
            self._storage_is_down = False
            self._trouble.reset()
            logs.info("timer.storage_reachable_again", function=self.entry.name)
        return acquired

    def _serve(self, *, first_time: bool) -> None:
        """Fire by schedule for as long as the lease is held."""
        if self._wait_past_drain() is False:
            return
        if self._is_past_due():
            due = self._fire(past_due=True)
        elif first_time and self.entry.trigger.get("runOnStartup"):
            due = self._fire(past_due=False)
        else:
            due = self._schedule.next_after(_now(), self._zone)
        ahead = _ahead_seconds()
        while self._lease.held and not self._state.stopping.is_set():
            left = (due - _now()).total_seconds()
            if ahead - _ahead_seconds() > _CLOCK_STEP_SECONDS:
                logs.warning("timer.clock_set_back", function=self.entry.name)
                ahead, due = _ahead_seconds(), self._schedule.next_after(_now(), self._zone)
            elif left > 0:
                self._state.stopping.wait(min(left, 1.0))
            elif self._state.draining:
                due = self._schedule.next_after(_now(), self._zone)
            else:
                due = self._fire(past_due=False, due=due)

    def _wait_past_drain(self) -> bool:
        while not self._state.wait_for_work(1.0):
            if self._state.stopping.is_set() or not self._lease.held:
                return False
        return True

    def _is_past_due(self) -> bool:
        """Read the status, write the first or a corrected one, and say whether a slot was missed."""
        if not self._monitored:
            return False
        now = _now()
        try:
            status = self._store.read()
        except (AzureError, OSError) as error:
            logs.warning("timer.status_failed", function=self.entry.name, reason=str(error).split("\n", 1)[0])
            return False
        if status is not None:
            base = status.last if status.last != _NEVER else status.updated if status.updated != _NEVER else now
            if self._fits(status.next, base):
                self._status = status
                return now > status.next
        # `Last` is forgotten with the schedule that it belonged to: the next start works `Next` out from `LastUpdated`.
        self._keep(TimerStatus(last=_NEVER, next=self._schedule.next_after(now, self._zone), updated=now))
        return False

    def _fits(self, stored: datetime, base: datetime) -> bool:
        """Whether a stored slot is one of this schedule; a host that fires a moment early is one slot ahead."""
        expected = self._schedule.next_after(base, self._zone)
        following = self._schedule.next_after(expected, self._zone)
        return any(abs((slot - stored).total_seconds()) < 1 for slot in (expected, following))

    def _fire(self, *, past_due: bool, due: datetime | None = None) -> datetime:
        """Run once and return the time of the next slot, counted from this firing."""
        fired = _now()
        reference = max(fired, due) if due is not None else fired
        self._invoke(self._status, past_due=past_due, reason="Timer fired")
        following = self._schedule.next_after(reference, self._zone)
        if self._monitored:
            self._keep(TimerStatus(last=reference, next=following, updated=reference))
        if isinstance(self._schedule, CronSchedule):
            return following
        return max(following, _now())

    def _keep(self, status: TimerStatus) -> None:
        self._status = status
        try:
            self._store.write(status)
        except (AzureError, OSError) as error:
            logs.warning("timer.status_failed", function=self.entry.name, reason=str(error).split("\n", 1)[0])

    def _invoke(self, status: TimerStatus | None, *, past_due: bool, reason: str) -> Outcome:
        document = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": None if status is None or not self._monitored else status.document(self._zone),
            "IsPastDue": past_due,
        }
        value = json.dumps(document).encode()
        retries, last_failure = 0, None
        while True:
            given: dict[str, Any] | None = None
            if self._retry is not None:
                given = {"count": retries, "max": self._retry.max_retry_count, "exception": last_failure}
            outcome = self._invoker.run(
                Invocation(
                    entry=self.entry,
                    type="json",
                    value=value,
                    metadata={"TimerTrigger": {"type": "string", "value": value.decode()}},
                    attempt=retries + 1,
                    retry=given,
                    reason=reason,
                )
            )
            if outcome.ok or outcome.cut or self._retry is None or not self._retry.allows(retries):
                return outcome
            last_failure = outcome.failure
            if not self._state.wait_to_retry(self._retry.delay_seconds(retries)):
                return outcome
            retries += 1


def uses_monitor(entry: Entry, schedule: Schedule) -> bool:
    """Whether a status is kept: not when switched off, nor when the timer fires more than once a minute."""
    if entry.trigger.get("useMonitor") is False:
        return False
    if isinstance(schedule, CronSchedule):
        return not schedule.fires_within_a_minute
    now = _now()
    return schedule.next_after(now, UTC) - now >= timedelta(minutes=1)


def _ahead_seconds() -> float:
    """How far the clock is ahead of the machine's uptime: a step down is a clock that was set back."""
    return time.time() - time.monotonic()


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
