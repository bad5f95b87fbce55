"""Time a quality cycle of 500 items part by part, beside the bare predictions of the same items.

    python -m benchmarks.cycle                          321,000 items
    python -m benchmarks.cycle --keep FOLDER            use what `benchmarks.prediction --keep FOLDER` left there
    python -m benchmarks.cycle --items 5000 --cycles 3

Cycles run in a new process by the very call that the queue function makes. Told are the first cycle of an activation
(which also draws the reference of the alarm's test), the first after a start, those that follow (median), and the
first one that finds a newer snapshot. Loading the model comes before and is told beside. The peer is the same model's
batch answer for the same items and quantities, without reading, measuring or storing anything.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.cycle.report import as_text
from benchmarks.prediction.kept import make_instance
from launcher.environment import instance_environment

DATABASE = "routing.db"
NOT_NEEDED = {"azurite", "funchost", "logs", "quarantine", "run", "staging"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cycle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=321_000, help="of the demo factory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--sample-size", type=int, default=500)
    parser.add_argument("--strategy", default="random")
    parser.add_argument("--cycles", type=int, default=6, help="after the first one")
    parser.add_argument("--keep", type=Path, help="make the instance here, or use the one that is here")
    parser.add_argument("--output", type=Path, help="folder for cycle.txt and cycle.json")
    return parser.parse_args()


def copy_instance(data_dir: Path, copy: Path) -> None:
    """Copy what cycles need of an instance; files that nobody writes to are linked where that is possible."""
    copy.mkdir()
    for entry in data_dir.iterdir():
        if entry.is_dir() and entry.name not in NOT_NEEDED:
            shutil.copytree(entry, copy / entry.name, copy_function=_link)
    with (
        closing(sqlite3.connect(data_dir / DATABASE)) as original,
        closing(sqlite3.connect(copy / DATABASE)) as other,
    ):
        original.backup(other)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def measured(task: str, asked: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """Run cycles in a process of their own and return what it told."""
    words = [str(asked.sample_size), asked.strategy, str(asked.cycles)]
    command = [sys.executable, "-m", "benchmarks.cycle.running", task, *words]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> int:
    """Measure and print the table."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="cycle-speed-", dir=asked.keep) as scratch:
        folder = (asked.keep or Path(scratch)).resolve()
        _, environment = make_instance(folder, items=asked.items, seed=asked.seed)
        copy = Path(scratch).resolve() / "copy"
        copy_instance(folder / "data", copy)
        environment |= instance_environment(copy)
        load_before = os.getloadavg()[0]
        found = {task: measured(task, asked, environment) for task in ("activation", "start")}
        found["machine"] = {"cores": os.cpu_count(), "load_before": load_before, "load_after": os.getloadavg()[0]}
    text = as_text(found)
    print(text)
    if asked.output:
        asked.output.mkdir(parents=True, exist_ok=True)
        (asked.output / "cycle.txt").write_text(text + "\n", encoding="utf-8")
        (asked.output / "cycle.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
