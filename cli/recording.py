"""Who runs a command, for the audit; and the record of changes that a command was refused."""

import contextlib
import getpass
from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from shared.audit.acting import acting_as
from shared.errors import RoutingError
from shared.identity.callers import MOST_ORIGIN_CHARACTERS, Caller

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

CHANGES = "changes"  # the attribute of a command that changes something: what its refusals are recorded as
_NAMES = ("version", "alert_id", "job_id", "key_id", "public", "user", "id", "folder")  # what is changed


@contextlib.contextmanager
def acting_on_the_command_line() -> Iterator[None]:
    """Let the changes of the block be recorded as those of whoever runs the command, by their name on this machine."""
    caller = Caller.on_the_command_line()
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        user = "unknown user"
    role = "" if caller.role is None else str(caller.role)
    with acting_as(caller.name, role=role, origin=f"{caller.origin} {user}"[:MOST_ORIGIN_CHARACTERS]):
        yield


def changes(
    action: str, *, unless: str | None = None
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Declare that a command changes something: what keeps it from doing so is recorded as a refusal of `action`.

    Not so where the argument `unless` is given: what is changed then is another installation.
    """

    def declare(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(command)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                return command(*args, **kwargs)
            except RoutingError as fault:
                if unless is not None and kwargs.get(unless) is not None:
                    raise
                named = next((str(kwargs[name]) for name in _NAMES if kwargs.get(name) is not None), "")
                _record(action, named, fault)
                raise

        setattr(run, CHANGES, action)
        return run

    return declare


def _record(action: str, named: str, fault: RoutingError) -> None:
    from cli.services import current_services

    with contextlib.suppress(RoutingError):  # without a database there is nothing to change and nowhere to record it
        current_services().audit.refused(action, named, fault)
