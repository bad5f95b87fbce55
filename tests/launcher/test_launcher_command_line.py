"""What `manage.py` says, and with which exit code, when this machine or command line will not do."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.options import take_data_dir
from launcher.problems import EXIT_CODE
from shared.platform import exclusive_lock, free_ports, note_process

PROJECT_DIR = Path(__file__).resolve().parents[2]
MANAGE = PROJECT_DIR / "manage.py"


def _manage(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(MANAGE), *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, cwd=PROJECT_DIR
    )


def _is_one_sentence_with_remedy(result: "subprocess.CompletedProcess[str]", *, says: str, remedy: str) -> None:
    assert result.returncode == EXIT_CODE
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert remedy in result.stderr
    assert "Traceback" not in result.stderr


def test_a_foreign_program_on_the_port_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = _manage("up", "--port", port, "--data-dir", tmp_path / "data")
    _is_one_sentence_with_remedy(result, says=f"Port {port} is taken by ", remedy="--port")
    assert f"(process id {os.getpid()})" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_taken_storage_port_is_told_with_its_own_option(tmp_path: Path) -> None:
    port, first, *_ = free_ports(2)
    with socket.create_server(("127.0.0.1", first + 2)):
        result = _manage("up", "--port", port, "--storage-port", first, "--data-dir", tmp_path / "data")
    _is_one_sentence_with_remedy(result, says=f"Port {first + 2} is taken by ", remedy="--storage-port")


def test_without_node_the_remedy_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    result = _manage("up", "--data-dir", tmp_path / "data", PATH=str(tmp_path / "bin"))
    _is_one_sentence_with_remedy(result, says="Node.js was not found", remedy="nodejs.org")
    assert not (tmp_path / "data").exists()


def test_an_old_node_is_told_with_its_version(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.19.1\n")
    node.chmod(0o755)
    result = _manage("up", "--data-dir", tmp_path / "data", PATH=str(tmp_path))
    _is_one_sentence_with_remedy(result, says="Node.js 18.19.1 is too old", remedy="Node.js 20")


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = _manage("up", "--data-dir", tmp_path / "file" / "data")
    _is_one_sentence_with_remedy(result, says=str(tmp_path / "file" / "data"), remedy="--data-dir")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:
        folder = Path("/proc/sys/kernel")  # root may write everywhere else
    result = _manage("up", "--data-dir", folder)
    _is_one_sentence_with_remedy(result, says=f"cannot be written to {folder}", remedy="--data-dir")


def test_a_second_start_on_the_same_data_directory_learns_the_address_of_the_first(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    note_process(run / "instance.json", os.getpid(), address="http://127.0.0.1:7999", storage_ports=[1, 2, 3])
    with exclusive_lock(run / "instance.lock", timeout_seconds=1):
        result = _manage("up", "--data-dir", tmp_path)
    _is_one_sentence_with_remedy(result, says="already running at http://127.0.0.1:7999", remedy="--data-dir")


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_a_wrong_python_is_told_which_one_is_needed(version: tuple[int, int]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.version_info = {(*version, 0, 'final', 0)}\n"
        f"sys.argv = ['manage.py', 'up']\nrunpy.run_path({str(MANAGE)!r}, run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == EXIT_CODE
    assert "3.11, 3.12 or 3.13" in result.stderr
    assert f"this is {version[0]}.{version[1]}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_a_port_that_is_none_is_a_usage_error(port: str, tmp_path: Path) -> None:
    result = _manage("up", "--port", port, "--data-dir", tmp_path)
    assert result.returncode == 2
    assert "--port" in result.stderr


def test_the_api_may_not_take_one_of_storages_ports(tmp_path: Path) -> None:
    result = _manage("up", "--port", 12001, "--storage-port", 12000, "--data-dir", tmp_path)
    assert result.returncode == 2
    assert "12001" in result.stderr


def test_the_data_directory_is_taken_out_of_any_command_line() -> None:
    assert take_data_dir(["train", "--data-dir", "x", "--data", "y"]) == (["train", "--data", "y"], "x")
    assert take_data_dir(["--data-dir=x", "models", "list"]) == (["models", "list"], "x")
    assert take_data_dir(["models", "list"]) == (["models", "list"], None)


def test_doctor_tells_every_part_as_json(tmp_path: Path) -> None:
    port, first = free_ports(2)
    result = _manage("doctor", "--json", "--data-dir", tmp_path, "--port", port, "--storage-port", first)
    document = json.loads(result.stdout)
    assert {finding["part"] for finding in document["findings"]} == {
        "Python",
        "venv",
        "virtual environment",
        "Node.js",
        "Azurite",
        "hnswlib",
        "Core Tools",
        "ODBC",
        "ODBC driver for SQL Server",
        "ODBC driver for PostgreSQL",
        "ODBC driver for Access",
        "ODBC driver for SQLite",
        "project folder",
        "data directory",
        "disk space",
        "ports",
    }
    for finding in document["findings"]:
        assert finding["state"] in ("ok", "optional", "missing")
        assert finding["state"] != "missing" or finding["remedy"]
    assert document["healthy"] is (result.returncode == 0)


def test_doctor_fails_and_says_why_where_node_is_missing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    result = _manage("doctor", "--data-dir", tmp_path, PATH=str(tmp_path / "bin"))
    assert result.returncode == 1
    assert "✗ Node.js" in result.stdout
    assert "nodejs.org" in result.stdout
