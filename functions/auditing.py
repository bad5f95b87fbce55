"""Who acts in a request, and the record of requests for a change that were refused."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from functions.access import Access
from shared.audit.acting import SYSTEM, Acting, acting_as
from shared.audit.events import FAILED, REFUSED
from shared.errors import Forbidden, NotAuthenticated, RoutingError
from shared.identity.callers import ANONYMOUS, Caller

if TYPE_CHECKING:
    from shared.database.audit import Audit

NO_ROLE = "none"


def acting_caller(caller: Caller, request_id: str) -> AbstractContextManager[Acting]:
    """Let the changes of the block be recorded as the caller's."""
    role = NO_ROLE if caller.role is None else str(caller.role)
    return acting_as(caller.name, role=role, origin=caller.origin, request_id=request_id)


def acting_function(name: str, trigger: str, message_id: str = "") -> AbstractContextManager[Acting]:
    """Let the changes of the block be recorded as those of a function that a timer, a message or a blob woke."""
    return acting_as(SYSTEM, origin=f"{trigger} {name}", request_id=message_id)


def is_worth_a_record(method: str, access: Access, fault: RoutingError) -> bool:
    """Return whether a refusal says something of who tried to change what, or to look where they may not."""
    asked_for_a_change = method != "GET" and access is not Access.READ
    return asked_for_a_change or isinstance(fault, NotAuthenticated | Forbidden)


def record_refusal(
    audit: "Audit", name: str, path: str, fault: RoutingError, *, caller: Caller | None, origin: str, request_id: str
) -> None:
    """Record that `caller`, or whoever came from `origin`, was refused the function `name` at `path`."""
    if caller is None:
        refused_name = fault.caller_name if isinstance(fault, Forbidden) else None
        role = str(fault.facts.get("role") or NO_ROLE) if isinstance(fault, Forbidden) else NO_ROLE
        acting: AbstractContextManager[Acting] = acting_as(
            refused_name or ANONYMOUS, role=role, origin=origin, request_id=request_id
        )
    else:
        acting = acting_caller(caller, request_id)
    with acting:
        audit.refused(name, path, fault, outcome=FAILED if fault.status >= 500 else REFUSED)
