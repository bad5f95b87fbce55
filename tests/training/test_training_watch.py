"""The watch over activations that no person made, on real models: one learned wrong minutes, another did not."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shared.clock import utc_now
from shared.database.tables import AlertState, QualityCycle, VersionState, WorkState
from shared.errors import Conflict
from shared.quality.cycle import QualityCycles
from shared.quality.drift import DriftDiagnosis
from shared.quality.options import CycleOptions
from shared.registry.build import build_package
from shared.registry.lifecycle import Lifecycle
from shared.registry.lineage import Lineage
from shared.registry.verify import verify_folder
from shared.training.activation import ACTOR
from shared.training.direct import train_now
from shared.training.watch import ROLLED_BACK, ActivationWatch
from tests.training.training_plant import FIRST, Plant, configuration, open_plant

WORSE, ALIKE = "version_worse", "version_alike"
RESULTS, MINUTES = "BI_WORK_ORDER_RESULTS", "MACH_WORKED_HOURS"


@pytest.fixture(scope="session")
def watched_template(plant_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plant with two more versions: the first model again, and one that learned from tripled machine hours."""
    folder = Path(shutil.copytree(plant_template, tmp_path_factory.mktemp("watched") / "data"))
    plant = open_plant(folder)
    first = verify_folder(plant.settings.models / FIRST, plant.keys).model
    package = plant.settings.data_dir / f"made-{ALIKE}"
    build_package(first, package, version=ALIKE, keys=plant.keys, parent=FIRST)
    plant.installer.register_local(package, actor="a test", reason="to be watched")
    source = next(plant.settings.source_folder.glob(f"{RESULTS}*.csv"))
    good = source.read_bytes()
    frame = pl.read_csv(source, infer_schema=False)
    tripled = (pl.col(MINUTES).cast(pl.Float64, strict=False) * 3).cast(pl.String)
    frame.with_columns(tripled.alias(MINUTES)).write_csv(source)
    _make(plant, WORSE)
    source.write_bytes(good)
    plant.snapshots.take_now(reason="the source is mended")
    plant.engine.dispose()
    return folder


def _make(plant: Plant, version: str) -> None:
    folder = plant.settings.data_dir / f"made-{version}"
    snapshot = plant.snapshots.take_now(reason="a test")
    train_now(snapshot, configuration(), folder, version=version, keys=plant.keys, evaluate=False, parent=FIRST)
    plant.installer.register_local(folder, actor="a test", reason="to be watched")


@dataclass
class Watched:
    """A plant whose quality cycles watch activations."""

    plant: Plant
    lifecycle: Lifecycle
    cycles: QualityCycles

    def active(self) -> Any:
        """The served model, as the cycles ask for it."""
        row = self.plant.versions.active()
        assert row is not None
        folder = self.plant.settings.models / row.version
        return Served(row.version, verify_folder(folder, self.plant.keys, allow_unsigned=False).model)

    def activate(self, version: str, actor: str = ACTOR) -> None:
        self.lifecycle.activate(version, actor=actor, reason="for the test", details={"job_id": "job_1"})

    def run_cycle(self) -> QualityCycle:
        row = self.cycles.run_now("a test", CycleOptions(sample_size=60, strategy="random", seed=5))
        assert row.state == WorkState.SUCCEEDED, row.error
        return row

    def activations(self) -> list[tuple[str, str]]:
        events = [event for name in self.plant.version_names() for event in self.plant.versions.events(name)]
        found = [event for event in events if event.to_state == VersionState.ACTIVE]
        return [(event.version, event.actor) for event in sorted(found, key=lambda event: event.id or 0)]


@dataclass(frozen=True)
class Served:
    version: str
    model: Any


def _refuse(_reason: str, _cycle_id: str) -> None:
    raise Conflict("Nothing is trained in this test.", reason="a test")


@pytest.fixture
def watched(watched_template: Path, tmp_path: Path) -> Iterator[Watched]:
    plant = open_plant(Path(shutil.copytree(watched_template, tmp_path / "data")))
    watch = ActivationWatch(settings=plant.settings, versions=plant.versions, alerts=plant.alerts, keys=plant.keys)
    lifecycle = Lifecycle(plant.settings, plant.versions, keys=plant.keys)
    made = Watched(plant, lifecycle, cycles=None)  # type: ignore[arg-type]
    made.cycles = QualityCycles(
        settings=plant.settings,
        engine=plant.engine,
        work=plant.work,
        doorbells=plant.bells,  # type: ignore[arg-type]
        snapshots=plant.snapshots,
        configuration=plant.configuration,
        alerts=plant.alerts,
        serving=made,
        request_retraining=_refuse,
        after_cycle=(DriftDiagnosis(plant.alerts), watch),
    )
    yield made
    plant.engine.dispose()


