"""Every table of the registry database, as SQLModel classes; migrations in `migrations/` build them.

A row is the truth and a queue message only a doorbell: extracts, quality cycles, training jobs and registrations are
*work rows*, claimed by compare-and-set with a fencing token (`lease_token`) and a lease (`lease_until`).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Index, TypeDecorator, UniqueConstraint, false, text
from sqlalchemy.dialects.mssql import DATETIME2
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, stored without its zone because SQLite and SQL Server have none."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Take SQL Server's exact type: its DATETIME rounds to a third of a hundredth of a second."""
        if dialect.name == "mssql":
            return dialect.type_descriptor(DATETIME2(6))  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time was given where an aware one is needed")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the stored time its zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class WorkState(StrEnum):
    """Where a piece of work stands."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker holds the lease
    SUCCEEDED = "succeeded"  # done, with its result
    FAILED = "failed"  # ended with a reason; nothing tries again by itself
    CANCELLED = "cancelled"  # a person ended it
    SKIPPED = "skipped"  # it was not needed, and the reason says why


class RegistrationState(StrEnum):
    """Where a dropped package stands."""

    RECEIVED = "received"  # noticed, nobody has looked
    WAITING = "waiting"  # its manifest is here, some files are not yet
    VERIFYING = "verifying"  # a worker holds the lease
    INSTALLED = "installed"  # below models/, with a version row
    REJECTED = "rejected"  # refused, with the reason


class VersionState(StrEnum):
    """Where an installed model version stands."""

    PENDING = "pending"  # installed and verified, waits for a person's word
    ACTIVE = "active"  # serves; exactly one does
    RETIRED = "retired"  # served once, can serve again
    REJECTED = "rejected"  # a person refused it
    REMOVED = "removed"  # its folder is gone or going; the row stays for the history


class AlertState(StrEnum):
    """Whether somebody has dealt with an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


def _unique_where(name: str, *columns: str, condition: str) -> Index:
    """Return a unique index over the rows that meet `condition`: the same on SQLite, PostgreSQL and SQL Server."""
    where = text(condition)
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where, mssql_where=where)


def _unique_slot(table: str) -> Index:
    """Return the index that lets a schedule's slot be used once; SQL Server counts two missing slots as equal."""
    return _unique_where(f"uq_{table}_slot", "slot", condition="slot IS NOT NULL")


class WorkColumns(SQLModel):
    """The columns every work row shares; see `shared.database.work` for how they are used."""

    QUEUE: ClassVar[str]
    CALLED: ClassVar[str]  # what a person calls one
    KIND: ClassVar[str]  # what its actions begin with in the audit
    CLAIMABLE: ClassVar[frozenset[str]] = frozenset({WorkState.QUEUED})
    HELD: ClassVar[str] = WorkState.RUNNING
    RELEASED: ClassVar[str] = WorkState.QUEUED
    FINAL: ClassVar[frozenset[str]] = frozenset(
        {WorkState.SUCCEEDED, WorkState.FAILED, WorkState.CANCELLED, WorkState.SKIPPED}
    )

    id: str = Field(primary_key=True, max_length=64)
    state: str = Field(default=WorkState.QUEUED, max_length=16, index=True)
    reason: str = Field(default="", max_length=400, description="why the work exists, or was skipped or refused")
    attempt: int = Field(default=0, description="how many claims were made")
    lease_token: int = Field(default=0, description="fencing token: raised by every claim")
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    worker: str | None = Field(default=None, max_length=128)
    cancel_requested: bool = Field(default=False)
    progress: float = Field(default=0.0, description="percent, 0 to 100")
    step: str = Field(default="", max_length=200)
    error: str | None = Field(default=None)
    rung_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="when a message was last sent")
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime, description="no claim before this time")
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Extract(WorkColumns, table=True):
    """One reading of the ERP."""

    __tablename__ = "extracts"
    __table_args__ = (_unique_slot("extracts"),)
    QUEUE: ClassVar[str] = "extracts"
    CALLED: ClassVar[str] = "extract"
    KIND: ClassVar[str] = "extract"

    slot: str | None = Field(default=None, max_length=40, description="the scheduled time it serves; used once")
    profile: str = Field(max_length=200)
    source: str = Field(max_length=1000)
    full_reading: bool = Field(
        default=False, sa_column_kwargs={"server_default": false()}, description="read every row, changed or not"
    )
    snapshot_id: str | None = Field(default=None, max_length=64)
    rows: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    reads: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="what was read of each table, and how")


