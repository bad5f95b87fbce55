"""Where a version comes from, in one answer: data, job, alarm, cycle, comparison, package, approver, and what followed.

Every part is either there, or says why it is not: a dropped package had no job here, a snapshot is tidied away, a
report is no longer kept. All lists are bounded and tell how long they are in all.
"""

from collections.abc import Sequence
from typing import Any, cast

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import defer
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.models import ModelVersions
from shared.database.tables import Alert, ModelEvent, ModelVersion, QualityCycle, SnapshotRow, TrainingJob, VersionState
from shared.errors import NotFound, PackageRejected
from shared.registry.manifest import Manifest, parse_manifest, read_manifest_file
from shared.registry.store import ModelStore
from shared.settings import Settings

log = structlog.get_logger()

LONGEST_LINE = 1_000  # a parent chain longer than this is a circle
MOST_ITEMS, MOST_CYCLES, MOST_ALERTS = 1_000, 100, 20
_LOOKED_AT_ALERTS = 200


class Lineage:
    """Follows the rows and the manifest of a version back to what made it, and on to what it led to."""

    def __init__(self, settings: Settings, engine: Engine, versions: ModelVersions) -> None:
        """Read `engine`'s database and the folder of installed versions that `settings` name."""
        self._engine = engine
        self._versions = versions
        self._store = ModelStore(settings.models)

    def of(self, version: str) -> dict[str, Any]:
        """Return the whole line of one version.

        Raises:
            NotFound: there is no such version.
        """
        row = self._versions.get(version)
        events = self._versions.events(version)
        manifest = self._manifest(version)
        job = self._job(row)
        return {
            "version": version,
            "state": row.state,
            "manifest_sha256": row.manifest_sha256,
            "job_id": row.job_id,
            "parent": row.parent,
            "package": _package(row, manifest),
            "training": None if manifest is None else manifest.training.model_dump(),
            "data": self._data(row, job, manifest),
            "job": _job_facts(row, job),
            "comparison": _comparison(job, manifest),
            "alarm": self._alarm(job),
            "approval": _approval(events),
            "followed": _followed(events),
            "judged_by": self._judged_by(version),
            "ancestors": [_ancestor(name, known) for name, known in self._ancestors(row)],
            "events": [event_facts(event) for event in events],
        }

    def _manifest(self, version: str) -> Manifest | None:
        """Return the manifest, or None when the folder or its manifest is gone."""
        try:
            return parse_manifest(read_manifest_file(self._store.require(version)))
        except (NotFound, PackageRejected) as fault:
            log.warning("model.manifest_unreadable", model_version=version, error=str(fault))
            return None

    def _job(self, row: ModelVersion) -> TrainingJob | None:
        if row.job_id is None:
            return None
        with reading(self._engine) as session:
            return session.get(TrainingJob, row.job_id)

    def _data(self, row: ModelVersion, job: TrainingJob | None, manifest: Manifest | None) -> dict[str, Any]:
        told = (job.snapshot_id or (job.result or {}).get("snapshot_id")) if job else None
        with reading(self._engine) as session:
            if told:
                snapshot = session.get(SnapshotRow, told)
            else:
                same = select(SnapshotRow).where(SnapshotRow.fingerprint == row.fingerprint)
                snapshot = session.exec(same.order_by(col(SnapshotRow.created_at)).limit(1)).first()
        rows = manifest.training.rows if manifest else snapshot.rows if snapshot else None
        facts: dict[str, Any] = {
            "snapshot_id": told or (snapshot.id if snapshot else None),
            "profile": row.profile,
            "fingerprint": row.fingerprint,
            "rows": rows,
            "data_as_of": None if row.data_as_of is None else row.data_as_of.isoformat(),
        }
        if snapshot is None:
            facts["gone"] = "the snapshot is not on this machine: it was tidied away, or taken elsewhere"
        return facts

    def _alarm(self, job: TrainingJob | None) -> dict[str, Any] | None:
        """The cycle whose alarm asked for the job, and the alerts that it raised; None where no alarm did."""
        if job is None or job.cycle_id is None:
            return None
        with reading(self._engine) as session:
            cycle = session.get(QualityCycle, job.cycle_id)
            newest = select(Alert).order_by(col(Alert.updated_at).desc()).limit(_LOOKED_AT_ALERTS)
            told = _told_alerts(cycle)
            alerts = {alert.id: alert for alert in session.exec(newest).all() if _is_about(alert, job)}
            alerts |= {id_: alert for id_ in told if (alert := session.get(Alert, id_)) is not None}
        facts: dict[str, Any] = {
            "cycle_id": job.cycle_id,
            "alerts": [_alert_facts(alert) for alert in list(alerts.values())[:MOST_ALERTS]],
        }
        if gone := [id_ for id_ in told if id_ not in alerts]:
            facts["alerts_gone"] = gone
        return facts | {"cycle": {"gone": "its row is not kept any more"} if cycle is None else self._cycle(cycle)}

    def _cycle(self, cycle: QualityCycle) -> dict[str, Any]:
        metrics, report = cycle.metrics or {}, cycle.report
        codes = [] if report is None else report.get("sample", {}).get("item_codes", [])
        sample: dict[str, Any] = {
            "strategy": cycle.strategy,
            "seed": cycle.seed,
            "strata": cycle.strata,
            "requested": cycle.sample_size,
            "item_codes": codes[:MOST_ITEMS],
            "items_in_all": len(codes) if report is not None else None,
        }
        if report is None:
            sample["gone"] = "the report was tidied away; strategy and seed draw the same items from the same snapshot"
        return {
            "cycle_id": cycle.id,
            "state": cycle.state,
            "ended_at": None if cycle.ended_at is None else cycle.ended_at.isoformat(),
            "model_version": cycle.model_version,
            "sample": sample,
            "actuals": self._actuals(cycle),
            "figures": {"quality": metrics.get("quality"), "overall": metrics.get("overall")},
        }

    def _actuals(self, cycle: QualityCycle) -> dict[str, Any]:
        told = (cycle.report or {}).get("snapshot", {})
        id_ = cycle.snapshot_id or told.get("id")
        with reading(self._engine) as session:
            snapshot = session.get(SnapshotRow, id_) if id_ else None
        facts = {
            "snapshot_id": id_,
            "data_as_of": told.get("data_as_of") or (snapshot.data_as_of.isoformat() if snapshot else None),
            "fingerprint": told.get("fingerprint") or (snapshot.fingerprint if snapshot else None),
            "completeness": (cycle.metrics or {}).get("completeness"),
        }
        return facts if snapshot else facts | {"gone": "the snapshot was tidied away"}

    def _judged_by(self, version: str) -> dict[str, Any]:
        """The cycles that judged the version, newest first."""
        mine = select(QualityCycle).where(QualityCycle.model_version == version)
        newest = mine.options(defer(cast(Any, QualityCycle.report))).order_by(col(QualityCycle.created_at).desc())
        with reading(self._engine) as session:
            rows = session.exec(newest.limit(MOST_CYCLES + 1)).all()
        return {"cycles": [_judged(row) for row in rows[:MOST_CYCLES]], "more": len(rows) > MOST_CYCLES}

    def _ancestors(self, row: ModelVersion) -> list[tuple[str, ModelVersion | None]]:
        line: list[tuple[str, ModelVersion | None]] = []
        seen = {row.version}
        parent = row.parent
        while parent is not None and parent not in seen and len(line) < LONGEST_LINE:
            seen.add(parent)
            known = self._versions.find(parent)
            line.append((parent, known))
            parent = known.parent if known else None
        return line


