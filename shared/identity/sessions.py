"""Browser sessions: begun with a key, carried as a signed token in a cookie, ended by time, by hand or with the key.

The token (a JWT, HS256) names a row and nothing more that counts: who it is and what they may do is read from the
database, so that nothing has to be believed because it was signed once.
"""

import uuid
from builtins import list as list_of
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
import structlog
from sqlalchemy import Engine, delete, func, or_, update
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import one_at_a_time, reading, writing
from shared.database.identity_tables import ApiKey, BrowserSession, User, UserRole, UserState
from shared.errors import NotFound
from shared.identity.api_keys import Holder
from shared.identity.callers import MOST_ORIGIN_CHARACTERS, Role
from shared.identity.session_secrets import SessionSecrets
from shared.identity.users import LOCK

log = structlog.get_logger()

ALGORITHM = "HS256"
AUDIENCE = "routing-ml-session"
MOST_TOKEN_CHARACTERS = 1_000
MOST_LIVE = 20  # of one user; one more sign-in ends the oldest
MOST_KEPT = 200  # rows of one user


@dataclass(frozen=True, kw_only=True)
class SessionView:
    """A session without its token."""

    id: str
    user: str
    role: str
    state: str  # live, expired or ended
    origin: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session that was just begun, with the token that a browser brings from now on."""

    session: SessionView
    token: str

    def __repr__(self) -> str:
        return f"NewSession(id={self.session.id!r})"


class BrowserSessions:
    """The sessions of one installation."""

    def __init__(self, engine: Engine, secrets: SessionSecrets, *, hours: float, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._secrets = secrets
        self._lifetime = timedelta(hours=hours)
        self._clock = clock

    def begin(self, holder: Holder, *, origin: str) -> NewSession:
        """Begin a session of whoever showed their key."""
        now = self._clock()
        row = BrowserSession(
            id=f"session_{uuid.uuid4().hex}", user_id=holder.user_id, role=holder.role, key_id=holder.key_id,
            origin=origin[:MOST_ORIGIN_CHARACTERS], created_at=now, expires_at=now + self._lifetime,
        )  # fmt: skip
        secret_id = self._secrets.ensure()
        secret = self._secrets.secret(secret_id)
        assert secret is not None  # it was made or found just now
        claims = {"aud": AUDIENCE, "jti": row.id, "sub": row.user_id, "iat": now, "exp": row.expires_at}
        token = jwt.encode(claims, secret, algorithm=ALGORITHM, headers={"kid": secret_id})
        with writing(self._engine) as session:
            one_at_a_time(session, LOCK)
            session.add(row)
            session.flush()
            told = {"role": holder.role, "key": holder.key_id, "expires_at": row.expires_at}
            note(session, "session.begun", row.id, after=told, actor=holder.name)
            self._tidy(session, holder.user_id, now)
        log.info("session.begun", session_id=row.id, user=holder.name, role=holder.role, key_id=holder.key_id)
        return NewSession(session=_view(row, holder.name, now), token=token)

    def holder_of(self, token: str) -> Holder | None:
        """Return whom a token stands for now, or None where it does not count (any more)."""
        session_id = self._session_in(token)
        if session_id is None:
            return None
        now = self._clock()
        asked = (
            select(BrowserSession, User.name)
            .join(User, col(User.id) == BrowserSession.user_id)
            .join(UserRole, (col(UserRole.user_id) == User.id) & (col(UserRole.role) == BrowserSession.role))
            .outerjoin(ApiKey, col(ApiKey.id) == BrowserSession.key_id)
            .where(
                BrowserSession.id == session_id,
                col(BrowserSession.revoked_at).is_(None),
                BrowserSession.expires_at > now,
                User.state == UserState.ACTIVE,
                or_(
                    col(BrowserSession.key_id).is_(None),
                    col(ApiKey.revoked_at).is_(None)
                    & or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
                ),
            )
        )
        with reading(self._engine) as session:
            found = session.exec(asked).first()
        if found is None:
            return None
        row, name = found
        return Holder(
            key_id=row.key_id, user_id=row.user_id, name=name, role=Role(row.role), use_is_noted=True,
            session_id=row.id, session_expires_at=row.expires_at,
        )  # fmt: skip

    def end(self, token: str) -> None:
        """End the session of a token; nothing where it has none, or has ended."""
        session_id = self._session_in(token)
        if session_id is not None:
            with writing(self._engine) as session:
                self._revoke(session, [session_id], by="signed out")

    def revoke(self, session_id: str, *, by: str) -> SessionView:
        """End somebody's session.

        Raises:
            NotFound: there is no such session.
        """
        with writing(self._engine) as session:
            self._revoke(session, [session_id], by=by)
        with reading(self._engine) as session:
            found = session.exec(
                select(BrowserSession, User.name)
                .join(User, col(User.id) == BrowserSession.user_id)
                .where(BrowserSession.id == session_id)
            ).first()
        if found is None:
            raise NotFound(f"There is no session {session_id[:64]!r}.", remedy="`manage.py access sessions list`")
        return _view(*found, self._clock())

    def list(self, *, limit: int, offset: int = 0) -> tuple[list_of[SessionView], int]:
        """Return sessions, newest first, and how many there are."""
        now = self._clock()
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(BrowserSession)).one()
            rows = session.exec(
                select(BrowserSession, User.name)
                .join(User, col(User.id) == BrowserSession.user_id)
                .order_by(col(BrowserSession.created_at).desc(), col(BrowserSession.id))
                .limit(limit)
                .offset(offset)
            ).all()
        return [_view(row, name, now) for row, name in rows], total

    def _session_in(self, token: str) -> str | None:
        """Return the session that a token names, if one of the two secrets signed it and its time is not over."""
        if not token or len(token) > MOST_TOKEN_CHARACTERS:
            return None
        try:
            secret = self._secrets.secret(str(jwt.get_unverified_header(token).get("kid", "")))
            if secret is None:
                return None
            claims = jwt.decode(
                token, secret, algorithms=[ALGORITHM], audience=AUDIENCE,
                # Times are compared below, by the clock that everything else here goes by.
                options={"require": ["exp", "jti", "sub"], "verify_exp": False, "verify_iat": False},
            )  # fmt: skip
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, OSError):
            return None
        return str(claims["jti"]) if expires_at > self._clock() else None

    def _revoke(self, session: Session, ids: list_of[str], *, by: str) -> None:
        for session_id in ids:
            ended = session.execute(
                update(BrowserSession)
                .where(col(BrowserSession.id) == session_id, col(BrowserSession.revoked_at).is_(None))
                .values(revoked_at=self._clock(), revoked_by=by[:128])
            )
            if ended.rowcount:  # type: ignore[attr-defined]
                note(session, "session.ended", session_id, reason=by)

    def _tidy(self, session: Session, user_id: str, now: datetime) -> None:
        """End a user's oldest sessions where too many are live, and forget their oldest rows."""
        rows = session.exec(
            select(BrowserSession)
            .where(BrowserSession.user_id == user_id)
            .order_by(col(BrowserSession.created_at).desc(), col(BrowserSession.id))
        ).all()
        live = [row.id for row in rows if row.revoked_at is None and row.expires_at > now]
        if len(live) > MOST_LIVE:
            self._revoke(session, live[MOST_LIVE:], by="too many sessions")
        for row in rows[MOST_KEPT:]:
            session.execute(delete(BrowserSession).where(col(BrowserSession.id) == row.id))


def _view(row: BrowserSession, user: str, now: datetime) -> SessionView:
    state = "ended" if row.revoked_at is not None else "expired" if row.expires_at <= now else "live"
    return SessionView(
        id=row.id, user=user, role=row.role, state=state, origin=row.origin, created_at=row.created_at,
        expires_at=row.expires_at, revoked_at=row.revoked_at, revoked_by=row.revoked_by,
    )  # fmt: skip
