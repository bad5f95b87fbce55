"""A Functions host that runs an app's folder: this project's, or Microsoft's where `func` is installed.

Whatever a scenario asks of a host stands in `Host`. What only one of them tells (its log's events) stands in that one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from shared.platform import free_ports
from tests.conformance.account import Account

PROJECT = Path(__file__).resolve().parent.parent.parent
MASTER = "the-master-key"
HOST_KEY = "the-key-of-all-functions"
KINDS = ("embedded", "core-tools")
ASKED_ELSEWHERE = "asked of the embedded host only"  # begins the reason of each skip under another kind


def eventually(question: Callable[[], Any], *, seconds: float = 10.0, every: float = 0.05) -> Any:
    """Ask until the answer is true and return it; the last answer when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(every)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Host:
    """One host process for one app, what it wrote, and what the app's functions recorded."""

    ready_seconds = 30.0

    def __init__(
        self, app_dir: Path, number: int, environment: dict[str, str], command: list[str], *, folder: Path = PROJECT
    ) -> None:
        self.app_dir = app_dir
        self.log_path = app_dir / f"host-{number}.log"
        self.record_path = Path(environment["RECORD"])
        self.url = ""
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def find_address(self) -> str:
        """Where it answers; nothing as long as it does not."""
        raise NotImplementedError

    def wait_ready(self) -> Self:
        self.url = eventually(lambda: self._address_or_end(), seconds=self.ready_seconds)
        assert self.process.poll() is None, self.log_text()
        assert self.url, self.log_text()
        return self

    def _address_or_end(self) -> str:
        return "ended" if self.process.poll() is not None else self.find_address()

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def records(self, what: str | None = None) -> list[dict[str, Any]]:
        """What the app's functions recorded, in the order they did."""
        if not self.record_path.exists():
            return []
        found = [json.loads(line) for line in self.record_path.read_text().splitlines()]
        return [record for record in found if what is None or record["what"] == what]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=15, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, timeout=15, **options)

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(
            method, f"{self.url}/admin/{path}", headers={"x-functions-key": MASTER}, timeout=15, **options
        )

    def refusal(self) -> str:
        """Wait until it has refused to start, and return all that it said."""
        assert eventually(self.has_refused, seconds=self.ready_seconds), self.log_text()
        return self.log_text()

    def has_refused(self) -> bool:
        """Whether it will not run this app."""
        raise NotImplementedError

    def function_key(self, function: str) -> str:
        """A key that opens this one function of level `function`."""
        raise NotImplementedError

    def host_key(self) -> str:
        """A key that opens every function of level `function`."""
        raise NotImplementedError

    def errors_of(self, function: str) -> list[str]:
        """Why the host does not run a function; nothing where it does."""
        errors: list[str] = self.admin("GET", f"functions/{function}/status").json().get("errors", [])
        return errors

    def stop(self, *, seconds: float = 20) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)


class EmbeddedHost(Host):
    """One `python -m funchost`."""

    def __init__(self, app_dir: Path, number: int, environment: dict[str, str], arguments: list[str]) -> None:
        command = [sys.executable, "-m", "funchost", "--app-dir", str(app_dir), "--port", "0", *arguments]
        super().__init__(app_dir, number, environment, command)

    def find_address(self) -> str:
        return "".join(str(event["url"]) for event in self.events("host.ready")[:1])

    def has_refused(self) -> bool:
        return self.process.poll() not in (None, 0)

    def kept_keys(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.app_dir / ".funchost" / "host-keys.json").read_text())
        return document

    def function_key(self, function: str) -> str:
        return str(self.kept_keys()["functions"][function.lower()]["default"])

    def host_key(self) -> str:
        return str(self.kept_keys()["functionKeys"]["default"])

    def log(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for line in self.log_text().splitlines():
            if line.startswith("{"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    continue  # a line that is being written
        return lines

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.log()
            if line["event"] == event and all(line.get(key) == value for key, value in fields.items())
        ]


class CoreToolsHost(Host):
    """One `func start`: Microsoft's host. Written by its documents; where this was made it could not be installed."""

    ready_seconds = 120.0

    def __init__(self, app_dir: Path, number: int, environment: dict[str, str], arguments: list[str]) -> None:
        self._port = free_ports(1)[0]
        command = [
            str(shutil.which("func")), "start", "--port", str(self._port), "--enableAuth", "--no-build", *arguments,
        ]  # fmt: skip
        super().__init__(app_dir, number, environment, command, folder=app_dir)

    def find_address(self) -> str:
        return f"http://127.0.0.1:{self._port}" if self._state() == "Running" else ""

    def has_refused(self) -> bool:
        """It may also go on to run without the app, so that its state can be asked for."""
        return self.process.poll() is not None or self._state() == "Error"

    def _state(self) -> str:
        try:
            address = f"http://127.0.0.1:{self._port}/admin/host/status"
            return str(httpx.get(address, headers={"x-functions-key": MASTER}, timeout=2).json()["state"])
        except (httpx.HTTPError, ValueError, KeyError):
            return ""

    def function_key(self, function: str) -> str:
        return str(self.admin("GET", f"functions/{function}/keys").json()["keys"][0]["value"])

    def host_key(self) -> str:
        return HOST_KEY

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)  # `func` is a launcher: the host and its worker die with it
        self.process.wait(5)


def missing_for(kind: str) -> str | None:
    """What a kind of host needs that this machine lacks; None where it can run."""
    if kind == "core-tools" and shutil.which("func") is None:
        return "Azure Functions Core Tools: no `func` on PATH"
    return None


def leave_keys(account: Account) -> None:
    """Put the keys where Microsoft's host looks for them, so that a test knows the master key it must show."""
    container = account.blobs.get_container_client("azure-webjobs-secrets")
    if not container.exists():
        container.create_container()
    keys = {
        "masterKey": {"name": "master", "value": MASTER, "encrypted": False},
        "functionKeys": [{"name": "default", "value": HOST_KEY, "encrypted": False}],
        "systemKeys": [],
    }
    container.upload_blob(f"{account.host_id}/host.json", json.dumps(keys).encode(), overwrite=True)
