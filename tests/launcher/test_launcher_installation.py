"""Installing: finished steps are not repeated, unfinished ones leave nothing, and a missing hnswlib stops nobody.

Each test works on a small project of its own: the real launcher, and packages that need no network.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from launcher.problems import EXIT_CODE

PROJECT_DIR = Path(__file__).resolve().parents[2]
CLI = """
import json, os, sys
names = ("ROUTING_DATA_DIR", "AzureWebJobsStorage", "AzureFunctionsWebHost__hostid", "OMP_NUM_THREADS")
print(json.dumps([sys.argv[1:], {name: os.environ.get(name) for name in names}, sys.prefix]))
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose requirements are empty, whose hnswlib cannot be found, and whose CLI tells what it was given."""
    folder = tmp_path / "project"
    for name in (
        "manage.py",
        "launcher",
        "shared/__init__.py",
        "shared/platform.py",
        "shared/clock.py",
        "shared/azurite",
    ):
        source, target = PROJECT_DIR / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "cli").mkdir()
    (folder / "cli" / "__main__.py").write_text(CLI)
    (folder / "requirements.txt").write_text("")
    (folder / "requirements-hnsw.txt").write_text("hnswlib==0.0.1\n")
    (folder / "package-lock.json").write_text('{"packages": {"node_modules/azurite": {"version": "3.35.0"}}}')
    return folder


def _environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_NO_CACHE_DIR": "1", **extra}


def _run(folder: Path, *arguments: object, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _command(folder, arguments), env=_environment(**extra), capture_output=True, text=True, timeout=120
    )


def _command(folder: Path, arguments: Sequence[object]) -> list[str]:
    base = getattr(sys, "_base_executable", sys.executable)
    return [base, str(folder / "manage.py"), *map(str, arguments)]


def test_the_cli_gets_its_words_and_its_instance_and_gives_its_exit_code_back(project: Path, tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    (data / "keys").mkdir(parents=True)
    (data / "run").mkdir()
    (data / "keys" / "storage.json").write_text('{"account": "ours", "key": "c2VjcmV0"}')
    (data / "run" / "instance.json").write_text('{"storage_ports": [11, 12, 13]}')
    first = _run(project, "5", "--data-dir", data, "--json")
    assert first.returncode == 5
    assert "exact search serves" in first.stderr
    words, environment, prefix = json.loads(first.stdout)  # the installation speaks elsewhere
    assert words == ["5", "--json"]
    assert Path(prefix) == project / ".venv"
    assert environment["ROUTING_DATA_DIR"] == str(data)
    assert "AccountName=ours;" in environment["AzureWebJobsStorage"]
    assert "QueueEndpoint=http://127.0.0.1:12/ours" in environment["AzureWebJobsStorage"]
    assert environment["AzureFunctionsWebHost__hostid"].startswith("routing-ml-")
    assert environment["OMP_NUM_THREADS"] == "1"

    second = _run(project, "0")
    assert second.returncode == 0
    assert second.stderr == ""  # nothing is installed again
    default = json.loads(second.stdout)[1]
    assert default["ROUTING_DATA_DIR"] == str(project / "data")
    assert default["AzureFunctionsWebHost__hostid"] == "routing-ml"
    assert default["AzureWebJobsStorage"] is None


def test_packages_that_cannot_be_had_leave_no_environment(project: Path) -> None:
    (project / "requirements.txt").write_text("a-package-that-is-nowhere==1\n")
    result = _run(project, "0")
    assert result.returncode == EXIT_CODE
    assert "a-package-that-is-nowhere" in result.stderr
    assert "PIP_INDEX_URL" in result.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_installation_leaves_nothing(project: Path, number: signal.Signals) -> None:
    process = _started_installing(project)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted" in output
    assert not (project / ".venv").exists()


def test_a_killed_installation_is_begun_again(project: Path) -> None:
    process = _started_installing(project)
    process.kill()
    process.communicate()
    assert (project / ".venv").exists()
    result = _run(project, "0")
    assert result.returncode == 0, result.stderr
    assert "virtual environment in .venv" in result.stderr
    assert not list((project / ".venv").glob("*unfinished*"))


def _started_installing(project: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        _command(project, ["0"]), env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 20
    while not (project / ".venv" / "pyvenv.cfg").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_an_azurite_that_cannot_be_had_leaves_no_node_modules(project: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "node").write_text("#!/bin/sh\necho v20.11.0\n")
    (programs / "npm").write_text("#!/bin/sh\nmkdir -p node_modules/half\necho 'npm error no network' >&2\nexit 1\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    result = _run(project, "up", PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert result.returncode == EXIT_CODE
    assert "Azurite could not be installed: no network" in result.stderr
    assert not (project / "node_modules").exists()


def test_without_ensurepip_the_package_to_install_is_named(project: Path) -> None:
    code = (
        "import importlib.util, runpy, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'ensurepip' else find(name, *rest)\n"
        f"sys.argv = ['manage.py', '0']\nsys.path.insert(0, {str(project)!r})\n"
        f"runpy.run_path({str(project / 'manage.py')!r}, run_name='__main__')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, timeout=60
    )
    assert result.returncode == EXIT_CODE
    assert "ensurepip" in result.stderr
    assert f"python3.{sys.version_info.minor}-venv" in result.stderr
    assert not (project / ".venv").exists()
