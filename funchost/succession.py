"""What an app may offer so that one HTTP worker takes over from another without a request noticing.

An app that has something large to exchange, a model for instance, cannot load it beside its requests: much of loading
holds the interpreter's lock. Where its module has a value named `succession` with the methods below, the app asks for a
successor instead: another process loads the app, makes ready, and only then takes the requests. Hosts that do not know
the name ignore it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from funchost.hooks import offered

NAME = "succession"


class Succession(Protocol):
    """The app's part."""

    def offer(self, ask: Callable[[], Any]) -> None:
        """Take what asks for a successor; it returns at once and does nothing while one is on its way."""

    def warm(self) -> None:
        """Do what can be done long before `prepare`: import libraries, and open nothing that may be old by then."""

    def prepare(self) -> None:
        """Make ready to answer, in a process that is to take over; an error leaves the present one in its place."""

    def failed(self, reason: str) -> None:
        """Learn why the successor that was asked for did not take over."""


def succession_of(app_dir: Path) -> Succession | None:
    """Return what the loaded app offers, or None."""
    found: Succession | None = offered(app_dir, NAME)
    return found