def event_facts(event: ModelEvent) -> dict[str, Any]:
    """Return an event as JSON values."""
    return {
        "at": event.at.isoformat(),
        "actor": event.actor,
        "reason": event.reason,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "details": event.details,
    }


def _package(row: ModelVersion, manifest: Manifest | None) -> dict[str, Any]:
    if manifest is None:
        return {"manifest_sha256": row.manifest_sha256, "gone": "its folder or manifest cannot be read any more"}
    return {
        "manifest_sha256": row.manifest_sha256,
        "created_at": manifest.created_at,
        "model_kind": manifest.model_kind,
        "signed_by": manifest.signature.key_id if manifest.signature else None,
        "registered_at": row.registered_at.isoformat(),
        "metrics": manifest.metrics,
    }


def _job_facts(row: ModelVersion, job: TrainingJob | None) -> dict[str, Any]:
    if row.job_id is None:
        return {"none": "no job of this installation made it: it was trained at once, on a command line, or dropped"}
    if job is None:
        return {"job_id": row.job_id, "gone": "there is no such job here: its row was tidied away, or it ran elsewhere"}
    times = {name: getattr(job, name) for name in ("created_at", "started_at", "ended_at")}
    return {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state,
        "actor": job.actor,
        "reason": job.reason,
        "slot": job.slot,
        "attempts": job.attempt,
        **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
        "data_note": (job.result or {}).get("data_note"),
    }


