"""One call leads from a version to everything behind it, and says of each part that is gone that it is gone."""

import json
import shutil
from datetime import timedelta
from typing import Any

from sqlmodel import delete

from shared.database.engine import writing
from shared.database.tables import QualityCycle, SnapshotRow, TrainingJob, VersionState, WorkState
from shared.registry.lineage import MOST_CYCLES, MOST_ITEMS, Lineage
from tests.registry.registry_support import Instance


def lineage_of(instance: Instance, version: str) -> dict[str, Any]:
    line = Lineage(instance.settings, instance.engine, instance.versions).of(version)
    return dict(json.loads(json.dumps(line)))  # JSON values only


def tell_the_story(instance: Instance) -> tuple[str, str]:
    """An alarm asked for the job that made the version `first`; return the alert's and the snapshot's id."""
    now = instance.clock()
    alert = instance.alerts.raise_alert(
        "quality", "mae", "61 minutes", details={"cycle_id": "cycle_1", "retraining": {"job_id": "job_1"}}
    )
    retraining = {"asked": True, "job_id": "job_1", "alert_ids": [alert.id]}
    result = {"decision": "register", "reason": "8 % better", "comparison": {"items": 500}, "data_note": "old"}
    row = instance.versions.get("first")
    row.job_id = "job_1"
    metrics = {
        "quality": {"mae": 61.0, "metadata": {"retraining": retraining}},
        "overall": {"mae": {"value": 61.0, "n": 900}},
        "completeness": {"orders": 0.9},
    }
    codes = [f"RING{number:05d}" for number in range(MOST_ITEMS + 500)]
    report = {
        "sample": {"item_codes": codes},
        "snapshot": {"id": "snap_1", "fingerprint": "f" * 64, "data_as_of": "2026-01-31T00:00:00+00:00"},
    }
    with writing(instance.engine) as session:
        session.merge(row)
        session.add(
            QualityCycle(
                id="cycle_1", state=WorkState.SUCCEEDED, strategy="stratified", seed=42, sample_size=len(codes),
                evaluated=900, metrics=metrics, report=report, snapshot_id="snap_1", model_version="before",
                created_at=now, ended_at=now,
            )
        )  # fmt: skip
        session.add(
            TrainingJob(
                id="job_1", state=WorkState.SUCCEEDED, kind="challenger", reason="MAE too high", actor="alarm",
                cycle_id="cycle_1", snapshot_id="snap_1", model_version="first", attempt=2, created_at=now,
                started_at=now, ended_at=now + timedelta(minutes=1),
                result=result,
            )
        )  # fmt: skip
        session.add(
            SnapshotRow(
                id="snap_1", profile="demo", folder="snapshots/snap_1", fingerprint="f" * 64, data_as_of=now,
                rows={"items": 120}, created_at=now,
            )
        )  # fmt: skip
    return alert.id, "snap_1"


def test_one_call_leads_to_everything_behind_a_version_and_to_what_followed(instance: Instance) -> None:
    instance.install("first")
    alert_id, snapshot_id = tell_the_story(instance)
    instance.install("second")
    instance.lifecycle.activate("first", actor="anna", reason="8 % better on valves")
    instance.lifecycle.activate("second", actor="bert", reason="newer")
    with writing(instance.engine) as session:
        for number in range(MOST_CYCLES + 5):
            session.add(
                QualityCycle(
                    id=f"later_{number:03d}", state=WorkState.SUCCEEDED, model_version="first", evaluated=40,
                    metrics={"quality": {"mae": 5.0, "alerts": [{"metric": "mae"}]}}, report={"large": "x" * 1_000},
                    created_at=instance.clock() + timedelta(minutes=number),
                )
            )  # fmt: skip
    line = lineage_of(instance, "first")
    job, alarm, data = line["job"], line["alarm"], line["data"]

    assert (job["kind"], job["actor"], job["reason"], job["attempts"], job["data_note"]) == (
        "challenger", "alarm", "MAE too high", 2, "old"
    )  # fmt: skip
    assert [alert["id"] for alert in alarm["alerts"]] == [alert_id]
    cycle = alarm["cycle"]
    assert (cycle["sample"]["strategy"], cycle["sample"]["seed"]) == ("stratified", 42)
    assert (len(cycle["sample"]["item_codes"]), cycle["sample"]["items_in_all"]) == (MOST_ITEMS, MOST_ITEMS + 500)
    assert cycle["actuals"]["snapshot_id"] == snapshot_id
    assert cycle["actuals"]["completeness"] == {"orders": 0.9}
    assert cycle["figures"]["overall"]["mae"] == {"value": 61.0, "n": 900}
    assert data["snapshot_id"] == snapshot_id
    assert "gone" not in data
    assert line["comparison"] == {"decision": "register", "reason": "8 % better", "comparison": {"items": 500}}
    package, approval, followed, judged = line["package"], line["approval"], line["followed"], line["judged_by"]
    assert package["signed_by"] is not None
    assert package["manifest_sha256"] == line["manifest_sha256"]
    assert (approval["actor"], approval["reason"]) == ("anna", "8 % better on valves")
    assert [(event["to_state"], event["actor"]) for event in followed] == [("retired", "bert")]
    assert (len(judged["cycles"]), judged["more"]) == (MOST_CYCLES, True)
    assert judged["cycles"][0]["alarms"] == ["mae"]


def test_what_is_gone_is_said_to_be_gone(instance: Instance) -> None:
    instance.install("first")
    alert_id, _ = tell_the_story(instance)
    with writing(instance.engine) as session:
        session.execute(delete(QualityCycle))
        session.execute(delete(SnapshotRow))
    shutil.rmtree(instance.store.folder("first"))
    line = lineage_of(instance, "first")
    package, data, alarm = line["package"], line["data"], line["alarm"]

    assert "cannot be read any more" in package["gone"]
    assert "tidied away" in data["gone"]
    assert "not kept" in alarm["cycle"]["gone"]
    assert [alert["id"] for alert in alarm["alerts"]] == [alert_id]
    with writing(instance.engine) as session:
        session.execute(delete(TrainingJob))
    job = lineage_of(instance, "first")["job"]
    assert (job["job_id"], "tidied away" in job["gone"]) == ("job_1", True)


def test_a_version_that_no_job_of_this_installation_made_says_so(instance: Instance) -> None:
    instance.install("first")
    with writing(instance.engine) as session:
        row = instance.versions.get("first")
        row.job_id = None
        session.merge(row)
    line = lineage_of(instance, "first")

    assert line["job"] == {
        "none": "no job of this installation made it: it was trained at once, on a command line, or dropped"
    }
    assert line["alarm"] is None
    assert line["approval"] is None
    assert line["state"] == VersionState.PENDING
