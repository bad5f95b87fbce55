"""The services as commands use them: on a database that is there, although no `up` ran before."""

from shared import bootstrap
from shared.bootstrap import Services
from shared.database.engine import set_up_when_new


def current_services() -> Services:
    """Return the process's services; the first command on a new data directory makes the database's tables.

    Raises:
        SetupError: the database cannot be opened or written.
    """
    services = bootstrap.current_services()
    set_up_when_new(services.engine)
    return services
