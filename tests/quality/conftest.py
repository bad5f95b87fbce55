"""A small demo factory with a fitted model, and quality cycles over a real database file."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.clock import utc_now
from shared.configuration import default_configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.engine import make_engine, writing
from shared.database.tables import ModelEvent, VersionState
from shared.database.work import WorkRows
from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.errors import Conflict, NoActiveModel, NotFound
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from shared.quality.cycle import AfterCycle, QualityCycles
from shared.settings import Settings
from tests.databases import set_up


@pytest.fixture(scope="session")
def demo_snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("quality-demo")
    generate_demo(folder / "source", items=200, seed=42)
    return extract(load_profile("demo"), FolderLocation(folder / "source"), folder / "snapshots", now=utc_now())


@pytest.fixture(scope="session")
def demo_model(demo_snapshot: Snapshot) -> RoutingModel:
    return fit_model(demo_snapshot, default_configuration())


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("quality-database") / "routing.db"
    set_up(f"sqlite:///{file.as_posix()}")
    return file


@dataclass
class Bells:
    """Stands in for queue storage, which these tests do not need: remembers what was rung."""

    rung: list[tuple[str, str]] = field(default_factory=list)

    def try_ring(self, queue: str, ids: list[str], *, delay_seconds: float = 0.0) -> list[str]:
        self.rung += [(queue, one) for one in ids]
        return list(ids)


@dataclass
class Ward:
    """Quality cycles and all that they stand on."""

    cycles: QualityCycles
    work: WorkRows
    engine: Engine
    alerts: Alerts
    configuration: ConfigurationStore
    bells: Bells
    asked_for: list[tuple[str, str]]
    served: Any
    snapshot: Snapshot | None
    refuse: Conflict | None = None

    def current(self) -> Snapshot:
        if self.snapshot is None:
            raise NotFound("There is no snapshot.")
        return self.snapshot

    def active(self) -> Any:
        if self.served is None:
            raise NoActiveModel("No version is active.")
        return self.served

    def request_retraining(self, reason: str, cycle_id: str) -> None:
        self.asked_for.append((reason, cycle_id))
        if self.refuse is not None:
            raise self.refuse


@dataclass(frozen=True)
class Served:
    version: str
    model: Any


def make_ward(
    folder: Path, engine: Engine, snapshot: Snapshot, model: RoutingModel, hooks: tuple[AfterCycle, ...] = ()
) -> Ward:
    """Return a ward on a migrated database; one more on the same database is another worker."""
    work, alerts, configuration = WorkRows(engine), Alerts(engine), ConfigurationStore(engine)
    bells = Bells()
    asked: list[tuple[str, str]] = []
    made = Ward(
        cycles=None,  # type: ignore[arg-type]
        work=work,
        engine=engine,
        alerts=alerts,
        configuration=configuration,
        bells=bells,
        asked_for=asked,
        served=Served("version_test", model),
        snapshot=snapshot,
    )
    made.cycles = QualityCycles(
        settings=Settings(data_dir=folder, heartbeat_seconds=0.2, lease_seconds=30),
        engine=engine,
        work=work,
        doorbells=bells,  # type: ignore[arg-type]
        snapshots=made,  # type: ignore[arg-type]
        configuration=configuration,
        alerts=alerts,
        serving=made,
        request_retraining=made.request_retraining,
        after_cycle=hooks,
    )
    return made


@pytest.fixture
def ward(tmp_path: Path, empty_database: Path, demo_snapshot: Snapshot, demo_model: RoutingModel) -> Iterator[Ward]:
    file = shutil.copy(empty_database, tmp_path / "routing.db")
    engine = make_engine(f"sqlite:///{Path(file).as_posix()}")
    yield make_ward(tmp_path, engine, demo_snapshot, demo_model)
    engine.dispose()


@dataclass
class Older:
    """A model whose data ended earlier, so that later orders are unseen."""

    model: RoutingModel
    data_as_of: datetime

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


def activate(ward: Ward, version: str, at: datetime) -> int:
    """Let a version become active in the event log; return the event's id."""
    with writing(ward.engine) as session:
        event = ModelEvent(version=version, to_state=VersionState.ACTIVE, actor="a test", at=at)
        session.add(event)
        session.flush()
        assert event.id is not None
        return event.id


def forget_the_last_400_days(ward: Ward) -> None:
    """Let the ward serve a model that knows no order of the last 400 days."""
    assert ward.snapshot is not None
    model = ward.served.model
    newest: Any = ward.snapshot.work_results()["reported_at"].max()
    ended = model.data_as_of - (model.data_as_of.date() - newest) - timedelta(days=400)
    ward.served = Served("version_old", Older(model, ended))


@pytest.fixture
def unseen(ward: Ward, demo_model: RoutingModel) -> Ward:
    """A ward whose active model knows no order of the last 400 days."""
    forget_the_last_400_days(ward)
    activate(ward, "version_old", demo_model.data_as_of)
    return ward
