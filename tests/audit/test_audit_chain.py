"""Every change to the audit shows, whoever owns the database; what the product itself does never does."""

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from benchmarks.audit.attacking import attack
from benchmarks.audit.making import Copy, make_audit
from benchmarks.audit.mutating import MUTATIONS
from shared.audit.acting import acting_as
from shared.audit.recording import note
from shared.database.audit import Audit, AuditQuery
from shared.database.engine import make_engine, writing
from shared.errors import AuditBroken, Conflict, SetupError
from tests.postgresql import PostgreSql


def change(engine: Engine, number: int) -> None:
    with writing(engine) as session:
        note(session, "thing.changed", f"thing {number}", before={"n": number}, after={"n": number + 1}, reason="why")


def test_an_event_says_who_what_and_why(engine: Engine, audit: Audit) -> None:
    with acting_as("anna", role="operator", origin="http 10.0.0.7", request_id="r-1"):
        change(engine, 1)
    change(engine, 2)
    (second, first), total = audit.list(AuditQuery())
    assert total == 2
    told = {name: first[name] for name in ("sequence", "actor", "role", "origin", "action", "object", "request_id")}
    assert told == {
        "sequence": 1, "actor": "anna", "role": "operator", "origin": "http 10.0.0.7", "action": "thing.changed",
        "object": "thing 1", "request_id": "r-1",
    }  # fmt: skip
    assert (json.loads(first["before"]), json.loads(first["after"])) == ({"n": 1}, {"n": 2})
    assert (first["reason"], first["outcome"]) == ("why", "done")
    assert (second["sequence"], second["actor"], second["role"]) == (2, "system", "system")


def test_the_hash_is_what_the_document_says(engine: Engine, audit: Audit) -> None:
    """Worked out here from the exported rows alone, as an auditor without this code would."""
    for number in range(3):
        change(engine, number)
    link = "0" * 64
    for event in audit.export():
        content = [event[name] for name in sorted(event) if name not in ("hash", "mac")]
        canonical = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        assert event["hash"] == hashlib.sha256((canonical + link).encode()).hexdigest()
        link = event["hash"] + event["mac"]
    assert audit.seal.head() is not None


def test_what_is_undone_leaves_no_event(engine: Engine, audit: Audit) -> None:
    def undone() -> None:
        with writing(engine) as session:
            note(session, "thing.changed", "thing")
            raise Conflict("no")

    with pytest.raises(Conflict):
        undone()
    assert audit.list(AuditQuery())[1] == 0
    change(engine, 1)
    assert audit.verify().ok


def test_random_changes_to_a_copy_are_all_found(tmp_path: Path) -> None:
    engine, audit = make_audit(tmp_path, 40, seed=3)
    verdict = audit.verify()
    assert verdict.ok
    assert (verdict.events, verdict.sealed_sequence, verdict.unsealed) == (40, 40, 0)
    copy = Copy(engine, tmp_path / "keys")
    assert copy.seal.verify().ok
    outcome = attack(copy, 330, seed=11)
    assert outcome.missed == []
    assert set(outcome.tried) == {mutation.__name__ for mutation in MUTATIONS}
    assert copy.seal.verify().ok  # what was taken back is what it was
    engine.dispose()


def test_an_unsealed_end_cannot_be_made_up_either(tmp_path: Path) -> None:
    """Between a commit and its seal only the codes of the key vouch for an event: they do."""
    engine, audit = make_audit(tmp_path, 20, seed=3)
    head = (tmp_path / "keys" / "audit" / "head.json").read_bytes()
    change(engine, 1)
    change(engine, 2)
    (tmp_path / "keys" / "audit" / "head.json").write_bytes(head)  # as a process leaves it that dies before it seals
    assert (audit.verify().ok, audit.verify().unsealed) == (True, 2)
    copy = Copy(engine, tmp_path / "keys")
    outcome = attack(copy, 120, seed=5)
    # The window, as docs/AUDIT.md says it: what was never sealed may be cut off, and nothing else.
    assert {missed.split(",")[0] for missed in outcome.missed} <= {"truncate"}
    assert audit.try_to_seal()
    assert audit.verify().unsealed == 0
    engine.dispose()


def test_damage_is_never_sealed_over(engine: Engine, audit: Audit, tmp_path: Path) -> None:
    for number in range(6):
        change(engine, number)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_no_delete"))
        connection.execute(text("DELETE FROM audit_events WHERE sequence > 3"))
    for number in range(6):  # grows beyond the sealed number again
        change(engine, number)
    with pytest.raises(AuditBroken, match="event 6"):
        audit.seal.seal()
    verdict = audit.verify()
    assert not verdict.ok
    assert verdict.findings[0].sequence == 6


def test_accepted_damage_is_told_and_later_damage_is_new(engine: Engine, audit: Audit) -> None:
    for number in range(6):
        change(engine, number)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_no_update"))
        connection.execute(text("UPDATE audit_events SET reason = 'forged' WHERE sequence = 2"))
    assert [finding.sequence for finding in audit.verify().findings] == [2]
    audit.seal.accept(actor="anna", reason="known")
    verdict = audit.verify()
    assert verdict.ok
    assert [note["reason"] for note in verdict.accepted] == ["known"]
    change(engine, 7)
    assert audit.verify().ok
    with engine.begin() as connection:
        connection.execute(text("UPDATE audit_events SET reason = 'forged again' WHERE sequence = 2"))
    assert [finding.sequence for finding in audit.verify().findings] == [2]


@pytest.mark.parametrize("name", ["head.json", "seal.pem"])
def test_a_lost_key_or_head_is_said_and_can_be_accepted(
    engine: Engine, audit: Audit, tmp_path: Path, name: str
) -> None:
    change(engine, 1)
    (tmp_path / "keys" / "audit" / name).unlink()
    restarted = Audit(engine, tmp_path / "keys")
    assert not restarted.verify().ok
    restarted.follow()
    change(engine, 2)  # no change fails for the audit's sake
    assert not restarted.verify().ok
    restarted.seal.accept(actor="anna", reason="lost with the old disk")
    change(engine, 3)
    assert restarted.verify().ok


def test_a_forged_head_is_not_believed(engine: Engine, audit: Audit, tmp_path: Path) -> None:
    change(engine, 1)
    file = tmp_path / "keys" / "audit" / "head.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sequence": 0, "hash": "0" * 64, "mac": ""}))
    assert "signature" in audit.verify().findings[0].problem


def test_the_database_itself_refuses_changes(engine: Engine, audit: Audit) -> None:
    change(engine, 1)
    for statement in ("UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events"):
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    assert audit.verify().ok


def test_postgresql_refuses_changes_and_verifies(postgresql: PostgreSql, tmp_path: Path) -> None:
    from shared.database.engine import migrate

    url = postgresql.new_database().url
    migrate(url)
    engine = make_engine(url)
    audit = Audit(engine, tmp_path / "keys")
    audit.follow()
    for number in range(5):
        change(engine, number)
    statements = ("UPDATE audit_events SET actor = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events")
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    verdict = audit.verify()
    assert (verdict.ok, verdict.events, verdict.unsealed) == (True, 5, 0)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        connection.execute(text("DELETE FROM audit_events WHERE sequence = 5"))
    assert "cut off" in audit.verify().findings[0].problem
    engine.dispose()


def test_a_key_that_cannot_be_made_stops_no_change(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file where a folder should be")
    audit = Audit(engine, tmp_path / "keys")
    audit.follow()
    change(engine, 1)
    assert audit.list(AuditQuery())[1] == 1
    with pytest.raises((OSError, SetupError)):
        audit.seal.seal()
