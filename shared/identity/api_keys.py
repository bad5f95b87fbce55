"""Named API keys: made, listed, rotated and revoked; stored as digests, shown once.

A key is `rml_<id>_<secret>` with 256 random bits. Nobody can try such keys one after the other, so a fast hash is
enough: a slow one, or a pepper, would protect nothing more. Passwords, which people choose, will need Argon2id.
"""

import hashlib
import hmac
import secrets
from builtins import list as list_of
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, func, or_, update
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import one_at_a_time, reading, writing
from shared.database.identity_tables import ApiKey, User, UserRole, UserState
from shared.errors import Conflict, NotFound
from shared.identity import users
from shared.identity.callers import Role
from shared.platform import write_secret

log = structlog.get_logger()

ADMINISTRATOR = "administrator"  # the user of the first key
FILE_LABEL = "administrator.key"
MOST_LIVE_KEYS = 1_000
MOST_KEY_CHARACTERS = 200
GRACE_HOURS = 24.0  # both keys of a rotation are right for so long
MOST_GRACE_HOURS = 24.0 * 30
MOST_DAYS = 3650.0
USE_IS_NOTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class KeyView:
    """A key without its secret, as lists and answers show it."""

    id: str
    user: str
    role: str
    label: str
    state: str  # live, expired, revoked; or idle, where its user is not active or lost the role
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    replaces: str | None


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key that was just made: the one time that its text is there to be shown."""

    key: KeyView
    text: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.key.id!r})"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Whom a right key, or a session that was begun with it, stands for."""

    key_id: str | None
    user_id: str
    name: str
    role: Role
    use_is_noted: bool  # lately enough
    session_id: str | None = None
    session_expires_at: datetime | None = None


