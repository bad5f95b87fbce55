"""Which booked minutes belong to which predicted operation, on a factory small enough to see through."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.prediction.answers import (
    Candidate,
    ItemPrediction,
    Minutes,
    PredictedOperation,
    Source,
    Status,
    Tier,
    Totals,
)
from shared.quality.actuals import ORDERS_PER_OPERATION, collect_actuals
from shared.quality.observations import observe, stored_minutes_at
from shared.quality.population import Population, eligible_items
from tests.quality.quality_factory import Factory, factory_of, report, step


def minutes(value: float) -> Minutes:
    return Minutes(value=value, low=value / 2, high=value * 2)


def predicted(*operations: tuple[str, float, float], source: Source = Source.PREDICTED, **more: Any) -> Candidate:
    made = [
        replace(PredictedOperation(
            sequence=10 * (place + 1), operation_code=code, operation_name=None, resource_code=f"on {code}",
            resource_name=None, inside=True, setup_minutes=minutes(setup), run_minutes_per_unit=minutes(run),
            order_minutes=minutes(setup + run), optimistic_minutes=0, safe_minutes=0, wait_minutes=0, move_minutes=0,
            queue_minutes=0, samples=0, trimmed=0, trimmed_mean=None, std=None, confidence=0.5, supporting=0,
            disagreeing=0, evidence=[],
        ), **more)
        for place, (code, setup, run) in enumerate(operations)
    ]  # fmt: skip
    totals = Totals(setup_minutes=0, run_minutes=0, wait_minutes=0, move_minutes=0, queue_minutes=0, lead_minutes=0)
    return Candidate(
        rank=1, source=source, routing_signature="", probability=0.5, similarity=0.5, tier=Tier.LOW, operations=made,
        totals=totals, evidence=[],
    )  # fmt: skip


def compared(factory: Factory, *candidates: Candidate) -> Any:
    actuals = collect_actuals(factory, ["X"])["X"]
    prediction = ItemPrediction(item_code="X", status=Status.OK, candidates=list(candidates))
    return observe(prediction, actuals, 2.0, stored_minutes_at(candidates[0], 1.0) if candidates else never_asked)


def never_asked(operation: int, quantity: float) -> tuple[float, float, float]:
    raise AssertionError(f"operation {operation} was asked for at {quantity}, though nothing was predicted")


def test_minutes_are_compared_at_the_order_s_own_quantity_with_its_interval() -> None:
    factory = factory_of([step(10, "TURN")], [report("TURN", run=90.0, quantity=30.0, setup_minutes=12.0)])
    order = compared(factory, predicted(("TURN", 10.0, 2.0))).orders[0]

    assert order.predicted_minutes == pytest.approx(10 + 2 * 30)
    assert order.booked_minutes == pytest.approx(102)
    assert (order.low_minutes, order.high_minutes) == pytest.approx((35, 140))
    assert (order.family, order.weight, order.step) == ("seal", 2.0, 10)


def test_partial_reports_of_one_order_are_one_order_and_rows_without_a_number_are_orders_of_their_own() -> None:
    factory = factory_of(
        [step(10, "TURN")],
        [
            report("TURN", 20.0, quantity=4.0, order_no="A", setup_minutes=5.0),
            report("TURN", 30.0, quantity=6.0, order_no="A", reported_at=date(2026, 5, 3)),
            report("TURN", 0.0, quantity=0.0, order_no="A", setup_minutes=3.0),
            report("TURN", 7.0, quantity=1.0),
            report("TURN", 8.0, quantity=1.0),
            report("TURN", 9.0, quantity=0.0),
            report("TURN", 9.0, quantity=0.0, order_no="B"),
            report("TURN", -9.0, quantity=1.0),
        ],
    )
    orders = collect_actuals(factory, ["X"])["X"].orders

    assert sorted((order.quantity, order.minutes) for order in orders) == [(1.0, 7.0), (1.0, 8.0), (10.0, 58.0)]
    assert next(order for order in orders if order.order_no == "A").reported_at == date(2026, 5, 3)


def test_an_operation_done_twice_keeps_its_two_times_apart() -> None:
    factory = factory_of(
        [step(10, "WASH"), step(20, "TURN"), step(30, "WASH")],
        [report("WASH", 10.0, sequence=10), report("WASH", 100.0, sequence=30)],
    )
    candidate = predicted(("WASH", 0.0, 1.0), ("TURN", 0.0, 5.0), ("WASH", 0.0, 10.0))
    observed = compared(factory, candidate)

    assert sorted((o.step, o.predicted_minutes, o.booked_minutes) for o in observed.orders) == [
        (10, 10.0, 10.0),
        (30, 100.0, 100.0),
    ]


def test_a_report_that_names_no_known_step_is_matched_only_where_there_is_no_doubt() -> None:
    twice = factory_of([step(10, "WASH"), step(20, "WASH")], [report("WASH", 10.0, sequence=99)])
    once = factory_of([step(10, "WASH")], [report("WASH", 10.0, sequence=99)])

    doubtful = compared(twice, predicted(("WASH", 0.0, 1.0), ("WASH", 0.0, 1.0)))
    assert doubtful.orders == []
    assert doubtful.routing.unpredicted_orders == 1
    assert [order.step for order in compared(once, predicted(("WASH", 0.0, 1.0))).orders] == [10]


def test_orders_of_an_operation_that_was_not_predicted_are_counted_not_forgotten() -> None:
    factory = factory_of([step(10, "TURN"), step(20, "MILL")], [report("MILL", 10.0, sequence=20), report("TURN", 5.0)])
    observed = compared(factory, predicted(("TURN", 0.0, 1.0)))

    assert [order.operation_code for order in observed.orders] == ["TURN"]
    assert observed.routing.unpredicted_orders == 1
    assert observed.routing.matched == (1, 2)
    assert observed.routing.matched_by_operation == (("TURN", True), ("MILL", False))


def test_only_the_routing_in_force_is_compared_with() -> None:
    factory = factory_of(
        [
            step(10, "OLD", routing_no="01", created_at=date(2020, 1, 1)),
            step(10, "NEW", routing_no="02", created_at=date(2025, 1, 1)),
            step(10, "LATER", routing_no="03", created_at=date(2026, 1, 1), valid_from=date(2030, 1, 1)),
        ],
        [],
    )

    assert [o.operation_code for o in collect_actuals(factory, ["X"])["X"].operations] == ["NEW"]


def test_work_centres_and_outsourcing_are_judged_on_aligned_operations() -> None:
    factory = factory_of([step(10, "TURN"), step(20, "COAT", inside=False), step(30, "PACK", resource_code=None)], [])
    routing = compared(factory, predicted(("TURN", 0.0, 1.0), ("COAT", 0.0, 1.0), ("PACK", 0.0, 1.0))).routing

    assert routing.work_centres == (2, 2)  # PACK has no known work centre
    assert routing.in_house == (2, 3)
    assert routing.outsourced == (0, 1)


def test_what_the_erp_itself_proposed_or_nothing_is_never_compared() -> None:
    factory = factory_of([step(10, "TURN")], [report("TURN", 10.0)])
    assert compared(factory, predicted(("TURN", 0.0, 1.0), source=Source.ERP)) is None
    assert compared(factory) is None
    assert compared(factory_of([], [report("TURN", 10.0)]), predicted(("TURN", 0.0, 1.0))) is None


def test_only_the_latest_orders_of_an_operation_count_and_only_those_after_the_cut_off() -> None:
    booked = [report("TURN", float(day), order_no=f"N{day}", reported_at=date(2026, 5, day)) for day in range(1, 29)]
    factory = factory_of([step(10, "TURN")], booked)
    everything = collect_actuals(factory, ["X"])["X"].orders
    after = collect_actuals(factory, ["X"], reported_after=date(2026, 5, 25))["X"].orders

    assert len(everything) == ORDERS_PER_OPERATION
    assert min(order.minutes for order in everything) == 28 - ORDERS_PER_OPERATION + 1
    assert sorted(order.minutes for order in after) == [26.0, 27.0, 28.0]


def test_an_item_is_last_made_when_pieces_were_last_reported_and_last_seen_when_anything_was() -> None:
    days = [date(2026, 5, day) for day in (1, 2, 3)]
    booked = [
        report("TURN", 1.0, item_code="made", reported_at=days[0]),
        report("TURN", 1.0, item_code="made", reported_at=days[1], quantity=0.0),
        report("TURN", -1.0, item_code="made", reported_at=days[2], quantity=-10.0, order_no="N1"),
        report("TURN", 1.0, item_code="set up only", reported_at=days[1], quantity=0.0),
        report("TURN", 1.0, item_code="no day", reported_at=None),
        report("TURN", 1.0, item_code="unsure", reported_at=days[0]) | {"quantity": None},
    ]
    population = Population(factory_of([], booked))

    assert population.days.rows() == [
        ("made", days[2], True, days[0]),
        ("no day", None, True, None),
        ("set up only", days[1], False, None),
        ("unsure", days[0], False, None),
    ]
    assert population.reported.rows() == [("made", days[0]), ("no day", None)]


def test_only_items_with_a_routing_and_a_result_can_be_judged() -> None:
    reported = [report("TURN", 1.0, item_code=code) for code in ("both", "no routing")]
    reported.append(report("TURN", 1.0, item_code="nothing made", quantity=0.0))
    factory = factory_of([step(10, "TURN", item_code=code) for code in ("both", "no result", "nothing made")], reported)

    assert eligible_items(factory)["item_code"].to_list() == ["both"]
    assert eligible_items(factory, ["kind"])["stratum"].to_list() == ["seal"]
    assert eligible_items(factory, reported_after=date(2026, 5, 1)).height == 0