class QualityCycle(WorkColumns, table=True):
    """One self-check: sample, predict as if unknown, compare with actuals."""

    __tablename__ = "quality_cycles"
    __table_args__ = (_unique_slot("quality_cycles"),)
    QUEUE: ClassVar[str] = "quality-cycles"
    CALLED: ClassVar[str] = "quality cycle"
    KIND: ClassVar[str] = "quality-cycle"

    slot: str | None = Field(default=None, max_length=40, description="the scheduled time it serves; used once")
    model_version: str | None = Field(default=None, max_length=64)
    strategy: str = Field(default="stratified", max_length=32)
    seed: int = Field(default=0)
    sample_size: int = Field(default=0, description="items asked for")
    strata: list[str] | None = Field(
        default=None, sa_type=JSON, description="attributes to stratify by; none: families"
    )
    evaluated: int = Field(default=0, description="items with a prediction and actuals")
    failed: int = Field(default=0, description="items whose prediction raised an error")
    metrics: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    report: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="per item and per family")
    snapshot_id: str | None = Field(default=None, max_length=64, description="whose actuals it compared with")


class TrainingJob(WorkColumns, table=True):
    """One request for a new model version."""

    __tablename__ = "training_jobs"
    __table_args__ = (_unique_slot("training_jobs"),)
    QUEUE: ClassVar[str] = "retraining"
    CALLED: ClassVar[str] = "training job"
    KIND: ClassVar[str] = "training-job"

    slot: str | None = Field(default=None, max_length=40, description="the scheduled time it serves; used once")
    kind: str = Field(default="refit", max_length=16)
    priority: int = Field(default=0)
    dry_run: bool = Field(default=False)
    label: str | None = Field(default=None, max_length=64)
    actor: str = Field(
        default="", max_length=128, sa_column_kwargs={"server_default": text("''")}, description="who asked"
    )
    cycle_id: str | None = Field(default=None, max_length=64, description="whose alarm asked for it")
    snapshot_id: str | None = Field(default=None, max_length=64, description="what it learned from")
    expected_end_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime, description="when the running attempt will end, by its pace and its kind's"
    )
    model_version: str | None = Field(default=None, max_length=64)
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="comparison, figures, decision")


class Registration(WorkColumns, table=True):
    """One dropped package, keyed by version and manifest; a repeated drop is the same row."""

    __tablename__ = "registrations"
    __table_args__ = (UniqueConstraint("version", "manifest_sha256", name="uq_registrations_drop"),)
    QUEUE: ClassVar[str] = "model-registrations"
    CALLED: ClassVar[str] = "registration"
    KIND: ClassVar[str] = "registration"
    CLAIMABLE: ClassVar[frozenset[str]] = frozenset({RegistrationState.RECEIVED, RegistrationState.WAITING})
    HELD: ClassVar[str] = RegistrationState.VERIFYING
    RELEASED: ClassVar[str] = RegistrationState.WAITING
    FINAL: ClassVar[frozenset[str]] = frozenset({RegistrationState.INSTALLED, RegistrationState.REJECTED})

    state: str = Field(default=RegistrationState.RECEIVED, max_length=16, index=True)
    version: str = Field(max_length=200, index=True, description="as the drop names it, so possibly not a valid name")
    manifest_sha256: str = Field(max_length=64, description="of a zip archive: of its etag, until it is unpacked")
    is_zip: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    deadline: datetime = Field(sa_type=UtcDateTime, description="missing files are not waited for after this")


