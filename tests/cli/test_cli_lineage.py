"""`models lineage` and `jobs log`: where a version comes from, and what its job said, in lines for a person."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from shared.bootstrap import Services
from shared.database.engine import writing
from shared.database.tables import (
    JobLine,
    ModelVersion,
    QualityCycle,
    SnapshotRow,
    TrainingJob,
    VersionState,
    WorkState,
)
from tests.cli.conftest import Command

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ANCESTORS = 12


def _version(name: str, parent: str | None, job_id: str | None = None) -> ModelVersion:
    return ModelVersion(
        version=name, manifest_sha256="a" * 64, model_kind="mlp", schema_version="2", registered_at=NOON,
        parent=parent, job_id=job_id, profile="demo", fingerprint="f" * 64, data_as_of=NOON,
    )  # fmt: skip


@pytest.fixture
def story(services: Services) -> Services:
    """An alarm asked for a challenger, which anna let serve; it is the last of many."""
    versions = services.model_versions
    for number in range(ANCESTORS):
        versions.insert(_version(f"old_{number}", f"old_{number - 1}" if number else None))
    versions.insert(_version("spring", f"old_{ANCESTORS - 1}", "job_1"))
    alert = services.alerts.raise_alert("quality", "mae", "61 minutes", details={"cycle_id": "cycle_1"})
    retraining = {"asked": True, "job_id": "job_1", "alert_ids": [alert.id]}
    with writing(services.engine) as session:
        session.add(
            QualityCycle(
                id="cycle_1", state=WorkState.SUCCEEDED, strategy="stratified", seed=42, sample_size=50, evaluated=48,
                metrics={"quality": {"mae": 61.0, "metadata": {"retraining": retraining}}}, snapshot_id="snap_1",
                model_version="old_11", created_at=NOON, ended_at=NOON,
            )
        )  # fmt: skip
        session.add(
            QualityCycle(
                id="cycle_2", state=WorkState.SUCCEEDED, evaluated=40, model_version="spring", created_at=NOON,
                metrics={"quality": {"mae": 5.25, "alerts": [{"metric": "cv"}]}, "watch": {"reason": "spring stays"}},
                ended_at=NOON + timedelta(days=1),
            )
        )  # fmt: skip
        session.add(
            TrainingJob(
                id="job_1", state=WorkState.SUCCEEDED, kind="challenger", reason="MAE too high", actor="alarm",
                cycle_id="cycle_1", snapshot_id="snap_1", model_version="spring", attempt=2, created_at=NOON,
                started_at=NOON, ended_at=NOON + timedelta(minutes=1),
                result={"decision": "register", "recipe": "mlp", "reason": "8 % better"},
            )
        )  # fmt: skip
        session.add(
            SnapshotRow(
                id="snap_1", profile="demo", folder="snapshots/snap_1", fingerprint="f" * 64, data_as_of=NOON,
                rows={"items": 1200}, created_at=NOON,
            )
        )  # fmt: skip
        for number in range(3):
            session.add(JobLine(job_id="job_1", attempt=1, level="info", message=f"line [{number}]", at=NOON))
    versions.transition("old_11", VersionState.ACTIVE, actor="bert", reason="the first")
    versions.transition("spring", VersionState.ACTIVE, actor="anna", reason="better on valves")
    return services


def test_a_lineage_reads_from_the_alarm_to_the_approver_and_on(story: Services, command: Command) -> None:
    done = command("models", "lineage", "spring")
    text = " ".join(done.stdout.split())

    assert done.exit_code == 0
    for part in (
        "spring is active, made from old_11.",
        "made by job_1, a challenger asked for by alarm (MAE too high), succeeded at attempt 2",
        "alarm of the cycle cycle_1",
        "50 items drawn stratified with seed 42, actuals of snap_1",
        "(open): 61 minutes",
        "data snap_1 of demo, read",
        "1,200 items",
        "judged register (mlp): 8 % better",
        "package its folder or manifest cannot be read any more",
        "by anna: better on valves",
        "40 items, MAE 5.25 min; alarms: cv; spring stays",
        "old_11 (retired), data as of",
        "and 2 more (--json has them all)",
    ):
        assert part in text, part
    assert "{'" not in text  # nothing is shown as the program holds it
    assert json.loads(command("models", "lineage", "spring", "--json").stdout)["alarm"]["cycle_id"] == "cycle_1"


def test_a_version_without_a_story_says_so(story: Services, command: Command) -> None:
    text = " ".join(command("models", "lineage", "old_0").stdout.split())

    assert "old_0 is pending." in text
    assert "made by no job of this installation made it" in text
    assert "judged with nothing: no comparison was made" in text
    assert "approved by nobody yet: it has never served" in text
    assert "cycles none has judged it yet" in text
    assert "ancestors none: it is the first" in text


def test_the_log_of_a_job_is_shown_from_any_line_on(story: Services, command: Command) -> None:
    text = command("jobs", "log", "job_1").stdout
    rest = json.loads(command("jobs", "log", "job_1", "--offset", "2", "--json").stdout)
    ended = command("jobs", "log", "job_1", "--follow")  # a job that has ended is not waited for

    assert [line.split("info")[1].strip() for line in text.splitlines()] == ["line [0]", "line [1]", "line [2]"]
    assert ([line["message"] for line in rest["items"]], rest["total"], rest["offset"]) == (["line [2]"], 3, 2)
    assert ended.stdout == text
    assert command("jobs", "log", "job_1", "--offset", "9").stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("jobs", "log", "nothing"), "There is no training job 'nothing'."),
        (("jobs", "show", "nothing"), "There is no training job 'nothing'."),
        (("jobs", "cancel", "nothing"), "There is no training job 'nothing'."),
        (("models", "lineage", "nothing"), "There is no model version 'nothing'."),
        (("quality", "show", "nothing"), "There is no quality cycle 'nothing'."),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(
    words: tuple[str, ...], said: str, story: Services, command: Command
) -> None:
    done, document = command(*words), command(*words, "--json")

    assert (done.exit_code, document.exit_code) == (4, 4)
    assert said in done.stderr
    assert json.loads(document.stdout)["remedy"] in " ".join(done.stderr.split())
