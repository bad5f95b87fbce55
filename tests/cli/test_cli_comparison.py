"""How a stored comparison is shown to a person."""

import json

import pytest

from cli.comparison import show_comparison
from shared.quality.evaluate import Evaluation
from shared.training.compare import Latency, Rules, compare
from tests.training.test_training_compare import evaluation, orders

RULES = Rules(refit_margin=0.02, challenger_gain=0.05, trim_share=0.1)


def shown(old: Evaluation, new: Evaluation, capsys: pytest.CaptureFixture[str]) -> str:
    latency = (Latency(p50_ms=1, p95_ms=2, answers=99), Latency(p50_ms=2, p95_ms=4, answers=99))
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
