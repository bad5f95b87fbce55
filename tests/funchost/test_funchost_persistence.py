"""How long the host tries to give a message's outcome to a storage that is away."""

import threading

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from funchost.persistence import LEAST_TRIES, Refused, try_while_held


class Away:
    """A storage that is away until a moment of a clock that only pauses move on."""

    def __init__(self, *, until: float) -> None:
        self.now, self.tries, self._until = 0.0, 0, until

    def ask(self) -> None:
        self.tries += 1
        if self.now < self._until:
            raise ServiceRequestError("connection refused")

    def pause(self, seconds: float) -> None:
        self.now += seconds


def _try(storage: Away, *, held_seconds: float, stopping: bool = False) -> None:
    stop = threading.Event()
    if stopping:
        stop.set()
    try_while_held(
        storage.ask, held_until=lambda: held_seconds, stopping=stop, clock=lambda: storage.now, pause=storage.pause
    )


def test_a_message_is_deleted_after_minutes_without_storage_as_long_as_it_is_held() -> None:
    storage = Away(until=300)
    _try(storage, held_seconds=600)
    assert 300 <= storage.now < 310


def test_what_is_held_no_more_is_given_up() -> None:
    storage = Away(until=300)
    with pytest.raises(ServiceRequestError):
        _try(storage, held_seconds=60)
    assert 60 <= storage.now < 70


@pytest.mark.parametrize(("held_seconds", "stopping"), [(0.1, False), (600, True)])
def test_it_is_tried_a_few_times_even_late_or_at_the_hosts_stop(held_seconds: float, stopping: bool) -> None:
    storage = Away(until=300)
    with pytest.raises(ServiceRequestError):
        _try(storage, held_seconds=held_seconds, stopping=stopping)
    assert storage.tries == LEAST_TRIES


def test_a_refusal_is_not_asked_again() -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        error = HttpResponseError("no")
        error.status_code, error.error_code = 400, "PopReceiptMismatch"  # type: ignore[attr-defined]
        raise error

    with pytest.raises(Refused, match="PopReceiptMismatch"):
        try_while_held(attempt, held_until=lambda: 1e9, stopping=threading.Event())
    assert len(tries) == 1
