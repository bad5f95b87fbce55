"""The services of a process that answers requests: the active model is followed by a watcher of its own."""

import contextlib

from shared.bootstrap import Services, current_services
from shared.errors import SetupError


def running_services() -> Services:
    """Return the process's services with the active model's watcher running."""
    services = current_services()
    # An installation whose database cannot even be opened still answers that it is alive; whoever needs the database
    # meets the same error again, and says it.
    with contextlib.suppress(SetupError):
        services.serving.start()
    return services
