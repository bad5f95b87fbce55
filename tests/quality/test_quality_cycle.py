"""Whole cycles over a real database file and a small demo factory: figures, reports, failures and alarms."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from shared.database.predictions import Decisions
from shared.database.tables import QualityCycle, WorkState
from shared.erp.snapshot import Snapshot
from shared.errors import Conflict, InvalidInput
from shared.prediction.answers import ItemPrediction, ItemQuery, Source, Status
from shared.prediction.model import RoutingModel
from shared.prediction.order_minutes import OrdersPrediction, without_orders
from shared.quality.actuals import collect_actuals
from shared.quality.evaluate import evaluate
from shared.quality.options import CycleOptions
from shared.quality.reports.rendering import render_report


class Altered:
    """A snapshot with other work results."""

    def __init__(self, snapshot: Snapshot, results: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self._snapshot, self._results = snapshot, results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def work_results(self) -> pl.DataFrame:
        return self._results(self._snapshot.work_results())

    def query(self, table: str, of: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
        if table != "work_results":
            return self._snapshot.query(table, of)
        return of(self.work_results().lazy()).collect()


LENIENT = {"quality": {"maximum_mae_minutes": 100.0, "minimum_process_match": 0.0, "maximum_cv": 1.0}}
REMARKS = {"LOW_SAMPLES", "NO_ACTUAL_DATA"}


def test_a_cycle_measures_items_as_if_unknown_and_stores_every_figure(ward: Any) -> None:
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40, seed=5))

    assert row.state == WorkState.SUCCEEDED, row.error
    assert row.model_version == "version_test"
    assert row.evaluated + row.metrics["quality"]["metadata"]["abstained"] == 40
    assert row.failed == 0
    quality, overall = row.metrics["quality"], row.metrics["overall"]
    assert quality["mae"] == overall["mae"]["value"] > 0
    assert quality["items_evaluated"] == row.evaluated
    assert quality["metadata"]["mode"] == "withheld"
    assert 0 < overall["process_match"]["value"] < 1  # an item's own routing would have matched perfectly
    assert overall["mae"]["low"] < overall["mae"]["value"] < overall["mae"]["high"]
    assert sum(group["mae"]["n"] for group in row.metrics["by_family"].values()) == overall["mae"]["n"]
    assert len(row.report["sample"]["item_codes"]) == 40


def test_two_cycles_without_a_seed_look_at_different_items_and_keep_the_seed_they_used(ward: Any) -> None:
    first, second = (ward.cycles.run_now("a test", CycleOptions(sample_size=30)) for _ in range(2))
    assert first.seed != second.seed
    again = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=first.seed))
    assert again.metrics["overall"] == first.metrics["overall"]


def test_the_same_seed_gives_the_same_figures_bit_for_bit(ward: Any) -> None:
    first = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=5, strategy="recent"))
    again = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=5, strategy="recent"))
    other = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=6, strategy="recent"))

    for key in ("overall", "by_family", "by_operation"):
        assert first.metrics[key] == again.metrics[key]
    assert first.report == again.report
    assert first.report["sample"]["item_codes"] != other.report["sample"]["item_codes"]


def test_a_slot_is_had_once_and_rings_once(ward: Any) -> None:
    row = ward.cycles.start("2026-01-01T02:00:00+00:00", "schedule")
    assert ward.cycles.start("2026-01-01T02:00:00+00:00", "schedule") is None

    assert ward.bells.rung == [("quality-cycles", row.id)]
    assert row.state == WorkState.QUEUED
    assert row.rung_at is not None


def test_a_message_delivered_five_times_runs_the_cycle_once(ward: Any) -> None:
    row = ward.cycles.start(None, "a test", CycleOptions(sample_size=10))
    outcomes = [ward.cycles.run(row.id) for _ in range(5)]

    assert [outcome is None for outcome in outcomes] == [False, True, True, True, True]
    assert ward.work.get(QualityCycle, row.id).attempt == 1


def test_without_an_active_model_the_row_says_so(ward: Any) -> None:
    ward.served = None
    row = ward.cycles.run_now("a test")

    assert row.state == WorkState.FAILED
    assert "No version is active" in row.error
    assert row.metrics is None
    assert ward.alerts.list(kind="quality-cycle-failed")[1] == 1


def test_a_newer_snapshot_is_read_anew(ward: Any, demo_snapshot: Snapshot) -> None:
    options = CycleOptions(sample_size=10, seed=3)
    first = ward.cycles.run_now("a test", options)
    ward.snapshot = Altered(demo_snapshot, lambda results: results.head(0))
    emptied = ward.cycles.run_now("a test", options)
    ward.snapshot = demo_snapshot
    again = ward.cycles.run_now("a test", options)

    assert emptied.state == WorkState.SKIPPED
    assert again.report["sample"] == first.report["sample"]
    assert again.metrics["overall"] == first.metrics["overall"]


def test_without_a_snapshot_the_row_says_what_to_do(ward: Any) -> None:
    ward.snapshot = None
    row = ward.cycles.run_now("a test")

    assert row.state == WorkState.FAILED
    assert "There is no snapshot" in row.error
    assert "Let an extract run first" in row.error


def test_nothing_to_evaluate_is_skipped_with_figures_that_are_none(ward: Any) -> None:
    ward.snapshot = Altered(ward.snapshot, results=lambda frame: frame.head(0))
    row = ward.cycles.run_now("a test")

    assert row.state == WorkState.SKIPPED
    assert "No item has both a routing and a work result" in row.reason
    assert row.evaluated == 0
    assert row.metrics["quality"]["mae"] is None
    assert [finding["issue"] for finding in row.metrics["quality"]["alerts"]] == ["NO_ACTUAL_DATA"]
    assert row.metrics["overall"]["mae"] == {
        "value": None, "n": 0, "low": None, "high": None, "message": row.metrics["overall"]["mae"]["message"],
    }  # fmt: skip
    assert ward.asked_for == []


class Failing:
    """A model that cannot answer for some items."""

    def __init__(self, model: RoutingModel, fails: Any) -> None:
        self.model, self.fails, self.data_as_of = model, fails, model.data_as_of

    def predict_orders(self, queries: Any, quantities: Any) -> list[OrdersPrediction]:
        bad = [query.item_code for query in queries if self.fails(query.item_code)]
        if bad:
            raise RuntimeError(f"{bad[0]} is cursed")
        return self.model.predict_orders(queries, quantities)


def test_items_whose_prediction_fails_are_counted_and_the_others_measured(ward: Any, demo_model: RoutingModel) -> None:
    healthy = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=3))
    answered = [code for code in healthy.report["sample"]["item_codes"] if code not in healthy.report["abstained"]]
    cursed = set(answered[:7])
    ward.served = type(ward.served)("version_cursed", Failing(demo_model, cursed.__contains__))
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=30, seed=3))

    assert row.state == WorkState.SUCCEEDED
    assert row.failed == row.metrics["quality"]["items_failed"] == 7
    assert row.evaluated == healthy.evaluated - 7
    assert set(row.report["failures"]) == cursed
    assert "is cursed" in next(iter(row.report["failures"].values()))


def test_when_every_prediction_fails_the_row_fails_with_the_first_reason(ward: Any, demo_model: RoutingModel) -> None:
    ward.served = type(ward.served)("version_cursed", Failing(demo_model, lambda _: True))
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=12))

    assert row.state == WorkState.FAILED
    assert "None of 12 sampled items could be predicted" in row.error
    assert "is cursed" in row.error
    assert row.failed == 12
    assert row.metrics["quality"]["mae"] is None


def test_abstentions_are_no_failures_and_are_said(ward: Any, demo_model: RoutingModel) -> None:
    class Silent:
        data_as_of = demo_model.data_as_of

        def predict_orders(self, queries: Any, quantities: Any) -> list[OrdersPrediction]:
            return [
                without_orders(ItemPrediction(item_code=q.item_code, status=Status.ABSTAINED, message="?"))
                for q in queries
            ]

    ward.served = type(ward.served)("version_silent", Silent())
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=12))

    assert row.state == WorkState.SUCCEEDED
    assert (row.evaluated, row.failed) == (0, 0)
    assert "abstained for 12 of 12" in row.metrics["quality"]["metadata"]["message"]


def test_orders_after_the_model_s_data_are_used_where_there_are_enough(ward: Any, demo_model: RoutingModel) -> None:
    old = Failing(demo_model, lambda _: False)
    results = ward.snapshot.work_results()
    newest = results["reported_at"].max()
    old.data_as_of = demo_model.data_as_of - (demo_model.data_as_of.date() - newest) - timedelta(days=200)
    ward.served = type(ward.served)("version_old", old)
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=10))

    assert row.metrics["quality"]["metadata"]["mode"] == "after the model's data"
    later = set(results.filter(results["reported_at"] > old.data_as_of.date())["item_code"])
    assert set(row.report["sample"]["item_codes"]) <= later


def test_a_candidate_from_the_erp_is_never_compared(ward: Any, demo_model: RoutingModel) -> None:
    class Leaking:
        def predict_orders(self, queries: Any, quantities: Any) -> list[OrdersPrediction]:
            return [
                OrdersPrediction(prediction=leak, minutes=np.ones((99, len(asked), 3)))
                for leak, asked in zip(demo_model.predict(queries), quantities, strict=True)
            ]

    codes = ward.snapshot.work_results()["item_code"].unique().sort().to_list()[:20]
    evaluation = evaluate(Leaking(), collect_actuals(ward.snapshot, codes), dict.fromkeys(codes, 1.0))
    own = demo_model.predict([demo_query(codes[0])])[0]

    assert own.candidates[0].source is Source.ERP
    assert all(routing.actual_codes != () for routing in evaluation.routings)
    firsts = {r.item_code: r.predicted_codes for r in evaluation.routings}
    for answer in demo_model.predict([demo_query(code) for code in firsts]):
        predicted = [c for c in answer.candidates if c.source is Source.PREDICTED]
        assert firsts[answer.item_code] == tuple(o.operation_code for o in predicted[0].operations)


def demo_query(code: str) -> ItemQuery:
    return ItemQuery(item_code=code)


def test_a_cycle_says_how_complete_its_actuals_are(ward: Any) -> None:
    told = ward.cycles.run_now("a test", CycleOptions(sample_size=40, seed=5)).metrics["completeness"]
    counts = told["counts"]

    assert counts["items"] == 40
    assert counts["booked"] == counts["compared"] + counts["left_out"] > 40
    assert 0 < told["items_with_actuals"]["low"] <= told["items_with_actuals"]["value"] <= 1
    assert told["compared"]["n"] == counts["booked"]
    assert 0 < told["operations_with_actuals"]["value"] <= 1
    assert told["days_to_report"]["value"] >= 0


def test_a_sample_without_items_has_no_completeness_and_no_zero(ward: Any) -> None:
    ward.snapshot = Altered(ward.snapshot, results=lambda frame: frame.head(0))
    told = ward.cycles.run_now("a test").metrics["completeness"]

    assert told["items_with_actuals"]["value"] is None
    assert told["counts"] == {"items": 0, "booked": 0}


def test_planners_decisions_since_the_last_cycle_are_their_edit_rate(ward: Any) -> None:
    def decide(*outcomes: str) -> None:
        for outcome in outcomes:
            Decisions(ward.engine).insert(
                prediction_id="p", item_code="X", model_version="v", outcome=outcome, operations=[], actor="planner"
            )

    decide("rejected")
    first = ward.cycles.run_now("a test", CycleOptions(sample_size=10)).metrics["decisions"]
    decide("accepted", "accepted", "edited", "accepted")
    second = ward.cycles.run_now("a test", CycleOptions(sample_size=10)).metrics["decisions"]
    third = ward.cycles.run_now("a test", CycleOptions(sample_size=10)).metrics["decisions"]

    assert (first["edit_rate"]["value"], first["edit_rate"]["n"]) == (1.0, 1)
    assert (second["edit_rate"]["value"], second["accepted"], second["edited"], second["rejected"]) == (0.25, 3, 1, 0)
    assert second["edit_rate"]["low"] < 0.25 < second["edit_rate"]["high"]
    assert third["edit_rate"]["value"] is None
    assert "no planner decided" in third["edit_rate"]["message"]


def test_an_error_seeking_cycle_learns_from_the_cycles_before_it(ward: Any) -> None:
    options = CycleOptions(sample_size=40, seed=5, strategy="error_seeking")
    blind = ward.cycles.run_now("a test", options)
    learned = ward.cycles.run_now("a test", options)

    assert len(set(blind.report["sample"]["chances"])) == 1  # nothing is known yet: every item alike
    assert len(set(learned.report["sample"]["chances"])) > 10
    assert min(learned.report["sample"]["chances"]) > 0
    assert learned.state == WorkState.SUCCEEDED


# ------------------------------------------------------------------------------------------------------- alarms


def issues(row: QualityCycle) -> list[str]:
    """The crossed thresholds, without remarks on how much data there was."""
    assert row.metrics is not None, row.error
    return [found["issue"] for found in row.metrics["quality"]["alerts"] if found["issue"] not in REMARKS]


def test_few_actuals_are_remarked_and_alarm_nobody(ward: Any) -> None:
    ward.configuration.patch({"quality": {**LENIENT["quality"], "minimum_samples": 50}}, "a test")
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40))
    found = row.metrics["quality"]["alerts"]

    assert [(finding["issue"], finding["evident"]) for finding in found] == [("LOW_SAMPLES", False)]
    assert found[0]["value"] == row.metrics["overall"]["sample_count"]["value"]
    assert ward.alerts.list(kind="quality")[1] == 0
    assert ward.asked_for == []


def test_a_crossed_threshold_with_evidence_alerts_and_asks_for_one_retraining(unseen: Any) -> None:
    ward = unseen
    ward.configuration.patch({"quality": {**LENIENT["quality"], "maximum_mae_minutes": 0.1}}, "a test")
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40))
    alert = ward.alerts.list(kind="quality")[0][0]

    assert alert.subject == "mae"
    assert alert.details["cycle_id"] == row.id
    assert [cycle for _, cycle in ward.asked_for] == [row.id]
    assert issues(row) == ["HIGH_MAE"]
    assert row.metrics["quality"]["metadata"]["retraining"]["asked"] is True


def test_the_next_good_cycle_closes_the_alert_of_a_failed_one(ward: Any) -> None:
    served, ward.served = ward.served, None
    assert ward.cycles.run_now("a test", CycleOptions(sample_size=40)).state == WorkState.FAILED
    [alert] = ward.alerts.list(kind="quality-cycle-failed")[0]
    assert alert.state == "open"
    ward.served = served
    assert ward.cycles.run_now("a test", CycleOptions(sample_size=40)).state == WorkState.SUCCEEDED

    assert ward.alerts.get(alert.id).state == "closed"


def test_a_refused_retraining_is_kept_as_the_answer(unseen: Any) -> None:
    ward = unseen
    ward.configuration.patch({"quality": {**LENIENT["quality"], "maximum_mae_minutes": 0.1}}, "a test")
    ward.refuse = Conflict("The queue is full (3 jobs wait).", state="queue full", reason="queue full (3)")
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40))
    [alert] = ward.alerts.list(kind="quality")[0]
    answer = {"asked": True, "refused": "The queue is full (3 jobs wait).", "because": "queue full (3)"}

    assert row.state == WorkState.SUCCEEDED
    assert row.metrics["quality"]["metadata"]["retraining"] == {**answer, "alert_ids": [alert.id]}
    assert alert.details["retraining"] == answer


def test_a_threshold_barely_crossed_is_told_with_what_is_missing_and_alarms_nobody(unseen: Any) -> None:
    ward = unseen
    ward.configuration.patch(LENIENT, "a test")
    mae = ward.cycles.run_now("a test", CycleOptions(sample_size=40, seed=8)).metrics["overall"]["mae"]
    just_below = (max(mae["low"], 0.1) + mae["value"]) / 2
    ward.configuration.patch({"quality": {"maximum_mae_minutes": just_below}}, "a test")
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40, seed=8))
    finding = row.metrics["quality"]["alerts"][0]

    assert finding["issue"] == "HIGH_MAE"
    assert finding["evident"] is False
    assert finding["log_evidence"] < finding["limit"]
    assert finding["needed"] is None or finding["needed"] > 0
    assert "may be chance" in finding["message"]
    assert ward.alerts.list(kind="quality")[1] == 0
    assert ward.asked_for == []


def test_good_figures_raise_nothing_and_close_what_was_open(unseen: Any) -> None:
    ward = unseen
    ward.configuration.patch({"quality": {**LENIENT["quality"], "maximum_mae_minutes": 0.1}}, "a test")
    ward.cycles.run_now("a test", CycleOptions(sample_size=40))
    ward.configuration.patch(LENIENT, "a test")
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=40))

    assert issues(row) == []
    assert [alert.state for alert in ward.alerts.list(kind="quality")[0]] == ["closed"]


def test_a_varying_shop_floor_alerts_but_asks_for_no_retraining(unseen: Any) -> None:
    ward = unseen
    ward.configuration.patch({"quality": {**LENIENT["quality"], "maximum_cv": 0.01}}, "a test")
    ward.cycles.run_now("a test", CycleOptions(sample_size=60))

    assert [alert.subject for alert in ward.alerts.list(kind="quality")[0]] == ["cv"]
    assert ward.asked_for == []


# ------------------------------------------------------------------------------------------------------- reports


def test_reports_tell_the_stored_figures_in_every_form(ward: Any) -> None:
    row = ward.cycles.run_now("a <b>test</b>", CycleOptions(sample_size=40))
    document = json.loads(render_report(row, "json"))
    lines = list(csv.DictReader(io.StringIO(render_report(row, "csv"))))
    page = render_report(row, "html")

    assert document["metrics"]["overall"] == row.metrics["overall"]
    mae = next(line for line in lines if line["scope"] == "overall" and line["metric"] == "mae")
    assert float(mae["value"]) == row.metrics["overall"]["mae"]["value"]
    assert f"{row.metrics['overall']['mae']['value']:.3g}" in render_report(row, "md")
    assert "<svg" in page
    assert "<b>test" not in page
    assert "http" not in page  # nothing is loaded from anywhere
    with pytest.raises(InvalidInput, match="no form"):
        render_report(row, "pdf")


def test_a_failed_cycle_has_a_report_too(ward: Any) -> None:
    ward.served = None
    row = ward.cycles.run_now("a test")

    for form in ("json", "csv", "md", "html"):
        assert row.id in render_report(row, form) or form == "csv"
    assert "No version is active" in render_report(row, "md")


def test_only_the_newest_reports_are_kept_and_all_figures(ward: Any) -> None:
    ward.configuration.patch({"quality": {**LENIENT["quality"], "keep_cycles": 2}}, "a test")
    rows = [ward.cycles.run_now("a test", CycleOptions(sample_size=10, seed=n)) for n in range(4)]
    stored = [ward.work.get(QualityCycle, row.id) for row in rows]

    assert [row.report is not None for row in stored] == [False, False, True, True]
    assert all(row.metrics["overall"]["mae"]["n"] for row in stored)


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"strategy": "psychic"}, "strategy"), ({"sample_size": 9}, "sample_size"), ({"seed": -1}, "seed")],
)
def test_settings_outside_their_range_are_refused_by_name(ward: Any, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ward.cycles.start(None, "a test", CycleOptions(**asked))

    assert [error["field"] for error in refused.value.facts["errors"]] == [field]
    assert ward.work.list(QualityCycle)[1] == 0


def test_every_order_is_compared_with_what_the_model_answers_for_its_own_quantity(
    ward: Any, demo_model: RoutingModel
) -> None:
    codes = ward.snapshot.work_results()["item_code"].unique().sort().to_list()[:25]
    evaluation = evaluate(demo_model, collect_actuals(ward.snapshot, codes), dict.fromkeys(codes, 1.0))
    compared = 0
    for order in evaluation.orders[::7]:
        [answer] = demo_model.predict(
            [ItemQuery(item_code=order.item_code)], quantity=order.quantity, as_if_unknown=True
        )
        same = [o for o in answer.candidates[0].operations if o.operation_code == order.operation_code]
        if len(same) == 1:
            told, compared = same[0].order_minutes, compared + 1
            found = (order.low_minutes, order.predicted_minutes, order.high_minutes)
            assert found == pytest.approx((told.low, told.value, told.high), abs=1e-5)
    assert compared > 20


def test_an_item_that_the_model_never_saw_is_asked_for_by_its_attributes(ward: Any, demo_model: RoutingModel) -> None:
    code = ward.snapshot.work_results()["item_code"][0]
    actuals = collect_actuals(ward.snapshot, [code])[code]
    stranger = dataclasses.replace(actuals, item_code="NEW-ITEM")
    evaluation = evaluate(demo_model, {"NEW-ITEM": stranger}, {"NEW-ITEM": 1.0})

    assert evaluation.failed == {}
    assert evaluation.evaluated == 1