def _comparison(job: TrainingJob | None, manifest: Manifest | None) -> dict[str, Any] | None:
    """How the version was judged before it was registered: by its job's result, or what its package tells."""
    result = (job.result or {}) if job else {}
    if result.get("decision") is not None:
        told = ("decision", "reason", "recipe", "comparison", "evaluation", "activation")
        return {name: result.get(name) for name in told if name in result}
    decision = (manifest.metrics if manifest else {}).get("decision")
    return None if decision is None else {"reason": decision, "from": "the package's own metrics"}


def _approval(events: Sequence[ModelEvent]) -> dict[str, Any] | None:
    """Who let the version serve first; None while nobody has."""
    activations = [event for event in events if event.to_state == VersionState.ACTIVE]
    return event_facts(activations[0]) if activations else None


def _followed(events: Sequence[ModelEvent]) -> list[dict[str, Any]]:
    """What happened after the first activation: retirements, rollbacks, activations anew."""
    first = next((place for place, event in enumerate(events) if event.to_state == VersionState.ACTIVE), len(events))
    return [event_facts(event) for event in events[first + 1 :]]


def _told_alerts(cycle: QualityCycle | None) -> list[str]:
    """The ids of the alerts that a cycle raised, as its metadata keeps them."""
    metadata = ((cycle.metrics if cycle else None) or {}).get("quality", {}).get("metadata", {})
    ids = (metadata.get("retraining") or {}).get("alert_ids", [])
    return [str(id_) for id_ in ids[:MOST_ALERTS]]


def _is_about(alert: Alert, job: TrainingJob) -> bool:
    details = alert.details or {}
    retraining = details.get("retraining") or {}
    return details.get("cycle_id") == job.cycle_id or retraining.get("job_id") == job.id


def _alert_facts(alert: Alert) -> dict[str, Any]:
    shown = {"id", "kind", "subject", "severity", "state", "message", "created_at", "acknowledged_by", "closed_by"}
    return alert.model_dump(mode="json", include=shown)


def _judged(cycle: QualityCycle) -> dict[str, Any]:
    metrics = cycle.metrics or {}
    quality = metrics.get("quality", {})
    return {
        "cycle_id": cycle.id,
        "state": cycle.state,
        "ended_at": None if cycle.ended_at is None else cycle.ended_at.isoformat(),
        "evaluated": cycle.evaluated,
        "mae": quality.get("mae"),
        "process_match": quality.get("process_match"),
        "alarms": [alarm.get("metric") for alarm in quality.get("alerts") or []],
        "watch": metrics.get("watch"),
    }


def _ancestor(name: str, row: ModelVersion | None) -> dict[str, Any]:
    if row is None:
        return {"version": name, "state": None, "job_id": None, "data_as_of": None}
    as_of = row.data_as_of.isoformat() if row.data_as_of else None
    return {"version": name, "state": row.state, "job_id": row.job_id, "data_as_of": as_of}
