"""Who acts now: set at the edge (HTTP, command line, queue, timer), read wherever a change is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

SYSTEM = "system"  # name and role of the product itself


@dataclass(frozen=True, kw_only=True)
class Acting:
    """Who acts, as what, from where, and in which request."""

    name: str = SYSTEM
    role: str = SYSTEM
    origin: str = "process"
    request_id: str = ""


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
_NOBODY = Acting()


def acting_now() -> Acting:
    """Return who acts in this context; the product itself where nobody said."""
    return _acting.get() or _NOBODY


@contextmanager
def acting_as(
    name: str = SYSTEM, *, role: str = SYSTEM, origin: str = "process", request_id: str = ""
) -> Iterator[Acting]:
    """Let changes made in the block be recorded as this one's; a block within a block counts for itself."""
    acting = Acting(name=name, role=role, origin=origin, request_id=request_id)
    token = _acting.set(acting)
    try:
        yield acting
    finally:
        _acting.reset(token)
