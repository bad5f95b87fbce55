"""Several real processes on one database file: exactly one wins, and nothing is ever doubled or lost."""

import multiprocessing
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import col, select

from shared.clock import utc_now
from shared.database.alerts import Alerts
from shared.database.engine import reading
from shared.database.models import ModelVersions
from shared.database.tables import ModelEvent, ModelVersion, QualityCycle, TrainingJob, VersionState, WorkState
from shared.database.work import WorkRows
from shared.errors import LeaseLost, NotFound
from tests.database.database_support import (
    activate_in_turn,
    claim_and_finish,
    claim_and_hang,
    insert_slots,
    raise_alerts,
    run_together,
)

PROCESSES = 4


def test_processes_racing_for_rows_win_each_exactly_once(engine: Engine, database_url: str) -> None:
    """Forty rows, four processes: every row is claimed once, finished once, by the same process."""
    work = WorkRows(engine)
    ids = [f"job_{number}" for number in range(40)]
    for row_id in ids:
        work.insert(TrainingJob(id=row_id, created_at=utc_now()))
    won = run_together(claim_and_finish, database_url, PROCESSES, ids)
    assert sorted(row_id for mine in won for row_id in mine) == sorted(ids)
    for row_id in ids:
        row = work.get(TrainingJob, row_id)
        assert (row.state, row.attempt, row.lease_token) == (WorkState.SUCCEEDED, 1, 1)
        assert row.model_version == f"by-{(row.worker or '').removeprefix('process-')}"


def test_processes_inserting_the_same_slots_insert_each_once(engine: Engine, database_url: str) -> None:
    """However many hosts fire one timer, each slot has one cycle."""
    slots = [f"2026-03-{day:02d}T02:00" for day in range(1, 21)]
    assert sum(run_together(insert_slots, database_url, PROCESSES, slots)) == len(slots)
    assert WorkRows(engine).list(QualityCycle)[1] == len(slots)


def test_processes_activating_versions_never_leave_none_or_two_active(engine: Engine, database_url: str) -> None:
    """One version is active at every look, and the events tell one unbroken story."""
    models = ModelVersions(engine)
    versions = [f"version_{number}" for number in range(4)]
    for version in versions:
        models.insert(a_version(version))
    models.transition(versions[0], VersionState.ACTIVE, actor="test", reason="first")
    outcomes = run_together(activate_in_turn, database_url, PROCESSES, versions, 15)
    assert set().union(*(seen for _done, seen in outcomes)) == {1}
    done = sum(done for done, _seen in outcomes)
    assert done > 0
    with reading(engine) as session:
        events = session.exec(select(ModelEvent).order_by(col(ModelEvent.id))).all()
    activations = [event.version for event in events if event.to_state == VersionState.ACTIVE]
    retirements = [event.version for event in events if event.to_state == VersionState.RETIRED]
    assert len(activations) == done + 1
    assert retirements == activations[:-1]
    active = models.active()
    assert active is not None
    assert active.version == activations[-1]


def a_version(version: str) -> ModelVersion:
    return ModelVersion(
        version=version, manifest_sha256="a" * 64, model_kind="k-nn", schema_version="2", registered_at=utc_now()
    )


def test_processes_raising_one_alert_count_it_up_in_one_row(engine: Engine, database_url: str) -> None:
    """No raise is lost and no second row appears."""
    raised = sum(run_together(raise_alerts, database_url, PROCESSES, 10))
    (alert,), total = Alerts(engine).list()
    assert (total, alert.count) == (1, raised)


def test_killed_worker_leaves_a_whole_database_and_a_claimable_row(engine: Engine, database_url: str) -> None:
    """After kill -9 in the middle of a write, nothing half-written is seen and another worker takes over."""
    work = WorkRows(engine)
    work.insert(TrainingJob(id="job", created_at=utc_now()))
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    doomed = spawn.Process(target=claim_and_hang, args=(database_url, results, "job"))
    doomed.start()
    assert results.get(timeout=60) == 1
    doomed.kill()
    doomed.join(20)
    heir, deadline = None, time.monotonic() + 10
    while heir is None and time.monotonic() < deadline:
        heir = work.claim(TrainingJob, "job", worker="heir", lease_seconds=30)
        time.sleep(0.05)
    assert heir is not None
    assert (heir.attempt, heir.token) == (2, 2)
    with pytest.raises(NotFound):
        work.get(TrainingJob, "half-written")


@pytest.mark.parametrize("round_number", range(3))
def test_threads_racing_for_an_expired_lease_have_one_heir(engine: Engine, round_number: int) -> None:
    """When a dead worker's lease ends, exactly one of many takes over and the dead one's writes are refused."""
    past = utc_now() - timedelta(minutes=5)
    dead = WorkRows(engine, clock=lambda: past)
    dead.insert(TrainingJob(id="job", created_at=past))
    zombie = dead.claim(TrainingJob, "job", worker="dead", lease_seconds=30)
    assert zombie is not None
    work, barrier, claims = WorkRows(engine), threading.Barrier(8), []

    def go(number: int) -> None:
        barrier.wait()
        claims.append(work.claim(TrainingJob, "job", worker=f"thread-{number}", lease_seconds=30))

    threads = [threading.Thread(target=go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heirs = [claim for claim in claims if claim is not None]
    assert len(claims) == 8
    assert [heir.attempt for heir in heirs] == [2]
    with pytest.raises(LeaseLost):
        work.update(zombie, step="still here")
