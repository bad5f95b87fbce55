"""Extracts as work: once per slot, claimed once, the last good snapshot always in use, old ones removed."""

import os
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.azurite.service import Azurite
from shared.database.alerts import Alerts
from shared.database.models import ModelVersions
from shared.database.snapshots import SnapshotRows
from shared.database.tables import AlertState, Extract, ModelVersion, TrainingJob, WorkState
from shared.database.work import WorkRows
from shared.erp.extract import extract
from shared.erp.snapshot import Snapshot
from shared.errors import LeaseLost, NotFound, SourceError
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells, parse_doorbell
from tests.database.database_support import MovableClock


@pytest.mark.azurite
def test_started_extract_rings_its_bell_once_per_slot(
    settings: Settings, engine: Engine, work: WorkRows, clock: MovableClock, azurite: Azurite
) -> None:
    """Row first, then the bell; a doubled firing inserts and rings nothing."""
    storage = Storage(azurite.connection_string)
    bells = Doorbells(storage)
    bells.ensure(Extract.QUEUE)
    storage.queue(Extract.QUEUE).clear_messages()
    snapshots = Snapshots(settings, engine, work, bells, clock)
    row = snapshots.start("2026-03-01T01:00", "schedule")
    assert row is not None
    assert snapshots.start("2026-03-01T01:00", "schedule") is None
    assert bells.depth(Extract.QUEUE) == 1
    message = storage.queue(Extract.QUEUE).receive_message()
    assert message is not None
    assert parse_doorbell(message.content) == row.id
    assert row.rung_at == clock()
    done = snapshots.run(row.id)
    assert done is not None
    assert done.state == WorkState.SUCCEEDED


def test_bell_that_cannot_be_rung_leaves_the_row_to_the_sweep(
    snapshots: Snapshots, work: WorkRows, clock: MovableClock
) -> None:
    """Storage being away is no error, and the row is found as due later."""
    row = snapshots.start(None, "by hand")
    assert row is not None
    assert row.rung_at is None
    clock.advance(31)
    assert work.due(Extract, now=clock(), ring_after_seconds=30) == [row.id]


def test_run_makes_a_snapshot_current(
    snapshots: Snapshots, work: WorkRows, settings: Settings, clock: MovableClock
) -> None:
    """Row, snapshot row and folder agree, and what is handed out is what the source holds."""
    with pytest.raises(NotFound):
        snapshots.current()
    taken = snapshots.take_now(reason="first")
    (row,), total = work.list(Extract)
    assert total == 1
    assert (row.state, row.snapshot_id, row.reason) == (WorkState.SUCCEEDED, taken.id, "first")
    assert row.rows == taken.rows == {"items": 2, "routings": 2, "work_results": 1}
    assert taken.data_as_of == clock()
    assert taken.folder == settings.snapshots / taken.id
    current = snapshots.current()
    assert current.id == taken.id
    assert current.items()["item_code"].to_list() == ["A", "B"]


def test_message_delivered_again_reads_nothing_again(snapshots: Snapshots, work: WorkRows, settings: Settings) -> None:
    """A final row is not claimed; an unknown one is said to be unknown."""
    row = snapshots.start("slot", "schedule")
    assert row is not None
    assert snapshots.run(row.id) is not None
    assert [snapshots.run(row.id) for _ in range(4)] == [None] * 4
    assert len(list(settings.snapshots.iterdir())) == 1
    assert work.get(Extract, row.id).attempt == 1
    with pytest.raises(NotFound):
        snapshots.run("unknown")


def test_broken_source_fails_the_row_and_keeps_the_last_good_snapshot(
    snapshots: Snapshots, engine: Engine, source: Path, clock: MovableClock
) -> None:
    """The reason names the file, one alert is open, and a later success closes it."""
    good = snapshots.take_now(reason="good")
    routings = (source / "routings.csv").read_text()
    (source / "routings.csv").unlink()
    clock.advance(60)
    row = snapshots.start(None, "broken")
    assert row is not None
    failed = snapshots.run(row.id)
    assert failed is not None
    assert failed.state == WorkState.FAILED
    assert "routings" in (failed.error or "")
    assert snapshots.current().id == good.id
    (alert,), _total = Alerts(engine).list(state=AlertState.OPEN)
    assert alert.kind == "extract-failed"
    assert "routings" in alert.message
    with pytest.raises(SourceError, match="routings"):
        snapshots.take_now(reason="still broken")
    (source / "routings.csv").write_text(routings)
    clock.advance(60)
    assert snapshots.take_now(reason="mended").id == snapshots.current().id != good.id
    assert Alerts(engine).count_open() == 0


