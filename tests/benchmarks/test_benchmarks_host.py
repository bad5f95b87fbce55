"""The measurement of the Functions host, on a few requests."""

import json

import pytest

from benchmarks.host import __main__ as harness
from benchmarks.host import over_http
from benchmarks.host.over_http import Turns


def test_the_host_is_measured_beside_a_bare_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = over_http.Amounts(rounds=2, alone=30, together=64, warm=32, remembered=200)
    monkeypatch.setattr(harness, "QUICK_HTTP", few)
    assert harness.main(["--quick", "--peer", "asgi", "--json", "--only", "http", "memory"]) == 0
    figures = {figure["what"]: figure for figure in json.loads(capsys.readouterr().out)}
    assert figures["requests failed"]["value"] == 0
    assert figures["requests failed"]["met"]
    ratios = [figure for what, figure in figures.items() if what.endswith("over asgi")]
    assert len(ratios) == 4
    # No framework does less than none; a busy moment of the machine may still turn a single round.
    assert all(0 < figure["value"] < 1000 and "2 rounds" in figure["note"] for figure in ratios)
    assert "memory grown over 200 requests" in figures


def test_a_ratio_is_the_middle_one_of_the_rounds_and_not_that_of_their_middles() -> None:
    def turns(*latencies: float) -> Turns:
        outcomes = [{"latencies_ms": [each] * 10, "seconds": each / 100, "failed": 0} for each in latencies]
        return Turns(outcomes=outcomes, cpu_seconds=0.001)

    busy_then_calm = {"async": turns(3.0, 2.0, 1.0), "sync": turns(6.0, 4.0, 2.0), "bare": turns(2.0, 1.0, 0.5)}
    figures = {figure.what: figure for figure in over_http.figures(busy_then_calm, busy_then_calm, "bare")}
    alone = figures["async no-op, p50 at 1 connection, over bare"]
    assert (alone.value, alone.met) == (2.0, False)
    assert "3 rounds 1.50 to 2.00" in alone.note
    together = figures["sync no-op, requests/s at 16 connections, over bare"]
    assert (together.value, together.met) == (0.25, False)
    assert figures["async no-op, p99 at 16 connections"].value == 2.0
