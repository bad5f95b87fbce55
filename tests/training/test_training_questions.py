"""By which items and orders models are judged."""

from datetime import date

from shared.configuration import default_configuration
from shared.training.questions import choose_questions
from tests.training.training_plant import Plant


def test_orders_that_the_active_model_cannot_have_seen_judge_where_enough_items_have_some(plant: Plant) -> None:
    snapshot = plant.snapshots.current()
    few = default_configuration()
    few = few.model_copy(update={"training": few.training.model_copy(update={"evaluation_items": 20})})
    cut_off = date(2026, 1, 1)
    unseen = choose_questions(snapshot, few, unseen_after=cut_off)
    everything = choose_questions(snapshot, few)
    too_late = choose_questions(snapshot, few, unseen_after=date(2026, 6, 29))

    days = [order.reported_at for actuals in unseen.actuals.values() for order in actuals.orders]
    assert len(unseen.weights) == 20
    assert all(actuals.orders for actuals in unseen.actuals.values())
    assert all(day is not None and day > cut_off for day in days)
    assert unseen.reported_after == cut_off
    assert too_late == everything
    assert everything.reported_after is None
    assert any(order.reported_at < cut_off for actuals in everything.actuals.values() for order in actuals.orders)  # type: ignore[operator]
