"""What the timer, queue and poison functions share: slots, doorbells and burials."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import structlog

from functions.auditing import acting_function
from shared.bootstrap import Services, current_services
from shared.clock import utc_now
from shared.storage.doorbells import message_text, parse_doorbell

EARLY_FIRING = timedelta(seconds=2)  # a timer may fire a little before its time

log = structlog.get_logger()


def due_slot(timer: func.TimerRequest, *, now: datetime | None = None) -> str | None:
    """Return the scheduled time that this firing stands for, or None where a person fired it by hand.

    The host hands over the schedule's status as it was *before* the firing, so `Next` is the slot that fell due; a
    firing by hand finds it still ahead. The slot is the row's unique key: a doubled firing inserts nothing.
    """
    status: dict[str, Any] = getattr(timer, "schedule_status", None) or {}
    scheduled = status.get("Next")
    if not scheduled:
        return None
    due = datetime.fromisoformat(scheduled)
    due = due.astimezone(UTC) if due.tzinfo else due.astimezone().astimezone(UTC)
    if due > (now or utc_now()) + EARLY_FIRING:
        return None
    return due.replace(microsecond=0).isoformat()


def doorbell_function(blueprint: func.Blueprint, name: str, queue: str, run: Callable[[Services, str], object]) -> None:
    """Declare the queue function `name`: read the row's id from the message and hand it to `run`.

    A message that is no doorbell raises, so that the host counts its tries and moves it to the poison queue.
    """

    def function(msg: func.QueueMessage) -> None:
        structlog.contextvars.bind_contextvars(function=name, message_id=msg.id)
        started = time.perf_counter()
        try:
            with acting_function(name, "queue", msg.id or ""):
                services = current_services()
                services.caches.follow()
                outcome = run(services, parse_doorbell(message_text(msg.get_body())))
            latency_ms = round((time.perf_counter() - started) * 1000, 3)
            state = getattr(outcome, "state", "nothing to do")
            log.info("queue.handled", queue=queue, state=state, latency_ms=latency_ms)
        finally:
            structlog.contextvars.unbind_contextvars("function", "message_id")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Look at the row that a message of `{queue}` names."
    triggered = blueprint.queue_trigger(arg_name="msg", queue_name=queue, connection="AzureWebJobsStorage")(function)
    blueprint.function_name(name)(triggered)


def poison_function(blueprint: func.Blueprint, name: str, queue: str, poison_queue: str | None = None) -> None:
    """Declare the queue function `name`: keep a message nobody could handle, mark its row, raise an alert."""

    def function(msg: func.QueueMessage) -> None:
        with acting_function(name, "queue", msg.id or ""):
            current_services().burial.bury(queue, message_text(msg.get_body()), message_id=msg.id)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Bury a message of `{queue}` that could not be handled."
    trigger = blueprint.queue_trigger(
        arg_name="msg", queue_name=poison_queue or f"{queue}-poison", connection="AzureWebJobsStorage"
    )
    blueprint.function_name(name)(trigger(function))
