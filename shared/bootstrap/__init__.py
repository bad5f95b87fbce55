"""The one place where the parts are put together; each is made on first use and lives as long as the process.

Nothing here is imported before it is needed: reading `function_app` stays fast and pulls in no learning library.
"""

from functools import cache

from shared.bootstrap.services import Services
from shared.settings import current_settings

__all__ = ["Services", "current_services"]


@cache
def current_services() -> Services:
    """Return the process's services, made from its environment on the first call."""
    return Services(current_settings())
