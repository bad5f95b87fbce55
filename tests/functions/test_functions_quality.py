"""What the list of quality cycles shows, beside one cycle's own address."""

import json

from shared.bootstrap import Services
from shared.clock import utc_now
from shared.database.tables import QualityCycle, WorkState
from tests.functions.conftest import Ask

FIGURE = {"value": 4.2, "low": 3.9, "high": 4.6, "n": 120}


def test_a_list_of_cycles_leaves_out_what_only_one_cycle_is_asked_for(ask: Ask, services: Services) -> None:
    """Families, operations, evidence and drift are some hundred kilobytes a cycle, and a page asks again and again."""
    metrics = {"quality": {"alerts": []}, "overall": {"mae": FIGURE}, "by_family": {"seal": {"mae": FIGURE}}}
    report = {"items": [{"item_code": "A1"}]}
    cycle = QualityCycle(
        id="cycle_1", state=WorkState.SUCCEEDED, metrics=metrics, report=report, created_at=utc_now()
    )  # fmt: skip
    services.work.insert(cycle)
    services.work.insert(QualityCycle(id="cycle_2", created_at=utc_now()))
    listed = {row["id"]: row for row in json.loads(ask("list_quality_cycles").get_body())["items"]}
    whole = json.loads(ask("get_quality_cycle", params={"id": "cycle_1"}).get_body())
    assert whole["metrics"] == metrics
    assert listed["cycle_1"]["metrics"] == {"quality": metrics["quality"], "overall": metrics["overall"]}
    assert listed["cycle_2"]["metrics"] is None
    assert "report" not in listed["cycle_1"] | whole
    assert listed["cycle_1"].keys() == whole.keys()


def test_a_column_that_is_left_out_is_not_read(services: Services) -> None:
    services.work.insert(QualityCycle(id="cycle_1", report={"items": []}, created_at=utc_now()))
    (row,), total = services.work.list(QualityCycle, without=["report"])
    assert total == 1
    assert "report" not in row.__dict__
    (row,), _ = services.work.list(QualityCycle)
    assert row.report == {"items": []}
