"""The services of a process that answers requests: the active model is followed by a watcher of its own."""

from shared.bootstrap import Services, current_services


def running_services() -> Services:
    """Return the process's services with the active model's watcher running."""
    services = current_services()
    services.serving.start()
    return services
