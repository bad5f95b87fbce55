"""Who may have a training job: the row that is asked for, and what refuses it."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from shared.configuration import TrainingConfiguration
from shared.database.engine import one_at_a_time
from shared.database.job_rows import asked_for_by_an_alarm
from shared.database.tables import Alert, AlertState, TrainingJob, WorkState
from shared.errors import Conflict, InvalidInput
from shared.quality.unit_alerts import UNIT_SUSPECTED, no_job
from shared.registry.versions import check_version_name

KINDS = ("refit", "challenger")
ALARM, SCHEDULE = "alarm", "schedule"  # actors that are no person
ALARM_SLOT = "alarm-"  # begins the slot of the one job that a cycle's alarm may ask for


def new_job(
    kind: str,
    *,
    now: datetime,
    reason: str,
    actor: str,
    label: str | None,
    priority: int,
    dry_run: bool,
    slot: str | None,
    cycle_id: str | None = None,
) -> TrainingJob:
    """Return the row of a job, not stored yet.

    Raises:
        InvalidInput: there is no such kind, or the label cannot be a version's name.
    """
    if kind not in KINDS:
        raise InvalidInput(
            f"There is no kind of training {kind!r}.",
            remedy=f"Use one of {', '.join(KINDS)}.",
            errors=[{"field": "kind", "message": "unknown kind"}],
        )
    if label is not None:
        check_version_name(label)
    return TrainingJob(
        id=f"job_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(3)}",
        kind=kind,
        reason=reason,
        actor=actor,
        label=label,
        priority=priority,
        dry_run=dry_run,
        slot=slot,
        cycle_id=cycle_id,
        created_at=now,
    )


def skipped_job(slot: str, *, now: datetime, reason: str, why: str) -> TrainingJob:
    """Return the row of a scheduled job that was refused: the scheduled time is used up, and the row says why."""
    row = new_job(
        "refit", now=now, reason=f"not started: {why} ({reason})", actor=SCHEDULE, label=None, priority=0,
        dry_run=False, slot=slot,
    )  # fmt: skip
    row.state, row.step, row.ended_at = WorkState.SKIPPED, "not started", now
    return row


def admission(row: TrainingJob, limits: TrainingConfiguration, *, now: datetime) -> Callable[[Session], None]:
    """Return what refuses `row` inside the transaction that would insert it, so that no two slip past together.

    The returned function raises Conflict, its `reason` among the facts.
    """
    by_alarm = row.cycle_id is not None

    def guard(session: Session) -> None:
        one_at_a_time(session, "training-admission")
        if row.slot is not None and session.exec(select(TrainingJob.id).where(TrainingJob.slot == row.slot)).first():
            return  # the unique key will say so
        unfinished = session.exec(
            select(TrainingJob).where(col(TrainingJob.state).in_([WorkState.QUEUED, WorkState.RUNNING]))
        ).all()
        if by_alarm or row.actor == SCHEDULE:
            _refuse_suspected_units(session)
        waiting = [job for job in unfinished if job.state == WorkState.QUEUED]
        _refuse_twin(row, waiting)
        if by_alarm and unfinished:
            other = unfinished[0]
            raise Conflict(
                f"The job {other.id} is already {other.state}.", state=other.state, reason=f"already {other.state}"
            )
        if len(waiting) >= limits.queue_limit:
            raise Conflict(
                f"The queue is full ({limits.queue_limit} jobs wait).",
                remedy="Wait for one to start, or cancel one.",
                state="queue full",
                reason=f"queue full ({limits.queue_limit})",
            )
        if by_alarm:
            _refuse_in_cooldown(session, limits.cooldown_minutes, now)

    return guard


def _refuse_suspected_units(session: Session) -> None:
    """Refuse what nobody asked for while work results may be in a wrong unit: it would learn wrong numbers."""
    wanted = (col(Alert.kind) == UNIT_SUSPECTED, col(Alert.state) != AlertState.CLOSED)
    standing = session.exec(select(Alert).where(*wanted)).all()
    if standing:
        raise Conflict(
            no_job(standing),
            remedy="Or close the alert, where it is wrong.",
            state=UNIT_SUSPECTED,
            reason=UNIT_SUSPECTED,
            alert_ids=[alert.id for alert in standing],
        )


def _refuse_in_cooldown(session: Session, cooldown_minutes: float, now: datetime) -> None:
    newest = select(TrainingJob).where(asked_for_by_an_alarm()).order_by(col(TrainingJob.created_at).desc())
    last = session.exec(newest.limit(1)).first()
    if last is None:
        return
    until = last.created_at + timedelta(minutes=cooldown_minutes)
    if now < until:
        raise Conflict(
            f"The cool-down after the alarm's job {last.id} lasts until {until:%Y-%m-%dT%H:%M:%SZ}.",
            state="cool-down",
            reason=f"cool-down until {until.isoformat()}",
            until=until.isoformat(),
        )


def _refuse_twin(row: TrainingJob, waiting: Sequence[TrainingJob]) -> None:
    """Refuse a job that would do what a waiting one will do, or that wants a waiting one's label."""
    for job in waiting:
        if row.label is not None and job.label == row.label:
            raise Conflict(
                f"The waiting job {job.id} has the label {row.label}.",
                state=job.state,
                reason="label taken",
                job_id=job.id,
            )
        if row.label is None and job.label is None and (job.kind, job.dry_run) == (row.kind, row.dry_run):
            raise Conflict(
                f"A {row.kind} job is already queued: {job.id}.",
                state=job.state,
                reason="already queued",
                job_id=job.id,
            )
