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
from pathlib import Path
from typing import Any, NoReturn, Protocol

import structlog

from shared.clock import Clock, utc_now
from shared.configuration import Configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.models import ModelVersions
from shared.database.pulse import Pulse
from shared.database.tables import ModelVersion, TrainingJob, WorkState
from shared.database.work import Claim, WorkRows
from shared.errors import Conflict, LeaseLost, NotFound, RoutingError, SourceError
from shared.platform import remove_tree, write_atomically
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.doorbells import Doorbells
from shared.training.admission import ALARM_SLOT, admission, new_job
from shared.training.child import JobSpec
from shared.training.supervision import Ending, Outcome, supervise

log = structlog.get_logger()

MAX_ATTEMPTS = 5
LONGEST_BEAT_SECONDS = 1.0  # so that a cancellation is heard in time
FAILED_ALERT = "training-failed"


class TrainingInterrupted(RoutingError):
    """An attempt broke off; the job waits for the next one."""

    code, title, status, exit_code = "training-interrupted", "The training attempt broke off", 503, 14
    retryable = True


class Registrar(Protocol):
    """Where finished packages go: `shared.registry.registrations.Registrations`."""

    def register_local(self, folder: Path, *, actor: str, reason: str) -> ModelVersion:
        """Verify and install a package folder as a pending version."""
        ...

    def finish_installation(self, version: str, *, job_id: str, reason: str) -> ModelVersion | None:
        """Give a folder that an earlier attempt of the job installed its row; None when there is none."""
        ...

    def free_version_name(self, label: str | None = None) -> str:
        """Return a version name that nothing has yet."""
        ...


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
        clock: Clock = utc_now,
        worker: str = "",
    ) -> None:
        """Join the services; `worker` names this process in the rows it claims."""
        self._settings = settings
        self._work = work
        self._doorbells = doorbells
        self._configuration = configuration
        self._snapshots = snapshots
        self._versions = versions
        self._registrations = registrations
        self._alerts = alerts
        self._clock = clock
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
        by_alarm: bool = False,
    ) -> TrainingJob:
        """Insert a job and ring its bell; return its row.

        Raises:
            InvalidInput: there is no such kind, or the label cannot be a version's name.
            Conflict: the queue is full, the same job waits already, the slot has had its job, the label is taken, or
                (for an alarm) another job is on its way or the last alarm's was too recent; the detail says which.
        """
        row = new_job(
            kind, now=self._clock(), reason=reason, label=label, priority=priority, dry_run=dry_run, slot=slot
        )
        if by_alarm and slot is None:
            row.slot = f"{ALARM_SLOT}{row.id}"  # the mark by which the next alarm finds it
        if label is not None and self._versions.find(label) is not None:
            raise Conflict(
                f"A model version is called {label} already.",
                remedy="Choose another label.",
                state="taken",
                reason="label taken",
            )
        limits = self._configuration.current()[1].training
        if not self._work.insert(row, guard=admission(row, limits, by_alarm=by_alarm, now=self._clock())):
            raise Conflict(f"The slot {slot} has had its training job.", state="duplicate", reason="duplicate slot")
        self._work.mark_rung(TrainingJob, self._doorbells.try_ring(TrainingJob.QUEUE, [row.id]))
        log.info("training.enqueued", job_id=row.id, kind=kind, reason=reason, actor=actor, dry_run=dry_run)
        return self._work.get(TrainingJob, row.id)

    def enqueue_for_alarm(self, reason: str, cycle_id: str) -> TrainingJob:
        """Enqueue the one retraining that a quality cycle's alarm may ask for; see `enqueue` for the refusals."""
        return self.enqueue("refit", reason=reason, actor="alarm", slot=f"{ALARM_SLOT}{cycle_id}", by_alarm=True)

    def get(self, job_id: str) -> TrainingJob:
        """Return one job; NotFound when there is none of that id."""
        return self._work.get(TrainingJob, job_id)

    def list(self, *, limit: int = 100, offset: int = 0) -> tuple[list_of[TrainingJob], int]:
        """Return jobs, newest first, and how many there are in all."""
        return self._work.list(TrainingJob, limit=limit, offset=offset)

    def cancel(self, job_id: str, actor: str) -> TrainingJob:
        """Cancel a waiting job at once; ask a running one to stop, which its worker does within seconds.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended.
        """
        row = self._work.request_cancel(TrainingJob, job_id)
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
        staging = self._staging(claim)
        beat = min(self._settings.heartbeat_seconds, LONGEST_BEAT_SECONDS)
        try:
            with Pulse(self._work, claim, lease_seconds=self._settings.lease_seconds, every_seconds=beat) as pulse:
                self._attempt(claim, staging, pulse)
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

    def _attempt(self, claim: Claim[TrainingJob], staging: Path, pulse: Pulse) -> None:
        """Make one attempt; every way it can end is written to the row."""
        if claim.attempt > MAX_ATTEMPTS:
            self._fail(
                claim, f"Given up after {MAX_ATTEMPTS} attempts; {claim.row.error or 'the worker died each time'}"
            )
            return
        try:
            if claim.row.cancel_requested:
                outcome = Outcome(ending=Ending.CANCELLED, result={})
            elif self._finish_if_registered(claim):
                return
            else:
                outcome = self._compute(claim, staging, pulse)
            self._conclude(claim, staging, outcome)
        except (LeaseLost, TrainingInterrupted):
            raise
        except RoutingError as error:
            if error.retryable:
                self._retry(claim, str(error))
            self._fail(claim, str(error))
        except Exception as error:
            log.exception("training.broke", job_id=claim.id)
            self._retry(claim, f"{type(error).__name__}: {error}")

    def _compute(self, claim: Claim[TrainingJob], staging: Path, pulse: Pulse) -> Outcome:
        row = claim.row
        version = row.model_version or self._registrations.free_version_name(row.label)
        self._work.update(claim, model_version=version)
        configuration = self._configuration.current()[1]
        snapshot_folder, note = self._data(claim, pulse)
        spec = self._spec(claim, staging, version, configuration, snapshot_folder)
        staging.mkdir(parents=True)
        spec_file = staging / "job.json"
        write_atomically(spec_file, spec.model_dump_json().encode())
        outcome = supervise(
            spec_file,
            pulse,
            budget_seconds=self._settings.training_budget_seconds,
            log_file=self._settings.logs / "training.log",
        )
        log.info("training.child_ended", job_id=claim.id, ending=outcome.ending, reason=outcome.reason)
        result = outcome.result | ({"data_note": note} if note else {})
        return Outcome(ending=outcome.ending, result=result, reason=outcome.reason)

    def _data(self, claim: Claim[TrainingJob], pulse: Pulse) -> tuple[Path, str | None]:
        """The snapshot to train on: a fresh one for a refit where the ERP can be read, else the last good one."""
        if claim.row.kind != "refit":
            return self._snapshots.ensure_current().folder, None
        pulse.report(0.0, "reading the ERP")
        try:
            return self._snapshots.take_now(reason=f"training job {claim.id}").folder, None
        except LeaseLost as error:  # of the extract's row, not of this job's
            self._retry(claim, f"The extract was taken over by another worker: {error}")
        except SourceError as error:
            try:
                snapshot = self._snapshots.current()
            except NotFound:
                raise error from None
            log.warning("training.old_data", job_id=claim.id, snapshot_id=snapshot.id, error=str(error))
            return snapshot.folder, f"The ERP could not be read, so {snapshot.id} was used: {error}"

    def _spec(
        self,
        claim: Claim[TrainingJob],
        staging: Path,
        version: str,
        configuration: Configuration,
        snapshot_folder: Path,
    ) -> JobSpec:
        active = self._versions.active()
        folder = None if active is None else self._settings.models / active.version
        return JobSpec(
            job_id=claim.id,
            kind=claim.row.kind,
            snapshot_folder=snapshot_folder,
            configuration=configuration,
            keys_folder=self._settings.keys,
            allow_unsigned=self._settings.allow_unsigned,
            active_folder=folder,
            parent=None if active is None else active.version,
            version=version,
            package_folder=staging / version,
        )

    def _conclude(self, claim: Claim[TrainingJob], staging: Path, outcome: Outcome) -> None:
        if outcome.ending is Ending.LOST:
            raise LeaseLost(outcome.reason)
        if outcome.ending is Ending.CANCELLED:
            self._work.finish(claim, WorkState.CANCELLED, step="cancelled", model_version=None)
        elif outcome.ending is Ending.BROKE:
            self._retry(claim, outcome.reason)
        elif outcome.ending is not Ending.DONE:
            self._fail(claim, outcome.reason)
        elif outcome.result["packaged"] is None:
            self._succeed(claim, outcome.result, None, f"kept the active model: {outcome.result['reason']}")
        elif claim.row.dry_run:
            self._succeed(claim, outcome.result, None, "dry run: packaged, verified nowhere, registered nowhere")
        else:
            self._register(claim, staging, outcome.result)

    def _register(self, claim: Claim[TrainingJob], staging: Path, result: dict[str, Any]) -> None:
        self._work.heartbeat(claim, lease_seconds=self._settings.lease_seconds, progress=98.0, step="registering")
        with self._work.fenced(claim):
            pass  # nobody who lost the lease registers anything
        version = str(result["packaged"])
        try:
            row = self._registrations.register_local(staging / version, actor=claim.id, reason=result["reason"])
        except Conflict:
            if self._finish_if_registered(claim):
                return
            self._work.update(claim, model_version=None)  # the next attempt takes another name
            self._retry(claim, f"The version name {version} was taken meanwhile.")
        self._succeed(claim, result, row.version, f"registered {row.version} as pending")

    def _finish_if_registered(self, claim: Claim[TrainingJob]) -> bool:
        """End a job whose version an earlier attempt installed or registered before it died."""
        reserved = self._work.get(TrainingJob, claim.id).model_version
        if reserved is None:
            return False
        reason = "registered by an earlier attempt"
        found = self._versions.find(reserved) or self._registrations.finish_installation(
            reserved, job_id=claim.id, reason=reason
        )
        if found is None or found.job_id != claim.id:
            return False
        result: dict[str, Any] = {"packaged": found.version, "decision": "register", "reason": reason}
        self._succeed(
            claim, result | {"metrics": found.metrics}, found.version, f"registered {found.version} as pending"
        )
        return True

    def _succeed(self, claim: Claim[TrainingJob], result: dict[str, Any], version: str | None, step: str) -> None:
        self._work.finish(claim, WorkState.SUCCEEDED, result=result, model_version=version, step=step, error=None)
        self._alerts.close_matching(FAILED_ALERT, claim.row.kind, "training")
        log.info("training.done", job_id=claim.id, model_version=version, step=step)

    def _fail(self, claim: Claim[TrainingJob], reason: str) -> None:
        self._work.finish(claim, WorkState.FAILED, error=reason, step="failed", model_version=None)
        self._alerts.raise_alert(
            FAILED_ALERT, claim.row.kind, f"A training job failed: {reason}", details={"job_id": claim.id}
        )
        log.error("training.failed", job_id=claim.id, attempt=claim.attempt, error=reason)

    def _retry(self, claim: Claim[TrainingJob], reason: str) -> NoReturn:
        """Give the job back, or end it after the last attempt; either way the message is told by an error."""
        if claim.attempt >= MAX_ATTEMPTS:
            self._fail(claim, f"Given up after {claim.attempt} attempts; the last one: {reason}")
            raise TrainingInterrupted(f"The job {claim.id} failed after {claim.attempt} attempts: {reason}")
        self._work.release(claim, error=reason)
        raise TrainingInterrupted(
            f"Attempt {claim.attempt} of the job {claim.id} broke off and will be made again: {reason}"
        )

    def _staging(self, claim: Claim[TrainingJob]) -> Path:
        """The attempt's own folder; what earlier attempts of the job left is removed."""
        parent = self._settings.data_dir / "staging"
        if parent.is_dir():
            for old in parent.glob(f"{claim.id}-*"):
                remove_tree(old)
        return parent / f"{claim.id}-{claim.token}"
