"""Recorded predictions are scored once when their orders are finished, and removed when they are too old."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from sqlmodel import col, select

from shared.database.engine import reading, writing
from shared.database.tables import Prediction, PredictionScore, QualityCycle
from shared.erp.snapshot import Snapshot
from shared.prediction.answers import ItemQuery, as_plain
from shared.prediction.model import RoutingModel
from shared.quality import live
from shared.quality.keeping import AT_ONCE, PredictionTidying
from shared.quality.options import CycleOptions
from shared.quality.population import Population

SMALL = CycleOptions(sample_size=10, seed=1)
NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def last_days(demo_snapshot: Snapshot) -> dict[str, date]:
    """Each item's last report, the latest first."""
    reported = Population(demo_snapshot).reported.sort("last_reported_at", "item_code", descending=[True, False])
    return dict(reported.iter_rows())


def record(ward: Any, code: str, day: date, *, model: RoutingModel, **more: Any) -> int:
    [answer] = model.predict([ItemQuery(item_code=code)], quantity=10.0)
    values = {
        "prediction_id": f"p {code} {day}", "item_code": code, "model_version": "version_test", "status": "ok",
        "quantity": 10.0, "as_if_unknown": False, "answer": as_plain(answer),
        "created_at": datetime.combine(day, time(12), tzinfo=UTC),
    }  # fmt: skip
    row = Prediction(**(values | more))
    with writing(ward.engine) as session:
        session.add(row)
        session.flush()
        assert row.id is not None
        return row.id


def scores(ward: Any) -> dict[int, PredictionScore]:
    with reading(ward.engine) as session:
        return {row.prediction_row: row for row in session.exec(select(PredictionScore)).all()}


def score(ward: Any, reported: pl.DataFrame, cycle_id: str = "cycle", **more: Any) -> live.LiveScores:
    options: dict[str, Any] = {"now": NOW, "keep_days": 400, "seed": 1} | more
    return live.score_live(ward.engine, ward.snapshot, reported, cycle_id=cycle_id, **options)


def test_a_prediction_is_scored_once_by_the_orders_begun_after_it(
    ward: Any, demo_model: RoutingModel, last_days: dict[str, date]
) -> None:
    ward.configuration.patch({"quality": {"keep_prediction_days": 36_500}}, "a test")
    code, last = next(iter(last_days.items()))
    early = record(ward, code, last - timedelta(days=100), model=demo_model)
    after_all = record(ward, code, last + timedelta(days=1), model=demo_model)
    first = ward.cycles.run_now("a test", SMALL)
    second = ward.cycles.run_now("a test", SMALL)
    found = scores(ward)

    assert set(found) == {early}
    assert after_all not in found
    assert found[early].cycle_id == first.id
    assert found[early].orders >= 1
    assert found[early].mae_minutes is not None
    told, again = first.metrics["live"], second.metrics["live"]
    assert (told["scored_now"], again["scored_now"], again["predictions"]) == (1, 0, 1)
    assert told["mae"]["value"] == again["mae"]["value"] == pytest.approx(found[early].mae_minutes)
    assert told["mae"]["n"] == found[early].orders
    assert set(told["by_version"]) == {"version_test"}


def test_a_prediction_waits_while_the_bookings_that_judge_it_are_in_doubt(
    ward: Any, demo_model: RoutingModel, last_days: dict[str, date]
) -> None:
    code, last = next(iter(last_days.items()))
    row = record(ward, code, last - timedelta(days=100), model=demo_model)
    reported = Population(ward.snapshot).reported
    booked = ward.snapshot.work_results().filter(pl.col("item_code") == code, pl.col("reported_at") == last)
    operation = str(booked["operation_code"][0])

    assert score(ward, reported, in_doubt={operation: last}).rows == ()
    assert [found.prediction_row for found in score(ward, reported, in_doubt={"ELSE": last}).rows] == [row]
    later = {operation: last + timedelta(days=1)}
    assert [found.prediction_row for found in score(ward, reported, in_doubt=later).rows] == [row]


