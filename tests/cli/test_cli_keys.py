"""Signing keys on the command line: made, trusted elsewhere, rotated, and trusted no more."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_a_key_travels_from_the_machine_that_signs_to_the_one_that_trusts(run: Run, tmp_path: Path) -> None:
    made = json.loads(run("keys", "new", "--label", "laboratory", "--json").stdout)
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert listed["signs_here"] == made["key_id"]
    other = {"ROUTING_DATA_DIR": str(tmp_path / "other")}
    trusted = run("keys", "trust", made["public"], "--label", "from the laboratory", **other)
    assert trusted.returncode == 0, trusted.stderr
    assert made["key_id"] in trusted.stdout
    there = json.loads(run("keys", "list", "--json", **other).stdout)
    assert [(key["key_id"], key["label"]) for key in there["trusted"]] == [(made["key_id"], "from the laboratory")]
    assert there["signs_here"] is None, "a key that is only trusted signs nothing"


def test_a_rotation_leaves_the_older_key_trusted_until_it_is_distrusted(run: Run) -> None:
    old = json.loads(run("keys", "new", "--label", "2026", "--json").stdout)["key_id"]
    told = json.loads(run("keys", "rotate", "--label", "2027", "--json").stdout)
    assert told["still_needed"] == {}
    new = told["key"]["key_id"]
    assert {key["key_id"] for key in json.loads(run("keys", "list", "--json").stdout)["trusted"]} == {old, new}
    assert run("keys", "distrust", old).returncode == 0
    assert {key["key_id"] for key in json.loads(run("keys", "list", "--json").stdout)["trusted"]} == {new}


def test_what_is_no_key_is_refused_with_what_to_give(run: Run) -> None:
    wrong = run("keys", "trust", "not hexadecimal", "--label", "x", "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)["code"]) == (20, "setup-error")
    assert "keys list" in wrong.stdout
    unknown = run("keys", "distrust", "0" * 32, "--json")
    assert (unknown.returncode, json.loads(unknown.stdout)["code"]) == (4, "not-found")
