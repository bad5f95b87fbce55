"""Work rows: who may claim, who may write, what the sweep finds, and what a cancellation does."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select
from structlog.testing import capture_logs

from shared.database.engine import reading
from shared.database.pulse import Pulse
from shared.database.tables import (
    Extract,
    QualityCycle,
    Registration,
    RegistrationState,
    SnapshotRow,
    TrainingJob,
    WorkState,
)
from shared.database.work import WORK_TABLES, Claim, WorkRows
from shared.errors import Conflict, LeaseLost, NotFound
from tests.database.database_support import MovableClock


@pytest.fixture
def work(engine: Engine, clock: MovableClock) -> WorkRows:
    return WorkRows(engine, clock=clock)


@pytest.fixture
def job(work: WorkRows, clock: MovableClock) -> str:
    assert work.insert(TrainingJob(id="job_1", created_at=clock()))
    return "job_1"


def claim_of(work: WorkRows, row_id: str, *, worker: str = "a", lease_seconds: float = 30) -> Claim[TrainingJob]:
    claim = work.claim(TrainingJob, row_id, worker=worker, lease_seconds=lease_seconds)
    assert claim is not None
    return claim


def test_slot_is_inserted_once(work: WorkRows, clock: MovableClock) -> None:
    """A doubled timer inserts nothing; rows without a slot never collide."""
    assert work.insert(QualityCycle(id="c1", slot="2026-03-01T02:00", created_at=clock()))
    assert not work.insert(QualityCycle(id="c2", slot="2026-03-01T02:00", created_at=clock()))
    assert work.insert(QualityCycle(id="c3", created_at=clock()))
    assert work.insert(QualityCycle(id="c4", created_at=clock()))
    assert work.list(QualityCycle)[1] == 3


def test_repeated_drop_and_repeated_id_are_inserted_once(work: WorkRows, clock: MovableClock) -> None:
    """The key of a registration is its version and manifest together."""

    def drop(row_id: str, manifest: str) -> Registration:
        now = clock()
        return Registration(id=row_id, version="v1", manifest_sha256=manifest * 64, deadline=now, created_at=now)

    assert work.insert(drop("r1", "a"))
    assert not work.insert(drop("r2", "a"))
    assert not work.insert(drop("r1", "b"))
    assert work.insert(drop("r3", "b"))
    assert work.get(Registration, "r3").state == RegistrationState.RECEIVED


def test_row_that_breaks_another_rule_is_not_taken_for_a_duplicate(work: WorkRows) -> None:
    """A missing value is a defect of the caller and surfaces as one."""
    with pytest.raises(IntegrityError):
        work.insert(TrainingJob(id="job_2", created_at=None))  # type: ignore[arg-type]


def test_guard_sees_the_rows_and_can_refuse_the_insert(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A limit that no unique key expresses is checked in the inserting transaction."""

    def at_most_one(session: Session) -> None:
        if session.exec(select(TrainingJob)).first() is not None:
            raise Conflict("One job waits already.")

    with pytest.raises(Conflict):
        work.insert(TrainingJob(id="job_2", created_at=clock()), guard=at_most_one)
    assert work.list(TrainingJob)[1] == 1


def test_claim_marks_the_row_and_shuts_others_out(work: WorkRows, job: str, clock: MovableClock) -> None:
    """The first claim counts an attempt and sets the lease; the second gets nothing."""
    claim = claim_of(work, job)
    row = work.get(TrainingJob, job)
    assert (claim.attempt, claim.token, row.state, row.worker) == (1, 1, WorkState.RUNNING, "a")
    assert row.lease_until == clock() + timedelta(seconds=30)
    assert row.started_at == clock()
    assert work.claim(TrainingJob, job, worker="b", lease_seconds=30) is None
    assert work.claim(TrainingJob, "unknown", worker="b", lease_seconds=30) is None


