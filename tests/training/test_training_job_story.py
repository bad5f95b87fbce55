"""What a job tells while it runs and after: its log, its expected end, and how long its row is kept."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.database.job_rows import JobRows
from shared.database.tables import JobLine, ModelVersion, TrainingJob, WorkState
from shared.database.work import Claim, Heartbeat
from shared.errors import Conflict
from shared.training.attempt import REGISTERING
from shared.training.job_log import LINES_AN_ATTEMPT, LONGEST_LINE, JobLog
from shared.training.pace import expected_end
from shared.training.tidying import JobTidying
from tests.training.test_training_jobs import children_of, ended, enqueue, wait_for
from tests.training.training_plant import FIRST, Plant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def told(plant: Plant, job_id: str) -> list[str]:
    return [line.message for line in plant.jobs.log(job_id)[0]]


def test_a_job_tells_who_asked_what_it_read_each_step_and_its_end(plant: Plant) -> None:
    row = enqueue(plant, label="spring-refit")
    done = ended(plant.jobs.run(row.id))
    lines, total = plant.jobs.log(row.id)

    assert done.state == WorkState.SUCCEEDED, done.error
    assert total == len(lines)
    assert (done.actor, done.snapshot_id) == ("tester", plant.snapshots.current().id)
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    assert {line.attempt for line in lines} == {1}
    messages = [line.message for line in lines]
    assert "attempt 1 begins" in messages[0]
    assert any(plant.snapshots.current().id in message for message in messages)
    assert any(message.startswith("training.judged") for message in messages)  # what the child logged
    assert [message for message in messages if message.endswith(REGISTERING)] == [f"98 %: {REGISTERING}"]
    assert messages[-1] == "registered spring-refit as pending"
    steps = [float(m.partition(" %: ")[0]) for m in messages if " %: " in m]
    assert steps == sorted(steps)
    assert plant.jobs.log(row.id, limit=2, offset=1) == (lines[1:3], total)


def test_a_log_is_bounded_in_number_and_length_and_still_tells_the_end() -> None:
    log = JobLog("job_1", 2)
    for number in range(LINES_AN_ATTEMPT * 2):
        log.say(f"line {number} " + "x" * 3000)
    log.say("the end\nof it \x07", "error", last=True)
    with log.carried() as rows:
        kept = list(rows)

    assert len(kept) == LINES_AN_ATTEMPT + 1
    assert all(len(row.message) <= LONGEST_LINE for row in kept)
    assert "not kept" in kept[-2].message
    assert (kept[-1].message, kept[-1].level) == ("the end of it \N{REPLACEMENT CHARACTER}", "error")


def test_lines_that_could_not_be_written_wait_for_the_next_beat() -> None:
    log = JobLog("job_1", 1)
    log.say("first")
    with pytest.raises(OSError, match="away"), log.carried():
        raise OSError("the database is away")
    log.say("second")
    with log.carried() as rows:
        assert [row.message for row in rows] == ["first", "second"]
    with log.carried() as rows:
        assert rows == []


def test_a_worker_that_lost_its_job_adds_no_line(plant: Plant, plant_folder: Path) -> None:
    row = enqueue(plant)
    worker = threading.Thread(target=plant.jobs.run, args=(row.id,))
    worker.start()
    wait_for(lambda: children_of(plant_folder))
    with plant.work.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE training_jobs SET lease_token = lease_token + 1, worker = 'heir'")
    known = told(plant, row.id)
    worker.join(timeout=20)

    assert not worker.is_alive()
    assert told(plant, row.id) == known
    assert children_of(plant_folder) == []


@pytest.mark.parametrize(
    ("elapsed", "percent", "usual", "expected"),
    [
        (3.0, None, None, None),  # nothing is known
        (3.0, 2.0, None, None),  # too early to tell by its own pace
        (10.0, 50.0, None, 10.0),  # by its own pace
        (10.0, 0.0, 60.0, 50.0),  # by its kind
        (70.0, 0.0, 60.0, None),  # its kind is done by now, and it has not begun to count
        (10.0, 50.0, 60.0, 30.0),  # half of each: 20 s and 60 s in all
        (90.0, 90.0, 60.0, 6.0),  # nearly all by its own pace: 100 s and 60 s in all
    ],
)
def test_the_expected_end_follows_the_jobs_own_pace_the_more_it_has_done(
    elapsed: float, percent: float | None, usual: float | None, expected: float | None
) -> None:
    end = expected_end(NOON, elapsed_seconds=elapsed, percent=percent, usual_seconds=usual)

    assert (None if end is None else round((end - NOON).total_seconds(), 6)) == expected


def a_job(number: int, **columns: Any) -> TrainingJob:
    at = NOON + timedelta(minutes=number)
    given: dict[str, Any] = {"state": WorkState.SUCCEEDED, "created_at": at, "started_at": at, "attempt": 1}
    return TrainingJob(id=f"job_{number:03d}", **{**given, "ended_at": at + timedelta(seconds=10), **columns})


def test_a_kinds_usual_duration_is_that_of_jobs_that_succeeded_at_once(plant: Plant) -> None:
    rows = JobRows(plant.engine)
    assert rows.usual_seconds("refit") is None
    for number, seconds in enumerate((10, 20, 60)):
        plant.work.insert(a_job(number, ended_at=NOON + timedelta(minutes=number, seconds=seconds)))
    plant.work.insert(a_job(10, attempt=3, ended_at=NOON + timedelta(hours=9)))
    plant.work.insert(a_job(11, state=WorkState.FAILED, ended_at=NOON + timedelta(hours=9)))
    plant.work.insert(a_job(12, ended_at=NOON))  # the clock was set back in it
    plant.work.insert(a_job(13, kind="challenger", ended_at=NOON + timedelta(hours=9)))

    assert rows.usual_seconds("refit") == 20


def test_a_plan_tells_what_earlier_jobs_took_and_what_is_unknown(plant: Plant) -> None:
    first = plant.jobs.plan(enqueue(plant))
    assert (first.usual_seconds, first.peak_memory_bytes, first.from_jobs) == (None, None, 0)
    assert (first.learners, first.compared_with, first.registers) == (["configured"], FIRST, True)
    snapshot = plant.snapshots.current()
    assert (first.newest_snapshot, first.rows) == (snapshot.id, snapshot.rows)
    for number, held in enumerate((300, 500)):
        plant.work.insert(a_job(number, kind="challenger", result={"peak_memory_bytes": held}))
    plant.work.insert(a_job(2, kind="challenger", result={"reason": "of a release that did not measure"}))
    second = plant.jobs.plan(enqueue(plant, "challenger", dry_run=True, priority=1))
    assert (second.usual_seconds, second.peak_memory_bytes, second.from_jobs) == (10, 500, 3)
    assert (second.registers, second.activates, second.jobs_ahead) == (False, False, 0)
    assert second.learners == ["configured", *plant.configuration.current()[1].training.trainers]
    assert plant.jobs.plan(enqueue(plant, "challenger", label="later")).jobs_ahead == 2


def test_a_running_job_says_when_it_will_end_and_an_ended_one_does_not(plant: Plant, plant_folder: Path) -> None:
    plant.work.insert(a_job(0, ended_at=NOON + timedelta(seconds=300)))
    row = enqueue(plant)
    assert row.expected_end_at is None
    worker = threading.Thread(target=plant.jobs.run, args=(row.id,))
    worker.start()
    wait_for(lambda: plant.job(row.id).expected_end_at)
    expected, begun = plant.job(row.id).expected_end_at, plant.job(row.id).started_at
    assert expected is not None
    assert begun is not None
    assert timedelta(0) < expected - begun < timedelta(seconds=400)
    plant.jobs.cancel(row.id, "tester")
    worker.join(timeout=20)

    assert plant.job(row.id).expected_end_at is None


def test_ended_jobs_beyond_the_number_kept_go_with_their_lines(plant: Plant) -> None:
    for number in range(8):
        plant.work.insert(a_job(number))
        with plant.engine.begin() as connection:
            connection.execute(
                JobLine.__table__.insert().values(  # type: ignore[attr-defined]
                    job_id=f"job_{number:03d}", attempt=1, level="info", message="a line", at=NOON
                )
            )
    plant.work.insert(a_job(8, state=WorkState.QUEUED, created_at=NOON - timedelta(days=9), ended_at=None))
    plant.work.insert(a_job(9, slot="alarm-c1", cycle_id="c1", created_at=NOON - timedelta(days=2)))
    plant.work.insert(a_job(10, slot="2026-02-27T03:00:00+00:00", created_at=NOON - timedelta(days=3)))
    with plant.engine.begin() as connection:
        connection.execute(
            ModelVersion.__table__.update().values(job_id="job_001")  # type: ignore[attr-defined]
        )
    plant.configuration.patch({"training": {"keep_jobs": 3}}, actor="a test")
    tidying = JobTidying(plant.settings, JobRows(plant.engine), plant.configuration)

    assert tidying.run() == 4
    left = {row.id for row in plant.jobs.list()[0]}
    # The newest three; the one that a version came from; the newest of alarms and schedule; the one that waits.
    assert left == {"job_007", "job_006", "job_005", "job_001", "job_009", "job_010", "job_008"}
    assert JobRows(plant.engine).lines("job_000")[1] == 0
    assert JobRows(plant.engine).lines("job_001")[1] == 1
    assert tidying.run() == 0


def test_folders_of_attempts_that_nobody_makes_are_removed(plant: Plant) -> None:
    waiting = enqueue(plant)
    staging = plant.settings.data_dir / "staging"
    for name in (f"{waiting.id}-1", "job_gone-4", "train-123"):
        (staging / name).mkdir(parents=True)
    half_way = plant.settings.quarantine / "job_gone-x1y2"
    half_way.mkdir(parents=True)
    tidying = JobTidying(plant.settings, JobRows(plant.engine), plant.configuration)

    assert tidying.run() == 2
    assert not half_way.exists()
    assert plant.staged() == sorted([f"{waiting.id}-1", "train-123"])


def test_jobs_are_listed_by_state_and_kind(plant: Plant) -> None:
    plant.work.insert(a_job(1))
    plant.work.insert(a_job(2, kind="challenger"))
    plant.work.insert(a_job(3, state=WorkState.FAILED))

    assert [row.id for row in plant.jobs.list(state="succeeded")[0]] == ["job_002", "job_001"]
    assert [row.id for row in plant.jobs.list(kind="refit")[0]] == ["job_003", "job_001"]
    assert plant.jobs.list(state="succeeded", kind="refit")[1] == 1
    assert plant.jobs.list(state="queued")[1] == 0


# ---------------------------------------------------------------------------------------------------- cancelling


def test_a_job_that_reads_the_erp_is_cancelled_without_waiting_for_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading ends by itself: its snapshot is good for everybody."""
    reading, answered = threading.Event(), threading.Event()

    def read(**_words: object) -> None:
        reading.set()
        answered.wait(20)

    monkeypatch.setattr(plant.snapshots, "take_now", read)
    row = enqueue(plant)
    worker = threading.Thread(target=plant.jobs.run, args=(row.id,))
    worker.start()
    assert reading.wait(20)
    plant.jobs.cancel(row.id, "tester")
    worker.join(timeout=20)
    still_reading = not answered.is_set()
    answered.set()

    assert still_reading
    assert not worker.is_alive()
    assert plant.job(row.id).state == WorkState.CANCELLED
    assert told(plant, row.id)[-2:] == ["cancellation asked for by tester", "cancelled"]


