"""What an app may offer to its host by a name in its module; hosts that do not know the name ignore it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from funchost.discovery import app_script

COUNTERS = "host_counters"


class HostCounters(Protocol):
    """The app's part in showing the host's counters among its own: a value named `host_counters` in its module.

    What it is offered returns the counters of all processes of the host as one JSON object: `counters` (name to
    number), `invocations` (a list of `function`, `outcome`, `count`, `seconds`) and `underWay` (queue, blob and timer
    invocations that run now). It waits for the other processes for at most some seconds, and raises HostError or
    TimeoutError where they do not answer.
    """

    def offer(self, read: Callable[[], dict[str, Any]]) -> None:
        """Take what reads the counters."""


def offered(app_dir: Path, name: str) -> Any:
    """Return the value that the loaded app's module has under this name, or None."""
    return getattr(sys.modules[app_script(app_dir).stem], name, None)
