"""The measurement of quality cycles, on a factory that is soon made."""

from benchmarks.cycle.report import as_text


def _cycle(seconds: float) -> dict[str, object]:
    parts = {"predicting": 0.6 * seconds, "measuring": 0.4 * seconds}
    return {"seconds": seconds, "cpu_seconds": seconds, "parts": parts, "evaluated": 500, "mode": "withheld"}


def test_a_report_shows_the_parts_of_every_kind_of_cycle() -> None:
    started = {
        "first": _cycle(2.5), "following": [_cycle(1.0), _cycle(4.0), _cycle(2.0)], "newer_snapshot": _cycle(3.0),
        "bare_seconds": [0.5, 0.4, 0.8], "loading_seconds": 2.0, "peak_mib": 1024.0, "warnings": [],
    }  # fmt: skip
    activation = {"first": _cycle(10.0) | {"parts": {"deciding": 10.0}}, "warnings": ["quality.alarm: "]}
    machine = {"cores": 2, "load_before": 0.1, "load_after": 1.0}
    text = as_text({"activation": activation, "start": started, "machine": machine})

    assert "| predicting | 0.00 | 1.50 | 1.20 | 1.80 |" in text  # of the following ones the median
    assert "| deciding | 10.00 | 0.00 | 0.00 | 0.00 |" in text
    assert "3 following cycles: 1.00 to 4.00 s" in text
    assert "bare predictions of the same items: 0.50 s; following 4.00 times that" in text
    assert "logged: quality.alarm" in text