def test_a_job_that_registers_its_version_is_not_cancelled_half_way(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = enqueue(plant, label="spring-refit")
    real = plant.installer.register_local
    refused: list[Conflict] = []

    def register(*arguments: Any, **words: Any) -> ModelVersion:
        time.sleep(1.5)  # several heartbeats: none of them may hide that it registers
        try:
            plant.jobs.cancel(row.id, "tester")
        except Conflict as refusal:
            refused.append(refusal)
        return real(*arguments, **words)

    monkeypatch.setattr(plant.installer, "register_local", register)
    done = ended(plant.jobs.run(row.id))

    assert "cannot be cancelled any more" in str(refused[0])
    assert (done.state, done.cancel_requested) == (WorkState.SUCCEEDED, False)
    assert plant.versions.get("spring-refit").state == "pending"


def test_a_cancellation_that_comes_before_the_registration_leaves_no_version(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = enqueue(plant, label="spring-refit")
    real = plant.work.heartbeat

    def heartbeat(claim: Claim[Any], **words: Any) -> Heartbeat:
        if words.get("step") == REGISTERING:
            plant.jobs.cancel(row.id, "tester")
        return real(claim, **words)

    monkeypatch.setattr(plant.work, "heartbeat", heartbeat)
    done = ended(plant.jobs.run(row.id))

    assert (done.state, done.model_version) == (WorkState.CANCELLED, None)
    assert plant.versions.find("spring-refit") is None
    assert not (plant.settings.models / "spring-refit").exists()
    assert plant.staged() == []
