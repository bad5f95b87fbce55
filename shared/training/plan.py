"""What a job that was asked for is going to do, and what it will take as far as earlier jobs tell."""

from dataclasses import dataclass
from datetime import datetime

from shared.configuration import Configuration
from shared.database.job_rows import JobRows
from shared.database.models import ModelVersions
from shared.database.tables import SnapshotRow, TrainingJob, WorkState
from shared.database.work import WorkRows
from shared.settings import Settings

CONFIGURED = "configured"  # the model as the configuration describes it


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What a job will train, on what, and what that usually takes; None where nothing tells yet."""

    learners: list[str]  # of the minutes: the configured model, and what a challenger tries beside it
    tuning_trials: int
    compared_with: str | None  # the active version; None: a person judges the new one
    compared_on_items: int  # at most so many withheld ones
    registers: bool  # false for a dry run: all is done, packaging included, and nothing is registered
    activates: bool  # where the comparison allows it
    newest_snapshot: str | None  # read anew first where the ERP answers, else this is learned from
    data_as_of: datetime | None
    rows: dict[str, int]  # of its tables
    jobs_ahead: int  # that wait or run and come before it
    usual_seconds: float | None  # median of the last jobs of its kind
    peak_memory_bytes: int | None  # the most that any of them held
    from_jobs: int  # so many jobs say so
    budget_seconds: float  # an attempt that takes longer is ended


def plan_of(
    row: TrainingJob,
    configuration: Configuration,
    *,
    settings: Settings,
    work: WorkRows,
    versions: ModelVersions,
    newest: SnapshotRow | None,
) -> TrainingPlan:
    """Return what a job will do with the configuration, active version and newest snapshot of now."""
    training, is_challenger = configuration.training, row.kind == "challenger"
    active, usual = versions.active(), JobRows(work.engine).usual(row.kind)
    return TrainingPlan(
        learners=[CONFIGURED, *(training.trainers if is_challenger else [])],
        tuning_trials=training.tuning.trials if is_challenger else 0,
        compared_with=None if active is None else active.version,
        compared_on_items=training.evaluation_items,
        registers=not row.dry_run,
        activates=training.auto_activate and not row.dry_run and active is not None,
        newest_snapshot=None if newest is None else newest.id,
        data_as_of=None if newest is None else newest.data_as_of,
        rows={} if newest is None else dict(newest.rows),
        jobs_ahead=_ahead(row, work),
        usual_seconds=usual.seconds,
        peak_memory_bytes=usual.peak_memory_bytes,
        from_jobs=usual.jobs,
        budget_seconds=settings.training_budget_seconds,
    )


def _ahead(row: TrainingJob, work: WorkRows) -> int:
    waiting, _ = work.list(TrainingJob, limit=100, state=WorkState.QUEUED)
    _, running = work.list(TrainingJob, limit=1, state=WorkState.RUNNING)
    place = (-row.priority, row.created_at, row.id)
    before = [job for job in waiting if job.id != row.id and (-job.priority, job.created_at, job.id) < place]
    return len(before) + (running if row.state == WorkState.QUEUED else 0)
