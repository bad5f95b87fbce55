"""The services as commands use them: on a database that is there, although no `up` ran before."""

from typing import TYPE_CHECKING

from shared import bootstrap
from shared.bootstrap import Services
from shared.database.engine import set_up_when_new

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel


def current_services() -> Services:
    """Return the process's services; the first command on a new data directory makes the database's tables.

    Raises:
        SetupError: the database cannot be opened or written.
    """
    services = bootstrap.current_services()
    set_up_when_new(services.engine)
    return services


def model_of(services: Services, version: str | None) -> "tuple[str, RoutingModel]":
    """Return the active model, or an installed one after every check that activation would make; its name before it."""
    if version is None:
        served = services.serving.active()
        return served.version, served.model
    from shared.registry.store import ModelStore
    from shared.registry.verify import verify_folder

    folder = ModelStore(services.settings.models).require(version)
    return version, verify_folder(folder, services.keys, allow_unsigned=services.settings.allow_unsigned).model
