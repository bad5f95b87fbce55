"""Training jobs beyond their work columns: the lines of their logs, how long their kind takes, which may go."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, delete, func
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.database.engine import reading, writing
from shared.database.tables import JobLine, ModelVersion, TrainingJob, WorkState

RECENT_JOBS = 10  # so many of a kind say how long the next will take
REMOVED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class UsualJob:
    """What the last jobs of a kind took; None where none of them tells."""

    jobs: int
    seconds: float | None  # the median, reading the ERP and waiting for its child included
    peak_memory_bytes: int | None  # the most that any of their processes held


class JobRows:
    """Reads and removes what belongs to training jobs."""

    def __init__(self, engine: Engine) -> None:
        """Work on `engine`'s database."""
        self._engine = engine

    def lines(self, job_id: str, *, limit: int = 500, offset: int = 0) -> tuple[list[JobLine], int]:
        """Return a job's log lines from the `offset`-th on, oldest first, and how many there are in all."""
        mine = col(JobLine.job_id) == job_id
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(JobLine).where(mine)).one()
            rows = session.exec(select(JobLine).where(mine).order_by(col(JobLine.id)).limit(limit).offset(offset)).all()
        return list(rows), total

    def usual_seconds(self, kind: str) -> float | None:
        """Return the median duration of the last jobs of this kind that succeeded at once; None before the first."""
        return self.usual(kind).seconds

    def usual(self, kind: str) -> UsualJob:
        """Return what the last jobs of this kind that succeeded at once took."""
        query = (
            select(TrainingJob.started_at, TrainingJob.ended_at, TrainingJob.result)
            .where(
                col(TrainingJob.kind) == kind,
                col(TrainingJob.state) == WorkState.SUCCEEDED,
                col(TrainingJob.attempt) == 1,
            )
            .order_by(col(TrainingJob.created_at).desc())
            .limit(RECENT_JOBS)
        )
        with reading(self._engine) as session:
            rows = session.exec(query).all()
        spans = [(end - start).total_seconds() for start, end, _ in rows if start and end]
        plausible = [seconds for seconds in spans if seconds > 0]  # a clock may have been set back in one
        held = [result["peak_memory_bytes"] for _, _, result in rows if result and "peak_memory_bytes" in result]
        return UsualJob(
            jobs=len(rows),
            seconds=statistics.median(plausible) if plausible else None,
            peak_memory_bytes=max(held, default=None),
        )

    def version_of(self, job_id: str) -> str | None:
        """Return the model version that bears this job's id, or None."""
        with reading(self._engine) as session:
            return session.exec(select(ModelVersion.version).where(col(ModelVersion.job_id) == job_id)).first()

    def of_slot(self, slot: str) -> TrainingJob | None:
        """Return the job that used this slot, or None."""
        with reading(self._engine) as session:
            return session.exec(select(TrainingJob).where(TrainingJob.slot == slot)).first()

    def unfinished(self) -> set[str]:
        """Return the ids of the jobs that wait or run."""
        with reading(self._engine) as session:
            return set(session.exec(select(TrainingJob.id).where(~_ended())).all())

    def prune(self, keep: int) -> list[str]:
        """Remove ended jobs beyond the newest `keep`, with their lines, and return their ids.

        A job that a model version came from stays, since the version's lineage leads through it; so does the newest
        of the schedule and of the alarms, by which missed slots and cool-downs are worked out.
        """
        with reading(self._engine) as session:
            if not _beyond(session, keep):
                return []  # a write lock for nothing would be taken at every sweep
        with writing(self._engine) as session:
            gone = _beyond(session, keep)
            session.execute(delete(JobLine).where(col(JobLine.job_id).in_(gone)))
            session.execute(delete(TrainingJob).where(col(TrainingJob.id).in_(gone), _ended()))
            if gone:
                why = f"beyond the {keep} ended jobs that are kept"
                note(session, "training-jobs.removed", gone[0], before={"jobs": gone}, reason=why)
        return gone


def asked_for_by_an_alarm() -> ColumnElement[bool]:
    """Return the condition of jobs that alarms asked for and were given; the newest of them begins a cool-down."""
    return col(TrainingJob.cycle_id).is_not(None) & (col(TrainingJob.state) != WorkState.SKIPPED)


def _ended() -> ColumnElement[bool]:
    return col(TrainingJob.state).in_(TrainingJob.FINAL)


def _beyond(session: Session, keep: int) -> list[str]:
    """Return ended jobs beyond the newest `keep` that nothing needs, as many as are removed at once."""
    newest_first = (col(TrainingJob.created_at).desc(), col(TrainingJob.id).desc())
    beyond = session.exec(select(TrainingJob.id).where(_ended()).order_by(*newest_first).offset(keep)).all()
    needed = _needed(session) if beyond else set()
    return [job_id for job_id in beyond if job_id not in needed][:REMOVED_AT_ONCE]


def _needed(session: Session) -> set[str | None]:
    made_a_version = session.exec(select(ModelVersion.job_id).where(col(ModelVersion.job_id).is_not(None))).all()
    return {*made_a_version, *_newest_of_slots(session)}


def _newest_of_slots(session: Session) -> Sequence[str]:
    of_schedule = col(TrainingJob.cycle_id).is_(None) & col(TrainingJob.slot).is_not(None)
    found: list[str] = []
    for kind in (asked_for_by_an_alarm(), of_schedule):
        found += session.exec(
            select(TrainingJob.id).where(kind).order_by(col(TrainingJob.created_at).desc()).limit(1)
        ).all()
    return found
