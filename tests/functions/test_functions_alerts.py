"""Alerts and configuration over HTTP: filters, one alert with what the webhook heard, remarks, and refused changes."""

import json
from typing import Any

import azure.functions as func
import pytest

from shared.bootstrap import Services
from tests.functions.conftest import Ask


def body_of(response: func.HttpResponse) -> dict[str, Any]:
    return dict(json.loads(response.get_body()))


def test_alerts_are_filtered_shown_acknowledged_and_closed_with_a_remark(
    services: Services, ask: Ask, administrator: str
) -> None:
    mae = services.alerts.raise_alert("quality", "mae", "61 minutes", details={"mae": 61})
    services.alerts.raise_alert("extract-failed", "demo", "no route")
    listed = body_of(ask("list_alerts", query={"kind": "quality", "subject": "mae", "state": "open"}))
    assert [entry["id"] for entry in listed["items"]] == [mae.id]
    shown = body_of(ask("get_alert", params={"id": mae.id}))
    assert (shown["details"], [entry["event"] for entry in shown["deliveries"]]) == ({"mae": 61}, ["opened"])

    assert ask("close_alert", params={"id": mae.id}).status_code == 401
    taken = body_of(ask("acknowledge_alert", params={"id": mae.id}, key=administrator))
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "administrator")
    assert taken["acknowledged_at"] is not None
    remark = {"note": "the view was repaired"}
    closed = body_of(ask("close_alert", params={"id": mae.id}, body=remark, key=administrator))
    assert (closed["state"], closed["closed_note"]) == ("closed", "the view was repaired")
    assert ask("acknowledge_alert", params={"id": mae.id}, key=administrator).status_code == 409
    assert ask("get_alert", params={"id": "none"}).status_code == 404
    assert ask("close_alert", params={"id": mae.id}, body={"remark": "?"}, key=administrator).status_code == 422


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"alarms": {"retraining": "perhaps"}}, "alarms.retraining"),
        ({"training": {"tuning": {"trials": -1}}}, "training.tuning.trials"),
    ],
)
def test_a_bad_change_of_configuration_changes_nothing_and_names_the_field(
    services: Services, ask: Ask, administrator: str, change: dict[str, Any], field: str
) -> None:
    before = body_of(ask("get_configuration"))
    refused = ask("change_configuration", body=change, key=administrator)

    assert refused.status_code == 422
    problem = body_of(refused)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert field in problem["detail"]
    after = body_of(ask("get_configuration"))
    assert (after["version"], after["configuration"]) == (before["version"], before["configuration"])
