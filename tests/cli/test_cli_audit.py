"""Every changing command leaves an audit event, its refusals too; `audit` reads, checks and exports them."""

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.main import get_command

from cli.__main__ import app
from cli.recording import CHANGES
from shared.bootstrap import Services
from shared.database.audit import AuditQuery
from shared.database.tables import ModelVersion
from shared.errors import AuditBroken
from shared.identity.callers import Role
from shared.registry.manifest import sha256_hex
from tests.cli.conftest import Command

# Commands that change nothing of the installation, and why nothing is to be recorded of those that write something.
READ_OR_WRITE_ELSEWHERE = {
    "access keys list", "access matrix", "access users", "alerts list", "alerts show", "audit head", "audit list",
    "audit verify", "config history", "config show", "data quality", "data snapshots", "health", "jobs list",
    "jobs log", "jobs show", "keys list", "keys show", "models lineage", "models active", "models list",
    "models misses", "models show", "models verify", "profiles check", "profiles list", "profiles show",
    "quality list", "quality report", "quality show", "settings", "storage connection-string", "storage status",
    "access sessions list",
    "audit export",  # a copy, in a file that the caller names
    "models bom",  # prints, or writes a file that the caller names
    "profiles infer",  # the same
    "demo change", "demo check", "demo generate", "demo load",  # an invented factory, in a place that the caller names
    "predict",  # an answer is not a change; the table of predictions has it
}  # fmt: skip


def every_command() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            found[" ".join(words)] = command

    walk(get_command(app), ())
    return found


CHANGING = {name: getattr(command.callback, CHANGES) for name, command in every_command().items() if hasattr(command.callback, CHANGES)}  # fmt: skip # noqa: E501


class Installation:
    def __init__(self, services: Services) -> None:
        self.services = services

    def version(self, name: str) -> str:
        row = ModelVersion(
            version=name, manifest_sha256=sha256_hex(b"x"), model_kind="k", schema_version="1",
            registered_at=self.services.clock(),
        )  # fmt: skip
        self.services.model_versions.insert(row)
        return name

    def alert(self) -> str:
        return self.services.alerts.raise_alert("quality", "mae", "bad").id

    def job(self) -> str:
        return self.services.training_jobs.enqueue("refit", reason="r", actor="test").id

    def signing_key(self) -> str:
        return self.services.keys.new_key(label="to go").key_id

    def key(self) -> str:
        return self.services.api_keys.make("kim", Role.PLANNER, by="test").key.id

    def browser(self) -> str:
        holder = self.services.api_keys.holder_of(self.services.api_keys.make("kim", Role.PLANNER, by="test").text)
        assert holder is not None
        return self.services.sessions.begin(holder, origin="http 10.0.0.7").session.id

    def pinned(self) -> str:
        self.services.model_versions.pin(self.version("v"), pinned=True, actor="test", reason="r")
        return "v"


Case = tuple[Callable[[Installation], list[str]], str]
CASES: dict[str, Case] = {
    "access disable": (lambda at: [at.key() and "kim"], "user.disabled"),
    "access enable": (lambda at: [(at.key() and at.services.users.set_state("kim", "disabled", by="t")) or "kim"], "user.active"),  # type: ignore[arg-type,func-returns-value]  # noqa: E501
    "access keys new": (lambda at: ["kim", "--role", "viewer"], "key.made"),
    "access keys revoke": (lambda at: [at.key()], "key.revoked"),
    "access keys rotate": (lambda at: [at.key()], "key.rotated"),
    "access sessions end": (lambda at: [at.browser()], "session.ended"),
    "access sessions rotate": (lambda at: [], "session-secret.made"),
    "access withdraw": (lambda at: [at.key() and "kim", "--role", "planner"], "user.role-withdrawn"),
    "alerts acknowledge": (lambda at: [at.alert()], "alert.acknowledged"),
    "alerts close": (lambda at: [at.alert()], "alert.closed"),
    "audit accept": (lambda at: ["--reason", "for a test"], "audit.accepted"),
    "cache clear": (lambda at: [], "caches.cleared"),
    "config set": (lambda at: ["training.queue_limit=7"], "configuration.changed"),
    "jobs cancel": (lambda at: [at.job()], "training-job.cancelled"),
    "jobs start": (lambda at: [], "training-job.requested"),
    "keys distrust": (lambda at: [at.signing_key()], "signing-key.distrusted"),
    "keys new": (lambda at: ["--label", "new"], "signing-key.made"),
    "keys rotate": (lambda at: ["--label", "new"], "signing-key.made"),
    "keys trust": (lambda at: ["3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", "--label", "lab"], "signing-key.trusted"),  # noqa: E501
    "models pin": (lambda at: [at.version("v")], "model.pinned"),
    "models reject": (lambda at: [at.version("v")], "model.rejected"),
    "models remove": (lambda at: [at.version("v")], "model.removed"),
    "models unpin": (lambda at: [at.pinned()], "model.unpinned"),
}  # fmt: skip
# Their whole way is walked elsewhere, over HTTP or with a real factory; here only what refuses them.
REFUSED_HERE: dict[str, list[str]] = {
    "storage rotate": [],
    "storage sas": ["--hours", "9999"],
    "storage sas revoke": ["nothing"],
    "data extract": [],
    "models activate": ["nothing"],
    "models push": ["."],
    "models rollback": [],
    "models sign": ["nothing"],
    "quality run": [],
    "train": [],
}


