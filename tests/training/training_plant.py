"""Training jobs over a real database, real packages and real child processes; run as a program, one worker of them."""

import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from shared.clock import utc_now
from shared.configuration import Configuration, default_configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.database.tables import TrainingJob, VersionState
from shared.database.work import WorkRows
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.signing import Keys
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.training.activation import AutoActivation
from shared.training.jobs import TrainingJobs
from tests.databases import set_up

FIRST = "version_first"
ITEMS = 100


@dataclass
class Bells:
    """Stands in for queue storage, which these tests do not need: remembers what was rung."""

    rung: list[str] = field(default_factory=list)

    def try_ring(self, queue: str, ids: list[str], *, delay_seconds: float = 0.0) -> list[str]:
        self.rung += list(ids)
        return list(ids)


@dataclass
class Plant:
    """One data directory with everything that training touches."""

    settings: Settings
    engine: Engine
    work: WorkRows
    jobs: TrainingJobs
    versions: ModelVersions
    snapshots: Snapshots
    installer: Installer
    configuration: ConfigurationStore
    alerts: Alerts
    bells: Bells
    keys: Keys

    def job(self, job_id: str) -> TrainingJob:
        return self.work.get(TrainingJob, job_id)

    def version_names(self) -> list[str]:
        return sorted(row.version for row in self.versions.list()[0])

    def staged(self) -> list[str]:
        folder = self.settings.data_dir / "staging"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def open_plant(
    data_dir: Path, *, lease_seconds: float = 30.0, budget_seconds: float = 300.0, database_url: str = ""
) -> Plant:
    settings = Settings(
        data_dir=data_dir,
        database_url=database_url,
        models_dir=data_dir / "models",
        lease_seconds=lease_seconds,
        heartbeat_seconds=min(10.0, lease_seconds / 3),
        training_budget_seconds=budget_seconds,
    )
    engine = make_engine(settings.database)
    work, alerts, configuration = WorkRows(engine), Alerts(engine), ConfigurationStore(engine)
    bells, keys, versions = Bells(), Keys(settings.keys), ModelVersions(engine)
    snapshots = Snapshots(settings, engine, work, bells)  # type: ignore[arg-type]
    installer = Installer(settings, engine, keys=keys)
    jobs = TrainingJobs(
        settings=settings,
        work=work,
        doorbells=bells,  # type: ignore[arg-type]
        configuration=configuration,
        snapshots=snapshots,
        versions=versions,
        registrations=installer,
        alerts=alerts,
        activation=AutoActivation(Lifecycle(settings, versions, keys=keys), versions, configuration),
    )
    return Plant(settings, engine, work, jobs, versions, snapshots, installer, configuration, alerts, bells, keys)


def build_plant(data_dir: Path, *, database_url: str = "", read_at: datetime | None = None) -> None:
    """Make the data directory that every test starts from a copy of: demo source, snapshot, an active first model.

    The first model's data were read at `read_at`, now unless given.
    """
    from shared.erp.demo.generate import generate_demo
    from shared.training.direct import train_now

    plant = open_plant(data_dir, database_url=database_url)
    set_up(plant.settings.database)
    generate_demo(plant.settings.source_folder, items=ITEMS, seed=42)
    plant.keys.ensure()
    clock = utc_now if read_at is None else lambda: read_at
    snapshots = Snapshots(plant.settings, plant.engine, plant.work, plant.bells, clock)  # type: ignore[arg-type]
    snapshot = snapshots.take_now(reason="a test")
    folder = data_dir / "first"
    train_now(snapshot, configuration(), folder, version=FIRST, keys=plant.keys, evaluate=False)
    plant.installer.register_local(folder, actor="a test", reason="the first")
    plant.versions.transition(FIRST, VersionState.ACTIVE, actor="a test", reason="the first")
    plant.engine.dispose()


def configuration() -> Configuration:
    return default_configuration()


if __name__ == "__main__":
    open_plant(Path(sys.argv[1]), lease_seconds=float(sys.argv[3])).jobs.run(sys.argv[2])
