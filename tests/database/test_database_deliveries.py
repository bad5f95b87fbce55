"""The outbox of alerts: one message for each change, in order, tried with growing pauses, never by two at once."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from shared.database.alerts import Alerts
from shared.database.deliveries import KEPT_FOR, MOST_ATTEMPTS, PAUSES_SECONDS, REMIND_AFTER, Deliveries
from shared.database.engine import reading, writing
from shared.database.tables import Alert, AlertDelivery
from tests.database.database_support import MovableClock


@pytest.fixture
def alerts(engine: Engine, clock: MovableClock) -> Alerts:
    return Alerts(engine, clock)


@pytest.fixture
def outbox(engine: Engine, clock: MovableClock) -> Deliveries:
    return Deliveries(engine, clock)


def settle(outbox: Deliveries) -> list[str]:
    """Hear everything that is due; return the events in the order they were heard."""
    heard = []
    while rows := outbox.due(10):
        for row in rows:
            taken = outbox.take(row)
            assert taken is not None
            outbox.heard(taken)
            heard.append(row.event)
    return heard


def test_each_change_of_an_alert_is_one_message_in_its_order(alerts: Alerts, outbox: Deliveries) -> None:
    alert = alerts.raise_alert("quality", "mae", "61 minutes", details={"mae": 61})
    alerts.acknowledge(alert.id, "anna")
    alerts.acknowledge(alert.id, "bert")
    alerts.close(alert.id, "bert", "the view was repaired")
    alerts.close(alert.id, "carl", "no, it was not")

    assert [row.event for row in outbox.due(10)] == ["opened"]  # the others wait until it has ended
    assert settle(outbox) == ["opened", "acknowledged", "closed"]
    told = outbox.of(alert.id)[2].body["alert"]
    assert (told["closed_by"], told["closed_note"]) == ("bert", "the view was repaired")
    assert told["closed_at"] is not None
    assert alerts.get(alert.id).acknowledged_at is not None


def test_an_alert_that_is_raised_again_and_again_is_told_of_once_an_hour(
    alerts: Alerts, outbox: Deliveries, clock: MovableClock
) -> None:
    alert = alerts.raise_alert("extract-failed", "demo", "no route")
    alerts.raise_alert("extract-failed", "demo", "no answer")  # nobody has sent the first: it is brought up to date
    assert [row.body["alert"]["message"] for row in outbox.of(alert.id)] == ["no answer"]
    assert settle(outbox) == ["opened"]
    for _ in range(5):
        clock.advance(60)
        alerts.raise_alert("extract-failed", "demo", "no answer")
    assert settle(outbox) == []
    alerts.raise_alert("extract-failed", "demo", "gone", severity="critical")
    assert settle(outbox) == ["raised"]
    clock.advance(REMIND_AFTER.total_seconds())
    alerts.raise_alert("extract-failed", "demo", "gone", severity="critical")
    assert settle(outbox) == ["raised"]
    assert outbox.of(alert.id)[-1].body["alert"]["count"] == alerts.get(alert.id).count


def test_a_change_that_is_undone_tells_nobody(alerts: Alerts, outbox: Deliveries, engine: Engine) -> None:
    def change() -> None:
        with writing(engine) as session:
            alerts.raise_in(session, "quality", "mae", "61 minutes")
            raise RuntimeError("the rest of the change failed")

    with pytest.raises(RuntimeError):
        change()

    assert alerts.list()[1] == 0
    assert outbox.due(10) == []


def test_attempts_are_made_after_growing_pauses_and_then_no_more(
    alerts: Alerts, outbox: Deliveries, clock: MovableClock
) -> None:
    alert = alerts.raise_alert("quality", "mae", "61 minutes")
    for pause in PAUSES_SECONDS:
        taken = outbox.take(outbox.due(10)[0])
        assert taken is not None
        assert not outbox.failed(taken, "it answered 500")
        clock.advance(pause - 1)
        assert outbox.due(10) == []
        assert outbox.state().failing
        clock.advance(2)
    last = outbox.take(outbox.due(10)[0])
    assert last is not None
    assert last.attempt == MOST_ATTEMPTS
    assert outbox.failed(last, "it answered 500")
    clock.advance(10 * 86_400)

    assert outbox.due(10) == []
    state = outbox.state()
    assert (state.waiting, state.given_up, state.failing, state.last_error) == (0, 1, True, "it answered 500")
    assert outbox.of(alert.id)[0].error == "it answered 500"
    alerts.close(alert.id, "anna")
    assert settle(outbox) == ["closed"]  # what was given up holds nothing up
    assert not outbox.state().failing


def test_of_two_senders_one_takes_a_message_and_a_dead_one_is_followed(
    alerts: Alerts, outbox: Deliveries, clock: MovableClock
) -> None:
    alerts.raise_alert("quality", "mae", "61 minutes")
    row = outbox.due(10)[0]
    first = outbox.take(row)
    assert first is not None
    assert outbox.take(row) is None
    clock.advance(PAUSES_SECONDS[0] + 1)  # the first sender died
    second = outbox.take(outbox.due(10)[0])
    assert second is not None
    outbox.failed(second, "it answered 500")
    outbox.heard(first)  # it lives after all, but the row is another's

    assert outbox.of(row.alert_id)[0].delivered_at is None
    assert outbox.state().last_error == "it answered 500"


def test_a_clock_set_back_holds_no_message_up(alerts: Alerts, outbox: Deliveries, clock: MovableClock) -> None:
    alerts.raise_alert("quality", "mae", "61 minutes")
    clock.advance(-3_600)

    assert len(outbox.due(10)) == 1


def test_nothing_is_kept_for_nobody_and_nothing_for_ever(
    alerts: Alerts, outbox: Deliveries, engine: Engine, clock: MovableClock
) -> None:
    alerts.raise_alert("quality", "mae", "61 minutes")
    assert outbox.drop_waiting() == 1
    alerts.raise_alert("quality", "cv", "0.9")
    settle(outbox)
    assert outbox.drop_old() == 0
    clock.advance((KEPT_FOR + timedelta(days=1)).total_seconds())
    assert outbox.drop_old() == 1
    with reading(engine) as session:
        assert session.exec(select(AlertDelivery)).all() == []
        assert len(session.exec(select(Alert)).all()) == 2


def test_large_details_stay_out_of_a_message(alerts: Alerts, outbox: Deliveries) -> None:
    alert = alerts.raise_alert("quality", "mae", "61 minutes", details={"items": ["x" * 100] * 1_000})

    assert set(outbox.of(alert.id)[0].body["alert"]["details"]) == {"left_out"}
    assert alerts.get(alert.id).details == {"items": ["x" * 100] * 1_000}