class ApiKeys:
    """The keys of one installation; `file` holds the administrator's, for commands on this machine."""

    def __init__(self, engine: Engine, file: Path, *, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._file = file
        self._clock = clock

    def make(self, user: str, role: Role, *, by: str, label: str = "", days: float | None = None) -> NewKey:
        """Make a key for a user, who is made and given the role where they lack it; `days` is how long it is right.

        Raises:
            InvalidInput: the user's name is none.
            Conflict: the user is not active, or there are too many keys.
        """
        now = self._clock()
        with writing(self._engine) as session:
            one_at_a_time(session, users.LOCK)
            owner = users.active_user(session, user, by=by, at=now)
            users.grant(session, owner, role, by=by, at=now)
            expires_at = now + timedelta(days=days) if days is not None else None
            made = self._insert(session, owner, role, _new_text(), by=by, label=label, expires_at=expires_at)
            note(session, "key.made", made.key.id, after=_told(made.key), actor=by)
        log.info("key.made", key_id=made.key.id, user=user, role=role, actor=by)
        return made

    def rotate(self, key_id: str, *, by: str, grace_hours: float = GRACE_HOURS) -> NewKey:
        """Make a key that takes the place of another; the older one is right for `grace_hours` more at most.

        Raises:
            NotFound: there is no such key.
            Conflict: it is not live, or another key takes its place already.
        """
        now = self._clock()
        with writing(self._engine) as session:
            one_at_a_time(session, users.LOCK)
            old, owner = _owned(session, key_id)
            state = _state(session, old, owner, now)
            if state != "live":
                raise Conflict(f"The key {key_id} is {state}.", remedy="Make a new one.", state=state)
            heir = session.exec(select(ApiKey.id).where(ApiKey.replaces == key_id, col(ApiKey.revoked_at).is_(None)))
            if (successor := heir.first()) is not None:
                raise Conflict(
                    f"{successor} takes the place of {key_id} already.", remedy="Rotate that one.", state="rotated"
                )
            lifetime = old.expires_at - old.created_at if old.expires_at is not None else None
            made = self._insert(
                session, owner, Role(old.role), _new_text(), by=by, label=old.label, replaces=old.id,
                expires_at=now + lifetime if lifetime is not None else None,
            )  # fmt: skip
            ends, before = now + timedelta(hours=grace_hours), {"expires_at": old.expires_at}
            old.expires_at = min(old.expires_at, ends) if old.expires_at is not None else ends
            session.add(old)
            after = {"expires_at": old.expires_at, "successor": made.key.id}
            note(session, "key.rotated", old.id, before=before, after=after, actor=by)
        if self._file_holds(old.digest):
            write_secret(self._file, made.text.encode() + b"\n")
        log.info("key.rotated", key_id=old.id, successor=made.key.id, actor=by, grace_hours=grace_hours)
        return made

    def revoke(self, key_id: str, *, by: str) -> KeyView:
        """Let a key count no more; one that was revoked before stays as it was.

        Raises:
            NotFound: there is no such key.
        """
        now = self._clock()
        with writing(self._engine) as session:
            one_at_a_time(session, users.LOCK)
            row, owner = _owned(session, key_id)
            if row.revoked_at is None:
                row.revoked_at, row.revoked_by = now, by[:128]
                session.add(row)
                session.flush()
                before = {"state": "live", "user": owner.name, "role": row.role}
                note(session, "key.revoked", key_id, before=before, after={"state": "revoked"}, actor=by)
                log.info("key.revoked", key_id=key_id, user=owner.name, actor=by)
            return _view(row, owner, _state(session, row, owner, now))

    def list(self, *, limit: int, offset: int = 0, user: str | None = None) -> tuple[list_of[KeyView], int]:
        """Return keys, newest first, and how many there are; `user` narrows them to one user's."""
        now = self._clock()
        conditions: list_of[ColumnElement[bool]] = [col(User.name) == user] if user is not None else []
        joined = select(ApiKey, User).join(User, col(User.id) == ApiKey.user_id).where(*conditions)
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(joined.subquery())).one()
            page = joined.order_by(col(ApiKey.created_at).desc(), col(ApiKey.id)).limit(limit).offset(offset)
            rows = session.exec(page).all()
            return [_view(row, owner, _state(session, row, owner, now)) for row, owner in rows], total

    def adopt(self, text: str, *, by: str) -> KeyView:
        """Make the key of the administrator's file one of the keys.

        A key that is known already stays as it is, a revoked one revoked. Whoever puts another key into the file wants
        the ones before it to count no more.
        """
        now = self._clock()
        with writing(self._engine) as session:
            one_at_a_time(session, users.LOCK)
            known = session.exec(select(ApiKey).where(ApiKey.digest == digest_of(text))).first()
            if known is not None:
                row, owner = _owned(session, known.id)
                return _view(row, owner, _state(session, row, owner, now))
            owner = users.active_user(session, ADMINISTRATOR, by=by, at=now)
            users.grant(session, owner, Role.ADMINISTRATOR, by=by, at=now)
            session.execute(
                update(ApiKey)
                .where(
                    col(ApiKey.user_id) == owner.id,
                    col(ApiKey.label) == FILE_LABEL,
                    col(ApiKey.revoked_at).is_(None),
                )
                .values(revoked_at=now, revoked_by=by[:128])
            )
            made = self._insert(session, owner, Role.ADMINISTRATOR, text, by=by, label=FILE_LABEL)
            note(session, "key.adopted", made.key.id, after=_told(made.key), actor=by)
        log.info("key.adopted", key_id=made.key.id, actor=by)
        return made.key

    def adopt_file(self, *, by: str) -> KeyView | None:
        """Adopt the key that the administrator's file holds; None where there is none."""
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return self.adopt(text, by=by) if text else None

    def holder_of(self, text: str) -> Holder | None:
        """Return whom a key stands for now, or None where it is unknown, revoked, expired, or its user's no more."""
        if not text or len(text) > MOST_KEY_CHARACTERS:
            return None
        now, digest = self._clock(), digest_of(text)
        asked = (
            select(ApiKey, User.name)
            .join(User, col(User.id) == ApiKey.user_id)
            .join(UserRole, (col(UserRole.user_id) == ApiKey.user_id) & (col(UserRole.role) == ApiKey.role))
            .where(
                ApiKey.digest == digest,
                col(ApiKey.revoked_at).is_(None),
                or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
                User.state == UserState.ACTIVE,
            )
        )
        with reading(self._engine) as session:
            found = session.exec(asked).first()
        if found is None or not hmac.compare_digest(found[0].digest, digest):
            return None
        row, name = found
        noted = row.last_used_at is not None and now - row.last_used_at < USE_IS_NOTED_EVERY
        return Holder(key_id=row.id, user_id=row.user_id, name=name, role=Role(row.role), use_is_noted=noted)

    def note_use(self, key_id: str) -> None:
        """Keep that a key was used now."""
        with writing(self._engine) as session:
            session.execute(update(ApiKey).where(col(ApiKey.id) == key_id).values(last_used_at=self._clock()))

    def _insert(
        self, session: Session, owner: User, role: Role, text: str, *, by: str, label: str,
        expires_at: datetime | None = None, replaces: str | None = None,
    ) -> NewKey:  # fmt: skip
        now = self._clock()
        live = select(func.count()).where(
            col(ApiKey.revoked_at).is_(None), or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now)
        )
        if session.exec(live).one() >= MOST_LIVE_KEYS:
            raise Conflict(
                f"There are {MOST_LIVE_KEYS:,} keys that count, the most there may be.",
                remedy="Revoke those that nobody uses: `manage.py access keys list` tells when each was used last.",
                state="full",
            )
        row = ApiKey(
            id=_id_in(text), user_id=owner.id, role=role, label=label[:200], digest=digest_of(text), created_at=now,
            created_by=by[:128], expires_at=expires_at, replaces=replaces,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return NewKey(key=_view(row, owner, "live"), text=text)

    def _file_holds(self, digest: str) -> bool:
        try:
            return digest_of(self._file.read_text(encoding="ascii").strip()) == digest
        except (OSError, ValueError):
            return False


def _told(key: KeyView) -> dict[str, Any]:
    """Return what the audit keeps of a key."""
    return {name: getattr(key, name) for name in ("user", "role", "label", "expires_at", "replaces")}


def digest_of(text: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def _new_text() -> str:
    return f"rml_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def _id_in(text: str) -> str:
    """Return the id that stands in a key; one that was made otherwise, such as an older administrator key, gets one."""
    parts = text.split("_", 2)
    return f"key_{parts[1] if len(parts) == 3 and parts[0] == 'rml' and parts[1].isalnum() else secrets.token_hex(6)}"


def _owned(session: Session, key_id: str) -> tuple[ApiKey, User]:
    row = session.get(ApiKey, key_id)
    if row is None:
        raise NotFound(f"There is no key {key_id[:64]!r}.", remedy="`manage.py access keys list` shows every one.")
    owner = session.get(User, row.user_id)
    assert owner is not None  # a foreign key holds it
    return row, owner


def _state(session: Session, row: ApiKey, owner: User, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    counts = owner.state == UserState.ACTIVE and session.get(UserRole, (owner.id, row.role)) is not None
    return "live" if counts else "idle"


def _view(row: ApiKey, owner: User, state: str) -> KeyView:
    return KeyView(
        id=row.id, user=owner.name, role=row.role, label=row.label, state=state, created_at=row.created_at,
        created_by=row.created_by, last_used_at=row.last_used_at, expires_at=row.expires_at,
        revoked_at=row.revoked_at, revoked_by=row.revoked_by, replaces=row.replaces,
    )  # fmt: skip
