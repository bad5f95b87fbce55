"""Training jobs: who may ask for one, and what a worker does with it.

`enqueue` inserts a row and rings the bell, or says why not. `run` is what the queue function does for a message: claim
the row, take fresh data, let a child process train, compare and package, register the package as `pending`, end the
row. A crash of the child gives the row back and raises, so that the message comes again; a crash of the worker lets
the lease run out, and the sweep rings again. After five attempts the row is `failed` with the last reason.

A job has its effects once: its version's name is reserved in its row by the first attempt, later attempts build the
same version, and a registered version that bears the job's id ends the job whoever finds it.
"""

import os
import socket
from builtins import list as list_of

import structlog
from sqlmodel import Session

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.job_rows import JobRows
from shared.database.models import ModelVersions
from shared.database.pulse import Pulse
from shared.database.tables import JobLine, TrainingJob, WorkState
from shared.database.work import WorkRows
from shared.errors import Conflict, LeaseLost
from shared.platform import remove_tree
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.doorbells import Doorbells
from shared.training.activation import AutoActivation
from shared.training.admission import ALARM, ALARM_SLOT, SCHEDULE, admission, new_job, skipped_job
from shared.training.attempt import MAX_ATTEMPTS, REGISTERING, Attempt, Parts, Registrar, TrainingInterrupted
from shared.training.folders import attempt_folder, attempt_folders
from shared.training.job_log import JobLog, single_line
from shared.training.plan import TrainingPlan, plan_of

log = structlog.get_logger()

__all__ = ["MAX_ATTEMPTS", "TrainingInterrupted", "TrainingJobs"]

LONGEST_BEAT_SECONDS = 0.5  # so that a cancellation is heard in time


