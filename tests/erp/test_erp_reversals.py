"""Reports that take back what was booked on their order stay, under the conditions of what they take back."""

from typing import Any

import pytest

from shared.prediction.minutes.reports import booked_orders, sound_reports
from tests.erp.erp_support import TinyFactory

HEADER = "code,seq,job,order,day,pieces,bad,setup_hours,run_hours"


def read(factory: TinyFactory, *lines: str, **rules: Any) -> TinyFactory:
    factory.write("reports.csv", "\n".join([HEADER, *lines]) + "\n")
    factory.document["work_results"]["columns"] |= {"order_no": "order", "bad_quantity": "bad"}
    factory.document["work_results"] |= rules
    return factory


def orders(factory: TinyFactory) -> list[tuple[Any, ...]]:
    """Return what a model learns: pieces, setup and run minutes of each order and operation."""
    reports = sound_reports(factory.extract().work_results())
    booked = booked_orders(reports, "item_code", "operation_code").sort("order_no")
    return booked.select("order_no", "quantity", "setup_minutes", "run_minutes").rows()


def test_an_order_counts_as_it_stands_after_its_reversal(factory: TinyFactory) -> None:
    read(
        factory,
        "8,10,TURN,A,2025-05-01,4,1,1,20",  # 20 hours where 2 were meant
        "8,10,TURN,A,2025-05-02,-4,-1,-1,-20",
        "8,10,TURN,A,2025-05-02,4,1,1,2",
        "8,10,TURN,B,2025-05-01,6,,,3",
        "8,10,TURN,B,2025-05-03,-2,,,-1",  # a part of it
        "8,10,TURN,C,2025-05-01,5,,,9",
        "8,10,TURN,C,2025-05-04,0,,,-4",  # only its time
        "8,10,TURN,D,2025-05-01,5,,,9",
        "8,10,TURN,D,2025-05-04,-5,0,,-9",
    )
    assert orders(factory) == [("A", 4.0, 60.0, 120.0), ("B", 4.0, None, 120.0), ("C", 5.0, None, 300.0)]
    assert factory.extract().issues["work_results"] == {"takes back what was booked on its order": 4}


def test_what_is_no_reversal_is_left_out_as_before(factory: TinyFactory) -> None:
    read(
        factory,
        "8,10,TURN,,2025-05-01,-4,,-1,-2",  # nobody can tell what it takes back
        "8,10,TURN,A,2025-05-01,4,,1,-2",
        "8,10,TURN,A,2025-05-01,-4,,1,2",
        "8,10,TURN,A,2025-05-01,0,,0,0",
    )
    snapshot = factory.extract()
    assert snapshot.rows["work_results"] == 0
    assert snapshot.issues["work_results"] == {"quantity is not positive": 3, "run_minutes is negative": 1}


@pytest.mark.parametrize(
    "rule",
    [{"maximum_minutes": 600}, {"minimum_minutes": 90}, {"maximum_run_minutes_per_unit": 200}, {"minimum_quantity": 5}],
)
def test_a_reversal_is_believed_as_little_as_what_it_takes_back(factory: TinyFactory, rule: dict[str, float]) -> None:
    wrong = {"maximum_minutes": (4, 20), "minimum_minutes": (4, 1), "maximum_run_minutes_per_unit": (4, 20)}
    pieces, hours = wrong.get(next(iter(rule)), (4, 3))
    read(
        factory,
        f"8,10,TURN,A,2025-05-01,{pieces},,,{hours}",
        f"8,10,TURN,A,2025-05-02,-{pieces},,,-{hours}",
        "8,10,TURN,A,2025-05-03,6,,,3",
        believable=rule,
    )
    assert orders(factory) == [("A", 6.0, None, 180.0)]


def test_a_reversal_is_read_as_its_source_counts_pieces_and_times(factory: TinyFactory) -> None:
    read(
        factory,
        "8,10,TURN,A,2025-05-01,3,1,,2",
        "8,10,TURN,A,2025-05-02,-3,-1,,2",
        "8,10,TURN,B,2025-05-02,3,1,,2",
        run_time="per_unit",
        quantity_counts="good",
    )
    assert orders(factory) == [("B", 4.0, None, 480.0)]
    results = factory.extract().work_results().sort("quantity")
    assert results.select("quantity", "bad_quantity", "run_minutes").row(0) == (-4.0, -1.0, -480.0)