def test_predictions_as_if_unknown_abstained_or_superseded_are_not_scored(
    ward: Any, demo_model: RoutingModel, last_days: dict[str, date]
) -> None:
    code, last = next(iter(last_days.items()))
    record(ward, code, last - timedelta(days=90), model=demo_model)
    record(ward, code, last - timedelta(days=80), model=demo_model, as_if_unknown=True)
    record(ward, code, last - timedelta(days=80), model=demo_model, status="abstained")
    newest = record(ward, code, last - timedelta(days=85), model=demo_model)
    other = record(ward, code, last - timedelta(days=95), model=demo_model, model_version="version_before")
    found = score(ward, Population(ward.snapshot).reported)

    assert {row.prediction_row for row in found.rows} == {newest, other}
    assert set(found.figures["by_version"]) == {"version_before", "version_test"}


def test_what_is_more_than_one_cycle_can_score_waits_and_is_said(
    ward: Any, demo_model: RoutingModel, last_days: dict[str, date], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_SCORED", 2)
    rows = [
        record(ward, code, last - timedelta(days=60 + place), model=demo_model)
        for place, (code, last) in enumerate(list(last_days.items())[:4])
    ]
    found = score(ward, Population(ward.snapshot).reported)
    created = {row.id: row.created_at for row in _predictions(ward)}

    assert len(found.rows) == 2
    assert found.figures["waiting"] == len(rows) - 2
    chosen = {row.prediction_row for row in found.rows}
    assert max(created[row] for row in chosen) <= min(created[row] for row in set(rows) - chosen)  # the longest waiting


def test_without_predictions_nothing_is_said_to_be_measured(ward: Any) -> None:
    told = ward.cycles.run_now("a test", SMALL).metrics["live"]

    assert told["mae"]["value"] is None
    assert told["mae"]["n"] == 0
    assert (told["scored_now"], told["waiting"], told["predictions"]) == (0, 0, 0)


def test_a_recorded_answer_that_nobody_can_read_is_scored_as_nothing_and_not_tried_again(
    ward: Any, demo_model: RoutingModel, last_days: dict[str, date]
) -> None:
    code, last = next(iter(last_days.items()))
    record(ward, code, last - timedelta(days=90), model=demo_model, answer={"of": "another release"})
    [row] = score(ward, Population(ward.snapshot).reported).rows

    assert (row.orders, row.mae_minutes) == (0, None)


def test_old_predictions_are_removed_a_few_at_a_time_and_young_ones_never(ward: Any, demo_model: RoutingModel) -> None:
    def entry(number: int, days: int) -> Prediction:
        return Prediction(
            prediction_id=f"p{number}", item_code="X", model_version="v", status="ok", quantity=1.0,
            as_if_unknown=False, answer={}, created_at=NOW - timedelta(days=days),
        )  # fmt: skip

    with writing(ward.engine) as session:
        session.add_all([entry(number, 401) for number in range(AT_ONCE + 50)])
        session.add_all([entry(number, 399) for number in range(7)])
    tidying = PredictionTidying(engine=ward.engine, keep_days=lambda: 400, clock=lambda: NOW)

    assert [tidying.run() for _ in range(3)] == [AT_ONCE, 50, 0]
    assert len(_predictions(ward)) == 7


def test_unscored_predictions_are_kept_while_the_last_cycle_left_some_waiting(ward: Any) -> None:
    with writing(ward.engine) as session:
        session.add(
            QualityCycle(id="c", state="succeeded", created_at=NOW, metrics={"live": {"waiting": 3}}, reason="a test")
        )
        for number in (1, 2):
            session.add(
                Prediction(
                    id=number, prediction_id="p", item_code="X", model_version="v", status="ok", quantity=1.0,
                    as_if_unknown=False, answer={}, created_at=NOW - timedelta(days=500),
                )
            )  # fmt: skip
        session.add(
            PredictionScore(
                prediction_row=1, prediction_id="p", item_code="X", model_version="v", cycle_id="c", orders=0,
                figures={}, scored_at=NOW,
            )
        )  # fmt: skip
    PredictionTidying(engine=ward.engine, keep_days=lambda: 400, clock=lambda: NOW).run()

    assert [row.id for row in _predictions(ward)] == [2]


def _predictions(ward: Any) -> list[Prediction]:
    with reading(ward.engine) as session:
        return list(session.exec(select(Prediction).order_by(col(Prediction.id))).all())
