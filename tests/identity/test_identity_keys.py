"""Named keys, on SQLite and PostgreSQL: shown once, found again by digest, and dead when they should be."""

import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from shared.database.engine import make_engine
from shared.database.identity_tables import UserState
from shared.errors import Conflict, InvalidInput, NotFound
from shared.identity import api_keys
from shared.identity.api_keys import ApiKeys, Holder
from shared.identity.callers import Role
from shared.identity.recognition import Recognition, Shown
from shared.identity.users import Users
from tests.database.database_support import MovableClock


def recognition_of(keys: ApiKeys) -> Recognition:
    return Recognition({Shown.KEY: keys.holder_of}, note_use=keys.note_use)


def holder(keys: ApiKeys, text: str) -> tuple[str, str] | None:
    found = keys.holder_of(text)
    return None if found is None else (found.name, found.role.value)


def test_a_key_stands_for_its_user_in_its_role(keys: ApiKeys) -> None:
    kim = keys.make("Kim Minji", Role.PLANNER, by="test", label="her laptop")
    robot = keys.make("김민지", Role.VIEWER, by="test")
    assert holder(keys, kim.text) == ("Kim Minji", "planner")
    assert holder(keys, robot.text) == ("김민지", "viewer")
    for wrong in ("", " ", kim.text[:-1], kim.text + "x", kim.text.upper(), kim.key.id, "x" * 10_000):
        assert holder(keys, wrong) is None


def test_no_table_holds_a_key_or_a_part_of_its_secret(keys: ApiKeys, engine: Engine) -> None:
    made = keys.make("Kim", Role.PLANNER, by="test", label="laptop")
    secret = made.text.split("_", 2)[2]
    assert len(secret) >= 43
    with engine.connect() as connection:
        stored = "".join(
            str(row) for table in ("users", "user_roles", "api_keys") for row in connection.execute(
                text(f"SELECT * FROM {table}")
            )
        )  # fmt: skip
    assert made.key.id in stored
    assert not any(secret[start : start + 8] in stored for start in range(len(secret) - 7))
    assert secret not in repr(made)


def test_a_revoked_key_is_dead_at_once_and_stays_as_it_was_revoked(keys: ApiKeys, clock: MovableClock) -> None:
    made = keys.make("Kim", Role.PLANNER, by="test")
    first = keys.revoke(made.key.id, by="the administrator")
    assert (first.state, first.revoked_by) == ("revoked", "the administrator")
    assert holder(keys, made.text) is None
    clock.advance(60)
    assert keys.revoke(made.key.id, by="somebody else") == first
    with pytest.raises(NotFound):
        keys.revoke("key_none", by="test")


def test_a_key_expires(keys: ApiKeys, clock: MovableClock) -> None:
    made = keys.make("Kim", Role.PLANNER, by="test", days=1)
    clock.advance(86_399)
    assert holder(keys, made.text) is not None
    clock.advance(1)
    assert holder(keys, made.text) is None
    assert keys.list(limit=10)[0][0].state == "expired"


def test_both_keys_of_a_rotation_are_right_for_the_grace_period(keys: ApiKeys, clock: MovableClock) -> None:
    old = keys.make("Kim", Role.PLANNER, by="test", label="laptop", days=100)
    clock.advance(86_400)
    new = keys.rotate(old.key.id, by="test", grace_hours=2)
    assert (new.key.user, new.key.role, new.key.label, new.key.replaces) == ("Kim", "planner", "laptop", old.key.id)
    assert new.key.expires_at == new.key.created_at + timedelta(days=100)
    clock.advance(7_199)
    assert holder(keys, old.text) == holder(keys, new.text) == ("Kim", "planner")
    with pytest.raises(Conflict, match=new.key.id):
        keys.rotate(old.key.id, by="test")
    clock.advance(1)
    assert holder(keys, old.text) is None
    assert holder(keys, new.text) == ("Kim", "planner")
    with pytest.raises(Conflict, match="expired"):
        keys.rotate(old.key.id, by="test")


def test_a_rotation_does_not_prolong_the_older_key(keys: ApiKeys, clock: MovableClock) -> None:
    old = keys.make("Kim", Role.PLANNER, by="test", days=1)
    keys.rotate(old.key.id, by="test", grace_hours=700)
    clock.advance(86_400)
    assert holder(keys, old.text) is None


def test_who_is_disabled_or_loses_a_role_holds_nothing(keys: ApiKeys, users: Users) -> None:
    planner, operator = (keys.make("Kim", role, by="test") for role in (Role.PLANNER, Role.OPERATOR))
    users.withdraw("Kim", Role.OPERATOR, by="test")
    assert holder(keys, operator.text) is None
    assert holder(keys, planner.text) == ("Kim", "planner")
    users.set_state("Kim", UserState.DISABLED, by="test")
    assert holder(keys, planner.text) is None
    assert {row.id: row.state for row in keys.list(limit=10)[0]} == {planner.key.id: "idle", operator.key.id: "idle"}
    with pytest.raises(Conflict, match="disabled"):
        keys.make("Kim", Role.PLANNER, by="test")
    users.set_state("Kim", UserState.ACTIVE, by="test")
    assert holder(keys, planner.text) == ("Kim", "planner")
    assert [(row.name, row.state, row.roles) for row in users.list(limit=10)[0]] == [("Kim", "active", ("planner",))]
    with pytest.raises(NotFound):
        users.withdraw("Kim", Role.OPERATOR, by="test")
    with pytest.raises(NotFound):
        users.set_state("Nobody", UserState.DISABLED, by="test")


