"""The orders behind an item's minutes: newest first, summed, and what does not count with its reason."""

from datetime import date
from typing import Any

from shared.quality.booked import ItemOrders
from shared.quality.item_orders import item_orders
from tests.quality.quality_factory import factory_of, report, step

ROUTING = [step(10, "TURN"), step(20, "PACK")]


def orders_of(*booked: dict[str, Any], item_code: str = "X", operation: str | None = None, **page: int) -> ItemOrders:
    factory = factory_of(ROUTING, list(booked))
    return item_orders(factory, item_code, operation_code=operation, **{"limit": 10, "offset": 0} | page)


def test_reports_of_one_order_are_one_row_and_the_newest_order_comes_first() -> None:
    found = orders_of(
        report("TURN", 20.0, quantity=4.0, order_no="A", setup_minutes=3.0),
        report("TURN", 30.0, quantity=6.0, order_no="A", reported_at=date(2026, 5, 2)),
        report("TURN", 60.0, quantity=10.0, order_no="B", reported_at=date(2026, 5, 9)),
    )

    assert [(one.order_no, one.quantity, one.run_minutes) for one in found.items] == [
        ("B", 10.0, 60.0),
        ("A", 10.0, 50.0),
    ]
    assert [(one.setup_minutes, one.run_minutes_per_unit) for one in found.items] == [(None, 6.0), (3.0, 5.0)]
    assert (found.total, found.snapshot_id) == (2, "snap_by_hand")
    assert all(one.counted and one.left_out is None for one in found.items)


def test_what_does_not_count_is_listed_with_its_reason() -> None:
    found = orders_of(
        report("TURN", 50.0, order_no="A"),
        report("TURN", -50.0, quantity=-10.0, order_no="A"),
        report("PACK", 10.0, quantity=10.0, order_no="B"),
        report("PACK", 6000.0, quantity=10.0, order_no="B", reported_at=date(2026, 5, 2)),
    )

    told = {one.order_no: (one.counted, one.left_out, one.corrected) for one in found.items}
    assert told == {"A": (False, "taken_back", True), "B": (False, "contradictory", False)}


def test_one_operation_and_one_page_can_be_asked_for_and_an_unbooked_item_has_none() -> None:
    booked = [report(code, 10.0, order_no=number) for number in "ABC" for code in ("TURN", "PACK")]

    packed = orders_of(*booked, operation="PACK", limit=2, offset=1)

    assert (packed.total, [one.order_no for one in packed.items]) == (3, ["B", "C"])
    assert {one.operation_code for one in packed.items} == {"PACK"}
    assert orders_of(*booked, item_code="Y").total == 0
