"""`manage.py up` for real: it starts, is alone on its data directory, and takes everything along when it ends."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.azurite.service import missing_for_azurite
from shared.platform import end_process_tree, free_ports, port_is_taken, process_identity

PROJECT_DIR = Path(__file__).resolve().parents[2]
READY_SECONDS = 90


@dataclass
class Up:
    """One `manage.py up` in a data directory of its own, without a model."""

    data_dir: Path
    port: int
    storage_port: int
    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.lines.extend(iter(stream.readline, ""))

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not any("Ctrl-C ends it" in line for line in self.lines):
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.05)

    def family(self) -> dict[int, str | None]:
        """Return every process below the supervisor, with its identity."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return {pid: process_identity(pid) for pid in found if pid != self.process.pid}


def _start(data_dir: Path, port: int, storage_port: int) -> Up:
    words = ["up", "--no-demo", "--port", port, "--storage-port", storage_port, "--data-dir", data_dir]
    process = subprocess.Popen(
        [sys.executable, str(PROJECT_DIR / "manage.py"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=data_dir.parent,
    )
    up = Up(data_dir=data_dir, port=port, storage_port=storage_port, process=process)
    threading.Thread(target=up.read, daemon=True).start()
    return up


def _three_ports_in_a_row() -> int:
    while True:
        (first,) = free_ports(1)
        if first < 65000 and not any(port_is_taken(first + offset) for offset in (1, 2)):
            return first


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    missing = missing_for_azurite()
    if missing is not None:
        pytest.skip(f"needs Azurite: {missing}")
    running = _start(tmp_path / "data", free_ports(1)[0], _three_ports_in_a_row())
    yield running
    end_process_tree(running.process, grace_seconds=20)


def _everybody_gone(family: dict[int, str | None], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(identity is not None and process_identity(pid) == identity for pid, identity in family.items()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def _status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return int(answer.status)


def test_it_serves_tells_where_and_ends_whole_on_ctrl_c(up: Up) -> None:
    up.wait_until_ready()
    said = "".join(up.lines)
    assert f"ready at {up.address}" in said
    assert str(up.data_dir / "keys" / "administrator.key") in said
    assert f"curl {up.address}/api/health" in said
    assert _status(f"{up.address}/api/health/live") == 200
    for name in ("administrator.key", "storage.json"):
        assert stat.S_IMODE((up.data_dir / "keys" / name).stat().st_mode) == 0o600

    second = _start(up.data_dir, free_ports(1)[0], _three_ports_in_a_row())
    assert second.process.wait(timeout=30) == 20
    family = up.family()
    assert len(family) >= 2
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=30) == 0
    assert _everybody_gone(family, 1)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert not any(port_is_taken(port) for port in (up.port, *(up.storage_port + offset for offset in range(3))))
    assert f"already running at {up.address}" in "".join(second.lines)


def test_after_a_kill_everything_ends_and_the_next_start_is_quick_and_finds_its_keys(up: Up) -> None:
    up.wait_until_ready()
    secrets = {path: path.read_bytes() for path in (up.data_dir / "keys").rglob("*") if path.is_file()}
    family = up.family()
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    assert _everybody_gone(family, 5)

    again = _start(up.data_dir, up.port, up.storage_port)
    try:
        again.wait_until_ready()
        assert _status(f"{up.address}/api/health/live") == 200
        assert {path: path.read_bytes() for path in secrets} == secrets
    finally:
        end_process_tree(again.process, grace_seconds=20)


def test_what_ends_by_itself_is_started_again(up: Up) -> None:
    up.wait_until_ready()
    before = up.family()
    azurite = next(pid for pid in before if b"azurite" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(azurite, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not (any("Azurite ended by itself" in line for line in up.lines) and port_is_taken(up.storage_port)):
        assert time.monotonic() < deadline, "".join(up.lines)
        time.sleep(0.1)
    assert up.process.poll() is None
