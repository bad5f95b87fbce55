"""One attempt at a training job: fresh data, a child that trains, compares and packages, and the registration.

Every way it can end is written to the row, under the claim's fencing token.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import structlog

from shared.clock import Clock
from shared.configuration import Configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.job_rows import JobRows
from shared.database.models import ModelVersions
from shared.database.pulse import Pulse
from shared.database.tables import ModelVersion, TrainingJob, WorkState
from shared.database.work import Claim, WorkRows
from shared.erp.snapshot import Snapshot
from shared.errors import Cancelled, Conflict, LeaseLost, NotFound, RoutingError, SourceError
from shared.platform import write_atomically
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.training.activation import AutoActivation
from shared.training.admission import SCHEDULE
from shared.training.child import JobSpec
from shared.training.job_log import JobLog
from shared.training.supervision import Ending, Outcome, supervise
from shared.training.waiting import wait_beside

log = structlog.get_logger()

MAX_ATTEMPTS = 5
FAILED_ALERT = "training-failed"
REGISTERING = "registering"  # the step from which a job can no longer be cancelled
WAITING = "waits for another attempt"


class NothingNew(Exception):
    """A scheduled refit would learn what the active version knows."""


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


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The services that a job needs."""

    settings: Settings
    work: WorkRows
    configuration: ConfigurationStore
    snapshots: Snapshots
    versions: ModelVersions
    registrations: Registrar
    alerts: Alerts
    job_rows: JobRows
    activation: AutoActivation | None
    clock: Clock


