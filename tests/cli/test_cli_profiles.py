"""`manage.py profiles`: listing, showing, checking and proposing, with the exit codes that scripts rely on."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml
from typer.testing import CliRunner, Result

from cli.__main__ import app
from shared.erp.profiles.model import PROFILES_DIR, known_profiles
from shared.logs import configure_logging
from tests.erp.foreign_data import write_pump_maker
from tests.erp.seal_shop import write_seal_shop

HELP = [("list",), ("show",), ("check",), ("infer",)]


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["profiles", *words], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture(autouse=True)
def logs_as_on_the_command_line() -> Iterator[None]:
    """Keep log lines off standard output, as the command line does."""
    configure_logging("ERROR", sys.stderr)
    yield
    structlog.reset_defaults()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    write_seal_shop(folder)
    return folder


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """The seal maker's profile with the booked hours read as minutes."""
    document = yaml.safe_load((PROFILES_DIR / "fksm.yaml").read_text(encoding="utf-8"))
    document["work_results"]["time_unit"] = "minutes"
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return file


@pytest.mark.parametrize("words", HELP, ids=lambda words: words[0])
def test_every_command_has_help_with_an_example_and_json(words: tuple[str, ...]) -> None:
    shown = _run(*words, "--help")
    assert shown.exit_code == 0
    assert "Example: " in shown.output
    assert "--json" in shown.output


def test_the_shipped_profiles_are_listed() -> None:
    listed = json.loads(_run("list", "--json").stdout)
    assert [entry["name"] for entry in listed["items"]] == list(known_profiles())
    assert all(entry["description"] for entry in listed["items"])


def test_a_profile_is_shown_as_it_is_written() -> None:
    assert _run("show", "fksm").stdout == (PROFILES_DIR / "fksm.yaml").read_text(encoding="utf-8")
    assert json.loads(_run("show", "fksm", "--json").stdout)["routings"]["run_time"] == "per_lot"


def test_an_unknown_profile_names_the_nearest() -> None:
    shown = _run("show", "fksn", "--json")
    assert shown.exit_code == 8
    assert "'fksm'" in json.loads(shown.stdout)["detail"]


def test_a_sound_profile_ends_with_0(shop: Path) -> None:
    shown = _run("check", "fksm", "--source", str(shop))
    assert shown.exit_code == 0, shown.output
    assert "work_results_joined" in shown.output
    assert "error" not in shown.output


def test_a_wrong_profile_ends_with_8_and_names_the_field(shop: Path, wrong: Path) -> None:
    shown = _run("check", str(wrong), "--source", str(shop))
    assert shown.exit_code == 8
    assert "error  work_results.time_unit" in shown.output
    document = _run("check", str(wrong), "--source", str(shop), "--json")
    assert document.exit_code == 8
    report = json.loads(document.stdout)
    assert report["has_errors"]
    assert report["findings"][0] | {"message": "", "remedy": ""} == {
        "severity": "error",
        "field": "work_results.time_unit",
        "message": "",
        "remedy": "",
    }
    assert report["tables"]["items"]["rows_read"] > 0


def test_a_source_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    shown = _run("check", "fksm", "--source", str(tmp_path / "nowhere"))
    assert shown.exit_code == 8
    assert "does not exist" in shown.output


def test_the_own_source_is_checked_where_none_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_SOURCE", str(shop))
    report = json.loads(_run("check", "fksm", "--json", "--rows", "100").stdout)
    assert report["source"] == str(shop)
    assert report["rows_limit"] == 100


def test_a_proposal_is_written_and_passes_its_own_check(tmp_path: Path) -> None:
    source = tmp_path / "pumps"
    source.mkdir()
    write_pump_maker(source)
    file = tmp_path / "pumps.yaml"
    written = _run("infer", "--source", str(source), "--name", "pumps", "--output", str(file))
    assert written.exit_code == 0, written.output
    assert "profiles check" in written.output
    checked = _run("check", str(file), "--source", str(source), "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["joins"]["work_results_joined"] == 1.0
    again = _run("infer", "--source", str(source), "--output", str(file))
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_a_proposal_is_printed_where_no_file_is_named(tmp_path: Path) -> None:
    write_pump_maker(tmp_path)
    assert yaml.safe_load(_run("infer", "--source", str(tmp_path)).stdout)["name"] == "my-factory"


def test_a_name_that_no_profile_may_have_is_refused(tmp_path: Path) -> None:
    write_pump_maker(tmp_path)
    shown = _run("infer", "--source", str(tmp_path), "--name", "My Pumps")
    assert shown.exit_code == 8
    assert "is no name" in shown.output
