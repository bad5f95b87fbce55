"""Users: made with their first key for now, disabled and enabled; no transaction of its own where a caller has one."""

import re
import uuid
from builtins import list as list_of
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import one_at_a_time, reading, writing
from shared.database.identity_tables import User, UserRole, UserState
from shared.errors import Conflict, InvalidInput, NotFound
from shared.identity.callers import ANONYMOUS, COMMAND_LINE, MOST_NAME_CHARACTERS, Role

log = structlog.get_logger()

LOCK = "identity"  # changes of users and keys wait for each other
# Names that records show for what is no user.
TAKEN = frozenset({ANONYMOUS, COMMAND_LINE, "schedule", "timer", "queue", "alarm", "system", "unknown"})
_NAME = re.compile(r"\w(?:[\w.@ -]{0,62}\w)?")


@dataclass(frozen=True, kw_only=True)
class UserView:
    """A user with their roles, as lists show it."""

    name: str
    state: str
    roles: tuple[str, ...]
    created_at: datetime
    created_by: str
    state_changed_at: datetime | None
    state_changed_by: str | None


class Users:
    """Reads users, and lets an administrator disable and enable them."""

    def __init__(self, engine: Engine, *, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    def list(self, *, limit: int, offset: int = 0) -> tuple[list_of[UserView], int]:
        """Return users in the order of their names, and how many there are."""
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(User)).one()
            rows = session.exec(select(User).order_by(col(User.name)).limit(limit).offset(offset)).all()
            ids = [row.id for row in rows]
            granted = session.exec(select(UserRole).where(col(UserRole.user_id).in_(ids))).all()
        roles: dict[str, list_of[str]] = {}
        for one in granted:
            roles.setdefault(one.user_id, []).append(one.role)
        return [_view(row, roles.get(row.id, [])) for row in rows], total

    def set_state(self, name: str, state: UserState, *, by: str) -> None:
        """Disable or enable a user; what they hold stops or starts to count at once.

        Raises:
            NotFound: no user has this name.
        """
        with writing(self._engine) as session:
            one_at_a_time(session, LOCK)
            user = named(session, name)
            if user is None:
                raise NotFound(f"There is no user {name[:MOST_NAME_CHARACTERS]!r}.", remedy="`manage.py access users`")
            if user.state != state:
                before = {"state": user.state}
                user.state, user.state_changed_at, user.state_changed_by = state, self._clock(), by[:128]
                session.add(user)
                note(session, f"user.{state}", name, before=before, after={"state": state}, actor=by)
                log.info("user.state_changed", user=name, state=state, actor=by)

    def withdraw(self, name: str, role: Role, *, by: str) -> None:
        """Take a role from a user: their keys and sessions of that role do not count any more.

        Raises:
            NotFound: no user has this name, or not this role.
        """
        with writing(self._engine) as session:
            one_at_a_time(session, LOCK)
            user = named(session, name)
            granted = session.get(UserRole, (user.id, role.value)) if user is not None else None
            if granted is None:
                raise NotFound(
                    f"{name[:MOST_NAME_CHARACTERS]!r} has no role {role}.", remedy="`manage.py access users`"
                )
            session.delete(granted)
            note(session, "user.role-withdrawn", name, before={"role": role}, actor=by)
        log.info("user.role_withdrawn", user=name, role=role, actor=by)


def named(session: Session, name: str) -> User | None:
    """Return the user of this name."""
    return session.exec(select(User).where(User.name == name)).first()


def active_user(session: Session, name: str, *, by: str, at: datetime) -> User:
    """Return the user of this name, made when there is none.

    Raises:
        InvalidInput: it is no name that records could show.
        Conflict: the user is not active.
    """
    user = named(session, name)
    if user is None:
        check_name(name)
        user = User(
            id=f"user_{uuid.uuid4().hex}", name=name, state=UserState.ACTIVE, created_at=at, created_by=by[:128]
        )
        session.add(user)
        session.flush()
        note(session, "user.made", name, after={"state": user.state}, actor=by)
        log.info("user.made", user=name, actor=by)
    elif user.state != UserState.ACTIVE:
        raise Conflict(f"The user {name} is {user.state}.", remedy="`manage.py access enable NAME`", state=user.state)
    return user


def grant(session: Session, user: User, role: Role, *, by: str, at: datetime) -> None:
    """Give a user a role that they may have already."""
    if session.get(UserRole, (user.id, role.value)) is None:
        session.add(UserRole(user_id=user.id, role=role, granted_at=at, granted_by=by[:128]))
        session.flush()
        note(session, "user.role-granted", user.name, after={"role": role}, actor=by)
        log.info("user.role_granted", user=user.name, role=role, actor=by)


def check_name(name: str) -> None:
    """Raise InvalidInput unless `name` can stand for a user in every record."""
    if not _NAME.fullmatch(name) or name.casefold() in TAKEN:
        message = (
            f"must have 1 to {MOST_NAME_CHARACTERS} letters, digits, spaces or . @ _ -, begin and end with a letter or "
            f"digit, and be none of {', '.join(sorted(TAKEN))}"
        )
        raise InvalidInput(f"The user's name {message}.", errors=[{"field": "user", "message": message}])


def _view(row: User, roles: list_of[str]) -> UserView:
    return UserView(
        name=row.name, state=row.state, roles=tuple(sorted(roles)), created_at=row.created_at,
        created_by=row.created_by, state_changed_at=row.state_changed_at, state_changed_by=row.state_changed_by,
    )  # fmt: skip
