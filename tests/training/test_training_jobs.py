"""Jobs from the request to the pending version: admission, one effect a job, crashes, cancellation."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.clock import utc_now
from shared.database.tables import TrainingJob, WorkState
from shared.database.work import Claim
from shared.errors import Conflict, InvalidInput
from shared.registry.verify import verify_folder
from shared.training.jobs import MAX_ATTEMPTS, TrainingInterrupted
from tests.training.training_plant import FIRST, Plant, open_plant

WORKER = Path(__file__).parent / "training_plant.py"
ROOT = Path(__file__).resolve().parents[2]

Found = TypeVar("Found")


def enqueue(plant: Plant, kind: str = "refit", **more: Any) -> TrainingJob:
    return plant.jobs.enqueue(kind, reason="a test", actor="tester", **more)


def ended(row: TrainingJob | None) -> TrainingJob:
    """The row that a message's work left; a message that found nothing to do leaves none."""
    assert row is not None
    return row


def result_of(row: TrainingJob) -> dict[str, Any]:
    assert row.result is not None, row.error
    return row.result


def error_of(row: TrainingJob) -> str:
    assert row.error is not None, row.state
    return row.error


def wait_for(condition: Callable[[], Found], seconds: float = 30.0) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def children_of(folder: Path) -> list[int]:
    """The training children that work below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"shared.training.child" in line and any(str(folder).encode() in part for part in line):
                found.append(int(entry.name))
    return found


# ------------------------------------------------------------------------------------------------------ admission


def test_a_job_is_a_queued_row_and_one_bell(plant: Plant) -> None:
    row = enqueue(plant, label="spring-refit", priority=3)

    assert (row.state, row.kind, row.label, row.priority) == (WorkState.QUEUED, "refit", "spring-refit", 3)
    assert plant.bells.rung == [row.id]
    assert row.rung_at is not None


def test_the_same_job_is_not_queued_twice(plant: Plant) -> None:
    first = enqueue(plant)
    with pytest.raises(Conflict, match="already queued") as refused:
        enqueue(plant)

    assert refused.value.facts["reason"] == "already queued"
    assert refused.value.facts["job_id"] == first.id
    assert plant.work.list(TrainingJob)[1] == 1


def test_a_full_queue_is_an_answer_with_the_limit(plant: Plant) -> None:
    for number in range(3):
        enqueue(plant, label=f"label-{number}")
    with pytest.raises(Conflict, match="queue is full") as refused:
        enqueue(plant, label="one-too-many")

    assert refused.value.facts["reason"] == "queue full (3)"


def test_no_two_requests_slip_past_the_limit_together(plant: Plant) -> None:
    outcomes: list[str] = []

    def ask(number: int) -> None:
        try:
            outcomes.append(enqueue(plant, label=f"label-{number}").state)
        except Conflict as refusal:
            outcomes.append(str(refusal.facts["reason"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["queue full (3)"] * 9 + ["queued"] * 3


def test_an_alarm_waits_for_running_jobs_and_for_its_cool_down(plant: Plant) -> None:
    job = plant.jobs.enqueue_for_alarm("MAE too high", "cycle_1")
    with pytest.raises(Conflict, match="already queued"):
        plant.jobs.enqueue_for_alarm("MAE too high", "cycle_2")
    plant.jobs.cancel(job.id, "tester")
    with pytest.raises(Conflict, match="cool-down") as refused:
        plant.jobs.enqueue_for_alarm("MAE too high", "cycle_3")
    assert str(refused.value.facts["reason"]).startswith("cool-down until 2")

    plant.configuration.patch({"training": {"cooldown_minutes": 0}}, "tester")
    assert plant.jobs.enqueue_for_alarm("MAE too high", "cycle_4").state == WorkState.QUEUED


def test_a_slot_has_one_job_and_a_person_may_ask_during_a_cool_down(plant: Plant) -> None:
    alarm = plant.jobs.enqueue_for_alarm("MAE too high", "cycle_1")
    plant.jobs.cancel(alarm.id, "tester")
    row = enqueue(plant, slot="2026-01-04T03:00:00+00:00")
    plant.jobs.cancel(row.id, "tester")
    with pytest.raises(Conflict, match="has had its training job"):
        enqueue(plant, slot="2026-01-04T03:00:00+00:00")

    assert enqueue(plant).state == WorkState.QUEUED


@pytest.mark.parametrize("label", ["Spring", "active", "con", "../x", "a/b", ""])
def test_a_label_that_is_no_version_name_is_refused(plant: Plant, label: str) -> None:
    with pytest.raises(InvalidInput):
        enqueue(plant, label=label)

    assert plant.work.list(TrainingJob)[1] == 0


def test_a_label_in_use_and_an_unknown_kind_are_refused(plant: Plant) -> None:
    with pytest.raises(Conflict, match=FIRST):
        enqueue(plant, label=FIRST)
    with pytest.raises(InvalidInput, match="no kind of training 'magic'"):
        enqueue(plant, "magic")


# --------------------------------------------------------------------------------------------------------- running


def test_a_job_ends_as_one_pending_version_however_often_its_message_comes(plant: Plant) -> None:
    row = enqueue(plant, label="spring-refit")
    outcomes = [plant.jobs.run(row.id) for _ in range(5)]
    done = plant.job(row.id)

    assert [outcome is None for outcome in outcomes] == [False, True, True, True, True]
    assert done.state == WorkState.SUCCEEDED, done.error
    assert (done.model_version, done.progress, done.attempt) == ("spring-refit", 100.0, 1)
    assert plant.version_names() == ["spring-refit", FIRST]
    version = plant.versions.get("spring-refit")
    assert (version.state, version.job_id, version.parent) == ("pending", row.id, FIRST)
    active = plant.versions.active()
    assert active is not None
    assert active.version == FIRST
    package = verify_folder(plant.settings.models / "spring-refit", plant.keys, allow_unsigned=False)
    assert package.model.excluded_items == ()
    assert plant.staged() == []
    comparison = result_of(done)["comparison"]
    assert comparison["items"] >= 10
    assert comparison["decision"] == "register"
    assert comparison["new"]["trim_mae"]["value"] > 0
    assert comparison["trim_mae_change"]["low"] <= comparison["trim_mae_change"]["value"]
    assert result_of(done)["snapshot_id"] != ""
    assert result_of(done)["peak_memory_bytes"] > 50_000_000  # polars and scikit-learn alone take that
    assert plant.jobs.plan(done).peak_memory_bytes == result_of(done)["peak_memory_bytes"]


def test_a_dry_run_on_old_data_registers_nothing_and_says_what_it_used(plant: Plant) -> None:
    good = plant.snapshots.current()
    for file in plant.settings.source_folder.glob("*.csv"):
        file.unlink()
    done = ended(plant.jobs.run(enqueue(plant, dry_run=True).id))
    result = result_of(done)

    assert done.state == WorkState.SUCCEEDED
    assert done.model_version is None
    assert result["packaged"] is not None
    assert result["evaluation"]["overall"]["mae"]["n"] > 0
    assert result["snapshot_id"] == good.id
    assert good.id in result["data_note"]  # the ERP could not be read
    assert plant.version_names() == [FIRST]
    assert plant.staged() == []


def test_an_urgent_job_goes_before_the_one_whose_message_came(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # only which job is taken matters here
    calm = enqueue(plant, label="calm")
    urgent = enqueue(plant, label="urgent", priority=5)
    plant.bells.rung.clear()
    with pytest.raises(TrainingInterrupted, match=urgent.id):
        plant.jobs.run(calm.id)

    assert (plant.job(urgent.id).attempt, plant.job(calm.id).attempt) == (1, 0)
    assert plant.bells.rung == [calm.id]  # its own bell was used up, so it is rung again


# --------------------------------------------------------------------------------------------------- interruptions


def test_a_waiting_job_is_cancelled_at_once_and_its_message_changes_nothing(plant: Plant) -> None:
    row = enqueue(plant)
    assert plant.jobs.cancel(row.id, "tester").state == WorkState.CANCELLED

    assert plant.jobs.run(row.id) is None
    assert plant.version_names() == [FIRST]


def test_a_running_job_is_cancelled_within_seconds_and_leaves_nothing(plant: Plant, plant_folder: Path) -> None:
    row = enqueue(plant)
    worker = threading.Thread(target=plant.jobs.run, args=(row.id,))
    worker.start()
    wait_for(lambda: children_of(plant_folder))
    asked = time.monotonic()
    plant.jobs.cancel(row.id, "tester")
    worker.join(timeout=10)
    took = time.monotonic() - asked

    assert not worker.is_alive()
    assert took < 5
    assert plant.job(row.id).state == WorkState.CANCELLED
    assert children_of(plant_folder) == []
    assert plant.staged() == []
    assert plant.version_names() == [FIRST]


def test_a_job_that_has_ended_cannot_be_cancelled(plant: Plant) -> None:
    row = enqueue(plant)
    plant.work.give_up(TrainingJob, row.id, "for the test")
    with pytest.raises(Conflict, match="failed"):
        plant.jobs.cancel(row.id, "tester")


def test_a_killed_child_gives_the_job_back_and_the_next_message_finishes_it(plant: Plant, plant_folder: Path) -> None:
    row = enqueue(plant, label="spring-refit")
    raised: list[BaseException] = []

    def work() -> None:
        try:
            plant.jobs.run(row.id)
        except TrainingInterrupted as error:
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    os.kill(wait_for(lambda: children_of(plant_folder))[0], signal.SIGKILL)
    worker.join(timeout=20)

    assert "ended by signal 9" in str(raised[0])
    waiting = plant.job(row.id)
    assert (waiting.state, waiting.attempt) == (WorkState.QUEUED, 1)
    assert "signal 9" in error_of(waiting)
    assert plant.staged() == []
    done = ended(plant.jobs.run(row.id))
    assert (done.state, done.attempt, done.model_version) == (WorkState.SUCCEEDED, 2, "spring-refit")
    assert plant.version_names() == ["spring-refit", FIRST]


def test_a_killed_worker_s_job_is_taken_over_and_its_child_is_gone(plant_folder: Path) -> None:
    plant = open_plant(plant_folder, lease_seconds=2.0)
    row = enqueue(plant, label="spring-refit")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen([sys.executable, str(WORKER), str(plant_folder), row.id, "2.0"], env=environment)
    try:
        wait_for(lambda: children_of(plant_folder))
    finally:
        worker.kill()
        worker.wait()
    wait_for(lambda: not children_of(plant_folder), seconds=5)
    assert plant.job(row.id).state == WorkState.RUNNING  # nobody was left to say otherwise

    wait_for(lambda: row.id in plant.work.due(TrainingJob, now=utc_now(), ring_after_seconds=0), seconds=5)
    done = ended(plant.jobs.run(row.id))
    assert (done.state, done.attempt, done.model_version) == (WorkState.SUCCEEDED, 2, "spring-refit")
    assert plant.version_names() == ["spring-refit", FIRST]
    assert plant.staged() == []
    plant.engine.dispose()


def test_a_job_that_died_after_registering_is_ended_and_not_made_again(plant: Plant) -> None:
    row = enqueue(plant, label="spring-refit")
    real_finish = plant.work.finish

    def die(claim: Claim[Any], state: str, **columns: Any) -> None:
        if claim.table is TrainingJob:
            raise SystemExit("the worker dies between the version and the row")
        real_finish(claim, state, **columns)

    plant.work.finish = die  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        plant.jobs.run(row.id)
    plant.work.finish = real_finish  # type: ignore[method-assign]
    held = plant.job(row.id)
    assert held.state == WorkState.RUNNING
    later = open_plant(plant.settings.data_dir)
    later.work._clock = lambda: utc_now() + timedelta(seconds=60)  # the lease has run out
    begun = time.monotonic()
    done = ended(later.jobs.run(row.id))

    assert (done.state, done.model_version) == (WorkState.SUCCEEDED, "spring-refit")
    assert time.monotonic() - begun < 2  # nothing was trained again
    assert plant.version_names() == ["spring-refit", FIRST]
    later.engine.dispose()


def test_a_job_that_died_between_the_folder_and_its_row_makes_no_second_version(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = enqueue(plant, label="spring-refit")

    def die(*_arguments: Any, **_words: Any) -> None:
        raise SystemExit("the worker dies between the folder and its row")

    monkeypatch.setattr(plant.installer, "add_row", die)
    with pytest.raises(SystemExit):
        plant.jobs.run(row.id)
    models = plant.settings.data_dir / "models"
    assert (models / "spring-refit").is_dir()
    assert plant.version_names() == [FIRST]
    later = open_plant(plant.settings.data_dir)
    later.work._clock = lambda: utc_now() + timedelta(seconds=60)  # the lease has run out
    done = ended(later.jobs.run(row.id))

    assert (done.state, done.attempt, done.model_version) == (WorkState.SUCCEEDED, 2, "spring-refit")
    assert plant.version_names() == ["spring-refit", FIRST]
    assert sorted(folder.name for folder in models.iterdir()) == ["spring-refit", FIRST]
    assert later.versions.get("spring-refit").job_id == row.id
    later.engine.dispose()


def test_a_worker_whose_job_was_taken_over_writes_and_registers_nothing(plant: Plant, plant_folder: Path) -> None:
    row = enqueue(plant)
    outcome: list[object] = ["not ended"]
    worker = threading.Thread(target=lambda: outcome.append(plant.jobs.run(row.id)))
    worker.start()
    wait_for(lambda: children_of(plant_folder))
    thief = open_plant(plant_folder)
    thief.work._clock = lambda: utc_now() + timedelta(seconds=120)
    claim = thief.work.claim(TrainingJob, row.id, worker="thief", lease_seconds=600)
    worker.join(timeout=10)

    assert claim is not None
    assert outcome[-1] is None
    assert children_of(plant_folder) == []
    assert (plant.job(row.id).state, plant.job(row.id).worker) == (WorkState.RUNNING, "thief")
    assert plant.version_names() == [FIRST]
    thief.engine.dispose()


def test_after_five_attempts_the_row_is_failed_with_the_last_reason(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    row = enqueue(plant)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(TrainingInterrupted):
            plant.jobs.run(row.id)
        assert plant.job(row.id).state == (WorkState.QUEUED if attempt < MAX_ATTEMPTS else WorkState.FAILED)

    last = plant.job(row.id)
    assert "Given up after 5 attempts" in error_of(last)
    assert "exit code 1" in error_of(last)
    assert plant.jobs.run(row.id) is None
    assert plant.alerts.list(kind="training-failed")[1] == 1


@pytest.mark.parametrize("data_is_there", [False, True], ids=["reading", "training"])
def test_a_job_over_its_budget_fails_with_that_reason(
    plant_folder: Path, monkeypatch: pytest.MonkeyPatch, data_is_there: bool
) -> None:
    plant = open_plant(plant_folder, budget_seconds=0.3)
    if data_is_there:
        snapshot = plant.snapshots.current()
        monkeypatch.setattr(plant.snapshots, "take_now", lambda **_words: snapshot)
    else:
        monkeypatch.setattr(plant.snapshots, "take_now", lambda **_words: time.sleep(5))
    done = ended(plant.jobs.run(enqueue(plant).id))

    assert done.state == WorkState.FAILED
    told = "The training took longer" if data_is_there else "reading the ERP"
    assert told in error_of(done)
    assert "0.3 s" in error_of(done)
    assert children_of(plant_folder) == []
    plant.engine.dispose()


def test_data_that_teaches_nothing_fails_at_once_with_the_reason(plant: Plant) -> None:
    for file in plant.settings.source_folder.glob("BI_ROUTING*"):
        header = file.read_text(encoding="utf-8-sig").splitlines()[0]
        file.write_text(header + "\n", encoding="utf-8")
    done = ended(plant.jobs.run(enqueue(plant).id))

    assert done.state == WorkState.FAILED
    assert done.attempt == 1
    assert "routing" in error_of(done)
