"""`config`: what is in force, changes of several fields at once or of none, and who made them."""

import json

import pytest

from shared.bootstrap import Services
from shared.configuration import default_configuration
from tests.cli.conftest import Command


def test_a_change_is_in_force_and_kept_with_what_was_before(services: Services, command: Command) -> None:
    done = command("config", "set", "alarms.retraining=refit", "training.cooldown_minutes=120")
    again = command("config", "set", "alarms.retraining=refit")
    shown = json.loads(command("config", "show", "alarms", "--json").stdout)
    history = json.loads(command("config", "history", "--json").stdout)
    readable = command("config", "history").stdout

    assert done.stdout == "Version 1 of the configuration is in force.\n"
    assert again.stdout == "Nothing is different: version 1 of the configuration stays in force.\n"
    assert (shown["version"], shown["configuration"]["retraining"]) == (1, "refit")
    assert services.configuration_store.current()[1].training.cooldown_minutes == 120
    before = default_configuration().training.cooldown_minutes
    assert history["total"] == 1
    assert history["items"][0]["changes"]["training.cooldown_minutes"] == {"before": before, "after": 120}
    assert history["items"][0]["actor"] == "command line"
    assert "alarms.retraining" in readable
    assert "challenger" in readable


def test_one_field_a_section_and_everything_can_be_shown(command: Command) -> None:
    one, section, everything = (
        command("config", "show", *words) for words in (("alarms.retraining",), ("training.mlp",), ())
    )

    assert "challenger" in one.stdout
    assert "hidden_layers" in section.stdout
    assert "training.mlp.hidden_layers" in everything.stdout
    assert all(result.exit_code == 0 for result in (one, section, everything))


def test_values_are_read_as_yaml_and_null_removes(services: Services, command: Command) -> None:
    feature, weight = next(iter(default_configuration().prediction.feature_weights.items()), ("MATERIAL", 1.0))
    field = f"prediction.feature_weights.{feature}"

    assert command("config", "set", f"{field}={weight + 1}", "training.trainers=[mlp]").exit_code == 0
    current = services.configuration_store.current()[1]
    assert current.prediction.feature_weights[feature] == weight + 1
    assert list(current.training.trainers) == ["mlp"]
    assert command("config", "set", f"{field}=null").exit_code == 0
    assert feature not in services.configuration_store.current()[1].prediction.feature_weights


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("alarms.retraining=perhaps",), "alarms.retraining: Input should be 'challenger', 'refit' or 'none'"),
        (("alarms.retrain=refit",), "alarms.retrain: There is no such field"),
        (("alarms=5",), "alarms: "),
        (("alarms.retraining=refit", "training.cooldown_minutes=-3"), "training.cooldown_minutes: "),
        (("alarms.retraining",), "'alarms.retraining' is no change"),
        (("=5",), "'=5' is no change"),
        (("training.cooldown_minutes=[1",), "The value of training.cooldown_minutes cannot be read"),
        (("alarms.retraining=refit", "alarms.retraining.x=2"), "alarms.retraining.x lies below a field"),
    ],
)
def test_a_wrong_change_changes_nothing_names_the_field_and_says_what_to_do(
    changes: tuple[str, ...], said: str, services: Services, command: Command
) -> None:
    done, document = command("config", "set", *changes), command("config", "set", *changes, "--json")

    assert (done.exit_code, document.exit_code) == (2, 2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2  # what happened, and what to do
    assert json.loads(document.stdout)["code"] == "invalid-input"
    assert json.loads(document.stdout)["remedy"]
    assert services.configuration_store.current() == (0, default_configuration())


def test_a_part_that_is_not_there_is_said(command: Command) -> None:
    done = command("config", "show", "alarms.bells")

    assert done.exit_code == 2
    assert "The configuration has no alarms.bells." in done.stderr
    assert "config show" in done.stderr