class ModelVersion(SQLModel, table=True):
    """One installed model version."""

    __tablename__ = "model_versions"
    __table_args__ = (_unique_where("uq_model_versions_one_active", "state", condition="state = 'active'"),)

    version: str = Field(primary_key=True, max_length=64)
    state: str = Field(default=VersionState.PENDING, max_length=16, index=True)
    row_version: int = Field(default=0, description="optimistic lock: raised by every change")
    manifest_sha256: str = Field(max_length=64)
    model_kind: str = Field(max_length=64)
    schema_version: str = Field(max_length=64)
    parent: str | None = Field(default=None, max_length=64)
    job_id: str | None = Field(default=None, max_length=64)
    profile: str = Field(default="", max_length=200)
    data_as_of: datetime | None = Field(default=None, sa_type=UtcDateTime)
    fingerprint: str = Field(default="", max_length=64)
    metrics: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    notes: str = Field(default="", max_length=2000)
    registered_at: datetime = Field(sa_type=UtcDateTime)
    activated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pinned: bool = Field(
        default=False, sa_column_kwargs={"server_default": false()}, description="kept whatever its age"
    )


class ModelEvent(SQLModel, table=True):
    """One transition of a model version; appended, never changed but for what its details say came of it."""

    __tablename__ = "model_events"

    id: int | None = Field(default=None, primary_key=True)
    version: str = Field(max_length=64, index=True)
    from_state: str | None = Field(default=None, max_length=16)
    to_state: str = Field(max_length=16)
    actor: str = Field(max_length=128)
    reason: str = Field(default="", max_length=2000)
    details: dict[str, Any] | None = Field(default=None, sa_type=JSON, description="the figures behind it, where any")
    at: datetime = Field(sa_type=UtcDateTime, index=True)


class SnapshotRow(SQLModel, table=True):
    """One extracted copy of the ERP's tables."""

    __tablename__ = "snapshots"
    __table_args__ = (Index("ix_snapshots_profile_data_as_of", "profile", "data_as_of"),)

    id: str = Field(primary_key=True, max_length=64)
    profile: str = Field(max_length=200)
    folder: str = Field(max_length=1000, description="relative to the data directory")
    fingerprint: str = Field(max_length=64)
    data_as_of: datetime = Field(sa_type=UtcDateTime)
    rows: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)


class DataQuality(SQLModel, table=True):
    """How good one snapshot's data was, measured once; the row outlives the snapshot, so that a trend can be seen."""

    __tablename__ = "data_quality"
    __table_args__ = (Index("ix_data_quality_profile_data_as_of", "profile", "data_as_of"),)

    snapshot_id: str = Field(primary_key=True, max_length=64)
    profile: str = Field(max_length=200)
    data_as_of: datetime = Field(sa_type=UtcDateTime)
    fingerprint: str = Field(max_length=64)
    schema_version: str = Field(max_length=64, description="the form of the document")
    figures: dict[str, Any] = Field(sa_type=JSON, description="the document's key figures: what a history shows")
    document: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Alert(SQLModel, table=True):
    """Something a person should know; one alert that is not closed per `kind` and `subject`."""

    __tablename__ = "alerts"
    __table_args__ = (_unique_where("uq_alerts_open", "kind", "subject", condition="state <> 'closed'"),)

    id: str = Field(primary_key=True, max_length=64)
    kind: str = Field(max_length=64, index=True)
    subject: str = Field(default="", max_length=200)
    severity: str = Field(default="warning", max_length=16)
    state: str = Field(default=AlertState.OPEN, max_length=16, index=True)
    message: str
    details: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    count: int = Field(default=1, description="how often it was raised before somebody closed it")
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    acknowledged_by: str | None = Field(default=None, max_length=128)
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_by: str | None = Field(default=None, max_length=128)
    closed_note: str | None = Field(default=None, max_length=2000)