def test_the_first_cycle_that_shows_it_worse_goes_back_once_and_says_so(watched: Watched) -> None:
    watched.activate(WORSE)
    row = watched.run_cycle()
    verdict = (row.metrics or {})["watch"]
    active = watched.plant.versions.active()

    assert (row.metrics or {})["drift"]["message"]
    assert verdict["outcome"] == "rolled back"
    assert verdict["comparison"]["trim_mae_change"]["value"] > 0.5
    assert active is not None
    assert active.version == FIRST
    assert watched.activations() == [(FIRST, "a test"), (WORSE, ACTOR), (FIRST, ACTOR)]
    back = watched.plant.versions.activation_in_force()
    assert back is not None
    assert (back.details or {})["watch"] == verdict
    assert verdict["reason"].startswith(f"Back to {FIRST}")
    [alert] = watched.plant.alerts.list(kind=ROLLED_BACK)[0]
    assert (alert.subject, alert.state, alert.message) == (WORSE, AlertState.OPEN, verdict["reason"])
    assert (alert.details or {})["cycle_id"] == row.id
    line = Lineage(watched.plant.settings, watched.plant.engine, watched.plant.versions).of(WORSE)
    assert line["approval"]["details"]["watch"] == verdict
    assert [entry["to_state"] for entry in line["followed"]] == ["retired"]
    assert line["judged_by"]["cycles"][0]["watch"]["outcome"] == "rolled back"

    assert "watch" not in (watched.run_cycle().metrics or {})
    assert len(watched.activations()) == 3


def test_a_worker_that_dies_after_the_verdict_does_not_go_back_twice(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.activate(WORSE)
    work, really = watched.plant.work, watched.plant.work.finish

    def die(*_arguments: Any, **_columns: Any) -> None:
        raise SystemExit("the worker dies before the cycle's row ends")

    monkeypatch.setattr(work, "finish", die)
    with pytest.raises(SystemExit):
        watched.cycles.run_now("a test", CycleOptions(sample_size=60, strategy="random", seed=5))
    monkeypatch.setattr(work, "finish", really)
    [held] = work.list(QualityCycle)[0]
    assert held.state == WorkState.RUNNING
    monkeypatch.setattr(work, "_clock", lambda: utc_now() + timedelta(seconds=60))  # the lease has run out
    row = watched.cycles.run(held.id)

    assert row is not None
    assert row.state == WorkState.SUCCEEDED, row.error
    assert (row.metrics or {})["watch"]["outcome"] == "rolled back"
    assert watched.activations() == [(FIRST, "a test"), (WORSE, ACTOR), (FIRST, ACTOR)]
    assert [alert.count for alert in watched.plant.alerts.list(kind=ROLLED_BACK)[0]] == [1]


def test_a_version_that_is_not_worse_stays_and_that_is_said_once(watched: Watched) -> None:
    watched.activate(ALIKE)
    row = watched.run_cycle()
    verdict = (row.metrics or {})["watch"]
    event = watched.plant.versions.activation_in_force()

    assert verdict["outcome"] == "kept"
    assert event is not None
    assert (event.version, (event.details or {})["watch"]) == (ALIKE, verdict)
    assert watched.plant.alerts.list(kind=ROLLED_BACK)[1] == 0
    assert "watch" not in (watched.run_cycle().metrics or {})


def test_what_a_person_activated_is_never_undone(watched: Watched) -> None:
    watched.activate(WORSE, actor="anna")
    row = watched.run_cycle()
    active = watched.plant.versions.active()

    assert "watch" not in (row.metrics or {})
    assert active is not None
    assert active.version == WORSE


def test_a_person_who_is_faster_than_the_verdict_is_not_overruled(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the comparison and the change, somebody goes back, and forth again on purpose."""
    watched.activate(WORSE)
    versions, really = watched.plant.versions, watched.plant.versions.transition

    def overtake(*arguments: Any, **words: Any) -> Any:
        monkeypatch.setattr(versions, "transition", really)
        watched.lifecycle.rollback(actor="anna", reason="off")
        watched.lifecycle.activate(WORSE, actor="anna", reason="on purpose")
        return really(*arguments, **words)

    monkeypatch.setattr(versions, "transition", overtake)
    row = watched.run_cycle()
    active = versions.active()

    assert (row.metrics or {})["watch"]["outcome"] == "overtaken"
    assert active is not None
    assert active.version == WORSE
    assert watched.plant.alerts.list(kind=ROLLED_BACK)[1] == 0


def test_without_the_version_before_the_cycle_says_that_it_cannot_judge(watched: Watched) -> None:
    watched.activate(WORSE)
    shutil.rmtree(watched.plant.settings.models / FIRST)
    row = watched.run_cycle()

    assert (row.metrics or {})["watch"]["outcome"] == "undecided"
    active = watched.plant.versions.active()
    assert active is not None
    assert active.version == WORSE
