"""The figures of a quality cycle against values worked out by hand, and properties that always hold."""

import dataclasses
import math
from typing import Any, TypedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.quality.alignment import align, edit_distance, precedence
from shared.quality.intervals import Figure, dense, holm, quantile, weighted_mean
from shared.quality.metrics import QualityMetrics, measure
from shared.quality.observations import OrderObservation, RoutingObservation, Tally
from shared.quality.routing_figures import RoutingTable, routing_figures
from shared.quality.time_figures import OrderTable, time_figures


class Rules(TypedDict):
    trim_share: float
    minimum_samples: int
    seed: int


RULES = Rules(trim_share=0.1, minimum_samples=3, seed=7)


def order(item: str, predicted: float, booked: float, **more: Any) -> OrderObservation:
    usual = OrderObservation(
        item_code=item,
        family="F",
        operation_code="TURN",
        step=10,
        order=0,
        weight=1.0,
        quantity=1.0,
        predicted_minutes=predicted,
        low_minutes=predicted * 0.8,
        high_minutes=predicted * 1.2,
        booked_minutes=booked,
    )
    return usual._replace(**more)


def routing(item: str, actual: str, predicted: str, **more: Any) -> RoutingObservation:
    pairs = align(actual, predicted)
    placed = {place for place, _ in pairs}
    usual = RoutingObservation(
        item_code=item,
        family="F",
        weight=1.0,
        actual_codes=tuple(actual),
        predicted_codes=tuple(predicted),
        matched=Tally(len(pairs), len(actual)),
        exact_first=actual == predicted,
        exact_among_three=actual == predicted,
        edit_distance=edit_distance(actual, predicted, len(pairs)),
        precedence=Tally(*precedence(actual, predicted)),
        work_centres=Tally(0, 0),
        in_house=Tally(0, 0),
        outsourced=Tally(0, 0),
        unpredicted_orders=0,
        matched_by_operation=tuple((code, place in placed) for place, code in enumerate(actual)),
    )
    return dataclasses.replace(usual, **more)


def value(figure: Figure) -> float:
    """The value of a figure that could be measured."""
    assert figure.value is not None, figure.message
    return figure.value


def interval(figure: Figure) -> tuple[float, float]:
    """The bounds of a figure for which enough was seen to tell them."""
    assert figure.low is not None
    assert figure.high is not None
    return figure.low, figure.high


def width(figure: Figure) -> float:
    low, high = interval(figure)
    return high - low


TEN = [order(f"item-{n}", 100.0, 100.0 - error) for n, error in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 9, 100])]


def test_errors_of_ten_orders_are_those_worked_out_by_hand() -> None:
    figures = time_figures(OrderTable.of(TEN), **RULES)

    assert figures["mae"].value == pytest.approx(14.5)
    assert figures["trim_mae"].value == pytest.approx((2 + 3 + 4 + 5 + 6 + 7 + 8 + 9) / 8)  # 1 and 100 left out
    assert figures["rmse"].value == pytest.approx(math.sqrt((285 + 100**2) / 10))
    assert figures["mae"].n == figures["rmse"].n == 10


def test_the_median_percentage_error_leaves_out_orders_booked_as_zero() -> None:
    rows = [order("a", 110, 100), order("b", 130, 100), order("c", 90, 120), order("d", 5, 0)]
    figures = time_figures(OrderTable.of(rows), **RULES)

    assert figures["mdape"].value == pytest.approx(0.25)
    assert figures["mdape"].n == 3


def test_a_piece_s_error_is_the_order_s_over_its_quantity() -> None:
    rows = [order("a", 120, 100, quantity=10.0), order("b", 90, 100, quantity=5.0)]

    assert time_figures(OrderTable.of(rows), **RULES)["mae_per_piece"].value == pytest.approx((2 + 2) / 2)