class Attempt:
    """One attempt under way; `make` it once."""

    def __init__(self, parts: Parts, claim: Claim[TrainingJob], staging: Path, pulse: Pulse, notes: JobLog) -> None:
        """Prepare an attempt that writes below `staging` and tells its progress to `pulse`."""
        self._parts = parts
        self._settings = parts.settings
        self._work = parts.work
        self._claim = claim
        self._staging = staging
        self._pulse = pulse
        self._notes = notes
        self._deadline = time.monotonic() + parts.settings.training_budget_seconds

    def make(self) -> None:
        """Make the attempt.

        Raises:
            LeaseLost: another worker owns the job now.
            TrainingInterrupted: the attempt broke off; the message should come again.
        """
        claim = self._claim
        if claim.attempt > MAX_ATTEMPTS:
            self._fail(f"Given up after {MAX_ATTEMPTS} attempts; {claim.row.error or 'the worker died each time'}")
            return
        try:
            if self._finish_if_registered():
                return
            if claim.row.cancel_requested:
                raise Cancelled("The job was cancelled before the attempt began.")
            self._conclude(self._compute())
        except (LeaseLost, TrainingInterrupted):
            raise
        except NothingNew as nothing:
            self._finish(
                WorkState.SKIPPED, str(nothing), reason=str(nothing), step="nothing new", model_version=None, error=None
            )
        except Cancelled:
            self._finish(WorkState.CANCELLED, "cancelled", step="cancelled", model_version=None)
        except TimeoutError as error:
            self._fail(f"{error} {self._budget()}")
        except RoutingError as error:
            if error.retryable:
                self._retry(str(error))
            self._fail(str(error))
        except Exception as error:
            log.exception("training.broke", job_id=claim.id)
            self._retry(f"{type(error).__name__}: {error}")

    # -- working

    def _compute(self) -> Outcome:
        row = self._claim.row
        version = row.model_version or self._parts.registrations.free_version_name(row.label)
        self._work.update(self._claim, model_version=version)
        configuration = self._parts.configuration.current()[1]
        snapshot, note = self._data()
        self._work.update(self._claim, snapshot_id=snapshot.id)
        self._skip_if_nothing_is_new(snapshot, note)
        self._staging.mkdir(parents=True)
        spec_file = self._staging / "job.json"
        spec = self._spec(version, configuration, snapshot.folder)
        write_atomically(spec_file, spec.model_dump_json().encode())
        outcome = supervise(
            spec_file,
            self._pulse,
            deadline=self._deadline,
            log_file=self._settings.logs / "training.log",
        )
        log.info("training.child_ended", job_id=self._claim.id, ending=outcome.ending, reason=outcome.reason)
        result = outcome.result | ({"data_note": note} if note else {})
        return Outcome(ending=outcome.ending, result=result, reason=outcome.reason)

    def _skip_if_nothing_is_new(self, snapshot: Snapshot, note: str | None) -> None:
        """End a scheduled refit that would make the active version again: same data, and nobody changed a rule.

        What a person or an alarm asks for is always done.
        """
        active = self._parts.versions.active()
        if self._claim.row.actor != SCHEDULE or active is None or active.fingerprint != snapshot.fingerprint:
            return
        since = active.data_as_of or active.registered_at
        if self._parts.configuration.changed_since(since, ("prediction.", "training.")):
            return
        read = f" {note}" if note else ""
        raise NothingNew(
            f"Not needed: the data is what {active.version} learned from, and neither predictions nor training"
            f" were configured anew since.{read}"
        )

    def _data(self) -> tuple[Snapshot, str | None]:
        """The snapshot to train on: a fresh one where the ERP can be read, else the last good one and why.

        Reading is work with a row of its own, and its snapshot serves everybody: a job that is cancelled meanwhile
        leaves it to end by itself.
        """
        snapshots = self._parts.snapshots
        self._pulse.enter(0.0, "reading the ERP")
        try:
            fresh = wait_beside(
                lambda: snapshots.take_now(reason=f"training job {self._claim.id}"),
                self._pulse,
                name="reading the ERP",
                deadline=self._deadline,
            )
        except LeaseLost as error:
            self._pulse.check()  # this job's own lease; else it was the extract's row
            self._retry(f"The extract was taken over by another worker: {error}")
        except SourceError as error:
            try:
                snapshot = snapshots.current()
            except NotFound:
                raise error from None
            note = f"The ERP could not be read, so {snapshot.id} was used: {error}"
            log.warning("training.old_data", job_id=self._claim.id, snapshot_id=snapshot.id, error=str(error))
            self._notes.say(note, "warning")
            return snapshot, note
        self._notes.say(f"Learns from {fresh.id}: {dict(fresh.rows)}.")
        return fresh, None

    def _spec(self, version: str, configuration: Configuration, snapshot_folder: Path) -> JobSpec:
        active = self._parts.versions.active()
        folder = None if active is None else self._settings.models / active.version
        return JobSpec(
            job_id=self._claim.id,
            kind=self._claim.row.kind,
            snapshot_folder=snapshot_folder,
            configuration=configuration,
            keys_folder=self._settings.keys,
            allow_unsigned=self._settings.allow_unsigned,
            active_folder=folder,
            parent=None if active is None else active.version,
            version=version,
            package_folder=self._staging / version,
        )

    # -- ending

    def _conclude(self, outcome: Outcome) -> None:
        if outcome.ending is Ending.LOST:
            raise LeaseLost(outcome.reason)
        if outcome.ending is Ending.CANCELLED:
            raise Cancelled(outcome.reason)
        if outcome.ending is Ending.BROKE:
            self._retry(outcome.reason)
        elif outcome.ending is Ending.LATE:
            raise TimeoutError(outcome.reason)
        elif outcome.ending is not Ending.DONE:
            self._fail(outcome.reason)
        elif outcome.result["packaged"] is None:
            self._succeed(outcome.result, None, f"kept the active model: {outcome.result['reason']}")
        elif self._claim.row.dry_run:
            self._succeed(outcome.result, None, "dry run: packaged, verified nowhere, registered nowhere")
        else:
            self._register(outcome.result)

    def _register(self, result: dict[str, Any]) -> None:
        self._pulse.enter(98.0, REGISTERING)  # nobody who lost the lease, or was told to stop, registers anything
        version = str(result["packaged"])
        self._work.update(self._claim, result=result)  # for the attempt that may have to go on from here
        try:
            row = self._parts.registrations.register_local(
                self._staging / version, actor=self._claim.id, reason=result["reason"]
            )
        except Conflict:
            if self._finish_if_registered():
                return
            self._work.update(self._claim, model_version=None)  # the next attempt takes another name
            self._retry(f"The version name {version} was taken meanwhile.")
        self._succeed_with(row, result)

    def _finish_if_registered(self) -> bool:
        """End a job whose version an earlier attempt installed or registered before it died."""
        job_id = self._claim.id
        registered = self._parts.job_rows.version_of(job_id)
        row = self._work.get(TrainingJob, job_id)
        reserved = row.model_version
        reason = "registered by an earlier attempt"
        found: ModelVersion | None = None
        if registered is not None:
            found = self._parts.versions.find(registered)
        elif reserved is not None:
            found = self._parts.registrations.finish_installation(reserved, job_id=job_id, reason=reason)
        if found is None or found.job_id != job_id:
            return False
        known = row.result or {"packaged": found.version, "decision": "register", "reason": reason}
        self._succeed_with(found, known | {"metrics": found.metrics})
        return True

    def _succeed_with(self, version: ModelVersion, result: dict[str, Any]) -> None:
        """End the job with its registered version, which serves at once where the configuration says so."""
        with self._work.fenced(self._claim):
            pass  # nobody who lost the lease activates anything
        activation = self._parts.activation
        told = activation.consider(version, self._claim.id, result) if activation else None
        step = f"registered {version.version} as pending"
        if told is not None:
            result = result | {"activation": told}
            step = f"activated {version.version}" if told["activated"] else f"{step}; not activated: {told['reason']}"
        self._succeed(result, version.version, step)

    def _succeed(self, result: dict[str, Any], version: str | None, step: str) -> None:
        self._parts.alerts.close_matching(FAILED_ALERT, self._claim.row.kind, "training")
        self._finish(WorkState.SUCCEEDED, step, result=result, model_version=version, step=step, error=None)
        log.info("training.done", job_id=self._claim.id, model_version=version, step=step)

    def _fail(self, reason: str) -> None:
        with self._work.fenced(self._claim):
            pass  # nobody who lost the lease raises an alert
        # The alert first: a worker that dies between the two fails again and says so again.
        self._parts.alerts.raise_alert(
            FAILED_ALERT,
            self._claim.row.kind,
            f"A training job failed: {reason}",
            details={"job_id": self._claim.id},
        )
        self._finish(WorkState.FAILED, reason, level="error", error=reason, step="failed", model_version=None)
        log.error("training.failed", job_id=self._claim.id, attempt=self._claim.attempt, error=reason)

    def _retry(self, reason: str) -> NoReturn:
        """Give the job back, or end it after the last attempt; either way the message is told by an error."""
        claim = self._claim
        if claim.attempt >= MAX_ATTEMPTS:
            self._fail(f"Given up after {claim.attempt} attempts; the last one: {reason}")
            raise TrainingInterrupted(f"The job {claim.id} failed after {claim.attempt} attempts: {reason}")
        self._notes.say(reason, "warning", last=True)
        with self._notes.carried() as lines:
            self._work.release(claim, error=reason, add=lines, step=WAITING, expected_end_at=None)
        raise TrainingInterrupted(
            f"Attempt {claim.attempt} of the job {claim.id} broke off and will be made again: {reason}"
        )

    def _budget(self) -> str:
        return f"An attempt may take {self._settings.training_budget_seconds:g} s (ROUTING_TRAINING_BUDGET_SECONDS)."

    def _finish(self, state: str, line: str, *, level: str = "info", **columns: Any) -> None:
        self._notes.say(line, level, last=True)
        with self._notes.carried() as lines:
            self._work.finish(self._claim, state, add=lines, expected_end_at=None, **columns)