def test_ensure_current_reads_only_when_there_is_nothing(
    snapshots: Snapshots, work: WorkRows, clock: MovableClock
) -> None:
    """A first start reads the ERP; a second does not."""
    first = snapshots.ensure_current()
    clock.advance(60)
    assert snapshots.ensure_current().id == first.id
    assert work.list(Extract)[1] == 1


def test_damaged_snapshot_is_passed_over_with_an_alert(
    snapshots: Snapshots,
    settings: Settings,
    engine: Engine,
    work: WorkRows,
    unreachable: Doorbells,
    clock: MovableClock,
) -> None:
    """The newest whole one is handed out, after a restart too."""
    good = snapshots.take_now(reason="good")
    clock.advance(60)
    bad = snapshots.take_now(reason="bad")
    with (bad.folder / "items.parquet").open("ab") as file:
        file.write(b"x")
    restarted = Snapshots(settings, engine, work, unreachable, clock)
    assert restarted.current().id == good.id
    (alert,), _total = Alerts(engine).list(state=AlertState.OPEN)
    assert (alert.kind, alert.subject) == ("snapshot-damaged", bad.id)
    shutil.rmtree(good.folder)
    with pytest.raises(NotFound):
        Snapshots(settings, engine, work, unreachable, clock).current()


def take(snapshots: Snapshots, clock: MovableClock, count: int) -> list[str]:
    taken = []
    for _ in range(count):
        clock.advance(60)
        taken.append(snapshots.take_now(reason="again").id)
    return taken


def test_newest_five_are_kept(snapshots: Snapshots, engine: Engine, settings: Settings, clock: MovableClock) -> None:
    """Older rows and folders go together."""
    taken = take(snapshots, clock, 7)
    rows, total = SnapshotRows(engine).list()
    assert (total, [row.id for row in rows]) == (5, taken[:1:-1])
    assert {folder.name for folder in settings.snapshots.iterdir()} == set(taken[2:])


def test_snapshot_of_a_pending_model_is_kept(
    snapshots: Snapshots, engine: Engine, source: Path, settings: Settings, clock: MovableClock
) -> None:
    """The data that a version waiting for approval was trained on stays, however old."""
    first = snapshots.take_now(reason="trained on")
    ModelVersions(engine).insert(
        ModelVersion(
            version="v1",
            manifest_sha256="a" * 64,
            model_kind="k-nn",
            schema_version="2",
            fingerprint=first.fingerprint,
            registered_at=clock(),
        )
    )
    (source / "items.csv").write_text("CODE,MATERIAL\nA,steel\nB,brass\nC,iron\n")
    taken = take(snapshots, clock, 6)
    assert {folder.name for folder in settings.snapshots.iterdir()} == {first.id, *taken[1:]}


def test_nothing_is_removed_while_a_training_job_runs(
    snapshots: Snapshots, work: WorkRows, settings: Settings, clock: MovableClock
) -> None:
    """It may be reading an older snapshot; the next extract after it tidies."""
    work.insert(TrainingJob(id="job", created_at=clock()))
    claim = work.claim(TrainingJob, "job", worker="w", lease_seconds=100_000)
    assert claim is not None
    take(snapshots, clock, 7)
    assert len(list(settings.snapshots.iterdir())) == 7
    work.finish(claim, WorkState.SUCCEEDED)
    take(snapshots, clock, 1)
    assert len(list(settings.snapshots.iterdir())) == 5


def test_folder_without_a_row_is_removed_after_a_day(
    snapshots: Snapshots, settings: Settings, clock: MovableClock
) -> None:
    """What a crash between folder and row left goes, what may still be in the making stays."""
    settings.snapshots.mkdir(parents=True)
    old, new, foreign = (settings.snapshots / name for name in ("snap_old", ".snapshot-new", "notes"))
    for folder in (old, new, foreign):
        folder.mkdir()
        os.utime(folder, (clock().timestamp(),) * 2)
    os.utime(old, (clock().timestamp() - 90_000,) * 2)
    os.utime(foreign, (clock().timestamp() - 90_000,) * 2)
    snapshots.take_now(reason="tidy")
    assert not old.exists()
    assert new.exists()
    assert foreign.exists()