def test_coverage_and_score_of_intervals_are_those_worked_out_by_hand() -> None:
    rows = [
        order("inside", 100, 100, low_minutes=80.0, high_minutes=120.0),  # width 40
        order("below", 100, 70, low_minutes=80.0, high_minutes=120.0),  # 40 + 10 * 2 / 0.2
        order("above", 100, 125, low_minutes=80.0, high_minutes=120.0),  # 40 + 5 * 2 / 0.2
        order("edge", 100, 120, low_minutes=80.0, high_minutes=120.0),  # a bound lies inside
    ]
    figures = time_figures(OrderTable.of(rows), **RULES)

    assert figures["interval_coverage"].value == pytest.approx(0.5)
    assert figures["interval_score"].value == pytest.approx((40 + 140 + 90 + 40) / 4)


def test_the_spread_is_taken_per_piece_and_only_where_there_are_enough_orders() -> None:
    often = [order("a", 10, booked * quantity, quantity=quantity) for booked, quantity in [(8, 2), (10, 1), (12, 4)]]
    rarely = [order("b", 10, 5), order("b", 10, 500)]
    figures = time_figures(OrderTable.of(often + rarely), **RULES)

    assert figures["cv"].value == pytest.approx(2.0 / 10.0)
    assert figures["cv"].n == 1
    assert figures["sample_count"].value == pytest.approx(2.5)


def test_weights_undo_the_sample_s_bias() -> None:
    rows = [order("a", 10, 0.5, weight=3.0), order("b", 10, 6.5, weight=1.0)]

    assert time_figures(OrderTable.of(rows), **RULES)["mae"].value == pytest.approx((3 * 9.5 + 1 * 3.5) / 4)


def test_nothing_to_evaluate_is_none_with_n_zero_and_a_reason_never_zero() -> None:
    figures = measure([], [], **RULES)

    assert len(figures["overall"]) == 18
    for name, figure in figures["overall"].items():
        assert figure["value"] is None, name
        assert figure["n"] == 0, name
        assert figure["message"], name
    assert figures["by_family"] == {}
    assert figures["by_operation"] == {}


def test_one_item_has_a_value_but_no_interval() -> None:
    figure = time_figures(OrderTable.of([order("a", 10, 8), order("a", 10, 14)]), **RULES)["mae"]

    assert figure.value == pytest.approx(3.0)
    assert (figure.low, figure.high) == (None, None)


def test_routing_figures_of_three_items_are_those_worked_out_by_hand() -> None:
    rows = [
        routing("right", "ABC", "ABC"),
        routing("one missing", "ABCD", "ABD", exact_among_three=True),
        routing("swapped", "AB", "BA"),
    ]
    figures = routing_figures(RoutingTable.of(rows), seed=1)

    assert figures["process_match"].value == pytest.approx((3 + 3 + 1) / 9)
    assert figures["process_match"].n == 9
    assert figures["exact_top1"].value == pytest.approx(1 / 3)
    assert figures["exact_top3"].value == pytest.approx(2 / 3)
    assert figures["edit_distance"].value == pytest.approx((0 + 1 / 7 + 2 / 4) / 3)
    assert figures["precedence_accuracy"].value == pytest.approx((3 + 3 + 0) / 7)
    assert figures["work_centre_accuracy"].value is None


def test_shares_that_are_all_right_still_have_an_honest_lower_bound() -> None:
    figure = routing_figures(RoutingTable.of([routing(f"item-{n}", "ABC", "ABC") for n in range(10)]), seed=1)[
        "process_match"
    ]

    assert figure.value == 1.0
    assert figure.low == pytest.approx(10 / (10 + 1.96**2), abs=1e-3)  # Wilson's bound for ten out of ten items
    assert figure.high == 1.0


