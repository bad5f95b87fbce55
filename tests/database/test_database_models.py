"""Model versions: the allowed transitions, one active at a time, and an event for every change."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from shared.database.engine import writing
from shared.database.models import TRANSITIONS, ModelVersions
from shared.database.tables import ModelEvent, ModelVersion, Registration, TrainingJob, VersionState
from shared.database.work import WorkRows
from shared.errors import Conflict, NotFound
from tests.database.database_support import MovableClock


class Add(Protocol):
    def __call__(self, version: str, state: str = VersionState.PENDING) -> str: ...


@pytest.fixture
def models(engine: Engine, clock: MovableClock) -> ModelVersions:
    return ModelVersions(engine, clock)


@pytest.fixture
def add(models: ModelVersions, clock: MovableClock) -> Add:
    def add(version: str, state: str = VersionState.PENDING) -> str:
        models.insert(a_version(version, clock()))
        if state in (VersionState.REJECTED, VersionState.REMOVED):
            models.transition(version, state, actor="anna", reason="")
        if state in (VersionState.ACTIVE, VersionState.RETIRED):
            models.transition(version, VersionState.ACTIVE, actor="anna", reason="")
        if state == VersionState.RETIRED:
            models.insert(a_version(f"after-{version}", clock()))
            models.transition(f"after-{version}", VersionState.ACTIVE, actor="anna", reason="")
        return version

    return add


def a_version(version: str, at: datetime, **columns: Any) -> ModelVersion:
    return ModelVersion(
        version=version, manifest_sha256="a" * 64, model_kind="k-nn", schema_version="2", registered_at=at, **columns
    )


def name_of(found: ModelVersion | ModelEvent | None) -> str:
    assert found is not None
    return found.version


def activate(models: ModelVersions, version: str, **columns: Any) -> ModelVersion:
    return models.transition(version, VersionState.ACTIVE, actor="anna", reason="better", **columns)


@pytest.mark.parametrize(("state", "to"), list(itertools.product(VersionState, VersionState)))
def test_only_the_listed_transitions_happen(models: ModelVersions, add: Add, state: str, to: str) -> None:
    """Every pair of states either follows the table or is a conflict that names the state and changes nothing."""
    add("v", state)
    if state == VersionState.RETIRED:
        activate(models, add("later"))  # the version that a rollback would activate cannot be removed
    before, events = models.get("v"), models.events("v")
    if to in TRANSITIONS[state]:
        assert models.transition("v", to, actor="anna", reason="why").state == to
        assert models.events("v")[-1].from_state == state
    else:
        with pytest.raises(Conflict) as caught:
            models.transition("v", to, actor="anna", reason="why")
        assert caught.value.facts["state"] == state
        assert models.get("v") == before
        assert len(models.events("v")) == len(events)


def test_retiring_needs_a_successor() -> None:
    """No transition of a person's leaves the factory without an active version."""
    assert all(VersionState.RETIRED not in allowed for allowed in TRANSITIONS.values())
    assert TRANSITIONS.keys() == set(VersionState)


def test_activation_retires_the_active_one_and_tells_both_stories(
    models: ModelVersions, add: Add, clock: MovableClock
) -> None:
    """Two events at one moment, actor and reason kept, row versions raised."""
    add("v1", VersionState.ACTIVE)
    add("v2")
    clock.advance(60)
    row = activate(models, "v2")
    assert (row.state, row.activated_at, row.row_version) == (VersionState.ACTIVE, clock(), 1)
    retired, activated = models.events("v1")[-1], models.events("v2")[-1]
    assert (retired.from_state, retired.to_state) == (VersionState.ACTIVE, VersionState.RETIRED)
    assert "v2" in retired.reason
    assert (activated.actor, activated.reason, activated.at) == ("anna", "better", retired.at)
    assert name_of(models.active()) == "v2"
    assert models.get("v1").state == VersionState.RETIRED


def test_expected_active_guards_against_a_stale_screen(models: ModelVersions, add: Add) -> None:
    """What the caller believes must be so; an empty name means that nothing is active."""
    add("v1")
    add("v2")
    with pytest.raises(Conflict) as caught:
        activate(models, "v1", expected_active="v9")
    assert caught.value.facts["active"] is None
    activate(models, "v1", expected_active="")
    with pytest.raises(Conflict, match="v1, not none"):
        activate(models, "v2", expected_active="")
    assert activate(models, "v2", expected_active="v1").state == VersionState.ACTIVE


