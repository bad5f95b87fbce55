"""How a stored comparison is shown to a person."""

import json

import pytest

from cli.comparison import show_comparison, show_contenders
from shared.quality.evaluate import Evaluation
from shared.training.compare import Latency, Rules, compare
from tests.training.test_training_compare import evaluation, orders

RULES = Rules(refit_margin=0.02, challenger_gain=0.05, trim_share=0.1)


def shown(old: Evaluation, new: Evaluation, capsys: pytest.CaptureFixture[str]) -> str:
    latency = (Latency(p50_ms=1, p95_ms=2, answers=99), Latency(p50_ms=2, p95_ms=4, answers=99, slowdown=2.0))
    stored = json.loads(json.dumps(compare("challenger", old, new, RULES, latency=latency).as_json()))
    show_comparison(stored)
    return capsys.readouterr().out


def test_every_condition_is_shown_with_its_figure_and_its_limit(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(evaluation(orders(1.0)), evaluation(orders(0.8)), capsys)

    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if line.count("│") > 2}
    assert "keep the active model (120 items, 600 booked orders)" in text
    assert "-20.0%" in lines["minutes better"]
    assert "ok" in lines["minutes better"]
    assert "2.00 times" in lines["speed of an answer"]
    assert "NO" in lines["speed of an answer"]
    assert "600" in lines["trim_mae"]


def test_a_comparison_of_nothing_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = Evaluation(orders=(), routings=(), asked=5, abstained=(), incomparable=(), failed={}, failed_count=0)

    assert "enough items" in shown(nothing, nothing, capsys)


def test_everything_that_was_tried_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    figure = {"value": 16.5234, "low": 14.4, "high": 19.2, "n": 900}
    unknown = {"value": None, "low": None, "high": None, "n": 0}
    metrics = {"trim_mae": figure, "mdape": figure, "interval_coverage": unknown}
    shared = {"metrics": metrics, "slowdown": 1.114, "training_seconds": 21.04}
    show_contenders(
        [
            {"name": "stacking", "is_selected": True} | shared,
            {"name": "mlp", "is_selected": False} | shared | {"metrics": metrics | {"trim_mae": unknown}},
        ]
    )
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.count("│") > 2}
    assert "yes" in lines["stacking"]
    assert "16.52" in lines["stacking"]
    assert "14.4 to 19.2" in lines["stacking"]
    assert "1.11 times" in lines["stacking"]
    assert "yes" not in lines["mlp"]
    assert "14.4" not in lines["mlp"]
