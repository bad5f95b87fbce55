"""Every function of the app does in Microsoft's own runtime what it does in this project's host."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.places import Place
from launcher.preparation import ensure_administrator_key
from shared import first_light
from shared.azurite.account import StorageAccount
from shared.azurite.service import start_azurite, wait_until_ready
from shared.bootstrap import Services
from shared.database.engine import migrate
from shared.database.work import WORK_TABLES
from shared.identity.callers import Role
from shared.platform import free_ports
from shared.prediction.package import load_model
from shared.registry.build import build_package
from shared.registry.manifest import parse_manifest
from shared.registry.safe_loading import PackageReader
from shared.settings import Settings
from tests.conformance.app_sides import LocalSide, MicrosoftSide, Routes, Storages, write_app_folder
from tests.conformance.app_story import Telling, differences
from tests.conformance.hosts import MASTER, PROJECT, EmbeddedHost
from tests.conformance.microsoft import MicrosoftRuntime, need_microsoft
from tests.conformance.scenarios import scenario

NOWHERE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;" + ";".join(
    f"{kind}Endpoint=http://127.0.0.1:9/a" for kind in ("Blob", "Queue", "Table")
)
NEVER = "0 0 1 1 1 *"
SCHEDULES = {f"ROUTING_{what}_SCHEDULE": NEVER for what in ("EXTRACT", "QUALITY", "TRAINING", "SWEEP")}


@dataclass(frozen=True)
class Installation:
    """A small factory with an active model and a pending one, copied for each side, and a package not yet dropped."""

    data_dir: Path
    version: str
    package: Path
    administrator_key: str
    auditor_key: str


@pytest.fixture(scope="module", autouse=True)
def _needs_the_runtime() -> None:
    need_microsoft()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    data_dir = folder / "data"
    place = Place(data_dir=data_dir)
    data_dir.mkdir()
    ensure_administrator_key(place)
    services = Services(Settings(data_dir=data_dir, ROUTING_STORAGE_CONNECTION=NOWHERE))
    migrate(services.settings.database)
    services.keys.ensure()
    services.session_secrets.ensure()
    services.api_keys.adopt_file(by="test")
    auditor = services.api_keys.make("audrey", Role.AUDITOR, by="test").text
    with pytest.MonkeyPatch.context() as small:
        small.setattr(first_light, "DEMO_ITEMS", 100)
        version = first_light.make_first_model(services, lambda _percent, _step: None)
    installed = services.settings.models / version
    reader = PackageReader.of(installed, parse_manifest((installed / "manifest.json").read_bytes()))
    model = load_model(reader)
    for name in ("second", "third"):
        build_package(model, folder / name, version=name, keys=services.keys)
    services.registrations.register_local(folder / "third", actor="test", reason="for a test")
    services.engine.dispose()
    return Installation(data_dir, version, folder / "second", place.administrator_key.read_text().strip(), auditor)


@pytest.fixture
def storages(tmp_path: Path) -> Iterator[Storages]:
    """Storage of these tests' own: hosts of other tests listen to queues of the same names."""
    azurite = start_azurite(tmp_path / "azurite", StorageAccount.random(), free_ports(3))
    wait_until_ready(azurite)
    storages = Storages(connection_string=azurite.connection_string)
    yield storages
    storages.close()
    azurite.stop()


def _environment(data_dir: Path, storages: Storages) -> dict[str, str]:
    """Return an instance's surroundings, with its places in storage made and empty."""
    services = Services(Settings(data_dir=data_dir, ROUTING_STORAGE_CONNECTION=storages.connection_string))
    services.packages.ensure_container()
    for queue in WORK_TABLES:
        services.doorbells.ensure(queue)
    services.engine.dispose()
    for waiting in storages.queues.list_queues():
        storages.queues.get_queue_client(waiting.name).clear_messages()
    dropped = storages.blobs.get_container_client("model-drop")
    for blob in dropped.list_blobs():
        dropped.delete_blob(blob.name)
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        **SCHEDULES,
        "ROUTING_DATA_DIR": str(data_dir),
        "AzureWebJobsStorage": storages.connection_string,
    }


@pytest.mark.azurite
@pytest.mark.slow
@scenario(48)
def test_every_function_does_the_same_in_both(installation: Installation, storages: Storages, tmp_path: Path) -> None:
    data_dir = Path(shutil.copytree(installation.data_dir, tmp_path / "theirs"))
    runtime = MicrosoftRuntime(PROJECT, _environment(data_dir, storages), tmp_path / "microsoft.log")
    try:
        functions = runtime.load()["functions"]
        routes = Routes.of(functions)
        theirs = _telling(MicrosoftSide(runtime, routes, storages, installation.administrator_key), installation)
        theirs.whole_day()
    finally:
        runtime.close()
    assert theirs.asked == {one["name"] for one in functions}

    data_dir = Path(shutil.copytree(installation.data_dir, tmp_path / "ours"))
    environment = {
        **_environment(data_dir, storages), "PYTHONPATH": str(PROJECT), "FUNCHOST_MASTER_KEY": MASTER,
        "FUNCHOST_BLOB_SCAN_SECONDS": "0.3", "FUNCHOST_SPARE_AFTER_SECONDS": "0",
        "AzureFunctionsWebHost__hostid": "beside-microsoft", "RECORD": str(tmp_path / "record"),
    }  # fmt: skip
    app = write_app_folder(tmp_path / "app", PROJECT)
    host = EmbeddedHost(app, 1, environment, ["--state-dir", str(tmp_path / "host"), "--host", "127.0.0.1"])
    try:
        host.wait_ready()
        ours = _telling(LocalSide(host, routes, storages, installation.administrator_key, MASTER), installation)
        ours.whole_day()
    finally:
        host.stop()
    assert differences(theirs.seen, ours.seen) == []


def _telling(side: MicrosoftSide | LocalSide, installation: Installation) -> Telling:
    return Telling(
        side, installation.administrator_key, installation.auditor_key, installation.version, installation.package
    )
