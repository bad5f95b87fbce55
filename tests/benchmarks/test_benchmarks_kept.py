"""One small instance as `benchmarks.prediction --keep` leaves it: its speed is measured, and that of its cycles."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.prediction import __main__ as harness

pytestmark = pytest.mark.slow
ITEMS = "300"

Kept = tuple[Path, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The folder, and the figures of what was measured while it was made."""
    folder = tmp_path_factory.mktemp("kept")
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert harness.main(["--quick", "--items", ITEMS, "--keep", str(folder), "--json", "--only", "start"]) == 0
    return folder, {figure["what"]: figure for figure in json.loads(told.getvalue())}


def test_the_benchmark_makes_a_model_and_measures_it(kept: Kept) -> None:
    _folder, figures = kept
    assert {"fit, index and package", "new process to its first right answer"} <= set(figures)
    assert figures["scikit-learn or scipy in a predicting process"]["met"]


def test_cycles_of_an_instance_are_measured_and_leave_it_as_it_was(kept: Kept, tmp_path: Path) -> None:
    folder, _figures = kept
    words = ["--items", ITEMS, "--sample-size", "20", "--cycles", "2", "--keep", str(folder)]
    command = [sys.executable, "-m", "benchmarks.cycle", *words, "--output", str(tmp_path / "told")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "told" / "cycle.json").read_text(encoding="utf-8"))
    start = found["start"]
    for cycle in (found["activation"]["first"], start["first"], *start["following"], start["newer_snapshot"]):
        assert {"sampling", "reading actuals", "predicting", "measuring", "storing"} <= set(cycle["parts"])
        assert cycle["seconds"] == pytest.approx(sum(cycle["parts"].values()))
        assert 0 < cycle["evaluated"] <= 20
    assert len(list((folder / "data" / "snapshots").iterdir())) == 1
    assert not list(folder.glob("cycle-speed-*"))