def test_unexpected_trouble_gives_the_row_back_for_another_try(
    snapshots: Snapshots, work: WorkRows, settings: Settings
) -> None:
    """A full or forbidden disk is no fault of the source: the message is redelivered and the row claimable."""
    settings.data_dir.mkdir(exist_ok=True)
    settings.snapshots.write_text("a file where the folder should be")
    row = snapshots.start(None, "disk trouble")
    assert row is not None
    with pytest.raises(FileExistsError):
        snapshots.run(row.id)
    left = work.get(Extract, row.id)
    assert left.state == WorkState.QUEUED
    assert "FileExistsError" in (left.error or "")
    settings.snapshots.unlink()
    done = snapshots.run(row.id)
    assert done is not None
    assert (done.state, done.attempt, done.error) == (WorkState.SUCCEEDED, 2, None)


def test_extract_that_its_asker_died_over_is_not_read_again(
    snapshots: Snapshots, work: WorkRows, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start or job that was killed while it read the ERP reads it again itself; one reading, one snapshot."""
    monkeypatch.setattr("shared.snapshots.service.extract", _die)
    with pytest.raises(SystemExit):
        snapshots.take_now(reason="a first start")
    left = work.list(Extract)[0][0]
    assert left.state == WorkState.RUNNING
    monkeypatch.setattr("shared.snapshots.service.extract", extract)
    taken = snapshots.ensure_current()
    clock.advance(60)
    assert work.due(Extract, now=clock(), ring_after_seconds=30) == [left.id]
    done = snapshots.run(left.id)
    assert done is not None
    assert (done.state, done.snapshot_id) == (WorkState.SKIPPED, None)
    assert "broke off" in done.reason
    assert snapshots.current().id == taken.id


def test_extract_that_kills_every_worker_is_given_up(
    snapshots: Snapshots, work: WorkRows, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep must not ring for it for ever."""
    monkeypatch.setattr("shared.snapshots.service.extract", _die)
    row = snapshots.start(None, "deadly")
    assert row is not None
    for _ in range(5):
        with pytest.raises(SystemExit):
            snapshots.run(row.id)
        clock.advance(60)
    done = snapshots.run(row.id)
    assert done is not None
    assert (done.state, done.attempt) == (WorkState.FAILED, 6)
    assert "5 attempts" in (done.error or "")


def _die(*_arguments: Any, **_words: Any) -> Snapshot:
    raise SystemExit("killed")


def test_long_extract_keeps_its_lease_and_a_lost_one_registers_nothing(
    settings: Settings, engine: Engine, unreachable: Doorbells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats renew the lease while the ERP is read; a worker that was overtaken writes no snapshot row."""
    work = WorkRows(engine)  # real time: the heartbeat thread is what is looked at
    snapshots = Snapshots(settings, engine, work, unreachable)
    reading, go_on = threading.Event(), threading.Event()

    def slow_extract(*args: Any, **kwargs: Any) -> Snapshot:
        reading.set()
        assert go_on.wait(20)
        return extract(*args, **kwargs)

    monkeypatch.setattr("shared.snapshots.service.extract", slow_extract)
    row = snapshots.start(None, "slow")
    assert row is not None
    outcome: list[type[BaseException]] = []

    def run() -> None:
        try:
            snapshots.run(row.id)
        except LeaseLost as error:
            outcome.append(type(error))

    worker = threading.Thread(target=run)
    worker.start()
    assert reading.wait(20)
    first = work.get(Extract, row.id).lease_until
    deadline = time.monotonic() + 10
    while work.get(Extract, row.id).lease_until == first and time.monotonic() < deadline:
        time.sleep(0.05)
    renewed = work.get(Extract, row.id).lease_until
    assert first is not None
    assert renewed is not None
    assert renewed > first
    long_after = first + timedelta(days=1)
    later = WorkRows(engine, clock=lambda: long_after)
    heir = later.claim(Extract, row.id, worker="heir", lease_seconds=60)
    assert heir is not None
    go_on.set()
    worker.join(20)
    assert outcome == [LeaseLost]
    assert SnapshotRows(engine).list() == ([], 0)
    assert work.get(Extract, row.id).worker == "heir"
