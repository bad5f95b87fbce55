"""One small real model, fitted once, and instances of the registry around it."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.configuration import default_configuration
from shared.database.alerts import Alerts
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.database.work import WorkRows
from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import FolderLocation
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from shared.registry.build import build_package
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.serving import Serving
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.settings import Settings
from tests.databases import set_up
from tests.registry.registry_support import Clock, Instance

DEMO_DAY = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> RoutingModel:
    """A model of 120 demo items."""
    folder = tmp_path_factory.mktemp("demo")
    generate_demo(folder / "source", items=120, seed=7)
    snapshot = extract(load_profile("demo"), FolderLocation(folder / "source"), folder / "snapshots", now=DEMO_DAY)
    return fit_model(snapshot, default_configuration())


@pytest.fixture(scope="session")
def shared_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Keys that signed the package below; tests read them and change nothing."""
    keys = Keys(tmp_path_factory.mktemp("keys"))
    keys.ensure()
    return keys


@pytest.fixture(scope="session")
def built(model: RoutingModel, shared_keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed package folder named `pilot`; tests copy it and leave it as it is."""
    folder = tmp_path_factory.mktemp("built") / "pilot"
    build_package(model, folder, version="pilot", keys=shared_keys, job_id="job_1", metrics={"mae": 1.5})
    return folder


@pytest.fixture(scope="session")
def made(model: RoutingModel, shared_keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives the package of a version, built once for all tests, which leave it as it is."""
    top = tmp_path_factory.mktemp("made")

    def make(version: str) -> Path:
        if not (top / version).exists():
            build_package(model, top / version, version=version, keys=shared_keys)
        return top / version

    return make


@pytest.fixture
def package(built: Path, tmp_path: Path) -> Path:
    """A copy of the package that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "incoming" / "pilot"))


@pytest.fixture
def instance(tmp_path: Path, model: RoutingModel, shared_keys: Keys, made: Callable[[str], Path]) -> Iterator[Instance]:
    """A fresh instance that trusts the session's signing key."""
    settings = Settings(data_dir=tmp_path / "data", active_poll_seconds=0.05, package_deadline_hours=2.0)
    set_up(settings.database)
    engine = make_engine(settings.database)
    clock = Clock()
    versions, alerts = ModelVersions(engine, clock), Alerts(engine, clock)
    keys = Keys(settings.keys)
    keys.trust(shared_keys.ensure().public, label="test")

    def build_another(version: str) -> Path:
        folder = tmp_path / "builds" / version
        build_package(model, folder, version=version, keys=shared_keys)
        return folder

    serving = Serving(settings, versions, alerts, keys=keys)
    yield Instance(
        settings=settings,
        engine=engine,
        clock=clock,
        keys=keys,
        versions=versions,
        alerts=alerts,
        work=WorkRows(engine, clock=clock),
        store=ModelStore(settings.models),
        installer=Installer(settings, engine, keys=keys, clock=clock),
        lifecycle=Lifecycle(settings, versions, keys=keys),
        serving=serving,
        package_of=made,
        build_another=build_another,
    )
    serving.stop()
    engine.dispose()
