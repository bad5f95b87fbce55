"""The time summary."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.prediction.time_summary import (
    MAX_OPERATIONS,
    SummaryOperation,
    TimeSummaryRequest,
    TimeSummaryResponse,
    summarise_times,
)

AMOUNT = st.floats(min_value=0, max_value=1e6)
OPERATION = st.builds(
    SummaryOperation, setup_minutes=AMOUNT, run_minutes_per_unit=AMOUNT, wait_minutes=AMOUNT, move_minutes=AMOUNT,
    queue_minutes=AMOUNT,
)  # fmt: skip


def test_run_grows_with_the_quantity_and_nothing_else_does() -> None:
    operations = [
        SummaryOperation(setup_minutes=10, run_minutes_per_unit=2, wait_minutes=1, move_minutes=3, queue_minutes=60),
        SummaryOperation(sequence=20, setup_minutes=5, run_minutes_per_unit=0.5),
    ]
    answer = TimeSummaryResponse.model_validate(summarise_times(operations, 8, include_breakdown=True))
    assert (answer.setup_minutes, answer.run_minutes, answer.lead_minutes) == (15, 20, 99)
    assert answer.breakdown is not None
    assert [(row.sequence, row.run_minutes, row.total_minutes) for row in answer.breakdown] == [
        (None, 16, 90),
        (20, 4, 9),
    ]


def test_no_operations_give_zeros_and_no_breakdown_unless_asked() -> None:
    answer = TimeSummaryResponse.model_validate(summarise_times([]))
    assert (answer.lead_minutes, answer.operation_count, answer.breakdown) == (0, 0, None)


@given(operations=st.lists(OPERATION, max_size=30), quantity=st.floats(min_value=0.001, max_value=1e4))
def test_the_breakdown_adds_up_to_the_totals(operations: list[SummaryOperation], quantity: float) -> None:
    summary = summarise_times(operations, quantity, include_breakdown=True)
    assert sum(row["total_minutes"] for row in summary["breakdown"]) == pytest.approx(summary["lead_minutes"])
    assert summary["operation_count"] == len(summary["breakdown"])


@given(operations=st.lists(OPERATION, max_size=30), quantity=st.floats(min_value=0.001, max_value=1e4))
def test_the_totals_are_those_of_an_exact_sum(operations: list[SummaryOperation], quantity: float) -> None:
    summary = summarise_times(operations, quantity)
    run = math.fsum(operation.run_minutes_per_unit for operation in operations) * quantity
    setup = math.fsum(operation.setup_minutes for operation in operations)
    others = math.fsum(o.wait_minutes + o.move_minutes + o.queue_minutes for o in operations)
    assert summary["run_minutes"] == pytest.approx(run, rel=1e-12)
    assert summary["lead_minutes"] == pytest.approx(setup + run + others, rel=1e-12)


@pytest.mark.parametrize(
    ("operation", "field"),
    [({"setup_minutes": -1}, "setup_minutes"), ({"run_minutes_per_unit": float("inf")}, "run_minutes_per_unit"),
     ({"run_time_qty": 5}, "run_time_qty"), ({"wait_minutes": "long"}, "wait_minutes")],
)  # fmt: skip
def test_a_wrong_amount_is_refused_by_its_field(operation: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TimeSummaryRequest.model_validate({"operations": [operation]})
    assert refused.value.errors()[0]["loc"] == ("operations", 0, field)


def test_more_operations_than_allowed_are_refused() -> None:
    with pytest.raises(ValidationError):
        TimeSummaryRequest.model_validate({"operations": [{}] * (MAX_OPERATIONS + 1)})
