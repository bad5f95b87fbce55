"""Users and their keys on the command line."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_key_is_shown_once_listed_without_its_secret_rotated_and_revoked(run: Run) -> None:
    made = json.loads(run("access", "keys", "new", "Kim Minji", "--role", "planner", "--days", "30", "--json").stdout)
    assert made["key"].startswith("rml_")
    heir = json.loads(run("access", "keys", "rotate", made["id"], "--grace-hours", "0", "--json").stdout)
    assert heir["key"] != made["key"]
    listed = run("access", "keys", "list", "--json")
    assert not {made["key"], heir["key"]} & set(listed.stdout.split('"'))
    states = {row["id"]: (row["user"], row["role"], row["state"]) for row in json.loads(listed.stdout)["items"]}
    assert states == {
        made["id"]: ("Kim Minji", "planner", "expired"),
        heir["id"]: ("Kim Minji", "planner", "live"),
    }
    revoked = run("access", "keys", "revoke", heir["id"])
    assert "counts no more" in revoked.stdout


def test_a_session_secret_is_made_and_rotated(run: Run, tmp_path: Path) -> None:
    made = json.loads(run("access", "sessions", "rotate", "--json").stdout)["secret_id"]
    assert [path.stem for path in (tmp_path / "keys" / "sessions").glob("*.key")] == [made]


def test_a_name_that_records_use_for_nobody_is_refused(run: Run) -> None:
    reserved = run("access", "keys", "new", "anonymous", "--role", "planner", "--json")
    assert (reserved.returncode, json.loads(reserved.stdout)["code"]) == (2, "invalid-input")