def test_rolling_back_twice_returns_to_the_start(models: ModelVersions, add: Add, clock: MovableClock) -> None:
    """The previous version is the one that served last, rejected and pending ones never are."""
    add("v1", VersionState.ACTIVE)
    assert models.previous() is None
    add("v2", VersionState.ACTIVE)
    add("v3", VersionState.ACTIVE)
    add("v4", VersionState.REJECTED)
    add("v5")
    served = []
    for _ in range(3):
        clock.advance(1)
        served.append(activate(models, name_of(models.previous())).version)
    assert served == ["v2", "v3", "v2"]


def test_what_was_active_at_a_time_is_one_look_up(models: ModelVersions, add: Add, clock: MovableClock) -> None:
    """Before the first activation nothing, then whoever was activated last."""
    start = clock()
    add("v1")
    clock.advance(10)
    activate(models, "v1")
    first = clock()
    add("v2")
    clock.advance(10)
    activate(models, "v2")
    second = clock()
    clock.advance(10)
    activate(models, "v1")
    assert models.active_at(start) is None
    assert [name_of(models.active_at(at)) for at in (first, second - timedelta(seconds=1), second, clock())] == [
        "v1", "v1", "v2", "v1",
    ]  # fmt: skip


def test_events_never_go_back_in_time(models: ModelVersions, add: Add, clock: MovableClock) -> None:
    """Another machine's clock may be ahead; the order of events stays the order of their times."""
    add("v1", VersionState.ACTIVE)
    last = clock()
    clock.advance(-3600)
    add("v2", VersionState.ACTIVE)
    assert name_of(models.active_at(last)) == "v2"
    assert {event.at for event in models.events("v2")} == {last}


def test_database_itself_refuses_a_second_active_row(
    engine: Engine, models: ModelVersions, add: Add, clock: MovableClock
) -> None:
    """The partial unique index holds against code that goes round the repository."""
    add("v1", VersionState.ACTIVE)
    with pytest.raises(IntegrityError), writing(engine) as session:
        session.add(a_version("v2", clock(), state=VersionState.ACTIVE))


def test_version_is_registered_once_and_as_pending(models: ModelVersions, add: Add, clock: MovableClock) -> None:
    """A second registration of the name is a conflict and leaves one event; no version starts active."""
    add("v1")
    with pytest.raises(Conflict):
        add("v1")
    assert [event.to_state for event in models.events("v1")] == [VersionState.PENDING]
    with pytest.raises(ValueError, match="pending"):
        models.insert(a_version("v2", clock(), state=VersionState.ACTIVE))


def test_unknown_version_is_not_found(models: ModelVersions) -> None:
    """Reading and changing say so; `find` answers None."""
    assert models.find("v") is None
    calls: list[Callable[[str], object]] = [models.get, models.events, lambda v: activate(models, v)]
    for call in calls:
        with pytest.raises(NotFound):
            call("v")


def test_free_name_avoids_versions_drops_and_jobs(
    models: ModelVersions, engine: Engine, add: Add, clock: MovableClock
) -> None:
    """A name that any of them uses, in any case, is not given out again; a longer name is no obstacle."""
    work = WorkRows(engine, clock=clock)
    assert models.free_name("night") == "night"
    add("night")
    work.insert(Registration(id="r", version="NIGHT_2", manifest_sha256="a", deadline=clock(), created_at=clock()))
    work.insert(TrainingJob(id="j", model_version="night_3", created_at=clock()))
    add("night_41")
    assert models.free_name("night") == "night_4"
    assert models.free_name("nigh") == "nigh"


def test_versions_are_listed_newest_first_by_state(models: ModelVersions, add: Add, clock: MovableClock) -> None:
    """The total counts the filtered rows."""
    for name in ("a", "b", "c"):
        clock.advance(1)
        add(name)
    activate(models, "b")
    assert [row.version for row in models.list()[0]] == ["c", "b", "a"]
    rows, total = models.list(state=VersionState.PENDING, limit=1)
    assert ([row.version for row in rows], total) == (["c"], 2)