def test_intervals_see_that_orders_of_one_item_resemble_each_other() -> None:
    apart = [order(f"item-{n}", 10 + n % 7, 10) for n in range(200)]
    together = [order(f"item-{n // 20}", 10 + (n // 20) % 7, 10) for n in range(200)]
    wide, narrow = (time_figures(OrderTable.of(rows), **RULES)["mae"] for rows in (together, apart))

    assert width(wide) > 3 * width(narrow)


def test_families_and_operations_are_measured_apart() -> None:
    rows = [order(f"a{n}", 12, 10, family="left") for n in range(3)]
    rows += [order(f"b{n}", 15, 10, family="right", operation_code="MILL") for n in range(3)]
    figures = measure(rows, [routing("a0", "AB", "A", family="left")], **RULES)

    assert figures["by_family"]["left"]["mae"]["value"] == pytest.approx(2.0)
    assert figures["by_family"]["right"]["mae"]["value"] == pytest.approx(5.0)
    assert figures["by_family"]["left"]["process_match"]["value"] == pytest.approx(0.5)
    assert figures["by_operation"]["MILL"]["mae"]["value"] == pytest.approx(5.0)
    assert figures["by_operation"]["B"]["process_match"]["value"] == 0.0


def test_all_sixteen_fields_are_there() -> None:
    assert [field.name for field in dataclasses.fields(QualityMetrics)] == [
        "cycle_id", "sample_size", "strategy", "mae", "trim_mae", "rmse", "process_match", "outsourcing_success", "cv",
        "sample_count", "alerts", "timestamp", "duration_seconds", "items_evaluated", "items_failed", "metadata",
    ]  # fmt: skip


minutes = st.floats(0.1, 10_000)
observations = st.lists(
    st.builds(
        order,
        st.sampled_from(["a", "b", "c", "d", "e"]),
        minutes,
        minutes,
        weight=st.floats(0.1, 10),
        quantity=st.floats(1, 500),
        operation_code=st.sampled_from(["TURN", "MILL"]),
    ),
    min_size=1,
    max_size=30,
)


@given(observations)
@settings(max_examples=40, deadline=None)
def test_any_figures_lie_inside_their_interval_and_repeat_exactly(rows: list[OrderObservation]) -> None:
    figures = time_figures(OrderTable.of(rows), **RULES)

    assert figures == time_figures(OrderTable.of(rows), **RULES)
    errors = [abs(row.predicted_minutes - row.booked_minutes) for row in rows]
    assert min(errors) - 1e-6 <= value(figures["trim_mae"]) <= max(errors) + 1e-6
    assert value(figures["mae"]) <= value(figures["rmse"]) * (1 + 1e-9) + 1e-9
    for name, figure in figures.items():
        if figure.low is not None:
            low, high = interval(figure)
            assert 0 <= low <= value(figure) + 1e-6 <= high + 2e-6, name


@given(observations, st.floats(0.01, 100))
@settings(max_examples=30, deadline=None)
def test_only_the_weights_proportions_matter(rows: list[OrderObservation], factor: float) -> None:
    scaled = [row._replace(weight=row.weight * factor) for row in rows]
    before, after = time_figures(OrderTable.of(rows), **RULES), time_figures(OrderTable.of(scaled), **RULES)

    for name in ("mae", "rmse", "trim_mae", "interval_coverage"):
        assert after[name].value == pytest.approx(before[name].value, rel=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.025, 0.1, 0.5, 0.9, 0.975]))
def test_quantiles_and_means_are_numpys_bit_for_bit(values: list[float], share: float) -> None:
    ordered = np.sort(np.array(values))
    weights = np.array([1.0 + place % 7 for place in range(len(values))])
    assert quantile(ordered, share) == float(np.quantile(ordered, share))
    assert weighted_mean(ordered, weights) == float(np.average(ordered, weights=weights))


@given(st.lists(st.integers(0, 9), max_size=40))
def test_numbers_become_ranks_whether_they_rise_or_not(numbers: list[int]) -> None:
    for given_numbers in (numbers, sorted(numbers)):
        ranks, firsts = dense(np.array(given_numbers, dtype=np.int64))
        different = sorted(set(numbers))
        assert [different[rank] for rank in ranks.tolist()] == given_numbers
        assert [given_numbers.index(number) for number in different] == firsts.tolist()


def test_a_group_is_measured_as_if_it_were_alone() -> None:
    rows = [
        order(f"item-{n}", 10.0 + n, 9.0 + n % 3, family=f"F{n % 2}", operation_code=f"OP{n % 3}") for n in range(24)
    ]
    found = measure(rows, [], **RULES)
    for key, column in (("by_family", "family"), ("by_operation", "operation_code")):
        for name, figures in found[key].items():
            alone = measure([row for row in rows if getattr(row, column) == name], [], **RULES)[key]
            assert alone == {name: figures}


def test_holms_correction_is_the_worked_one_and_never_falls_as_chances_grow() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # Holm's steps: 4, 3, 2, 1
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
