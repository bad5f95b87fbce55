"""The services of a process that answers requests: the active model is followed by a watcher of its own."""

import contextlib
import sys

from shared.bootstrap import Services, current_services
from shared.errors import SetupError

# A thread that computes long, such as one that loads the next model, gives the interpreter's lock back after so long.
# An answer asks for the lock at every step that had let go of it: with Python's 5 ms it would wait ten times as long.
SWITCH_SECONDS = 0.0005


def running_services() -> Services:
    """Return the process's services with the active model's watcher running."""
    services = current_services()
    sys.setswitchinterval(SWITCH_SECONDS)
    # An installation whose database cannot even be opened still answers that it is alive; whoever needs the database
    # meets the same error again, and says it.
    with contextlib.suppress(SetupError):
        services.serving.start()
    return services
