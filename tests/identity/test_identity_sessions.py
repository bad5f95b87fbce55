"""Browser sessions, on SQLite and PostgreSQL: what a token is worth, and everything that ends it."""

import json
import stat
from base64 import urlsafe_b64encode
from pathlib import Path

import jwt
import pytest
from sqlalchemy import Engine

from shared.database.identity_tables import UserState
from shared.errors import NotFound, SetupError, TooManyAttempts
from shared.identity import sessions as sessions_module
from shared.identity.api_keys import ApiKeys, NewKey
from shared.identity.callers import Role
from shared.identity.session_secrets import SessionSecrets
from shared.identity.sessions import BrowserSessions
from shared.identity.throttle import SignInThrottle
from shared.identity.users import Users
from tests.database.database_support import MovableClock

HOURS = 12


@pytest.fixture
def secrets(tmp_path: Path) -> SessionSecrets:
    return SessionSecrets(tmp_path / "keys" / "sessions")


@pytest.fixture
def sessions(engine: Engine, secrets: SessionSecrets, clock: MovableClock) -> BrowserSessions:
    return BrowserSessions(engine, secrets, hours=HOURS, clock=clock)


@pytest.fixture
def key(keys: ApiKeys) -> NewKey:
    return keys.make("Kim", Role.PLANNER, by="test", days=1)


def begun(sessions: BrowserSessions, keys: ApiKeys, key: NewKey) -> str:
    holder = keys.holder_of(key.text)
    assert holder is not None
    return sessions.begin(holder, origin="http 10.0.0.7").token


def who(sessions: BrowserSessions, token: str) -> tuple[str, str] | None:
    found = sessions.holder_of(token)
    return None if found is None else (found.name, found.role.value)


def test_a_session_stands_for_the_keys_user_until_its_time_is_over(
    sessions: BrowserSessions, keys: ApiKeys, key: NewKey, clock: MovableClock
) -> None:
    token = begun(sessions, keys, key)
    clock.advance(HOURS * 3600 - 1)
    assert who(sessions, token) == ("Kim", "planner")
    clock.advance(1)
    assert who(sessions, token) is None
    assert [(row.user, row.state, row.origin) for row in sessions.list(limit=9)[0]] == [
        ("Kim", "expired", "http 10.0.0.7")
    ]


def test_what_ends_a_session(
    sessions: BrowserSessions, keys: ApiKeys, users: Users, key: NewKey, clock: MovableClock
) -> None:
    first, second = begun(sessions, keys, key), begun(sessions, keys, key)
    sessions.end(first)
    assert (who(sessions, first), who(sessions, second)) == (None, ("Kim", "planner"))
    sessions.end(first)
    sessions.end("no token")
    users.set_state("Kim", UserState.DISABLED, by="test")
    assert who(sessions, second) is None
    users.set_state("Kim", UserState.ACTIVE, by="test")
    assert who(sessions, second) == ("Kim", "planner")
    users.withdraw("Kim", Role.PLANNER, by="test")
    assert who(sessions, second) is None
    clock.advance(1)
    operator = keys.make("Kim", Role.OPERATOR, by="test", days=0.25)
    third, fourth = begun(sessions, keys, operator), begun(sessions, keys, operator)
    row = next(row for row in sessions.list(limit=9)[0] if row.state == "live")
    assert sessions.revoke(row.id, by="the administrator").revoked_by == "the administrator"
    assert [who(sessions, third), who(sessions, fourth)].count(None) == 1
    clock.advance(0.25 * 86_400)
    assert {who(sessions, third), who(sessions, fourth)} == {None}, "a session does not outlive its key"
    with pytest.raises(NotFound):
        sessions.revoke("session_none", by="test")


def test_a_revoked_key_ends_what_was_signed_in_with_it(sessions: BrowserSessions, keys: ApiKeys, key: NewKey) -> None:
    token = begun(sessions, keys, key)
    keys.revoke(key.key.id, by="test")
    assert who(sessions, token) is None


