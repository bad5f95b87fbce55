"""The accuracy benchmark in small: one hold-out of a small demo factory, from the model to the written report."""

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks.accuracy.report import Report, as_text, write
from benchmarks.accuracy.sources import demo_factory
from benchmarks.accuracy.studies import Plan, withheld_study
from shared.configuration import default_configuration

ITEMS = 300
BOOSTED = importlib.util.find_spec("lightgbm") is not None


@pytest.fixture(scope="module")
def report() -> Report:
    plan = Plan(parts=5, repeats=1, seed=3, configuration=default_configuration(), say=lambda _: None, boosted=BOOSTED)
    with demo_factory(ITEMS, 42, None) as source:
        return withheld_study(source, plan)


def test_every_metric_is_measured_against_every_opponent(report: Report) -> None:
    found = {each.metric: each for each in report.data["metrics"]}
    assert {"signature top-1", "signature top-3", "operation F1", "time MdAPE", "interval score"} <= set(found)
    for each in found.values():
        assert {"nearest copy", "family"} <= set(each.opponents)
        assert each.product.low <= each.product.value <= each.product.high
        assert each.product.n > 0
    assert "last 10 orders" in found["time MdAPE"].opponents


def test_the_product_learns_what_no_family_habit_knows(report: Report) -> None:
    found = {each.metric: each for each in report.data["metrics"]}
    for metric in ("signature top-1", "operation F1"):
        assert found[metric].product.value > found[metric].opponents["family"].value
    assert found["time MdAPE"].product.value < found["time MdAPE"].opponents["family"].value


def test_nobody_beats_the_best_possible(report: Report) -> None:
    errors = report.data["true_minutes"]
    assert errors["best possible"]["median"].value < min(
        found["median"].value for name, found in errors.items() if name != "best possible"
    )
    names = [goal.name for goal in report.goals]
    assert any("best possible over product" in name for name in names)
    assert any("last-10" in name for name in names)


def test_a_report_is_written_for_people_and_programs(report: Report, tmp_path: Path) -> None:
    write([report], tmp_path)
    [stored] = json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8"))
    assert stored["settings"]["seed"] == 3
    assert {metric["metric"] for metric in stored["metrics"]} >= {"signature top-1"}
    assert "Wanted and measured" in as_text(report)
    assert "| metric |" in (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert (tmp_path / "demo-risk-coverage.svg").read_text(encoding="utf-8").startswith("<svg")
