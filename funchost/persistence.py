"""Storage calls that are worth repeating: as long as the message that they are about is still held."""

import time
from collections.abc import Callable
from threading import Event
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError

LEAST_TRIES = 5
_LONGEST_PAUSE_SECONDS = 5.0


class Refused(Exception):
    """The storage has answered, and will answer the same again; the text is its code."""


def try_while_held(
    attempt: Callable[[], Any],
    *,
    held_until: Callable[[], float],
    stopping: Event,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], Any] | None = None,
) -> None:
    """Call `attempt` until it succeeds, with growing pauses; five times at least, and for as long as that can help.

    `held_until` is the moment of `clock` from which on another host may have the message: what was finished while the
    storage was away must still be deleted when it is back, or it is done twice. A stop of the host ends the pauses.

    Raises:
        Refused: the storage does not want it.
        azure.core.exceptions.AzureError: the last failure.
        OSError: likewise.
    """
    wait = stopping.wait if pause is None else pause
    tries = 0
    while True:
        tries += 1
        try:
            attempt()
        except HttpResponseError as error:
            if error.status_code is not None and 400 <= error.status_code < 500:
                raise Refused(str(getattr(error, "error_code", None) or error).split("\n", 1)[0]) from error
            failure: Exception = error
        except (AzureError, OSError) as error:
            failure = error
        else:
            return
        if tries >= LEAST_TRIES and (stopping.is_set() or clock() >= held_until()):
            raise failure
        wait(min(0.2 * 2**tries, _LONGEST_PAUSE_SECONDS))
