"""`manage.py up` for real: it starts, is alone on its data directory, and takes everything along when it ends."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from launcher.asking import answer_status
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, missing_for_azurite
from shared.errors import StorageUnavailable
from shared.platform import end_process_tree, free_ports, port_is_taken, process_identity
from shared.storage.clients import Storage
from shared.storage.packages import Packages
from shared.storage.signatures import UploadSignatures

PROJECT_DIR = Path(__file__).resolve().parents[2]
READY_SECONDS = 180


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

    def wait_for_line(self, words: str, *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not any(words in line for line in self.lines):
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.05)

    def command(self, *words: str) -> str:
        """Run another command of the instance's data directory and return what it said."""
        done = subprocess.run(
            [sys.executable, str(PROJECT_DIR / "manage.py"), "--data-dir", str(self.data_dir), *words],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def storage_keys(self) -> list[str]:
        kept = json.loads((self.data_dir / "keys" / "storage.json").read_bytes())
        return [key["key"] for key in kept["keys"]]

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


def _start(data_dir: Path, port: int, storage_port: int, **more: str) -> Up:
    words = ["up", "--no-demo", "--port", port, "--storage-port", storage_port, "--data-dir", data_dir]
    process = subprocess.Popen(
        [sys.executable, str(PROJECT_DIR / "manage.py"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=data_dir.parent,
        env={**os.environ, **more},
        start_new_session=True,
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


def _everything_told(up: Up) -> dict[str, str]:
    """Return whatever a person, another user of the machine or a log collector may read of an instance."""
    told = {"console": "".join(up.lines), "status": up.command("storage", "status")}
    told |= {"settings": up.command("settings", "--json"), "health": json.dumps(_health(up))}
    for path in ("metrics", "openapi.json", "models", "registrations", "config"):
        with urllib.request.urlopen(f"{up.address}/api/{path}", timeout=10) as answer:
            told[path] = answer.read().decode()
    for pid in up.family():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            told[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    files = [file for file in up.data_dir.rglob("*") if file.is_file() and file.parent.name in ("logs", "run")]
    assert len(files) > 4
    return told | {str(file): file.read_bytes().decode(errors="replace") for file in files}


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
    assert answer_status(f"{up.address}/api/health/ready") == 503  # there is no model
    for name in ("administrator.key", "storage.json"):
        assert stat.S_IMODE((up.data_dir / "keys" / name).stat().st_mode) == 0o600
    told, (storage_key,) = _everything_told(up), up.storage_keys()
    for secret in (storage_key, (up.data_dir / "keys" / "administrator.key").read_text().strip()):
        assert len(secret) >= 43
        assert [where for where, text in told.items() if secret in text] == []

    second = _start(up.data_dir, free_ports(1)[0], _three_ports_in_a_row())
    assert second.process.wait(timeout=60) == 20
    family = up.family()
    assert len(family) >= 2
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    os.killpg(up.process.pid, signal.SIGINT)  # as a terminal sends it
    assert up.process.wait(timeout=60) == 0
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
    deadline = time.monotonic() + 60
    while not (any("Azurite ended by itself" in line for line in up.lines) and port_is_taken(up.storage_port)):
        assert time.monotonic() < deadline, "".join(up.lines)
        time.sleep(0.1)
    assert up.process.poll() is None
    _storage_takes_new_keys(up)


def _storage_takes_new_keys(up: Up) -> None:
    """First beside the old key, with the host left alone; then at once, with the host started again."""
    account = StorageAccount.kept_in(up.data_dir / "keys" / "storage.json")
    (old,) = up.storage_keys()
    host = json.loads((up.data_dir / "run" / "host.json").read_bytes())["pid"]
    connection = account.connection_string(range(up.storage_port, up.storage_port + 3))
    storage = Storage(connection)
    storage.ping()
    url = UploadSignatures(storage, Packages(storage), up.data_dir / "run" / "test.lock").make(hours=1).url
    assert "has a new key" in up.command("storage", "rotate")
    new, kept = up.storage_keys()
    assert kept == old
    assert new != old
    for key in (old, new):
        Storage(connection.replace(old, key)).ping()
    assert json.loads((up.data_dir / "run" / "host.json").read_bytes())["pid"] == host
    assert _health(up)["parts"]["storage"]["status"] == "up"

    up.command("storage", "rotate", "--at-once")
    up.wait_for_line("the host is started again")
    (newest,) = up.storage_keys()
    Storage(connection.replace(old, newest)).ping()
    for key in (old, new):
        with pytest.raises(StorageUnavailable, match="refused"):
            Storage(connection.replace(old, key)).ping()
    deadline = time.monotonic() + 60
    while _health(up).get("parts", {}).get("storage", {}).get("status") != "up":
        assert time.monotonic() < deadline, "".join(up.lines)
        time.sleep(0.1)
    with pytest.raises(HttpResponseError) as refusal:
        ContainerClient.from_container_url(url, retry_total=0).upload_blob("x", b"")
    assert refusal.value.status_code == 403
    assert "host ended by itself" not in "".join(up.lines)


@pytest.mark.azurite
def test_storage_from_elsewhere_is_used_and_none_is_started(tmp_path: Path, azurite: Azurite) -> None:
    """So with an Azure account, or one Azurite for several instances: its ports stay free, its account is not ours."""
    storage_port = _three_ports_in_a_row()
    up = _start(tmp_path / "data", free_ports(1)[0], storage_port, AzureWebJobsStorage=azurite.connection_string)
    try:
        up.wait_until_ready()
        assert "storage from elsewhere" in "".join(up.lines)
        assert not any(port_is_taken(storage_port + offset) for offset in range(3))
        assert _health(up)["parts"]["storage"]["status"] == "up"
        assert not (up.data_dir / "keys" / "storage.json").exists()
        with Storage(azurite.connection_string).queues as queues:
            assert "model-registrations" in {queue.name for queue in queues.list_queues()}
    finally:
        end_process_tree(up.process, grace_seconds=20)


def _health(up: Up) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"{up.address}/api/health", timeout=10) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))
    except OSError:
        return {}
