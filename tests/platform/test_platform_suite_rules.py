"""The suite's own rules: skips are told and can be made to fail; neither network nor the shell's settings are seen."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parents[2]
INNER = """
import pytest

@pytest.mark.skip(reason="the sea is missing")
def test_skipped(): pass

def test_skips_itself(): pytest.skip("the tide is out")

@pytest.mark.xfail(reason="known")
def test_known(): assert False

def test_passes(): pass
"""
INNER_MODULE = "import pytest\npytest.skip('no data folder', allow_module_level=True)\n"


def _inner_suite(folder: Path, content: str, *options: str) -> "subprocess.CompletedProcess[str]":
    (folder / "conftest.py").write_bytes((PROJECT_DIR / "tests" / "conftest.py").read_bytes())
    (folder / "test_inner.py").write_text(content)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIR)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_a_skip_is_listed_with_its_reason(tmp_path: Path) -> None:
    result = _inner_suite(tmp_path, INNER)
    assert result.returncode == 0
    assert "test_inner.py::test_skipped: the sea is missing" in result.stdout
    assert "1 passed, 2 skipped, 1 xfailed" in result.stdout


def test_a_skip_fails_where_everything_is_required(tmp_path: Path) -> None:
    result = _inner_suite(tmp_path, INNER, "--require", "all")
    assert result.returncode == 1
    assert "the sea is missing" in result.stdout
    assert "the tide is out" in result.stdout
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in result.stdout


def test_a_skipped_module_fails_where_everything_is_required(tmp_path: Path) -> None:
    assert _inner_suite(tmp_path, INNER_MODULE).returncode == 5  # pytest's own: nothing was run
    result = _inner_suite(tmp_path, INNER_MODULE, "--require=all")
    assert result.returncode not in (0, 5)
    assert "no data folder" in result.stdout


def test_no_test_reaches_the_network() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one,
        pytest.raises(RuntimeError, match=r"192\.0\.2\.1"),
    ):
        one.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 443)


def test_loopback_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        assert socket.getaddrinfo("localhost", 80)


def test_the_shells_settings_are_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTING_PROFILE", "from the shell")
    monkeypatch.setenv("AzureWebJobsStorage", "from the shell")
    content = "import os\ndef test_clean(): assert not {'ROUTING_PROFILE', 'AzureWebJobsStorage'} & set(os.environ)\n"
    assert _inner_suite(tmp_path, content).returncode == 0