class TrainingJobs:
    """Takes, runs and cancels training jobs."""

    def __init__(
        self,
        *,
        settings: Settings,
        work: WorkRows,
        doorbells: Doorbells,
        configuration: ConfigurationStore,
        snapshots: Snapshots,
        versions: ModelVersions,
        registrations: Registrar,
        alerts: Alerts,
        activation: AutoActivation | None = None,
        clock: Clock = utc_now,
        worker: str = "",
    ) -> None:
        """Join the services; `worker` names this process in the rows it claims.

        Without an `activation` every version waits for a person, whatever the configuration says.
        """
        self._settings = settings
        self._work = work
        self._doorbells = doorbells
        self._configuration = configuration
        self._versions = versions
        self._clock = clock
        self._job_rows = JobRows(work.engine)
        self._parts = Parts(
            settings=settings,
            work=work,
            configuration=configuration,
            snapshots=snapshots,
            versions=versions,
            registrations=registrations,
            alerts=alerts,
            job_rows=self._job_rows,
            activation=activation,
            clock=clock,
        )
        self._worker = worker or f"{socket.gethostname()}:{os.getpid()}"

    # -- asking

    def enqueue(
        self,
        kind: str,
        *,
        reason: str,
        actor: str,
        label: str | None = None,
        priority: int = 0,
        dry_run: bool = False,
        slot: str | None = None,
        cycle_id: str | None = None,
    ) -> TrainingJob:
        """Insert a job and ring its bell; return its row. `cycle_id` is the cycle whose alarm asks for it.

        Raises:
            InvalidInput: there is no such kind, or the label cannot be a version's name.
            Conflict: the queue is full, the same job waits already, the slot has had its job, the label is taken, or
                (for an alarm) another job is on its way or the last alarm's was too recent; the detail says which.
        """
        row = new_job(
            kind,
            now=self._clock(),
            reason=reason,
            actor=actor,
            label=label,
            priority=priority,
            dry_run=dry_run,
            slot=slot,
            cycle_id=cycle_id,
        )
        if label is not None and self._versions.find(label) is not None:
            raise Conflict(
                f"A model version is called {label} already.",
                remedy="Choose another label.",
                state="taken",
                reason="label taken",
            )
        limits = self._configuration.current()[1].training
        if not self._work.insert(row, guard=admission(row, limits, now=self._clock())):
            raise Conflict(f"The slot {slot} has had its training job.", state="duplicate", reason="duplicate slot")
        self._work.mark_rung(TrainingJob, self._doorbells.try_ring(TrainingJob.QUEUE, [row.id]))
        log.info("training.enqueued", job_id=row.id, kind=kind, reason=reason, actor=actor, dry_run=dry_run)
        return self._work.get(TrainingJob, row.id)

    def enqueue_for_alarm(self, reason: str, cycle_id: str) -> TrainingJob:
        """Enqueue the one retraining that a quality cycle's alarm may ask for, of the configured kind.

        A cycle that is run again after its worker died is given the job that it asked for before.

        Raises:
            Conflict: alarms retrain nothing (`alarms.retraining`), or as `enqueue` says.
        """
        slot = f"{ALARM_SLOT}{cycle_id}"
        if asked_before := self._job_rows.of_slot(slot):
            return asked_before
        kind = self._configuration.current()[1].alarms.retraining
        if kind == "none":
            raise Conflict(
                "An alarm asks for no training (alarms.retraining is none).",
                remedy="Ask for a job yourself where one is wanted.",
                state="off",
                reason="alarms.retraining is none",
            )
        return self.enqueue(kind, reason=reason, actor=ALARM, slot=slot, cycle_id=cycle_id)

    def enqueue_scheduled(self, slot: str | None, reason: str) -> TrainingJob | None:
        """Enqueue the refit of a scheduled time, or of a timer that was fired by hand (None); return its row.

        A refusal is no error. It uses the scheduled time up: its row is `skipped` and says why. None where the
        scheduled time has had its job, or there is none to use up.
        """
        try:
            return self.enqueue("refit", reason=reason, actor=SCHEDULE, slot=slot)
        except Conflict as refusal:
            log.info("training.not_started", slot=slot, reason=refusal.detail)
            if slot is None:
                return None
            row = skipped_job(slot, now=self._clock(), reason=reason, why=refusal.detail)
            return self._work.get(TrainingJob, row.id) if self._work.insert(row) else None

    def plan(self, row: TrainingJob) -> TrainingPlan:
        """Return what a job that was asked for is going to do, and what that usually takes."""
        return plan_of(
            row,
            self._configuration.current()[1],
            settings=self._settings,
            work=self._work,
            versions=self._versions,
            newest=self._parts.snapshots.newest_row(),
        )

    def get(self, job_id: str) -> TrainingJob:
        """Return one job; NotFound when there is none of that id."""
        return self._work.get(TrainingJob, job_id)

    def list(
        self, *, limit: int = 100, offset: int = 0, state: str | None = None, kind: str | None = None
    ) -> tuple[list_of[TrainingJob], int]:
        """Return jobs, newest first, and how many there are in all; in a state or of a kind where one is given."""
        return self._work.list(TrainingJob, limit=limit, offset=offset, state=state, kind=kind)

    def log(self, job_id: str, *, limit: int = 500, offset: int = 0) -> tuple[list_of[JobLine], int]:
        """Return the lines of a job's log from the `offset`-th on, oldest first, and how many there are in all.

        Raises:
            NotFound: there is no such job.
        """
        self._work.get(TrainingJob, job_id)
        return self._job_rows.lines(job_id, limit=limit, offset=offset)

    def cancel(self, job_id: str, actor: str) -> TrainingJob:
        """Cancel a waiting job at once; ask a running one to stop, which its worker does within seconds.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended, or its version is being registered, which is not taken back half-way.
        """

        def also(session: Session, row: TrainingJob) -> None:
            if row.step == REGISTERING:
                raise Conflict(
                    f"The job {job_id} is registering its version and cannot be cancelled any more.",
                    remedy="Reject the version when it is there.",
                    state=WorkState.RUNNING,
                )
            if row.state == WorkState.CANCELLED:
                row.step, row.model_version, row.expected_end_at = "cancelled", None, None
            session.add(single_line(job_id, row.attempt, f"cancellation asked for by {actor}", at=self._clock()))

        row = self._work.request_cancel(TrainingJob, job_id, also=also)
        log.info("training.cancel_requested", job_id=job_id, actor=actor, state=row.state)
        return row

    # -- working

    def run(self, job_id: str) -> TrainingJob | None:
        """Look at a job for a message: work on it, or on a more urgent one; None when there is nothing to do.

        Raises:
            NotFound: there is no such job.
            TrainingInterrupted: the attempt broke off; the message should come again.
        """
        chosen = self._most_urgent(job_id)
        if chosen != job_id:
            self._work.mark_rung(TrainingJob, self._doorbells.try_ring(TrainingJob.QUEUE, [job_id]))
        claim = self._work.claim(TrainingJob, chosen, worker=self._worker, lease_seconds=self._settings.lease_seconds)
        if claim is None:
            log.info("training.not_claimed", job_id=chosen)
            return None
        staging = attempt_folder(self._settings, chosen, claim.token)
        for folder, job_of in attempt_folders(self._settings).items():
            if job_of == chosen:
                remove_tree(folder)  # an earlier attempt left it
        beat = min(self._settings.heartbeat_seconds, LONGEST_BEAT_SECONDS)
        lease_seconds = self._settings.lease_seconds
        notes = JobLog(
            chosen, claim.attempt, usual_seconds=self._job_rows.usual_seconds(claim.row.kind), clock=self._clock
        )
        notes.say(f"attempt {claim.attempt} begins on {claim.worker}")
        pulse = Pulse(self._work, claim, lease_seconds=lease_seconds, every_seconds=beat, notes=notes)
        try:
            with pulse:
                Attempt(self._parts, claim, staging, pulse, notes).make()
        except LeaseLost as error:
            log.warning("training.lost", job_id=chosen, error=str(error))
            return None
        finally:
            remove_tree(staging)
        return self._work.get(TrainingJob, chosen)

    def _most_urgent(self, job_id: str) -> str:
        """A message is a bell for the queue: where a job of higher priority waits, it goes first."""
        row = self._work.get(TrainingJob, job_id)
        if row.state != WorkState.QUEUED:
            return job_id
        waiting, _ = self._work.list(TrainingJob, limit=100, state=WorkState.QUEUED)
        ahead = [job for job in waiting if job.priority > row.priority]
        return min(ahead, key=lambda job: (-job.priority, job.created_at)).id if ahead else job_id
