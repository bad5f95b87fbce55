"""Once, whatever happens: messages that come several times, processes that die anywhere, disks and clocks that fail.

The same plays in full are `benchmarks/deliveries` and `benchmarks/faults`.
"""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.deliveries.playing import play
from benchmarks.faults.points import POINTS
from shared.clock import utc_now
from shared.database.tables import TrainingJob, WorkState
from tests.databases import set_up
from tests.postgresql import PostgreSql
from tests.training.test_training_jobs import children_of, ended, enqueue, error_of, wait_for
from tests.training.training_plant import Plant, open_plant

PROJECT = Path(__file__).resolve().parents[2]
HOOK = PROJECT / "benchmarks" / "faults" / "hook"
MESSAGES, WORKERS = 24, 3

# A few of the points: the others are played by `python -m benchmarks.faults crashes`.
DEADLY = ("child in mid-fit", "before the folder is published")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_messages_that_come_one_to_five_times_have_one_effect_each(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = ""
    if kind == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql").new_database()
        url = server.url
    set_up(url or f"sqlite:///{tmp_path / 'routing.db'}")
    done = play(tmp_path, url, messages=MESSAGES, workers=WORKERS, seed=7)

    assert done.deliveries > 2 * MESSAGES
    assert (done.effects, done.doubled, done.missing, done.unended) == (MESSAGES, [], [], [])


@pytest.mark.parametrize("name", DEADLY)
def test_a_job_whose_process_is_killed_at_its_worst_moments_makes_one_version(
    name: str, plant: Plant, plant_folder: Path, tmp_path: Path
) -> None:
    point = next(point for point in POINTS if point.name == name)
    armed = tmp_path / "armed"
    armed.mkdir()
    (armed / name).write_text(str(point.nth))
    (tmp_path / "points.json").write_text(json.dumps({name: point.as_json()}))
    row = enqueue(plant, label="spring-refit")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(PROJECT), str(HOOK))),
        "CRASH_POINTS": str(tmp_path / "points.json"),
        "CRASH_FOLDER": str(armed),
    }
    program = [sys.executable, "-m", "tests.training.training_plant", str(plant_folder), row.id, "2.0"]
    subprocess.run(program, env=environment, cwd=PROJECT, check=False, capture_output=True, timeout=120)

    assert not (armed / name).exists()  # somebody came there and died
    wait_for(lambda: not children_of(plant_folder))
    plant.work._clock = lambda: utc_now() + timedelta(seconds=10)  # the lease has run out
    assert row.id in plant.work.due(TrainingJob, now=plant.work._clock(), ring_after_seconds=0, lease_seconds=2.0)
    done = ended(plant.jobs.run(row.id))
    assert (done.state, done.attempt, done.model_version) == (WorkState.SUCCEEDED, 2, "spring-refit")
    assert [v.version for v in plant.versions.list()[0] if v.job_id == row.id] == ["spring-refit"]
    assert sorted(folder.name for folder in plant.settings.models.iterdir()) == sorted(plant.version_names())
    assert plant.staged() == []
    assert list(plant.settings.quarantine.iterdir()) == []


def test_a_disk_without_room_for_the_package_is_a_stored_reason(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child may write no file beyond 20 kB, as on a disk that is about full."""
    cramped = tmp_path / "python"
    cramped.write_text(f'#!/bin/sh\nulimit -f 40\nexec {sys.executable} "$@"\n')
    cramped.chmod(0o755)
    row = enqueue(plant, label="spring-refit")
    monkeypatch.setattr(sys, "executable", str(cramped))
    with pytest.raises(Exception, match="broke off"):
        plant.jobs.run(row.id)
    monkeypatch.undo()

    assert "File too large" in error_of(plant.job(row.id))
    assert plant.staged() == []
    assert plant.version_names() == ["version_first"]
    done = ended(plant.jobs.run(row.id))  # there is room again
    assert (done.state, done.model_version) == (WorkState.SUCCEEDED, "spring-refit")


def test_a_clock_set_back_an_hour_in_mid_job_doubles_nothing(plant: Plant, plant_folder: Path) -> None:
    row = enqueue(plant, label="spring-refit")
    worker = threading.Thread(target=plant.jobs.run, args=(row.id,))
    worker.start()
    wait_for(lambda: children_of(plant_folder))
    other = open_plant(plant_folder)
    plant.work._clock = other.work._clock = lambda: utc_now() - timedelta(hours=1)
    time.sleep(1.5)  # several heartbeats of the new time
    stolen = other.jobs.run(row.id)
    worker.join(timeout=60)

    assert stolen is None
    done = plant.job(row.id)
    assert (done.state, done.attempt, done.model_version) == (WorkState.SUCCEEDED, 1, "spring-refit")
    assert plant.version_names() == ["spring-refit", "version_first"]
    other.engine.dispose()
