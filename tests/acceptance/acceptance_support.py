"""A real instance: `manage.py up` as a user types it, asked over HTTP, killed as a power cut would."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from shared.platform import free_ports

PROJECT = Path(__file__).resolve().parents[2]
READY_SECONDS = 180.0
OUTCOME_SECONDS = 120.0


@dataclass
class RunningInstance:
    """One data directory, and the processes that serve it."""

    data_dir: Path
    port: int
    storage_port: int
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)  # beside that of the tests
    process: subprocess.Popen[str] | None = None
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        self.output = self.data_dir.parent / f"{self.data_dir.name}.out"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self, *, wants_model: bool = True) -> float:
        """Start and wait until it answers; return the seconds that took."""
        started = time.monotonic()
        command = [sys.executable, "manage.py", "up", "--host", "embedded", *self.options, "--port", str(self.port)]
        command += ["--storage-port", str(self.storage_port), "--data-dir", str(self.data_dir)]
        with self.output.open("a", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                command, cwd=PROJECT, stdout=out, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        path = "/api/health/ready" if wants_model else "/api/health/live"
        while time.monotonic() - started < READY_SECONDS:
            if self.process.poll() is not None:
                raise AssertionError(f"up ended with {self.process.returncode}:\n{self.told()}")
            try:
                if httpx.get(f"{self.address}{path}", timeout=5).status_code == 200:
                    return time.monotonic() - started
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready within {READY_SECONDS} s:\n{self.told()}")

    def lines(self) -> list[str]:
        """The lines it printed."""
        return [line.strip() for line in self.output.read_text(encoding="utf-8", errors="replace").splitlines()]

    def told(self) -> str:
        """What it printed, and the end of its logs."""
        texts = [self.output.read_text(encoding="utf-8", errors="replace")[-4000:]]
        for log in sorted((self.data_dir / "logs").glob("*.log")) if (self.data_dir / "logs").is_dir() else []:
            texts.append(f"--- {log.name}\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")
        return "\n".join(texts)

    def log_lines(self) -> list[str]:
        """The lines that all of its processes wrote into their logs."""
        logs = sorted((self.data_dir / "logs").glob("*.log"))
        return [line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]

    def members(self) -> list[int]:
        """Every process that works for this data directory."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            own = str(self.data_dir).encode()
            if (own in command or b"ROUTING_DATA_DIR=" + own in environment) and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def kill_everything(self) -> None:
        """As a power cut: every process at once, none gets a word in."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)
        self.wait_gone()

    def wait_gone(self, seconds: float = 8.0) -> None:
        deadline = time.monotonic() + seconds
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not self.members(), [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in self.members()]

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command line command of this instance."""
        command = [sys.executable, "manage.py", *words, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)

    @property
    def key(self) -> str:
        return (self.data_dir / "keys" / "administrator.key").read_text().strip()

    @property
    def master_key(self) -> str:
        import json

        return str(json.loads((self.data_dir / "funchost" / "host-keys.json").read_text())["masterKey"])

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.address}/api/{path}", timeout=30)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def post(self, path: str, body: Any = None, *, status: int = 202) -> Any:
        answer = httpx.post(f"{self.address}/api/{path}", json=body, headers={"x-api-key": self.key}, timeout=60)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.json()

    def fire(self, function: str) -> None:
        """Fire a function by hand, as an operator would."""
        answer = httpx.post(
            f"{self.address}/admin/functions/{function}",
            json={},
            headers={"x-functions-key": self.master_key},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text

    def predict(self, code: str, **options: Any) -> httpx.Response:
        body = {"items": [{"item_code": code}], **options}
        return httpx.post(f"{self.address}/api/predictions", json=body, timeout=30)


def eventually(ask: Callable[[], Any], seconds: float = OUTCOME_SECONDS) -> Any:
    """Return the first true answer of `ask`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing came within {seconds} s")
        time.sleep(0.2)


def consecutive_ports() -> tuple[int, int]:
    """Return a port, and the first of three free ones in a row."""
    import socket

    while True:
        first = free_ports(1)[0]
        if first > 65000:
            continue
        try:
            for offset in range(1, 5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        return first, first + 2
