"""What the pages complete typed codes with, and the planners' decisions, over HTTP."""

import json
from typing import Any

import pytest

from functions.data import Attributes, Operations
from functions.predictions import StoredDecisions
from shared.bootstrap import Services
from tests.functions.conftest import ADMINISTRATOR_KEY, Ask
from tests.functions.predicting import VERSION


def body(ask: Ask, name: str, **query: str) -> dict[str, Any]:
    answer = ask(name, query=query)
    assert answer.status_code == 200, answer.get_body()
    document: dict[str, Any] = json.loads(answer.get_body())
    return document


@pytest.mark.usefixtures("predicting")
def test_operations_are_listed_in_pages_and_found(ask: Ask) -> None:
    whole = body(ask, "list_operations", limit="100")
    assert set(whole) == {"items", "total", "limit", "offset"} == set(Operations.__dataclass_fields__)
    page = body(ask, "list_operations", limit="2", offset="1")
    assert (page["items"], page["total"]) == (whole["items"][1:3], len(whole["items"]))
    [found] = body(ask, "list_operations", query="grin")["items"]
    assert (found["operation_code"], found["operation_name"]) == ("GRIND", "Grind")
    assert found["work_centres"][0]["resource_code"] == "GRIND-1"
    assert ask("list_operations", query={"limit": "501"}).status_code == 422


@pytest.mark.usefixtures("predicting")
def test_attributes_come_with_what_items_have(ask: Ask) -> None:
    told = body(ask, "list_attributes")
    assert (told["model_version"], set(told)) == (VERSION, set(Attributes.__dataclass_fields__))
    by_name = {each["name"]: each for each in told["items"]}
    assert by_name["SIZE"]["unit"] == "mm"
    assert by_name["SIZE"]["low"] <= by_name["SIZE"]["high"]
    assert {value["value"] for value in by_name["PART"]["values"]} >= {"ring", "kit"}


def test_decisions_are_listed_newest_first_and_filtered(ask: Ask, services: Services) -> None:
    operations = [{"sequence": 10, "operation_code": "SAW", "setup_minutes": 1.5}]
    said = (("A", "accepted"), ("B", "edited"), ("A", "rejected"))
    for number, (item_code, outcome) in enumerate(said):
        decided = {"item_code": item_code, "outcome": outcome, "operations": operations, "reason": f"reason {number}",
                   "model_version": "v1"}  # fmt: skip
        answer = ask("decide_prediction", params={"id": f"pred_{number}"}, body=decided, key=ADMINISTRATOR_KEY)
        assert answer.status_code == 201
    whole = body(ask, "list_decisions")
    StoredDecisions.model_validate(whole)
    assert [(row["item_code"], row["outcome"]) for row in whole["items"]] == list(reversed(said))
    newest = whole["items"][0]
    assert (newest["actor"], newest["reason"], newest["model_version"]) == ("administrator", "reason 2", "v1")
    assert newest["operations"] == operations
    assert newest["created_at"].endswith("Z")
    assert [row["reason"] for row in body(ask, "list_decisions", item_code="A")["items"]] == ["reason 2", "reason 0"]
    assert [row["reason"] for row in body(ask, "list_decisions", outcome="edited")["items"]] == ["reason 1"]
    assert body(ask, "list_decisions", item_code="A", outcome="edited")["total"] == 0
    page = body(ask, "list_decisions", limit="1", offset="1")
    assert ([row["reason"] for row in page["items"]], page["total"]) == (["reason 1"], 3)
    assert ask("list_decisions", query={"outcome": "perhaps"}).status_code == 422
    assert services.decisions.list(prediction_id="pred_1")[1] == 1