@pytest.mark.parametrize("name", ["", " ", " Kim", "Kim\n", "a" * 65, "<b>", "anonymous", "Command Line", "schedule"])
def test_a_name_that_records_could_not_show_is_refused(keys: ApiKeys, users: Users, name: str) -> None:
    with pytest.raises(InvalidInput):
        keys.make(name, Role.VIEWER, by="test")
    assert users.list(limit=10) == ([], 0)


def test_the_administrators_file_becomes_a_key_once(keys: ApiKeys, key_file: Path) -> None:
    assert keys.adopt_file(by="test") is None
    key_file.write_text("an-older-key\n")
    first = keys.adopt_file(by="test")
    assert first is not None
    assert keys.adopt_file(by="test") == first
    assert holder(keys, "an-older-key") == ("administrator", "administrator")
    key_file.write_text("another-key\n")
    keys.adopt_file(by="test")
    assert holder(keys, "another-key") == ("administrator", "administrator")
    assert holder(keys, "an-older-key") is None, "who puts another key into the file wants the one before to be dead"


def test_a_revoked_administrator_key_does_not_come_back(keys: ApiKeys, key_file: Path) -> None:
    key_file.write_text("an-older-key")
    adopted = keys.adopt_file(by="test")
    assert adopted is not None
    keys.revoke(adopted.id, by="test")
    again = keys.adopt_file(by="test")
    assert again is not None
    assert (again.id, again.state) == (adopted.id, "revoked")
    assert holder(keys, "an-older-key") is None


def test_rotating_the_administrators_key_puts_the_new_one_into_the_file(keys: ApiKeys, key_file: Path) -> None:
    key_file.write_text("an-older-key")
    adopted = keys.adopt_file(by="test")
    assert adopted is not None
    other = keys.make("Kim", Role.OPERATOR, by="test")
    keys.rotate(other.key.id, by="test")
    assert key_file.read_text() == "an-older-key"
    new = keys.rotate(adopted.id, by="test")
    assert key_file.read_text() == f"{new.text}\n"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert keys.adopt_file(by="test") == new.key


def test_two_rotations_at_once_make_one_heir(keys: ApiKeys, engine: Engine) -> None:
    old = keys.make("Kim", Role.PLANNER, by="test")
    outcomes: list[str] = []

    def rotate() -> None:
        try:
            outcomes.append(keys.rotate(old.key.id, by="test").key.id)
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 3
    assert keys.list(limit=10)[1] == 2


def test_there_are_no_more_keys_than_a_person_can_watch(keys: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_LIVE_KEYS", 2)
    first, _ = keys.make("Kim", Role.PLANNER, by="test"), keys.make("Kim", Role.PLANNER, by="test")
    with pytest.raises(Conflict, match="Revoke"):
        keys.make("Lee", Role.PLANNER, by="test")
    keys.revoke(first.key.id, by="test")
    keys.make("Lee", Role.PLANNER, by="test")


def test_lists_are_pages_newest_first_and_of_one_user(keys: ApiKeys, clock: MovableClock) -> None:
    made = []
    for user in ("Kim", "Lee", "Kim"):
        made.append(keys.make(user, Role.VIEWER, by="test").key.id)
        clock.advance(1)
    assert [row.id for row in keys.list(limit=2)[0]] == [made[2], made[1]]
    assert keys.list(limit=2)[1] == 3
    assert [row.id for row in keys.list(limit=2, offset=2)[0]] == [made[0]]
    assert ([row.id for row in keys.list(limit=9, user="Kim")[0]], keys.list(limit=1, user="Kim")[1]) == (
        [made[2], made[0]],
        2,
    )


def test_the_last_use_is_kept_to_a_few_minutes(keys: ApiKeys, clock: MovableClock) -> None:
    recognition = recognition_of(keys)
    made = keys.make("Kim", Role.PLANNER, by="test")

    def used() -> Holder | None:
        found = recognition.holder_of(Shown.KEY, made.text, reads_only=False)
        recognition.close()
        return found

    first = clock()
    used()
    assert keys.list(limit=1)[0][0].last_used_at == first
    clock.advance(240)
    used()
    assert keys.list(limit=1)[0][0].last_used_at == first
    clock.advance(61)
    used()
    assert keys.list(limit=1)[0][0].last_used_at == clock()


def test_a_change_meets_a_revocation_at_once(keys: ApiKeys) -> None:
    recognition = recognition_of(keys)
    made = keys.make("Kim", Role.PLANNER, by="test")
    assert recognition.holder_of(Shown.KEY, made.text, reads_only=True) is not None
    recognition.close()
    keys.revoke(made.key.id, by="test")
    assert recognition.holder_of(Shown.KEY, made.text, reads_only=False) is None
    assert recognition.holder_of(Shown.KEY, made.text, reads_only=True) is None, "and nobody is remembered after that"


def test_reads_go_on_while_the_database_is_away_and_changes_do_not(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = keys.make("Kim", Role.PLANNER, by="test")
    recognition = recognition_of(keys)
    assert recognition.holder_of(Shown.KEY, made.text, reads_only=True) is not None
    recognition.close()
    monkeypatch.setattr("shared.identity.recognition.REMEMBERED_SECONDS", 0.0)
    (tmp_path / "folder.db").mkdir()
    away = make_engine(f"sqlite:///{(tmp_path / 'folder.db').as_posix()}")
    monkeypatch.setattr(keys, "_engine", away)
    found = recognition.holder_of(Shown.KEY, made.text, reads_only=True)
    assert found is not None
    assert found.name == "Kim"
    with pytest.raises(Exception, match="unable to open"):
        recognition.holder_of(Shown.KEY, made.text, reads_only=False)
    with pytest.raises(Exception, match="unable to open"):
        recognition.holder_of(Shown.KEY, "never seen", reads_only=True)
    away.dispose()
