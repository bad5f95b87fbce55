"""A small real instance to be broken: Azurite, the embedded host with its workers, SQLite or PostgreSQL.

The factory is tiny and the times are short (a lease of 4 s, a sweep a second, a lost bell after 2 s), so that many
rounds can be played; everything else is the product as it runs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import httpx

from benchmarks.faults.points import POINTS
from shared.azurite.account import StorageAccount
from shared.azurite.service import Azurite, start_azurite, wait_until_ready
from shared.bootstrap import Services
from shared.erp.demo.changes import change_demo
from shared.platform import end_process_tree, free_ports, start_child
from shared.settings import PROJECT_DIR, Settings

HOOK = Path(__file__).parent / "hook"
LEASE_SECONDS = 4.0
READ_AT = datetime(2026, 7, 1, tzinfo=UTC)  # the demo factory's export ends the day before
LATER_DAYS = 5  # in each of which about 40 orders end
SHORT_TIMES = {
    "ROUTING_LEASE_SECONDS": str(LEASE_SECONDS),
    "ROUTING_HEARTBEAT_SECONDS": "1",
    "ROUTING_SWEEP_SCHEDULE": "* * * * * *",
    "ROUTING_EXTRACT_SCHEDULE": "0 0 0 1 1 *",
    "ROUTING_QUALITY_SCHEDULE": "0 0 0 1 1 *",
    "ROUTING_TRAINING_SCHEDULE": "0 0 0 1 1 *",
    "FUNCHOST_MESSAGE_VISIBILITY": "5",
    "CRASH_RING_AFTER": "2",
}


@dataclass
class Instance:
    """One data directory and the processes that serve it."""

    folder: Path
    database_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    account: StorageAccount = field(default_factory=StorageAccount.random)
    azurite: Azurite | None = None
    host: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None

    def __post_init__(self) -> None:
        self.data_dir = self.folder / "data"
        self.armed = self.folder / "armed"
        self.armed.mkdir(parents=True, exist_ok=True)
        self.ports = free_ports(3)
        self.port = free_ports(1)[0]
        self.settings = Settings(
            data_dir=self.data_dir,
            database_url=self.database_url,
            lease_seconds=LEASE_SECONDS,  # the host's own: it takes a longer one for a clock that was set back
            heartbeat_seconds=1.0,
            ROUTING_STORAGE_CONNECTION=self.account.connection_string(self.ports),
        )
        self.services = Services(self.settings)

    # -- processes

    def start_storage(self) -> None:
        """Start Azurite and wait for it."""
        self.azurite = start_azurite(self.folder / "azurite", self.account, self.ports)
        wait_until_ready(self.azurite)

    def start_host(self, more: Mapping[str, str] | None = None) -> None:
        """Start the host and wait until it answers; `more` is added to its environment."""
        points = self.folder / "points.json"
        points.write_text(json.dumps({point.name: point.as_json() for point in POINTS}))
        environment = {
            **os.environ,
            **SHORT_TIMES,
            **self.environment,
            "ROUTING_DATA_DIR": str(self.data_dir),
            "ROUTING_MODELS_DIR": str(self.settings.models),
            "ROUTING_DATABASE_URL": self.database_url,
            "AzureWebJobsStorage": self.account.connection_string(self.ports),
            "AzureFunctionsWebHost__hostid": "faults",
            "CRASH_POINTS": str(points),
            "CRASH_FOLDER": str(self.armed),
            "PYTHONPATH": os.pathsep.join((str(PROJECT_DIR), str(HOOK))),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **(more or {}),
        }
        words = [sys.executable, "-m", "funchost", "--app-dir", str(PROJECT_DIR), "--port", str(self.port)]
        words += ["--state-dir", str(self.folder / "host"), "--host", "127.0.0.1"]
        self._log = (self.folder / "host.log").open("ab")
        self.host = start_child(words, env=environment, cwd=PROJECT_DIR, stdout=self._log, stderr=self._log)
        self.eventually(self.is_alive, 60, "the host answers")

    def stop(self) -> None:
        """End everything."""
        if self.host is not None:
            end_process_tree(self.host, grace_seconds=0)
        if self.azurite is not None:
            self.azurite.stop(grace_seconds=0)
        if self._log is not None:
            self._log.close()
        self.services.engine.dispose()

    def set_storage_back(self, copy: Path) -> None:
        """Kill Azurite and start it on `copy` of its data."""
        assert self.azurite is not None
        os.kill(self.azurite.process.pid, signal.SIGKILL)
        self.azurite.process.wait(10)
        shutil.rmtree(self.folder / "azurite")
        shutil.copytree(copy, self.folder / "azurite")
        self.start_storage()

    # -- asking

    @property
    def address(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def key(self) -> str:
        """The administrator's key."""
        return self.settings.administrator_key.read_text().strip()

    def is_alive(self) -> bool:
        """Whether the API answers."""
        try:
            return httpx.get(f"{self.address}/health/live", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        """Send a request; None where the connection broke before an answer came."""
        try:
            return httpx.request(
                method, f"{self.address}/{path}", json=body, headers={"x-api-key": self.key}, timeout=30
            )
        except httpx.HTTPError:
            return None

    def arm(self, name: str, nth: int = 1) -> None:
        """Let the next process that comes to this point die."""
        (self.armed / name).write_text(str(nth))

    def is_armed(self, name: str) -> bool:
        """Whether nobody has come to this point yet."""
        return (self.armed / name).exists()

    def eventually(self, ask: Callable[[], Any], seconds: float, what: str) -> Any:
        """Return the first true answer of `ask`; the host is started again meanwhile where it has died."""
        deadline = time.monotonic() + seconds
        while True:
            answer = ask()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s: {what}")
            if self.host is not None and self.host.poll() is not None:
                self.start_host()
            time.sleep(0.05)

    def go_on(self) -> None:
        """Let the factory work for some more days, and read it: orders that no model has learned from."""
        change_demo(self.settings.source_folder, days=LATER_DAYS)
        self.services.snapshots.take_now(reason="later orders")

    def children(self) -> list[int]:
        """The training children of this instance."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"shared.training.child" in line and str(self.data_dir).encode() in line:
                    found.append(int(entry.name))
        return found

    def left_lying(self) -> list[str]:
        """What a finished job must not leave: children, folders of attempts, packages half-way."""
        found = [f"child {pid}" for pid in self.children()]
        for name in ("staging", "quarantine"):
            folder = self.data_dir / name
            found += [f"{name}/{entry.name}" for entry in folder.iterdir()] if folder.is_dir() else []
        return found


def make_instance(folder: Path, database_url: str = "") -> Instance:
    """Return an instance with a tiny factory, an active model of the day after its export; nothing runs yet."""
    from tests.training.training_plant import build_plant

    build_plant(folder / "data", database_url=database_url, read_at=READ_AT)
    instance = Instance(folder, database_url)
    services = Services(instance.settings)
    services.settings.administrator_key.write_text("the-key-of-the-faults-benchmark")
    services.api_keys.adopt_file(by="benchmark")
    services.engine.dispose()
    return instance
