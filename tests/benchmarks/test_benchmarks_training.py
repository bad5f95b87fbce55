"""The measurement of trainings, on a factory that is soon trained."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.training.report import as_text


def test_a_refit_and_its_peer_are_measured_in_processes_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.training", "--items", "100", "--only", "refit", "--only", "peer"]
    done = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert found["refit"]["items"] == 100
    assert found["refit"]["seconds"] > sum(found["refit"]["steps"].values()) - 0.5 > 0
    assert {"packaging", "learning the minutes"} <= set(found["refit"]["steps"])
    assert found["peer"]["rows"] > 0
    assert f"peak memory {found['refit']['peak_mib']:,.0f} MiB" in done.stdout


def test_a_report_shows_every_contender_with_its_interval() -> None:
    figure = {"value": 12.345, "n": 900, "low": 11.0, "high": 13.5}
    one = {
        "name": "mlp", "metrics": {"trim_mae": figure, "mdape": figure, "interval_coverage": {"value": None, "n": 0}},
        "cv_scores": [10.0, None], "inference_latency_ms": {"p50": 2.0}, "slowdown": 1.1, "training_seconds": 3.0,
        "is_selected": True,
    }  # fmt: skip
    job = {
        "items": 1_500, "seconds": 60.0, "cpu_seconds": 50.0, "peak_mib": 512.0, "steps": {"forest": 5.0, "none": 0.0},
        "tried": [one], "promoted": False, "reason": "not 5% better",
    }  # fmt: skip
    text = as_text({"challenger": job}, {"challenger": 90.0})
    assert "60.0 s, wanted 90 s" in text
    assert "12.35 [11.00, 13.50]" in text or "12.34 [11.00, 13.50]" in text
    assert "coverage unknown, n 900; folds 10.00 -" in text
    assert "promoted: no: not 5% better" in text
    assert "none" not in text
