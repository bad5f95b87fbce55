"""Time a refit and a whole challenger job, and measure how accurate each form of the minutes is.

    python -m benchmarks.training                       1,500 items of the demo factory
    python -m benchmarks.training --items 5000 --output folder
    python -m benchmarks.training --snapshot FOLDER     a snapshot that was taken before
    python -m benchmarks.training --only refit-job      a whole refit job: against an active version, with its package

Each measurement is made in a process of its own, on all cores but one. The peer is scikit-learn's plain
`RandomForestRegressor` (100 trees) fitted in the same run to the same rows: features, operation and work centre in,
logarithm of the run minutes of a piece out.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.training.report import as_text

TASKS = ("refit", "challenger", "peer")  # unless others are asked for
EVERY_TASK = ("refit", "refit-job", "challenger", "peer")
WANTED = {"refit": 5.0, "challenger": 90.0}  # seconds, at 1,500 items


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_500, help="of the demo factory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--snapshot", type=Path, help="the folder of a snapshot, instead of a new demo factory")
    parser.add_argument("--only", choices=EVERY_TASK, action="append", help="measure this alone; may be repeated")
    parser.add_argument("--output", type=Path, help="folder for training.txt and training.json")
    parser.add_argument("--task", choices=(*EVERY_TASK, "active"), help=argparse.SUPPRESS)
    return parser.parse_args()


def make_snapshot(folder: Path, items: int, seed: int) -> Path:
    """Generate the demo factory and read it; return the snapshot's folder."""
    from benchmarks.accuracy.sources import READ_AT
    from shared.erp.demo.generate import generate_demo
    from shared.erp.extract import extract
    from shared.erp.profiles.model import load_profile
    from shared.erp.sources.location import FolderLocation

    generate_demo(folder / "factory", items=items, seed=seed)
    taken = extract(load_profile("demo"), FolderLocation(folder / "factory"), folder / "snapshots", now=READ_AT)
    return taken.folder


def measured(task: str, snapshot: Path) -> dict[str, Any]:
    """Run one measurement in a process of its own and return its figures."""
    words = [sys.executable, "-m", "benchmarks.training", "--task", task, "--snapshot", str(snapshot)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    asked = _arguments()
    if asked.task:
        from benchmarks.training.tasks import run

        print(json.dumps(run(asked.task, asked.snapshot, asked.output), allow_nan=False))
        return
    with tempfile.TemporaryDirectory() as scratch:
        snapshot = asked.snapshot or make_snapshot(Path(scratch), asked.items, asked.seed)
        found = {task: measured(task, snapshot) for task in asked.only or TASKS}
    text = as_text(found, WANTED if asked.items == 1_500 and asked.snapshot is None else {})
    print(text)
    if asked.output:
        asked.output.mkdir(parents=True, exist_ok=True)
        (asked.output / "training.txt").write_text(text + "\n", encoding="utf-8")
        (asked.output / "training.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
