"""The configuration as a form needs it: values, defaults and rules, and a change is held to those very rules."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.bootstrap import Services
from tests.functions.conftest import ADMINISTRATOR_KEY, Ask

# What the settings page of the product before offered, under the names of today.
PREDECESSORS = {
    "quality.sample_size": (10, 10_000),
    "quality.maximum_mae_minutes": (0.1, 100),
    "quality.maximum_cv": (0.01, 1),
    "training.queue_limit": (1, 20),
}
UNITS = {"minutes": "min", "seconds": "s", "hours": "h", "days": "d"}


@pytest.fixture
def shown(ask: Ask, services: Services) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ask("get_configuration").get_body())
    return document


def fields_of(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field that holds a value and no section, with its path."""
    for name, part in schema["properties"].items():
        where = f"{path}{name}"
        if "properties" in part:
            yield from fields_of(part, f"{where}.")
        else:
            yield where, part


def value_at(document: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        document = document[name]
    return document


def change_of(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    changed: dict[str, Any] = value
    return changed


def test_every_field_is_told_with_its_meaning_its_unit_and_its_default(shown: dict[str, Any]) -> None:
    fields = dict(fields_of(shown["schema"]))
    assert "$ref" not in json.dumps(shown["schema"])
    for path, rules in fields.items():
        assert rules.get("description"), path
        assert value_at(shown["defaults"], path) == value_at(shown["configuration"], path)
        ending = path.rpartition("_")[2]
        assert rules.get("unit") == UNITS.get(ending), path
    assert (shown["version"], value_at(shown["defaults"], "quality.sample_size")) == (0, 500)
    bounds = {path: (fields[path]["minimum"], fields[path]["maximum"]) for path in PREDECESSORS}
    assert bounds == PREDECESSORS


def test_every_told_bound_is_the_one_that_a_change_is_held_to(ask: Ask, shown: dict[str, Any]) -> None:
    tried = 0
    for path, rules in fields_of(shown["schema"]):
        beyond: dict[str, Callable[[Any], Any]] = {
            "minimum": lambda bound: bound - 1,
            "maximum": lambda bound: bound + 1,
            "exclusiveMinimum": lambda bound: bound,
            "exclusiveMaximum": lambda bound: bound,
            "enum": lambda _names: "no such name",
        }
        for rule, wrong in beyond.items():
            if rule in rules:
                refused = ask("change_configuration", body=change_of(path, wrong(rules[rule])), key=ADMINISTRATOR_KEY)
                errors = json.loads(refused.get_body())["errors"]
                assert (refused.status_code, [error["field"] for error in errors]) == (422, [path])
                tried += 1
    assert tried > 60
    assert json.loads(ask("get_configuration").get_body())["version"] == 0


@pytest.mark.parametrize("path", sorted(PREDECESSORS))
def test_a_value_on_its_bound_is_taken(ask: Ask, shown: dict[str, Any], path: str) -> None:
    for bound in PREDECESSORS[path]:
        taken = ask("change_configuration", body=change_of(path, bound), key=ADMINISTRATOR_KEY)
        assert value_at(json.loads(taken.get_body())["configuration"], path) == bound
    assert value_at(json.loads(ask("get_configuration").get_body())["defaults"], path) == value_at(
        shown["defaults"], path
    )


def test_a_rule_between_two_fields_names_one_of_them(ask: Ask, services: Services) -> None:
    crossed = {"prediction": {"medium_probability": 0.9, "high_probability": 0.6}}
    refused = json.loads(ask("change_configuration", body=crossed, key=ADMINISTRATOR_KEY).get_body())
    assert [error["field"] for error in refused["errors"]] == ["prediction.medium_probability"]
    assert "high_probability" in refused["errors"][0]["message"]
