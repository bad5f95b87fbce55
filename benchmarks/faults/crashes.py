"""Sudden deaths: at each point a process is killed, the host starts it again, and nothing may be lost or doubled."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlmodel import col, select

from benchmarks.faults.instance import Instance
from benchmarks.faults.points import Point
from shared.database.engine import reading
from shared.database.tables import (
    Alert,
    Extract,
    JobLine,
    ModelVersion,
    PoisonMessage,
    QualityCycle,
    QualityEvidence,
    TestedActual,
    TrainingJob,
    VersionState,
    WorkColumns,
    WorkState,
)
from shared.quality.evidence.store import WHOLE

END_SECONDS = 90.0


@dataclass(kw_only=True)
class Round:
    """What one death did."""

    point: str
    died: bool = False
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    taken_up_seconds: float | None = None  # from the death until the work is held again or has ended
    ended_seconds: float | None = None  # from the death until it has ended
    attempts: int = 0

    @property
    def good(self) -> bool:
        """Whether the point was met and nothing went wrong."""
        return self.died and not (self.lost or self.doubled or self.stuck)


def play(instance: Instance, point: Point) -> Round:
    """Arm the point, let its story go on, and report."""
    done = Round(point=point.name)
    instance.arm(point.name, point.nth)
    story = {"job": _job, "cancel": _cancel, "poison": _poison, "cycle": _cycle}[point.story]
    try:
        story(instance, point, done)
    except AssertionError as error:
        done.stuck.append(str(error))
    finally:
        (instance.armed / point.name).unlink(missing_ok=True)
    look_for_doubles(instance, done)
    return done


# ---------------------------------------------------------------------------------------------------------- stories


def _job(instance: Instance, point: Point, done: Round) -> None:
    row = _follow(instance, point, done, _asked_for(instance, TrainingJob, "training/jobs", {"kind": "refit"}))
    if row.state != WorkState.SUCCEEDED:
        done.lost.append(f"{row.id} ended {row.state}: {row.error}")
    assert isinstance(row, TrainingJob)
    check_effect(instance, row, done)


def _cycle(instance: Instance, point: Point, done: Round) -> None:
    instance.go_on()
    row = _follow(instance, point, done, _asked_for(instance, QualityCycle, "quality/cycles", {"sample_size": 10}))
    assert isinstance(row, QualityCycle)
    if row.state != WorkState.SUCCEEDED:
        done.lost.append(f"{row.id} ended {row.state}: {row.error}")
    elif not (row.metrics or {})["evidence"]["new_actuals"]:
        done.lost.append(f"{row.id} had no new actuals, so that nothing was proven of them")
    check_evidence(instance, done)


def _cancel(instance: Instance, point: Point, done: Round) -> None:
    job_id = _asked_for(instance, TrainingJob, "training/jobs", {"kind": "refit"})
    instance.eventually(instance.children, END_SECONDS, "a training child")
    _until_answered(instance, job_id)
    row = _follow(instance, point, done, job_id)
    assert isinstance(row, TrainingJob)
    if row.state != WorkState.CANCELLED:
        done.lost.append(f"{row.id} was to be cancelled and ended {row.state}: {row.error}")
    if row.model_version is not None:
        done.lost.append(f"{row.id} was cancelled and names {row.model_version}")
    check_effect(instance, row, done)


def _until_answered(instance: Instance, job_id: str) -> None:
    """Ask for the cancellation as a person would: again, where no answer came."""

    def asked() -> bool:
        answer = instance.ask("DELETE", f"training/jobs/{job_id}")
        return answer is not None and answer.status_code in (202, 409)

    instance.eventually(asked, 30, "an answer to the cancellation")


def _poison(instance: Instance, point: Point, done: Round) -> None:
    """A message that no function can handle is kept once, with its reason and one alert."""
    body = f"no doorbell, for {point.name}"
    instance.services.doorbells.send(TrainingJob.QUEUE, body)
    instance.eventually(lambda: not instance.is_armed(point.name), END_SECONDS, "the point is met")
    died = time.monotonic()
    done.died = True

    def buried() -> bool:
        empty = instance.services.doorbells.depth(f"{TrainingJob.QUEUE}-poison") == 0
        return empty and bool(_rows(instance, PoisonMessage, body=body)) and _alerts(instance) == 1

    instance.eventually(buried, END_SECONDS, "the message is buried and its alert raised")
    done.taken_up_seconds = done.ended_seconds = time.monotonic() - died
    kept = len(_rows(instance, PoisonMessage, body=body))
    if kept != 1:
        done.doubled.append(f"the message is kept {kept} times")


def _alerts(instance: Instance) -> int:
    return sum(alert.state != "closed" for alert in _rows(instance, Alert, kind="poison-message"))


# --------------------------------------------------------------------------------------------------------- following


def _asked_for(instance: Instance, table: type[WorkColumns], path: str, body: dict[str, Any]) -> str:
    """Ask for work as a person would: where no answer came, look whether the row is there, else ask again."""
    known = {row.id for row in _rows(instance, table)}
    answer: httpx.Response | None = None

    def asked() -> str | None:
        nonlocal answer
        answer = instance.ask("POST", path, body)
        if answer is not None and answer.status_code == 202:
            return str(answer.json()["id"])
        new = [row.id for row in _rows(instance, table) if row.id not in known]
        return new[0] if new else None

    return str(instance.eventually(asked, END_SECONDS, f"{path} is asked for"))


def _follow(instance: Instance, point: Point, done: Round, row_id: str) -> WorkColumns:
    """Follow the row over the death to its end."""
    table = QualityCycle if point.story == "cycle" else TrainingJob
    instance.eventually(lambda: not instance.is_armed(point.name), END_SECONDS, "the point is met")
    died, done.died = time.monotonic(), True
    before = _row(instance, table, row_id)

    def taken_up() -> bool:
        row = _row(instance, table, row_id)
        return row.attempt > before.attempt or row.state in table.FINAL

    if before.state in table.FINAL:
        done.taken_up_seconds = 0.0
    elif point.story == "job" and before.state == WorkState.RUNNING:
        # A death in another process leaves the attempt under way; then its end is what counts.
        instance.eventually(taken_up, END_SECONDS, "the work is taken up again or ends")
        done.taken_up_seconds = time.monotonic() - died
    else:
        instance.eventually(taken_up, END_SECONDS, "the work is taken up")
        done.taken_up_seconds = time.monotonic() - died
    instance.eventually(lambda: _row(instance, table, row_id).state in table.FINAL, END_SECONDS, f"{row_id} has ended")
    done.ended_seconds = time.monotonic() - died
    row = _row(instance, table, row_id)
    done.attempts = row.attempt
    settle(instance, row_id)
    return row


def settle(instance: Instance, row_id: str) -> None:
    """Wait until every row has ended, no message is left, and nothing lies about."""

    def settled() -> bool:
        rows = [row for table in (TrainingJob, QualityCycle, Extract) for row in _rows(instance, table)]
        unended = [row for row in rows if row.state not in row.FINAL]
        queues = (TrainingJob.QUEUE, QualityCycle.QUEUE, Extract.QUEUE)
        return not unended and not any(instance.services.doorbells.depth(queue) for queue in queues)

    instance.eventually(settled, END_SECONDS, "every row has ended and every message is gone")
    instance.eventually(
        lambda: not instance.left_lying(), END_SECONDS, f"nothing is left of {row_id}: {instance.left_lying()}"
    )


# --------------------------------------------------------------------------------------------------------- checking


def check_effect(instance: Instance, job: TrainingJob, done: Round) -> None:
    """A job that registered has one version, which its row names; any other has none."""
    versions = [row.version for row in _rows(instance, ModelVersion, job_id=job.id)]
    registered = job.state == WorkState.SUCCEEDED and (job.result or {}).get("packaged")
    expected = [job.model_version] if registered else []
    if len(versions) > len(expected):
        done.doubled.append(f"{job.id} ({job.state}) has the versions {versions}")
    elif versions != expected:
        done.lost.append(f"{job.id} names {job.model_version} and has the versions {versions}")
    endings = [line for line in _rows(instance, JobLine, job_id=job.id) if line.message == job.step]
    if job.state == WorkState.SUCCEEDED and len(endings) != 1:
        done.doubled.append(f"the log of {job.id} tells its end {len(endings)} times")


def check_evidence(instance: Instance, done: Round) -> None:
    """Each actual that a cycle tells of has entered the alarm's test once, and each such cycle counts there once."""
    cycles = [row for row in _rows(instance, QualityCycle) if row.state == WorkState.SUCCEEDED]
    told = {row.id: row.metrics["evidence"] for row in cycles}
    keys = [row.cycle_id for row in _rows(instance, TestedActual)]
    for cycle_id, evidence in told.items():
        entered = keys.count(cycle_id)
        kind = done.doubled if entered > evidence["new_actuals"] else done.lost
        if entered != evidence["new_actuals"]:
            kind.append(f"{cycle_id} tells of {evidence['new_actuals']} new actuals, and {entered} entered the test")
    done.doubled += [f"actuals of {other}, which did not end well" for other in sorted(set(keys) - told.keys())]
    tested = sum(evidence["new_items"] > 0 for evidence in told.values())
    counted = [row.state["cycles"] for row in _rows(instance, QualityEvidence, stream=WHOLE)]
    if counted != [tested]:
        done.doubled.append(f"{tested} cycles had new actuals, and the test counts {counted}")


def look_for_doubles(instance: Instance, done: Round) -> None:
    """Versions, their jobs and their folders must belong together, one by one."""
    versions = _rows(instance, ModelVersion)
    active = [row.version for row in versions if row.state == "active"]
    if len(active) != 1:
        done.doubled.append(f"active: {active}")
    jobs = [row.job_id for row in versions if row.job_id]
    done.doubled += [f"two versions of {job}" for job in set(jobs) if jobs.count(job) > 1]
    folders = {entry.name for entry in instance.settings.models.iterdir() if not entry.name.startswith(".")}
    names = {row.version for row in versions}
    standing = {row.version for row in versions if row.state != VersionState.REMOVED}
    done.doubled += [f"folder without row: {name}" for name in sorted(folders - names)]
    done.lost += [f"row without folder: {name}" for name in sorted(standing - folders)]


def _row(instance: Instance, table: type[WorkColumns], row_id: str) -> WorkColumns:
    return instance.services.work.get(table, row_id)


def _rows(instance: Instance, table: type[Any], **equal: Any) -> Sequence[Any]:
    conditions = [col(getattr(table, name)) == value for name, value in equal.items()]
    with reading(instance.services.engine) as session:
        return session.exec(select(table).where(*conditions)).all()
