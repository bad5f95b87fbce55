"""Callers and their roles: the one form in which every function, command and record knows who asks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

ANONYMOUS = "anonymous"
COMMAND_LINE = "command line"
MOST_NAME_CHARACTERS = 64  # of a user's name
MOST_ORIGIN_CHARACTERS = 100


class Role(StrEnum):
    """What somebody may do. Viewer to administrator each may do all that the ones before may; the auditor stands apart.

    Whoever changes things must not be the only reader of their trace, and nobody becomes it by being something else:
    an administrator may make an auditor's key, which the audit shows, but is none.
    """

    VIEWER = "viewer"  # reads, predicts
    PLANNER = "planner"  # and decides on predictions
    OPERATOR = "operator"  # and runs the installation: work, alerts, model versions, configuration
    ADMINISTRATOR = "administrator"  # and manages keys and users, and removes what cannot come back
    AUDITOR = "auditor"  # reads what a viewer reads, and the audit

    def includes(self, least: "Role") -> bool:
        """Return whether whoever has this role may do what `least` may."""
        return least in _INCLUDED[self]


_LADDER = (Role.VIEWER, Role.PLANNER, Role.OPERATOR, Role.ADMINISTRATOR)
_INCLUDED = {role: frozenset(_LADDER[: place + 1]) for place, role in enumerate(_LADDER)} | {
    Role.AUDITOR: frozenset({Role.VIEWER, Role.AUDITOR})
}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks for something: their name, their role, and the way they came.

    `role` is None for whoever reads without a key and for the product's own timers and queues, which no rule concerns.
    `origin` begins with `http` (and the client's address), or is `cli`, `timer`, `queue` or `blob`.
    """

    name: str
    role: Role | None
    origin: str

    @classmethod
    def anonymous(cls, origin: str) -> Self:
        """Return whoever came without a key."""
        return cls(name=ANONYMOUS, role=None, origin=origin)

    @classmethod
    def on_the_command_line(cls) -> Self:
        """Return whoever runs a command; who may read the data directory's keys is its administrator."""
        return cls(name=COMMAND_LINE, role=Role.ADMINISTRATOR, origin="cli")

    @classmethod
    def of_the_product(cls, name: str, origin: str) -> Self:
        """Return a part of the product that acts by itself, such as the schedule."""
        return cls(name=name, role=None, origin=origin)
