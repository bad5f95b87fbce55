"""The live configuration: validated as a whole, versioned with who and what, in force at once everywhere."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import update

from shared.configuration import default_configuration
from shared.database.configuration import ConfigurationStore
from shared.database.engine import writing
from shared.database.tables import ConfigurationVersion
from shared.errors import InvalidInput, SetupError
from tests.database.database_support import MovableClock


@pytest.fixture
def store(engine: Engine, clock: MovableClock) -> ConfigurationStore:
    return ConfigurationStore(engine, clock)


def test_defaults_are_in_force_until_somebody_changes_them(store: ConfigurationStore) -> None:
    """Version 0 is the shipped file."""
    assert store.current() == (0, default_configuration())
    assert store.history() == ([], 0)


def test_change_is_seen_by_every_process_without_a_restart(
    store: ConfigurationStore, engine: Engine, database_url: str
) -> None:
    """Another store, that had read before, sees the next version at its next look."""
    other = ConfigurationStore(engine)
    other.current()
    version, configuration = store.patch({"quality": {"sample_size": 200}}, "anna")
    assert (version, configuration.quality.sample_size) == (1, 200)
    assert other.current() == (1, configuration)
    assert configuration.quality.strategy == default_configuration().quality.strategy


def test_history_keeps_actor_and_before_and_after_of_each_field(store: ConfigurationStore, clock: MovableClock) -> None:
    """Newest first, only what changed."""
    store.patch({"quality": {"sample_size": 200}}, "anna")
    clock.advance(60)
    store.patch({"prediction": {"feature_weights": {"material": 2.0}}}, "bert")
    store.patch({"prediction": {"feature_weights": {"shape": 0.5, "material": None}}}, "carl")
    (third, second, first), total = store.history()
    assert total == 3
    assert (first.actor, first.changes) == ("anna", {"quality.sample_size": {"before": 500, "after": 200}})
    assert (second.actor, second.created_at) == ("bert", clock())
    assert third.changes == {
        "prediction.feature_weights.material": {"before": 2.0, "after": None},
        "prediction.feature_weights.shape": {"before": None, "after": 0.5},
    }
    assert store.current()[1].prediction.feature_weights == {"shape": 0.5}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quality": {"sample_size": 1}}, "quality.sample_size"),
        ({"quality": {"sample_size": "many"}}, "quality.sample_size"),
        ({"quality": {"nonsense": 1}}, "quality.nonsense"),
        ({"nonsense": {}}, "nonsense"),
        ({"quality": 7}, "quality"),
        ({"quality": {"strategy": None}}, "quality.strategy"),
        ({"prediction": {"feature_weights": {"x": 99}}}, "prediction.feature_weights.x"),
    ],
)
def test_bad_value_changes_nothing_and_names_its_field(
    store: ConfigurationStore, changes: dict[str, Any], field: str
) -> None:
    """Also a good value beside the bad one stays out."""
    with pytest.raises(InvalidInput) as caught:
        store.patch({"training": {"seed": 7}} | changes, "anna")
    assert field in {error["field"] for error in caught.value.facts["errors"]}
    assert store.current() == (0, default_configuration())


def test_change_that_changes_nothing_makes_no_version(store: ConfigurationStore) -> None:
    """Saving an untouched form is no event."""
    assert store.patch({"quality": {"sample_size": 500}}, "anna")[0] == 0
    assert store.patch({}, "anna")[0] == 0
    assert store.history()[1] == 0


def test_document_of_an_older_release_takes_defaults_for_its_missing_fields(
    store: ConfigurationStore, engine: Engine
) -> None:
    """A stored version without a later section still loads, with its own values kept."""
    store.patch({"quality": {"sample_size": 200}}, "anna")
    with writing(engine) as session:
        session.exec(update(ConfigurationVersion).values(document={"quality": {"sample_size": 200}}))
    _version, configuration = ConfigurationStore(engine).current()
    assert configuration.quality.sample_size == 200
    assert configuration.training == default_configuration().training


def test_stored_document_that_breaks_the_rules_is_named(store: ConfigurationStore, engine: Engine) -> None:
    """A row edited by hand is a set-up error with its version, never a silent default."""
    store.patch({"quality": {"sample_size": 200}}, "anna")
    with writing(engine) as session:
        session.exec(update(ConfigurationVersion).values(document={"quality": {"sample_size": -1}}))
    with pytest.raises(SetupError, match="Version 1"):
        ConfigurationStore(engine).current()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"alarms": {"false_alarm_rate": 0}}, "alarms.false_alarm_rate"),
        ({"alarms": {"retraining": "perhaps"}}, "alarms.retraining"),
        ({"alarms": {"volume": 11}}, "alarms.volume"),
        ({"alarms": 3}, "alarms"),
        ({"quality": {"sample_size": 9}}, "quality.sample_size"),
        ({"quality": {"sample_size": 10_001}}, "quality.sample_size"),
        ({"quality": {"maximum_mae_minutes": 100.1}}, "quality.maximum_mae_minutes"),
        ({"quality": {"maximum_cv": 0.009}}, "quality.maximum_cv"),
        ({"quality": {"minimum_samples": 2}}, "quality.minimum_samples"),
        ({"quality": {"strategy": "lucky"}}, "quality.strategy"),
        ({"quality": {"strata": ["x" * 201]}}, "quality.strata.0"),
        ({"quality": {"recent_half_life_days": 0}}, "quality.recent_half_life_days"),
        ({"training": {"queue_limit": 0}}, "training.queue_limit"),
        ({"training": {"queue_limit": "3"}}, "training.queue_limit"),
        ({"training": {"cooldown_minutes": None}}, "training.cooldown_minutes"),
        ({"training": {"auto_activate": "yes"}}, "training.auto_activate"),
        ({"training": {"maximum_slowdown": 0.9}}, "training.maximum_slowdown"),
        ({"training": {"trainers": ["oracle"]}}, "training.trainers.0"),
        ({"training": {"cores": -1}}, "training.cores"),
        ({"training": {"mlp": {"hidden_layers": []}}}, "training.mlp.hidden_layers"),
        ({"training": {"mlp": {"learning_rate": 0}}}, "training.mlp.learning_rate"),
        ({"training": {"mlp": {"alpha": float("inf")}}}, "training.mlp.alpha"),
        ({"training": {"stacking": {"final": "magic"}}}, "training.stacking.final"),
        ({"training": {"tuning": {"trials": 201}}}, "training.tuning.trials"),
        ({"training": {"tuning": {"budget_seconds": 0}}}, "training.tuning.budget_seconds"),
    ],
)
def test_a_bad_change_names_its_field_and_changes_nothing_not_even_what_is_right_in_it(
    store: ConfigurationStore, changes: dict[str, Any], field: str
) -> None:
    before = store.current()
    with pytest.raises(InvalidInput) as refused:
        store.patch({"data": {"maximum_drop": 0.2}, **changes}, "anna")

    assert field in [error["field"] for error in refused.value.facts["errors"]]
    assert field in str(refused.value)
    assert store.current() == before
    assert store.history()[1] == 0


def test_a_change_of_rules_is_told_from_other_changes(store: ConfigurationStore, clock: MovableClock) -> None:
    store.patch({"training": {"mlp": {"iterations": 50}}}, "anna")
    then = clock()
    clock.advance(60)
    store.patch({"quality": {"sample_size": 100}}, "anna")

    assert not store.changed_since(then, ("prediction.", "training."))
    assert store.changed_since(then, ("quality.",))
    assert store.changed_since(then - timedelta(seconds=1), ("prediction.", "training."))