def events(services: Services, **wanted: Any) -> list[dict[str, Any]]:
    return services.audit.list(AuditQuery(**wanted), limit=500)[0]


def test_every_command_changes_nothing_or_has_a_case() -> None:
    assert sorted(every_command()) == sorted([*READ_OR_WRITE_ELSEWHERE, *CASES, *REFUSED_HERE])
    assert sorted(CHANGING) == sorted([*CASES, *REFUSED_HERE])


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_changing_command_leaves_an_event(name: str, services: Services, command: Command) -> None:
    arrange, action = CASES[name]
    words = arrange(Installation(services))
    before = services.audit.list(AuditQuery())[1]
    result = command(*name.split(), *words)
    assert result.exit_code == 0, result.output
    mine = events(services, action=action, actor="command line", outcome="done")
    assert mine, f"{name} left no {action}"
    assert mine[0]["sequence"] > before
    assert (mine[0]["role"], mine[0]["origin"]) == ("administrator", f"cli {getpass.getuser()}")
    assert services.audit.verify().ok


@pytest.mark.parametrize("name", sorted(REFUSED_HERE))
def test_a_refused_command_leaves_an_event(name: str, services: Services, command: Command) -> None:
    assert command(*name.split(), *REFUSED_HERE[name]).exit_code > 0
    ended = [row for row in events(services, actor="command line") if row["outcome"] == "refused"]
    failed = [row for row in events(services) if row["action"].endswith((".failed", ".skipped"))]
    failed += events(services, actor="command line", outcome="failed")
    assert ended or failed, name  # what has a row of its own says there how it ended


def test_a_file_change_that_fails_says_that_it_began(services: Services) -> None:
    services.keys.new_key(label="one")
    signing = services.settings.keys / "trusted"
    for file in signing.iterdir():
        file.unlink()
    signing.rmdir()
    signing.write_text("in the way")
    with pytest.raises(OSError):  # noqa: PT011 - which one differs by system
        services.keys.new_key(label="two")
    outcomes = [row["outcome"] for row in events(services, action="signing-key.made")]
    assert outcomes == ["failed", "begun", "done", "begun"]
    assert services.audit.verify().ok


def test_verify_says_what_is_wrong(services: Services, command: Command) -> None:
    for number in range(4):
        services.alerts.raise_alert("quality", f"m{number}", "bad")
    good = command("audit", "verify")
    assert (good.exit_code, "Nothing is wrong" in good.stdout) == (0, True)
    with services.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_no_update"))
        connection.execute(text("UPDATE audit_events SET actor = 'somebody else' WHERE sequence = 3"))
    bad = command("audit", "verify", "--json")
    verdict = json.loads(bad.stdout)
    assert bad.exit_code == AuditBroken.exit_code
    assert (verdict["ok"], [finding["sequence"] for finding in verdict["findings"]]) == (False, [3])
    assert "event 3" in command("audit", "verify").stdout
    assert command("audit", "accept", "--reason", "known").exit_code == 0
    accepted = command("audit", "verify")
    assert (accepted.exit_code, "known" in accepted.stdout) == (0, True)


def test_the_sweep_raises_an_alert_once_where_the_audit_was_cut(services: Services) -> None:
    from shared.operations.audit_watch import KIND, AuditWatch

    for number in range(4):
        services.alerts.raise_alert("quality", f"m{number}", "bad")
    watch = AuditWatch(services.audit, services.alerts)
    assert watch.run() == 0
    with services.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_events_no_delete"))
        connection.execute(text("DELETE FROM audit_events WHERE sequence > 2"))
    assert [watch.run(), watch.run()] == [1, 1]
    alert = services.alerts.standing(KIND, "")
    assert alert is not None
    assert (alert.severity, alert.count) == ("critical", 1)
    services.audit.seal.accept(actor="test", reason="restored")
    assert watch.run() == 0
    assert services.alerts.standing(KIND, "") is None


def test_events_are_listed_and_exported_whole(services: Services, command: Command, tmp_path: Path) -> None:
    for number in range(3):
        services.alerts.raise_alert("quality", f"m{number}", "bad")
    listed = json.loads(command("audit", "list", "--action", "alert.", "--limit", "2", "--json").stdout)
    assert (listed["total"], len(listed["items"])) == (3, 2)
    assert listed["items"][0]["after"]["subject"] == "m2"
    assert "alert.opened" in command("audit", "list", "--since", "2020-01-01").stdout
    file = tmp_path / "audit.jsonl"
    assert command("audit", "export", str(file)).exit_code == 0
    *rows, head = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    assert head["sealed_head"]["hash"] == rows[-1]["hash"]
    assert command("audit", "export", str(file)).exit_code == 2  # never over another
    assert command("audit", "head").stdout.startswith(f"3 {rows[-1]['hash']}")
