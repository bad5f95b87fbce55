"""How database rows look in answers: JSON values only, no lease or fencing internals."""

from collections.abc import Set
from typing import Any

from shared.database.tables import (
    Alert,
    Extract,
    JobLine,
    ModelEvent,
    ModelVersion,
    PoisonMessage,
    QualityCycle,
    Registration,
    SnapshotRow,
    TrainingJob,
    WorkColumns,
)

_WORK_INTERNALS = {"lease_token", "lease_until", "worker", "rung_at", "not_before"}
_LISTED_METRICS = ("quality", "overall", "watch")  # a cycle's other figures are some hundred kilobytes


def _work_view(row: WorkColumns, *, excluding: Set[str] = frozenset(), **renamed: Any) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude=_WORK_INTERNALS | excluding) | renamed


def extract_view(row: Extract) -> dict[str, Any]:
    """One extract; the source's location stays inside, because a path or server name is nobody's business."""
    return _work_view(row, excluding={"source"})


def cycle_view(row: QualityCycle) -> dict[str, Any]:
    """One quality cycle without its per-item report, which has an address of its own."""
    return _work_view(row, excluding={"report"}, cycle_id=row.id)


def cycle_line_view(row: QualityCycle) -> dict[str, Any]:
    """One quality cycle as lists show it: the figures of the whole, not of each family and operation."""
    view = _work_view(row, excluding={"report"}, cycle_id=row.id)
    if row.metrics is not None:
        view["metrics"] = {name: row.metrics[name] for name in _LISTED_METRICS if name in row.metrics}
    return view


def job_view(row: TrainingJob) -> dict[str, Any]:
    """One training job; `eta` is when it will end, null while nobody can know."""
    view = _work_view(row, job_id=row.id)
    view["eta"] = view.pop("expected_end_at")
    return view


def job_line_view(row: JobLine) -> dict[str, Any]:
    """One line of a job's log."""
    return row.model_dump(mode="json", exclude={"id", "job_id"})


def registration_view(row: Registration) -> dict[str, Any]:
    """One dropped package and its outcome."""
    return _work_view(row)


def version_view(row: ModelVersion) -> dict[str, Any]:
    """One installed model version."""
    return row.model_dump(mode="json")


def event_view(row: ModelEvent) -> dict[str, Any]:
    """One transition of a version."""
    return row.model_dump(mode="json", exclude={"id"})


def snapshot_view(row: SnapshotRow) -> dict[str, Any]:
    """One snapshot."""
    return row.model_dump(mode="json", exclude={"folder"})


def alert_view(row: Alert) -> dict[str, Any]:
    """One alert."""
    return row.model_dump(mode="json")


def poison_view(row: PoisonMessage) -> dict[str, Any]:
    """One buried message."""
    return row.model_dump(mode="json")
