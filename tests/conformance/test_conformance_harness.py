"""The suite itself: how it runs Microsoft's host, tried on a stand-in named `func`, and the page that it writes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import (
    ASKED_ELSEWHERE,
    HOST_KEY,
    MASTER,
    PROJECT,
    CoreToolsHost,
    eventually,
    is_alive,
    missing_for,
)
from tests.conformance.report import PAGE, ScenarioReport, lists_of, page_text, read_page, shown_by
from tests.conformance.scenarios import SCENARIOS
from tests.conformance.workshop import Workshop

# Takes the command line of `func start`, is ready after a while, finds its keys in storage and leaves a child behind.
FUNC = """#!{python}
import json, os, subprocess, sys
sys.path.insert(0, {project!r})
from azure.storage.blob import BlobServiceClient
assert sys.argv[1] == "start" and sys.argv[2] == "--port", sys.argv
assert sys.argv[4:6] == ["--enableAuth", "--no-build"] and not sys.argv[6:], sys.argv
assert os.environ["FUNCTIONS_WORKER_RUNTIME"] == "python"
assert os.environ["AzureWebJobsSecretStorageType"] == "blob"
assert not [name for name in os.environ if name.startswith("FUNCHOST_")]
service = BlobServiceClient.from_connection_string(os.environ["AzureWebJobsStorage"])
name = os.environ["AzureFunctionsWebHost__hostid"] + "/host.json"
keys = json.loads(service.get_blob_client("azure-webjobs-secrets", name).download_blob().readall())
os.makedirs(".funchost", exist_ok=True)
with open(".funchost/host-keys.json", "w") as file:
    functions = {{key["name"]: key["value"] for key in keys["functionKeys"]}}
    json.dump({{"masterKey": keys["masterKey"]["value"], "functionKeys": functions, "functions": {{}}}}, file)
os.environ["PYTHONPATH"] = {project!r}
command = [{python!r}, "-m", "funchost", "--app-dir", os.getcwd(), "--port", sys.argv[3]]
sys.exit(subprocess.Popen(command).wait())
"""
APP = """
    @app.route(route="locked", auth_level=func.AuthLevel.FUNCTION)
    def locked(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(str(os.getpid()))

    @app.route(route="administration")
    def reserved(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x")
"""


@pytest.fixture
def path_with_func(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    func = folder / "func"
    func.write_text(FUNC.format(python=sys.executable, project=str(PROJECT)))
    func.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.azurite
def test_core_tools_is_started_asked_and_ended_with_all_below_it(
    tmp_path: Path, account: Account, path_with_func: Path
) -> None:
    assert missing_for("core-tools") is None
    workshop = Workshop(tmp_path, account, "core-tools")
    try:
        host = workshop.run(APP)
        assert isinstance(host, CoreToolsHost)
        assert str(path_with_func / "func") in host.process.args  # type: ignore[operator]
        assert host.get("/api/locked").status_code == 401
        pid = int(host.get("/api/locked", headers={"x-functions-key": host.host_key()}).text)
        assert host.get(f"/api/locked?code={MASTER}").status_code == 200
        assert host.host_key() == HOST_KEY
        assert host.admin("GET", "host/status").json()["id"] == account.host_id
        assert "reserved" not in host.errors_of("locked")
        assert len(host.errors_of("reserved")) == 1
        assert is_alive(pid)
    finally:
        workshop.end()
    assert eventually(lambda: not is_alive(pid))


@pytest.mark.azurite
def test_a_refusal_of_core_tools_is_noticed(tmp_path: Path, account: Account, path_with_func: Path) -> None:
    workshop = Workshop(tmp_path, account, "core-tools")
    try:
        host = workshop.start(workshop.write(APP, host_json={"version": "3.0"}), ready=False)
        assert "version" in host.refusal()
    finally:
        workshop.end()


def test_a_kind_of_host_that_this_machine_has_not_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    """As a whole: skipping all of it would look like a suite that passes."""
    if missing_for("core-tools") is None:
        empty = tmp_path / "bin"
        empty.mkdir()
        environment = {**os.environ, "PATH": str(empty)}
    else:
        environment = dict(os.environ)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--host", "core-tools"]
    file = "tests/conformance/test_conformance_http.py"
    ran = subprocess.run([*command, file], cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--host core-tools needs Azure Functions Core Tools: no `func` on PATH" in ran.stdout + ran.stderr


# --------------------------------------------------------------------------------------------------------- the page


def test_every_scenario_has_a_test_and_the_page_lists_them_all() -> None:
    assert sorted(SCENARIOS) == list(range(1, 51))
    assert [number for number, tests in shown_by().items() if not tests] == []
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_text(read_page(PAGE)), "write the list anew: python -m tests.conformance.report"
    assert len(lists_of(text)) == 50


def test_each_kind_of_host_writes_its_own_column(tmp_path: Path) -> None:
    tests = shown_by()
    page = tmp_path / "page.md"
    embedded = ScenarioReport(page, "embedded")
    for test in tests[1]:
        _report(embedded, test, "passed")
    for number, test in enumerate(tests[6]):
        _report(embedded, test, "failed" if number == 0 else "passed")
    if len(tests[7]) > 1:
        _report(embedded, tests[7][0], "passed")  # but not the others
    embedded.write()
    first = read_page(page)
    assert first.results["embedded"][1] == f"passed ({len(tests[1])})"
    assert first.results["embedded"][6].startswith("**failed** (1 of")
    assert 7 not in first.results["embedded"]
    assert first.results["core-tools"] == {}
    assert "Core Tools (not run: `func` could not be installed where this page was made)" in page.read_text()
    core_tools = ScenarioReport(page, "core-tools")
    for test in tests[1]:
        _report(core_tools, test, "skipped")
    core_tools.write()
    second = read_page(page)
    assert second.results["core-tools"][1] == "not asked of it"
    assert "could not be installed" not in page.read_text()
    assert second.results["embedded"] == first.results["embedded"]
    assert set(second.made) == {"embedded", "core-tools"}


def _report(report: ScenarioReport, test: str, outcome: Literal["passed", "failed", "skipped"]) -> None:
    file, _, name = test.partition("::")
    nodeid = f"tests/conformance/{file}.py::{name}[a-b]"
    options: dict[str, Any] = {
        "location": ("", 0, ""),
        "keywords": {},
        "longrepr": f"{ASKED_ELSEWHERE}: its log" if outcome == "skipped" else None,
    }
    report.pytest_runtest_logreport(pytest.TestReport(nodeid, outcome=outcome, when="call", **options))