class AlertDelivery(SQLModel, table=True):
    """One message about an alert to the webhook: written with the alert, sent by the sweep until it was heard."""

    __tablename__ = "alert_deliveries"

    id: int | None = Field(default=None, primary_key=True)
    alert_id: str = Field(max_length=64, index=True)
    event: str = Field(max_length=16, description="opened, raised, acknowledged or closed")
    body: dict[str, Any] = Field(sa_type=JSON)
    attempts: int = Field(default=0)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True, description="none: not to be sent")
    error: str | None = Field(default=None)
    created_at: datetime = Field(sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TestedActual(SQLModel, table=True):
    """One booked order and operation that has entered the alarm's test: none enters it twice for one activation."""

    __test__ = False  # no test case, whatever its name begins with
    __tablename__ = "tested_actuals"

    activation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    key: str = Field(primary_key=True, max_length=64, description="hash of item, order, operation and step")
    cycle_id: str = Field(max_length=64, index=True)
    tested_at: datetime = Field(sa_type=UtcDateTime, index=True)


class QualityEvidence(SQLModel, table=True):
    """What the alarm's test knows of one stream (a metric, overall or of a family) since one activation."""

    __tablename__ = "quality_evidence"

    activation: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False}, description="model_events.id")
    stream: str = Field(primary_key=True, max_length=200, description="metric|family; metric| for all items")
    model_version: str = Field(max_length=64)
    state: dict[str, Any] = Field(sa_type=JSON)
    cycle_id: str = Field(max_length=64, description="which cycle brought it up to date")
    updated_at: datetime = Field(sa_type=UtcDateTime)


class PredictionScore(SQLModel, table=True):
    """One answered prediction, compared with what was booked afterwards."""

    __tablename__ = "prediction_scores"

    prediction_row: int = Field(
        primary_key=True, sa_column_kwargs={"autoincrement": False}, description="predictions.id"
    )
    prediction_id: str = Field(max_length=64, index=True)
    item_code: str = Field(max_length=200, index=True)
    model_version: str = Field(max_length=64)
    cycle_id: str = Field(max_length=64, index=True)
    orders: int = Field(description="booked orders and operations compared")
    mae_minutes: float | None = Field(default=None)
    figures: dict[str, Any] = Field(sa_type=JSON)
    scored_at: datetime = Field(sa_type=UtcDateTime)


class JobLine(SQLModel, table=True):
    """One line of a training job's log."""

    __tablename__ = "job_lines"

    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(max_length=64, index=True)
    attempt: int = Field(default=0)
    level: str = Field(default="info", max_length=16)
    message: str = Field(max_length=1000)
    at: datetime = Field(sa_type=UtcDateTime)


class PoisonMessage(SQLModel, table=True):
    """A message nobody could handle, kept for replay."""

    __tablename__ = "poison_messages"

    id: str = Field(primary_key=True, max_length=64)
    queue: str = Field(max_length=80, index=True, description="the queue it came from, without -poison")
    body: str
    reason: str = Field(default="")
    buried_at: datetime = Field(sa_type=UtcDateTime)
    replayed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replayed_by: str | None = Field(default=None, max_length=128)


class Prediction(SQLModel, table=True):
    """One answered prediction of one item, written in the background."""

    __tablename__ = "predictions"

    id: int | None = Field(default=None, primary_key=True)
    prediction_id: str = Field(max_length=64, index=True)
    item_code: str = Field(max_length=200, index=True)
    model_version: str = Field(max_length=64)
    status: str = Field(max_length=16)
    quantity: float
    as_if_unknown: bool
    answer: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)


class Decision(SQLModel, table=True):
    """A planner's word on one prediction."""

    __tablename__ = "decisions"

    id: int | None = Field(default=None, primary_key=True)
    prediction_id: str = Field(max_length=64, index=True)
    item_code: str = Field(max_length=200)
    model_version: str | None = Field(default=None, max_length=64)
    outcome: str = Field(max_length=16)
    operations: list[dict[str, Any]] = Field(sa_type=JSON)
    reason: str = Field(default="", max_length=2000)
    actor: str = Field(max_length=128)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ConfigurationVersion(SQLModel, table=True):
    """One version of the live configuration; the greatest number is in force."""

    __tablename__ = "configuration_versions"

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    document: dict[str, Any] = Field(sa_type=JSON)
    changes: dict[str, Any] = Field(sa_type=JSON, description="{path: {before, after}}")
    actor: str = Field(max_length=128)
    created_at: datetime = Field(sa_type=UtcDateTime)
