"""The app as it runs: the embedded host with its workers and Azurite, an empty installation, one key for each role."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.azurite.service import Azurite
from shared.bootstrap import Services
from shared.identity.callers import Role
from shared.settings import Settings
from tests.conformance.hosts import PROJECT, EmbeddedHost

NEVER = "0 0 0 1 1 *"


@dataclass(frozen=True)
class RunningApp:
    """Where it answers, and the keys to it by role."""

    host: EmbeddedHost
    services: Services
    keys: dict[str, str]

    @property
    def url(self) -> str:
        return self.host.url


@pytest.fixture(scope="session")
def app(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """One running instance for all tests of this folder."""
    folder = tmp_path_factory.mktemp("access")
    settings = Settings(data_dir=folder / "data", ROUTING_STORAGE_CONNECTION=azurite.connection_string)
    services = Services(settings)
    schedules = {f"ROUTING_{what}_SCHEDULE": NEVER for what in ("EXTRACT", "QUALITY", "TRAINING", "SWEEP")}
    environment = {
        **os.environ,
        **schedules,
        "ROUTING_DATA_DIR": str(settings.data_dir),
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureFunctionsWebHost__hostid": "access",
        "RECORD": str(folder / "record"),
    }
    prepared = [sys.executable, "-m", "launcher.preparation"]
    subprocess.run(prepared, env=environment, cwd=PROJECT, check=True, capture_output=True, timeout=120)
    keys = {role.value: services.api_keys.make(f"the {role}", role, by="test").text for role in Role}
    state = ["--state-dir", str(folder / "host"), "--host", "127.0.0.1"]
    running = EmbeddedHost(_app_folder(folder), 1, environment, state)
    try:
        yield RunningApp(running.wait_ready(), services, keys)
    finally:
        running.stop()
        services.engine.dispose()


def _app_folder(folder: Path) -> Path:
    """Return a folder whose app is the product's, and whose log files are a test's."""
    app = folder / "app"
    app.mkdir()
    for name in ("host.json", "local.settings.json", "function_app.py"):
        (app / name).write_bytes((PROJECT / name).read_bytes())
    return app
