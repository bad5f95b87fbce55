"""The command line without a running instance: help with examples, JSON, and exit codes that mean something."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import text

from shared.database.alerts import Alerts
from shared.database.engine import make_engine, writing
from shared.settings import Settings
from tests.cli.conftest import Command, Run


def every_command() -> list[tuple[str, ...]]:
    """Return the words of each command there is, those of groups within groups too."""
    from cli.__main__ import app

    found: list[tuple[str, ...]] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_group(app))]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if words and (inner is None or command.invoke_without_command):
            found.append(words)
        waiting += [((*words, name), one) for name, one in (inner or {}).items()]
    return found


def test_every_command_has_help_with_an_example_and_json() -> None:
    from typer.testing import CliRunner

    from cli.__main__ import app

    commands = every_command()
    assert len(commands) > 40
    for words in commands:
        shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "160", "NO_COLOR": "1"})
        assert shown.exit_code == 0, words
        assert "Example: " in shown.output, words
        assert "--json" in shown.output, words


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("predict", "A"), 6, "no-active-model"),
        (("models", "activate", "nothing"), 4, "not-found"),
        (("models", "rollback"), 5, "conflict"),
        (("jobs", "show", "nothing"), 4, "not-found"),
        (("keys", "show"), 20, "setup-error"),
        (("train", "--profile", "adventureworks"), 2, "invalid-input"),
        (("train", "--profile", "adventureworks", "--data", "/nowhere/at/all"), 8, "source-error"),
        (("data", "quality"), 4, "not-found"),
        (("quality", "show"), 4, "not-found"),
        (("predict",), 2, "invalid-input"),
    ],
)
def test_a_failure_has_its_code_and_its_exit_code(
    command: Command, words: tuple[str, ...], exit_code: int, code: str
) -> None:
    done = command(*words, "--json")
    assert done.exit_code == exit_code, done.stdout + done.stderr
    assert json.loads(done.stdout)["code"] == code
    assert "Traceback" not in done.stderr


def test_a_profile_that_does_not_exist_names_those_that_do(run: Run, tmp_path: Path) -> None:
    done = run("train", "--profile", "adventureworkz", "--data", str(tmp_path))
    assert done.returncode == 8
    assert "adventureworks" in done.stderr
    assert Alerts(make_engine(Settings(data_dir=tmp_path).database)).list()[1] == 0


def test_secrets_are_masked_in_the_settings(process: Run) -> None:
    done = process("settings", "--json")
    values = json.loads(done.stdout)
    assert values["ROUTING_STORAGE_CONNECTION"] == "***"
    assert values["ROUTING_PROFILE"] == "demo"


def test_generate_train_predict_and_check_without_a_host(run: Run, process: Run, tmp_path: Path) -> None:
    """The whole way on the command line, on a small factory; each kind of result once from a process of its own."""
    factory = tmp_path / "sources" / "demo"
    made = json.loads(run("demo", "generate", "--items", "300", "--output", str(factory), "--json").stdout)
    assert made["rows"]
    trained = process("train", "--activate", "--json")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    version = json.loads(trained.stdout)["version"]
    listed = json.loads(run("models", "list", "--json").stdout)
    assert [(row["version"], row["state"]) for row in listed["items"]] == [(version, "active")]
    cycle = run("quality", "run", "--sample-size", "40", "--json")
    assert cycle.returncode == 0, cycle.stdout + cycle.stderr
    assert json.loads(cycle.stdout)["evaluated"] > 0
    page = tmp_path / "quality.html"
    assert run("quality", "report", "last", "--format", "html", "--output", str(page)).returncode == 0
    assert json.loads(cycle.stdout)["id"] in page.read_text(encoding="utf-8")
    assert json.loads(run("quality", "show", "--json").stdout)["id"] == json.loads(cycle.stdout)["id"]
    assert json.loads(run("models", "verify", version, "--json").stdout)["ok"] is True
    _a_dry_run_ends_with_10_where_an_activation_would_fail(run, tmp_path / "models" / version / "metrics.json")
    _what_was_active_at_a_time_is_told(run, version)
    searched = json.loads(run("models", "misses", "--items", "100", "--json").stdout)
    assert (searched["model_version"], searched["backend"], searched["misses"]) == (version, "exact", [])
    assert searched["searched"] == 100
    described = run("predict", "NEW-1", "-a", "PART_TYPE=14", "-a", "OUTDIAMETER=50", "--json")
    assert described.returncode == 0, described.stdout + described.stderr
    assert json.loads(described.stdout)["predictions"][0]["status"] in {"ok", "abstained"}
    wrong = process("predict", "NEW-1", "-a", "OUTDIAMETER=wide", "--json")
    assert wrong.returncode == 2
    assert "OUTDIAMETER" in wrong.stdout
    assert version in run("models", "list").stdout
    readable = process("predict", "-a", "PART_TYPE=14")
    assert "model " + version in readable.stdout
    assert "(new item)" in readable.stdout
    assert readable.stderr == ""
    elsewhere = run("predict", "NEW-1", ROUTING_PROFILE="injection_moulding")
    assert "trained with demo, and this instance looks new codes up with its own profile, injection_moulding" in (
        elsewhere.stderr
    )
    unread = run("predict", "NEW-1", ROUTING_SOURCE=str(tmp_path / "gone"), ROUTING_LOOKUP_TIMEOUT_SECONDS="30")
    assert "gone does not exist" in unread.stderr
    health = json.loads(run("health", "--json").stdout)
    assert (health["status"], health["active_version"]) == ("degraded", version)
    assert health["parts"]["storage"]["status"] == "down"


def _a_dry_run_ends_with_10_where_an_activation_would_fail(run: Run, file: Path) -> None:
    version, good = file.parent.name, file.read_bytes()
    file.write_bytes(good + b" ")
    refused = run("models", "verify", version, "--json")
    file.write_bytes(good)
    assert refused.returncode == 10
    checks = {check["check"]: check["ok"] for check in json.loads(refused.stdout)["checks"]}
    assert (checks["signature"], checks["files"], checks["golden"]) == (True, False, None)
    assert run("models", "verify", "no-such-version", "--json").returncode == 4


def _what_was_active_at_a_time_is_told(run: Run, version: str) -> None:
    now = json.loads(run("models", "active", "--json").stdout)
    assert (now["version"], now["to_state"], bool(now["actor"]), bool(now["reason"])) == (version, "active", True, True)
    later = json.loads(run("models", "active", "--at", "2999-01-01T00:00:00", "--json").stdout)
    assert later == now
    assert run("models", "active", "--at", "2001-01-01T00:00:00Z").returncode == 4
    wrong = run("models", "active", "--at", "yesterday")
    assert wrong.returncode == 2
    assert "2026-01-31T08:15:00+01:00" in wrong.stdout + wrong.stderr


def test_health_says_where_packages_without_a_signature_are_accepted(run: Run) -> None:
    assert "without a signature" not in run("health").stdout
    told = run("health", ROUTING_ALLOW_UNSIGNED="1").stdout
    assert "Packages without a signature are accepted here" in told


def test_a_database_of_another_release_is_left_to_up(process: Run, tmp_path: Path) -> None:
    engine = make_engine(Settings(data_dir=tmp_path).database)
    with writing(engine) as session:
        session.connection().execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
    engine.dispose()
    done = process("models", "list", "--json")
    assert done.returncode == 13
    assert json.loads(done.stdout)["code"] == "database-unavailable"
    assert "manage.py up" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_setting_that_breaks_a_rule_is_named(process: Run) -> None:
    done = process("settings", ROUTING_LOG_LEVEL="LOUD")
    assert done.returncode == 20
    assert "ROUTING_LOG_LEVEL" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_exists_is_refused_before_anything_is_trained(run: Run, tmp_path: Path) -> None:
    done = run("train", "--output", str(tmp_path), "--json")
    assert done.returncode == 5
    assert json.loads(done.stdout)["code"] == "conflict"


@pytest.mark.parametrize("said", ["[/x]", "[bold]", "a\x1b[31mb", "a\rb"])
def test_what_comes_from_outside_is_neither_markup_nor_a_control_sequence(said: str) -> None:
    import io

    from rich.console import Console

    from cli.output import shown

    written = io.StringIO()
    Console(file=written, force_terminal=False).print(shown(said), end="")
    assert written.getvalue() == said.replace("\x1b", " ").replace("\r", " ")


def test_every_error_of_a_command_is_a_sentence_with_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    import typer
    from sqlalchemy.exc import OperationalError

    from cli.output import reports_errors

    cases: list[tuple[Exception, int]] = [
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), 20),
        (OperationalError("SELECT secret", {}, Exception("database is locked")), 13),
        (ZeroDivisionError("a defect"), 1),
    ]
    for error, exit_code in cases:

        @reports_errors
        def fail(raised: Exception = error) -> None:
            raise raised

        with pytest.raises(typer.Exit) as ended:
            fail()
        assert ended.value.exit_code == exit_code
        said = capsys.readouterr().err
        assert "error" in said
        assert "Traceback" not in said
        assert "SELECT" not in said
