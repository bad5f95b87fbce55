"""Alerts and poison messages: one row for each thing a person should know, and no message lost."""

import pytest
from sqlalchemy import Engine

from shared.database.alerts import Alerts
from shared.database.poison import PoisonMessages
from shared.database.tables import AlertState
from shared.errors import Conflict, NotFound
from tests.database.database_support import MovableClock


@pytest.fixture
def alerts(engine: Engine, clock: MovableClock) -> Alerts:
    return Alerts(engine, clock)


@pytest.fixture
def poison(engine: Engine, clock: MovableClock) -> PoisonMessages:
    return PoisonMessages(engine, clock)


def test_same_alert_counts_up_until_it_is_closed(alerts: Alerts, clock: MovableClock) -> None:
    """Acknowledging does not make room for a second row; closing does."""
    first = alerts.raise_alert("quality", "mae", "61 minutes", details={"mae": 61})
    alerts.acknowledge(first.id, "anna")
    clock.advance(60)
    again = alerts.raise_alert("quality", "mae", "75 minutes", severity="critical", details={"mae": 75})
    assert (again.id, again.count, again.state) == (first.id, 2, AlertState.ACKNOWLEDGED)
    assert (again.message, again.severity, again.details) == ("75 minutes", "critical", {"mae": 75})
    assert (again.created_at, again.updated_at) == (first.created_at, clock())
    alerts.close(first.id, "bert")
    fresh = alerts.raise_alert("quality", "mae", "80 minutes")
    assert fresh.id != first.id
    assert fresh.count == 1


def test_other_subjects_are_other_alerts(alerts: Alerts) -> None:
    """Kind and subject together name the thing."""
    ids = {alerts.raise_alert(kind, subject, "x").id for kind in ("a", "b") for subject in ("", "s")}
    assert len(ids) == 4
    assert alerts.count_open() == 4


def test_who_acknowledged_and_closed_first_is_kept(alerts: Alerts) -> None:
    """Repeating either is harmless; acknowledging a closed alert is a conflict."""
    alert = alerts.raise_alert("k", "s", "m")
    alerts.acknowledge(alert.id, "anna")
    assert alerts.acknowledge(alert.id, "bert").acknowledged_by == "anna"
    alerts.close(alert.id, "bert")
    assert alerts.close(alert.id, "carl").closed_by == "bert"
    with pytest.raises(Conflict):
        alerts.acknowledge(alert.id, "anna")
    with pytest.raises(NotFound):
        alerts.close("unknown", "anna")


def test_alert_is_closed_when_its_cause_is_gone(alerts: Alerts) -> None:
    """Only the matching one closes; nothing to close is no error."""
    alerts.raise_alert("extract-failed", "demo", "m")
    alerts.raise_alert("extract-failed", "fksm", "m")
    assert alerts.close_matching("extract-failed", "demo", "extract") == 1
    assert alerts.close_matching("extract-failed", "demo", "extract") == 0
    rows, total = alerts.list(state=AlertState.OPEN)
    assert ([row.subject for row in rows], total) == (["fksm"], 1)
    assert alerts.list(kind="extract-failed")[1] == 2
    assert alerts.count_open() == 1


def test_message_is_buried_once_however_often_it_is_delivered(poison: PoisonMessages) -> None:
    """The same message id, queue and body are one row, with or without the queue's suffix."""
    first = poison.bury("retraining-poison", "{broken", "no JSON", message_id="m1")
    assert poison.bury("retraining", "{broken", "no JSON", message_id="m1") == first
    assert poison.bury("retraining", "{broken", "no JSON", message_id="m2") != first
    assert poison.bury("extracts", "{broken", "no JSON", message_id="m1") != first
    rows, total = poison.list(queue="retraining")
    assert total == 2
    assert {(row.queue, row.body, row.reason) for row in rows} == {("retraining", "{broken", "no JSON")}


def test_messages_without_an_id_are_each_kept(poison: PoisonMessages) -> None:
    """Two equal bodies may be two messages."""
    assert poison.bury("extracts", "x", "r") != poison.bury("extracts", "x", "r")
    assert poison.list()[1] == 2


def test_replay_is_noted_with_its_actor(poison: PoisonMessages, clock: MovableClock) -> None:
    """The body stays as it was."""
    buried = poison.bury("extracts", '{"id": "ä"}', "worker died")
    clock.advance(5)
    poison.mark_replayed(buried, "anna")
    row = poison.get(buried)
    assert (row.replayed_by, row.replayed_at, row.body) == ("anna", clock(), '{"id": "ä"}')
    with pytest.raises(NotFound):
        poison.get("unknown")