def test_expired_lease_is_claimable_and_the_zombie_is_fenced_out(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A worker that slept through its lease can neither write, nor finish, nor release, nor renew."""
    zombie = claim_of(work, job)
    clock.advance(31)
    heir = claim_of(work, job, worker="b")
    assert (heir.attempt, heir.token) == (2, 2)
    with pytest.raises(LeaseLost):
        work.update(zombie, step="zombie")
    with pytest.raises(LeaseLost):
        work.finish(zombie, WorkState.SUCCEEDED, model_version="zombie", add=[a_snapshot()])
    with pytest.raises(LeaseLost):
        work.release(zombie)
    assert not work.heartbeat(zombie, lease_seconds=30).held
    row = work.get(TrainingJob, job)
    assert (row.worker, row.step, row.model_version, row.state) == ("b", "", None, WorkState.RUNNING)
    work.finish(heir, WorkState.SUCCEEDED, model_version="v2")
    with pytest.raises(LeaseLost):
        work.finish(heir, WorkState.FAILED)


def a_snapshot() -> SnapshotRow:
    then = datetime(2026, 3, 1, tzinfo=UTC)
    return SnapshotRow(
        id="snap_1", profile="p", folder="f", fingerprint="x", data_as_of=then, rows={"items": 1}, created_at=then
    )


def test_a_pulse_after_the_end_is_no_lost_lease(work: WorkRows, job: str, clock: MovableClock) -> None:
    mine = claim_of(work, job)
    pulse = Pulse(work, mine, lease_seconds=30, every_seconds=0.01)
    with capture_logs() as lines, pulse:
        work.finish(mine, WorkState.SUCCEEDED)
        assert pulse.lost.wait(10)
    assert [line["event"] for line in lines] == ["work.finished"]
    assert work.get(TrainingJob, job).state == WorkState.SUCCEEDED

    work.insert(TrainingJob(id="job_2", created_at=clock()))
    lost = claim_of(work, "job_2")
    clock.advance(31)
    claim_of(work, "job_2", worker="b")
    with capture_logs() as lines, Pulse(work, lost, lease_seconds=30, every_seconds=0.01) as pulse:
        assert pulse.lost.wait(10)
    assert "work.lease_lost" in [line["event"] for line in lines]


def test_heartbeat_holds_the_lease_and_carries_progress(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A renewed claim outlives its first lease and nobody else can take it."""
    claim = claim_of(work, job)
    for step in range(5):
        clock.advance(20)
        beat = work.heartbeat(claim, lease_seconds=30, progress=step * 10.0, step=f"fold {step}")
        assert (beat.held, beat.cancel_requested) == (True, False)
        assert work.claim(TrainingJob, job, worker="b", lease_seconds=30) is None
    row = work.get(TrainingJob, job)
    assert (row.progress, row.step) == (40.0, "fold 4")


def test_delivered_five_times_has_effect_once(work: WorkRows, job: str, engine: Engine) -> None:
    """Each delivery claims, inserts a result and finishes; only one gets so far, and one result stands."""
    outcomes = []
    for delivery in range(5):
        claim = work.claim(TrainingJob, job, worker=f"w{delivery}", lease_seconds=30)
        if claim is not None:
            work.finish(claim, WorkState.SUCCEEDED, add=[a_snapshot()])
        outcomes.append(claim is not None)
    assert outcomes == [True, False, False, False, False]
    with reading(engine) as session:
        assert len(session.exec(select(SnapshotRow)).all()) == 1
    row = work.get(TrainingJob, job)
    assert (row.state, row.progress, row.attempt, row.lease_until) == (WorkState.SUCCEEDED, 100.0, 1, None)


@pytest.mark.parametrize("state", sorted(TrainingJob.FINAL))
def test_final_row_is_never_claimed(work: WorkRows, job: str, clock: MovableClock, state: str) -> None:
    """However a row ended, a late message changes nothing."""
    work.finish(claim_of(work, job), state)
    clock.advance(10_000)
    assert work.claim(TrainingJob, job, worker="b", lease_seconds=30) is None
    assert work.due(TrainingJob, now=clock(), ring_after_seconds=0) == []


def test_failed_finish_leaves_the_row_as_it_was(work: WorkRows, job: str, engine: Engine) -> None:
    """The row's end and the rows that belong to it are written together or not at all."""
    claim = claim_of(work, job)
    broken = a_snapshot()
    broken.fingerprint = None  # type: ignore[assignment]
    with pytest.raises(IntegrityError):
        work.finish(claim, WorkState.SUCCEEDED, add=[broken])
    assert work.get(TrainingJob, job).state == WorkState.RUNNING
    work.finish(claim, WorkState.SUCCEEDED, add=[a_snapshot()])


def test_only_a_final_state_finishes_and_only_a_claimable_one_releases(work: WorkRows, job: str) -> None:
    """A slip in a state's name cannot strand a row."""
    claim = claim_of(work, job)
    with pytest.raises(ValueError, match="running"):
        work.finish(claim, WorkState.RUNNING)
    with pytest.raises(ValueError, match="running"):
        work.release(claim, state=WorkState.RUNNING)


def test_released_row_waits_for_its_time(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A delayed row is not claimed early, keeps its error and counts the next attempt."""
    work.release(claim_of(work, job), error="the disk was full", delay_seconds=60)
    row = work.get(TrainingJob, job)
    assert (row.state, row.error, row.not_before) == (
        WorkState.QUEUED,
        "the disk was full",
        clock() + timedelta(minutes=1),
    )
    assert work.claim(TrainingJob, job, worker="b", lease_seconds=30) is None
    clock.advance(60)
    assert claim_of(work, job).attempt == 2
    assert work.get(TrainingJob, job).not_before is None


def test_incomplete_package_waits_under_its_own_state(work: WorkRows, clock: MovableClock) -> None:
    """A registration is released as `waiting` unless told otherwise, and is claimed again from there."""
    work.insert(Registration(id="r1", version="v", manifest_sha256="a", deadline=clock(), created_at=clock()))
    for _ in range(2):
        claim = work.claim(Registration, "r1", worker="a", lease_seconds=30)
        assert claim is not None
        assert work.get(Registration, "r1").state == RegistrationState.VERIFYING
        work.release(claim, delay_seconds=10)
        assert work.get(Registration, "r1").state == RegistrationState.WAITING
        clock.advance(10)


def test_waiting_row_is_cancelled_at_once(work: WorkRows, job: str, clock: MovableClock) -> None:
    """Nobody works on it, so nobody need be asked; asking twice is no error."""
    assert work.request_cancel(TrainingJob, job).state == WorkState.CANCELLED
    row = work.request_cancel(TrainingJob, job)
    assert (row.state, row.ended_at) == (WorkState.CANCELLED, clock())
    assert work.claim(TrainingJob, job, worker="a", lease_seconds=30) is None


def test_running_work_hears_of_its_cancellation(work: WorkRows, job: str) -> None:
    """The request reaches the worker with its next heartbeat and does not end the row by itself."""
    claim = claim_of(work, job)
    assert work.request_cancel(TrainingJob, job).state == WorkState.RUNNING
    beat = work.heartbeat(claim, lease_seconds=30)
    assert (beat.held, beat.cancel_requested) == (True, True)
    work.finish(claim, WorkState.CANCELLED)
    assert work.get(TrainingJob, job).state == WorkState.CANCELLED


def test_work_that_is_released_after_a_cancellation_is_cancelled(work: WorkRows, job: str) -> None:
    """A worker that stops for a reason of its own cannot bring cancelled work back."""
    claim = claim_of(work, job)
    work.request_cancel(TrainingJob, job)
    work.release(claim, delay_seconds=5)
    assert work.get(TrainingJob, job).state == WorkState.CANCELLED


def test_dead_workers_row_is_cancelled_and_its_zombie_stays_out(work: WorkRows, job: str, clock: MovableClock) -> None:
    """An expired lease cannot answer, so the row ends at once and the old token is void."""
    zombie = claim_of(work, job)
    clock.advance(31)
    assert work.request_cancel(TrainingJob, job).state == WorkState.CANCELLED
    with pytest.raises(LeaseLost):
        work.finish(zombie, WorkState.SUCCEEDED)


def test_ended_or_uncancellable_work_is_a_conflict(work: WorkRows, job: str, clock: MovableClock) -> None:
    """The answer names the state; a registration has no cancelled state at all."""
    work.finish(claim_of(work, job), WorkState.SUCCEEDED)
    with pytest.raises(Conflict) as caught:
        work.request_cancel(TrainingJob, job)
    assert caught.value.facts["state"] == WorkState.SUCCEEDED
    work.insert(Registration(id="r1", version="v", manifest_sha256="a", deadline=clock(), created_at=clock()))
    with pytest.raises(Conflict):
        work.request_cancel(Registration, "r1")
    with pytest.raises(NotFound):
        work.request_cancel(TrainingJob, "unknown")


def test_due_finds_lost_bells_and_dead_workers_and_nothing_else(work: WorkRows, clock: MovableClock) -> None:
    """A row is due when it could be claimed and its last bell is old."""
    for name in ("lost", "rung", "held", "dead", "delayed"):
        work.insert(TrainingJob(id=name, created_at=clock()))
    clock.advance(60)
    work.insert(TrainingJob(id="fresh", created_at=clock()))
    work.mark_rung(TrainingJob, ["rung"])
    claim_of(work, "dead", lease_seconds=5)
    work.release(claim_of(work, "delayed"), delay_seconds=3600)
    clock.advance(6)
    claim_of(work, "held")
    assert set(work.due(TrainingJob, now=clock(), ring_after_seconds=30)) == {"lost", "dead"}
    clock.advance(25)
    assert set(work.due(TrainingJob, now=clock(), ring_after_seconds=30)) == {"lost", "dead", "rung", "fresh"}
    clock.advance(3600)
    assert set(work.due(TrainingJob, now=clock(), ring_after_seconds=30)) == {
        "lost", "dead", "rung", "fresh", "held", "delayed",
    }  # fmt: skip


def test_giving_up_ends_waiting_rows_but_not_held_ones(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A poison message fails its row unless a live worker has it or it has ended."""
    claim = claim_of(work, job)
    untouched = work.give_up(TrainingJob, job, "poison")
    assert untouched is not None
    assert untouched.state == WorkState.RUNNING
    work.release(claim, error="first")
    row = work.give_up(TrainingJob, job, "poison")
    assert row is not None
    assert (row.state, row.error, row.ended_at) == (WorkState.FAILED, "poison", clock())
    work.give_up(TrainingJob, job, "again")
    assert work.get(TrainingJob, job).error == "poison"
    assert work.give_up(TrainingJob, "unknown", "poison") is None


def test_failed_row_is_reopened_with_all_its_attempts(work: WorkRows, job: str) -> None:
    """Replaying a buried message makes its row claimable; work that succeeded stays done."""
    first = claim_of(work, job)
    work.finish(first, WorkState.FAILED, error="no disk")
    assert work.reopen(TrainingJob, job)
    assert not work.reopen(TrainingJob, job)
    again = claim_of(work, job)
    assert again.attempt == 1
    assert again.token > first.token
    assert again.row.error is None
    work.finish(again, WorkState.SUCCEEDED)
    assert not work.reopen(TrainingJob, job)


def test_lists_are_paged_newest_first_and_filtered(work: WorkRows, clock: MovableClock) -> None:
    """The total counts what the filter leaves, not the page."""
    for number in range(5):
        clock.advance(1)
        work.insert(TrainingJob(id=f"j{number}", created_at=clock()))
    work.finish(claim_of(work, "j3"), WorkState.SUCCEEDED)
    rows, total = work.list(TrainingJob, limit=2, offset=1)
    assert ([row.id for row in rows], total) == (["j3", "j2"], 5)
    rows, total = work.list(TrainingJob, state=WorkState.QUEUED)
    assert ([row.id for row in rows], total) == (["j4", "j2", "j1", "j0"], 4)
    assert work.count(TrainingJob, {WorkState.SUCCEEDED, WorkState.FAILED}) == 1


def test_overlong_texts_are_cut_to_their_columns(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A database that enforces lengths must not refuse a row because a reason was long."""
    work.insert(TrainingJob(id="long", reason="r" * 1_000, created_at=clock()))
    assert len(work.get(TrainingJob, "long").reason) == 400
    claim = claim_of(work, job, worker="w" * 500)
    work.heartbeat(claim, lease_seconds=30, step="s" * 1_000)
    work.finish(claim, WorkState.FAILED, error="e" * 5_000)
    row = work.get(TrainingJob, job)
    assert (len(row.worker or ""), len(row.step), len(row.error or "")) == (128, 200, 5_000)


def test_every_queue_has_its_table() -> None:
    """The four queues of the product and no other."""
    assert {queue: table.__name__ for queue, table in WORK_TABLES.items()} == {
        "extracts": Extract.__name__,
        "quality-cycles": QualityCycle.__name__,
        "retraining": TrainingJob.__name__,
        "model-registrations": Registration.__name__,
    }


def test_a_clock_set_back_holds_up_no_dead_worker_s_row(work: WorkRows, job: str, clock: MovableClock) -> None:
    """A lease that ends later than a lease can was written by a clock that ran ahead; the old worker is fenced off."""
    dead = claim_of(work, job)
    work.mark_rung(TrainingJob, [job])
    assert work.insert(TrainingJob(id="waits", created_at=clock()))
    work.release(claim_of(work, "waits"), delay_seconds=600)
    work.mark_rung(TrainingJob, ["waits"])
    clock.advance(-3600)
    assert set(work.due(TrainingJob, now=clock(), ring_after_seconds=30)) == {job, "waits"}
    work.mark_rung(TrainingJob, [job, "waits"])
    assert claim_of(work, job, worker="b").attempt == 2
    assert claim_of(work, "waits", worker="b").attempt == 2
    assert work.due(TrainingJob, now=clock(), ring_after_seconds=30) == []
    assert not work.heartbeat(dead, lease_seconds=30).held


def test_a_clock_set_back_leaves_a_live_worker_its_row(work: WorkRows, job: str, clock: MovableClock) -> None:
    """The next heartbeat puts the lease right."""
    claim = claim_of(work, job)
    clock.advance(-3600)
    assert work.heartbeat(claim, lease_seconds=30).held
    assert work.due(TrainingJob, now=clock(), ring_after_seconds=30) == []
    assert work.claim(TrainingJob, job, worker="b", lease_seconds=30) is None
    work.finish(claim, WorkState.SUCCEEDED)
