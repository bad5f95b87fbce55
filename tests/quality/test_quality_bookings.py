"""Late, partial, corrected and contradictory bookings: how each is told, counted, and compared or left out."""

from datetime import date, timedelta
from typing import Any

from shared.prediction.minutes.reports import sound_reports
from shared.quality.actuals import ItemActuals, collect_actuals
from tests.quality.quality_factory import factory_of, report, step

LAST_DAY = date(2026, 6, 1)  # of the factory's data
ROUTING = [step(10, "TURN"), step(20, "MILL"), step(30, "PACK")]


def actuals_of(*booked: dict[str, Any], after: date | None = None) -> ItemActuals:
    return collect_actuals(factory_of(ROUTING, list(booked)), ["X"], reported_after=after)["X"]


def whole_order(order_no: str, quantity: float = 10.0, *, without: str = "", **more: Any) -> list[dict[str, Any]]:
    operations = [code for code in ("TURN", "MILL", "PACK") if code != without]
    return [report(code, 5.0 * quantity, quantity=quantity, order_no=order_no, **more) for code in operations]


def test_a_reversal_takes_back_what_was_booked_and_the_new_report_stands() -> None:
    actuals = actuals_of(
        *whole_order("A", without="TURN"),
        report("TURN", 900.0, quantity=10.0, order_no="A"),
        report("TURN", -900.0, quantity=-10.0, order_no="A", reported_at=date(2026, 5, 2)),
        report("TURN", 55.0, quantity=10.0, order_no="A", reported_at=date(2026, 5, 3)),
    )
    [turned] = [order for order in actuals.orders if order.operation_code == "TURN"]

    assert (turned.quantity, turned.minutes) == (10.0, 55.0)
    assert (actuals.tally.booked, actuals.tally.compared, actuals.tally.corrected) == (3, 3, 1)


def test_an_order_wholly_taken_back_is_nothing_and_is_counted_as_such() -> None:
    actuals = actuals_of(
        report("TURN", 50.0, order_no="A", setup_minutes=4.0),
        report("TURN", -50.0, quantity=-10.0, order_no="A", setup_minutes=-4.0),
    )

    assert actuals.orders == ()
    assert (actuals.tally.booked, actuals.tally.taken_back, actuals.tally.compared) == (1, 1, 0)


def test_a_reversal_without_an_order_number_corrects_nothing() -> None:
    factory = factory_of(ROUTING, [report("TURN", 50.0), report("TURN", -50.0, quantity=-10.0)])

    assert sound_reports(factory.work_results())["run_minutes"].to_list() == [50.0]


def test_a_later_report_of_the_whole_order_replaces_the_earlier_one() -> None:
    actuals = actuals_of(
        *whole_order("A", without="TURN"),
        report("TURN", 500.0, quantity=10.0, order_no="A"),
        report("TURN", 52.0, quantity=10.0, order_no="A", reported_at=date(2026, 5, 9)),
    )
    [turned] = [order for order in actuals.orders if order.operation_code == "TURN"]

    assert (turned.quantity, turned.minutes) == (10.0, 52.0)
    assert actuals.tally.corrected == 1


def test_parts_of_an_order_are_summed_even_when_they_are_alike() -> None:
    actuals = actuals_of(
        *whole_order("A", without="TURN"),
        report("TURN", 25.0, quantity=5.0, order_no="A"),
        report("TURN", 26.0, quantity=5.0, order_no="A", reported_at=date(2026, 5, 2)),
    )
    [turned] = [order for order in actuals.orders if order.operation_code == "TURN"]

    assert (turned.quantity, turned.minutes) == (10.0, 51.0)
    assert actuals.tally.corrected == 0


def test_a_part_waits_for_the_rest_while_the_order_is_open_and_counts_for_itself_later() -> None:
    def with_part(day: date) -> ItemActuals:
        part = report("PACK", 20.0, quantity=4.0, order_no="A", reported_at=day)
        return actuals_of(*whole_order("A", without="PACK", reported_at=day), part)

    still_open, finished = with_part(LAST_DAY - timedelta(days=3)), with_part(LAST_DAY - timedelta(days=60))

    assert [order.operation_code for order in still_open.orders] == ["MILL", "TURN"]
    assert (still_open.tally.partial, still_open.tally.compared) == (1, 2)
    assert [(o.operation_code, o.quantity) for o in finished.orders] == [("MILL", 10.0), ("PACK", 4.0), ("TURN", 10.0)]
    assert (finished.tally.partial, finished.tally.compared) == (1, 3)


def test_reports_that_contradict_each_other_by_orders_of_magnitude_are_left_out() -> None:
    contradictory = actuals_of(
        *whole_order("A", without="TURN"),
        report("TURN", 25.0, quantity=5.0, order_no="A"),
        report("TURN", 25.0 * 60, quantity=5.0, order_no="A", reported_at=date(2026, 5, 2)),
    )
    merely_slow = actuals_of(
        report("TURN", 25.0, quantity=5.0, order_no="A"), report("TURN", 250.0, quantity=5.0, order_no="A")
    )

    assert [order.operation_code for order in contradictory.orders] == ["MILL", "PACK"]
    assert (contradictory.tally.contradictory, contradictory.tally.compared) == (1, 2)
    assert (merely_slow.tally.contradictory, merely_slow.tally.compared) == (0, 1)


def test_work_on_an_operation_that_the_routing_lacks_is_counted() -> None:
    actuals = actuals_of(*whole_order("A"), report("REWORK", 9.0, order_no="A"))

    assert (actuals.tally.off_routing, actuals.tally.booked) == (1, 4)


def test_an_order_begun_before_the_cut_off_is_not_new_though_it_was_reported_on_since() -> None:
    cut_off = date(2026, 5, 10)
    actuals = actuals_of(
        report("TURN", 25.0, quantity=5.0, order_no="OLD", reported_at=date(2026, 5, 9)),
        report("TURN", 25.0, quantity=5.0, order_no="OLD", reported_at=date(2026, 5, 12)),
        report("TURN", 51.0, quantity=10.0, order_no="NEW", reported_at=date(2026, 5, 12)),
        after=cut_off,
    )

    assert [order.order_no for order in actuals.orders] == ["NEW"]


def test_how_long_orders_take_to_be_reported_is_told_in_days() -> None:
    actuals = actuals_of(
        report("TURN", 50.0, order_no="A", reported_at=date(2026, 5, 1)),
        report("MILL", 50.0, order_no="A", reported_at=date(2026, 5, 8)),
        report("TURN", 50.0, order_no="B", reported_at=date(2026, 5, 2)),
    )

    assert sorted(actuals.tally.days) == [0, 7]
    assert actuals.tally.orders == 2
