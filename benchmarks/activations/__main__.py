"""Activate, roll back, refuse, remove and pin versions from four processes that are killed at random.

    .venv/bin/python -m benchmarks.activations                       # 10,000 calls on each database
    .venv/bin/python -m benchmarks.activations --databases sqlite --calls 500
    .venv/bin/python -m benchmarks.activations deaths                # a process killed at 26 moments

What is called is what the API's calls do to the rows; the checks of files before an activation change no row and are
left out. All the while another connection counts the active versions, and afterwards the events are played again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.activations.playing import play
from benchmarks.faults.__main__ import database
from shared.database.engine import migrate
from shared.settings import PROJECT_DIR


def main() -> int:
    """Play on each database; 0 when there was one active version at any time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["changes", "deaths"], default="changes")
    parser.add_argument("--databases", nargs="*", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    if options.what == "deaths":
        command = [sys.executable, "-m", "pytest", "-v", "-p", "no:randomly", "tests/registry/test_registry_deaths.py"]
        return subprocess.run(command, cwd=PROJECT_DIR, env={**os.environ, "EVERY_DEATH": "1"}, check=False).returncode
    good = True
    for kind in options.databases:
        with tempfile.TemporaryDirectory(prefix="activations-") as folder, database(kind) as given:
            url = given or f"sqlite:///{(Path(folder) / 'routing.db').as_posix()}"
            migrate(url)
            changes = play(url, calls=options.calls, workers=options.workers, seed=options.seed)
        print(f"{kind}: {changes}", flush=True)
        good = good and changes.good
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
