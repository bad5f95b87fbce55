"""Who asks for a job and what becomes of it: alarms, the schedule and people, one at a time and all at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from shared.configuration import default_configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.database.tables import TrainingJob, VersionState, WorkState
from shared.database.work import Claim, WorkRows
from shared.errors import Conflict
from shared.quality.unit_alerts import UNIT_SUSPECTED
from shared.registry.build import build_package
from shared.registry.installation import Installer
from shared.registry.signing import Keys
from shared.registry.verify import verify_folder
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.training.jobs import TrainingJobs
from tests.databases import set_up
from tests.postgresql import PostgreSql
from tests.training.training_plant import FIRST, Bells, Plant

SLOT = "2026-01-04T03:00:00+00:00"


def office(engine: Engine, folder: Path) -> TrainingJobs:
    """Training jobs as one process has them, on a database of any kind."""
    settings, work, bells = Settings(data_dir=folder), WorkRows(engine), Bells()
    return TrainingJobs(
        settings=settings,
        work=work,
        doorbells=bells,  # type: ignore[arg-type]
        configuration=ConfigurationStore(engine),
        snapshots=Snapshots(settings, engine, work, bells),  # type: ignore[arg-type]
        versions=ModelVersions(engine),
        registrations=Installer(settings, engine, keys=Keys(settings.keys)),
        alerts=Alerts(engine),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        new = server.new_database()
        url = new.url
    set_up(url)
    made = make_engine(url)
    yield made
    made.dispose()


def test_an_alarm_asks_for_one_job_of_the_configured_kind(engine: Engine, tmp_path: Path) -> None:
    jobs = office(engine, tmp_path)
    job = jobs.enqueue_for_alarm("MAE too high", "cycle_1")

    assert (job.kind, job.actor, job.cycle_id, job.reason) == (
        default_configuration().alarms.retraining, "alarm", "cycle_1", "MAE too high"
    )  # fmt: skip
    assert jobs.enqueue_for_alarm("MAE too high", "cycle_1").id == job.id  # the cycle's worker died and it ran again
    assert jobs.list()[1] == 1


def test_an_alarm_that_retrains_nothing_says_so(engine: Engine, tmp_path: Path) -> None:
    jobs = office(engine, tmp_path)
    store = ConfigurationStore(engine)
    store.patch({"alarms": {"retraining": "none"}}, "tester")
    with pytest.raises(Conflict, match=r"alarms\.retraining is none"):
        jobs.enqueue_for_alarm("MAE too high", "cycle_1")
    store.patch({"alarms": {"retraining": "refit"}}, "tester")

    assert jobs.enqueue_for_alarm("MAE too high", "cycle_1").kind == "refit"


def test_a_scheduled_time_that_is_refused_is_used_up_and_its_row_says_why(engine: Engine, tmp_path: Path) -> None:
    jobs = office(engine, tmp_path)
    waiting = jobs.enqueue("refit", reason="asked for", actor="anna")
    row = jobs.enqueue_scheduled(SLOT, "schedule")
    assert row is not None
    assert (row.state, row.actor, row.slot) == (WorkState.SKIPPED, "schedule", SLOT)
    assert waiting.id in row.reason
    jobs.cancel(waiting.id, "anna")

    assert jobs.enqueue_scheduled(SLOT, "schedule") is None
    assert jobs.enqueue_scheduled(None, "timer fired by hand") is not None
    assert jobs.enqueue_scheduled(None, "timer fired by hand") is None


def test_while_a_unit_is_suspected_only_a_person_gets_a_job(engine: Engine, tmp_path: Path) -> None:
    jobs, alerts = office(engine, tmp_path), Alerts(engine)
    alert = alerts.raise_alert(UNIT_SUSPECTED, "AS90", "Another unit?", details={"since": "2026-07-03"})
    alerts.acknowledge(alert.id, "anna")
    with pytest.raises(Conflict, match=r"No job: .* AS90 \(since 2026-07-03\)") as refusal:
        jobs.enqueue_for_alarm("MAE too high", "cycle_1")
    row = jobs.enqueue_scheduled(SLOT, "schedule")

    assert refusal.value.facts["reason"] == UNIT_SUSPECTED
    assert row is not None
    assert (row.state, row.reason.startswith("not started: No job: ")) == (WorkState.SKIPPED, True)
    asked = jobs.enqueue("refit", reason="I know better", actor="anna")
    assert asked.state == WorkState.QUEUED
    jobs.cancel(asked.id, "anna")
    alerts.close(alert.id, "quality cycle", "right again")
    assert jobs.enqueue_for_alarm("MAE too high", "cycle_1").state == WorkState.QUEUED


def test_alarm_person_and_schedule_at_once_get_no_more_than_the_rules_allow(engine: Engine, tmp_path: Path) -> None:
    """Every order in which they can come leaves one refit and one alarm's job at most, and never a fuller queue."""
    jobs = office(engine, tmp_path)
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(12)

    def ask(what: str, enqueue: Callable[[], TrainingJob | None]) -> None:
        start.wait()
        try:
            row = enqueue()
            outcomes[f"{what} {'nothing' if row is None else row.state}"] += 1
        except Conflict as refusal:
            outcomes[f"{what} refused" if refusal.facts["reason"] else "refused without a reason"] += 1

    def alarm(number: int) -> Callable[[], TrainingJob | None]:
        return lambda: jobs.enqueue_for_alarm("MAE too high", f"cycle_{number}")

    asks: list[tuple[str, Callable[[], TrainingJob | None]]] = []
    for number in range(4):
        asks.append(("alarm", alarm(number)))
        asks.append(("person", lambda: jobs.enqueue("refit", reason="asked for", actor="anna")))
        asks.append(("schedule", lambda: jobs.enqueue_scheduled(SLOT, "schedule")))
    threads = [threading.Thread(target=ask, args=one) for one in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows, _ = jobs.list()
    queued = [row for row in rows if row.state == WorkState.QUEUED]

    assert sum(outcomes.values()) == 12
    assert not outcomes["refused without a reason"]
    assert [row.kind for row in queued].count("refit") == 1
    assert sum(row.cycle_id is not None for row in queued) <= 1
    assert sum(row.slot == SLOT for row in rows) == 1
    assert outcomes["alarm queued"] == sum(row.cycle_id is not None for row in queued)
    assert outcomes["person queued"] + outcomes["schedule queued"] == 1


def test_the_queue_s_limit_holds_whoever_asks_at_once(engine: Engine, tmp_path: Path) -> None:
    jobs = office(engine, tmp_path)
    refused: list[str] = []
    start = threading.Barrier(9)

    def ask(number: int) -> None:
        start.wait()
        try:
            jobs.enqueue("refit", reason="asked for", actor="anna", label=f"label-{number}")
        except Conflict as refusal:
            refused.append(str(refusal.facts["reason"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert refused == ["queue full (3)"] * 6
    assert jobs.list(state=WorkState.QUEUED)[1] == 3


def test_a_scheduled_refit_on_the_same_data_is_skipped_and_says_so(plant: Plant) -> None:
    row = plant.jobs.enqueue_scheduled(SLOT, "schedule")
    assert row is not None
    done = plant.jobs.run(row.id)

    assert done is not None
    assert (done.state, done.model_version, done.error) == (WorkState.SKIPPED, None, None)
    assert done.reason.startswith(f"Not needed: the data is what {FIRST} learned from")
    assert done.snapshot_id is not None
    assert plant.version_names() == [FIRST]


def test_a_scheduled_refit_is_made_where_a_rule_was_changed_since(plant: Plant) -> None:
    plant.configuration.patch({"prediction": {"neighbours": 30}}, "anna")
    row = plant.jobs.enqueue_scheduled(SLOT, "schedule")
    assert row is not None
    done = plant.jobs.run(row.id)

    assert done is not None
    assert done.state == WorkState.SUCCEEDED, done.error
    assert (done.result or {})["comparison"] is not None


def test_a_job_s_version_serves_at_once_only_where_the_configuration_says_so(plant: Plant) -> None:
    plant.configuration.patch({"training": {"auto_activate": True}}, "anna")
    row = plant.jobs.enqueue("refit", reason="asked for", actor="anna", label="spring-refit")
    done = plant.jobs.run(row.id)
    assert done is not None
    result = done.result or {}
    active = plant.versions.active()

    assert result["activation"]["activated"], result["activation"]
    assert active is not None
    assert active.version == "spring-refit"
    event = plant.versions.activation_in_force()
    assert event is not None
    assert event.actor == "auto-activation"
    details = event.details or {}
    assert (details["job_id"], details["previous"]) == (row.id, FIRST)
    assert details["comparison"]["items"] == result["comparison"]["items"]
    assert done.step == "activated spring-refit"


def test_a_worker_that_dies_between_registering_and_activating_is_followed_by_one_activation(plant: Plant) -> None:
    plant.configuration.patch({"training": {"auto_activate": True}}, "anna")
    row = plant.jobs.enqueue("refit", reason="asked for", actor="anna", label="spring-refit")
    activation = plant.jobs._parts.activation
    assert activation is not None
    really = activation.consider

    def die(*_arguments: object) -> None:
        raise SystemExit("the worker dies")

    activation.consider = die  # type: ignore[method-assign,assignment]
    with pytest.raises(SystemExit):
        plant.jobs.run(row.id)
    assert plant.versions.get("spring-refit").state == VersionState.PENDING
    activation.consider = really  # type: ignore[method-assign]
    plant.work.release(_claim_again(plant, row.id), error="the lease ran out")
    done = plant.jobs.run(row.id)

    assert done is not None
    assert (done.result or {})["activation"]["activated"]
    assert (done.result or {})["comparison"]["items"] >= 10
    activations = [event for event in plant.versions.events("spring-refit") if event.to_state == VersionState.ACTIVE]
    assert len(activations) == 1


def test_nothing_is_activated_over_what_a_person_activated_meanwhile(plant: Plant) -> None:
    """The comparison was with another version than the one that serves now."""
    row = plant.jobs.enqueue("refit", reason="asked for", actor="anna", label="spring-refit")
    done = plant.jobs.run(row.id)
    assert done is not None
    model = verify_folder(plant.settings.models / FIRST, plant.keys).model
    package = plant.settings.data_dir / "made-elsewhere"
    build_package(model, package, version="other", keys=plant.keys)
    plant.installer.register_local(package, actor="bert", reason="from another plant")
    plant.versions.transition("other", VersionState.ACTIVE, actor="bert", reason="I like it")
    plant.configuration.patch({"training": {"auto_activate": True}}, "anna")
    activation = plant.jobs._parts.activation
    assert activation is not None
    told = activation.consider(plant.versions.get("spring-refit"), row.id, done.result or {})

    assert told == {"activated": False, "reason": f"it was compared with {FIRST}, and other is active now"}
    incomparable = {**(done.result or {}), "comparison": None}
    told = activation.consider(plant.versions.get("spring-refit"), row.id, incomparable)
    assert told is not None
    assert "a person has to judge it" in told["reason"]


def _claim_again(plant: Plant, job_id: str) -> Claim[TrainingJob]:
    """The claim of the worker that died, as the row has it."""
    row = plant.job(job_id)
    return Claim(
        table=TrainingJob, id=job_id, token=row.lease_token, attempt=row.attempt, worker=row.worker or "", row=row
    )