def test_a_token_that_was_made_elsewhere_or_changed_counts_for_nothing(
    sessions: BrowserSessions, secrets: SessionSecrets, keys: ApiKeys, key: NewKey
) -> None:
    token = begun(sessions, keys, key)
    claims = jwt.decode(token, options={"verify_signature": False}, algorithms=["HS256"])
    secret_id = secrets.ensure()
    secret = secrets.secret(secret_id)
    assert secret is not None
    head, body, signature = token.split(".")
    unsigned = urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT", "kid": secret_id}).encode()).decode()
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    kid = {"kid": secret_id}
    wrong = [
        "", "x", "a.b.c", "x" * 100_000, f"{head}.{body}.", f"{head}.{body}.{flipped}",
        f"{unsigned.rstrip('=')}.{body}.",
        jwt.encode(claims, b"\0" * 32, algorithm="HS256", headers=kid),
        jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "000009-00000000"}),
        jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "../../administrator"}),
        jwt.encode(claims, secret, algorithm="HS256"),
        jwt.encode(claims, secret * 2, algorithm="HS512", headers=kid),
        jwt.encode(claims | {"aud": "another app"}, secret, algorithm="HS256", headers=kid),
        jwt.encode(claims | {"jti": "session_none"}, secret, algorithm="HS256", headers=kid),
        jwt.encode(claims | {"exp": 10**30}, secret, algorithm="HS256", headers=kid),
        jwt.encode({name: claims[name] for name in ("aud", "sub", "exp")}, secret, algorithm="HS256", headers=kid),
    ]  # fmt: skip
    assert {one: who(sessions, one) for one in wrong} == dict.fromkeys(wrong)
    assert who(sessions, token) == ("Kim", "planner")
    assert who(sessions, jwt.encode(claims, secret, algorithm="HS256", headers=kid)) == ("Kim", "planner")


def test_two_secrets_are_right_while_they_are_rotated(
    sessions: BrowserSessions, secrets: SessionSecrets, keys: ApiKeys, key: NewKey, tmp_path: Path
) -> None:
    first = begun(sessions, keys, key)
    secrets.rotate()
    second = begun(sessions, keys, key)
    assert who(sessions, first) == who(sessions, second) == ("Kim", "planner")
    secrets.rotate()
    assert (who(sessions, first), who(sessions, second)) == (None, ("Kim", "planner"))
    files = sorted((tmp_path / "keys" / "sessions").glob("*.key"))
    assert [path.name[:6] for path in files] == ["000002", "000003"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


def test_a_secret_that_cannot_be_read_is_named_and_signs_nothing(secrets: SessionSecrets, tmp_path: Path) -> None:
    made = secrets.ensure()
    assert secrets.ensure() == made
    (tmp_path / "keys" / "sessions" / f"{made}.key").write_text("")
    with pytest.raises(SetupError, match=made):
        secrets.secret(made)


def test_one_users_sessions_are_bounded(
    sessions: BrowserSessions, keys: ApiKeys, key: NewKey, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MOST_LIVE", 3)
    monkeypatch.setattr(sessions_module, "MOST_KEPT", 5)
    other = begun(sessions, keys, keys.make("Lee", Role.VIEWER, by="test"))
    tokens = []
    for _ in range(8):
        clock.advance(1)
        tokens.append(begun(sessions, keys, key))
    assert [who(sessions, token) for token in tokens] == [None] * 5 + [("Kim", "planner")] * 3
    assert who(sessions, other) == ("Lee", "viewer")
    assert sessions.list(limit=1)[1] == 5 + 1


def test_failures_are_refused_by_client_and_by_key() -> None:
    throttle = SignInThrottle()
    for number in range(10):
        throttle.check("10.0.0.1", f"rml_{number:012d}_x")
        throttle.note_failure("10.0.0.1", f"rml_{number:012d}_x")
    with pytest.raises(TooManyAttempts) as refused:
        throttle.check("10.0.0.1", "rml_another_____x")
    assert 1 <= refused.value.facts["retry_after_seconds"] <= 60
    throttle.check("10.0.0.2", "rml_another_____x")

    for number in range(5):
        throttle.note_failure(f"10.0.1.{number}", "rml_0123456789ab_guess")
    with pytest.raises(TooManyAttempts):
        throttle.check("10.0.2.1", "rml_0123456789ab_another guess")


def test_however_many_clients_fail_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.identity.throttle.BUCKETS", 32)
    throttle = SignInThrottle()
    for number in range(2_000):
        throttle.note_failure(f"10.0.{number >> 8}.{number & 255}", f"rml_{number:012x}_x")
    kept = throttle._limiter.storage.events  # type: ignore[attr-defined]
    assert len(kept) == 2 * 32
    assert max(len(events) for events in kept.values()) <= 10
