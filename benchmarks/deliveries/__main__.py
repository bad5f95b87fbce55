"""Deliver messages 1 to 5 times, in any order, to four worker processes, and count each message's effects.

.venv/bin/python -m benchmarks.deliveries                       # 1,000 small jobs and 20 whole ones, both databases
.venv/bin/python -m benchmarks.deliveries --databases sqlite --messages 200 --whole 0
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.deliveries.playing import play
from benchmarks.faults.__main__ import database
from tests.training.training_plant import build_plant


def main() -> int:
    """Play on each database; 0 when every message had its effect exactly once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", nargs="*", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--whole", type=int, default=20, help="jobs with a child that trains")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    exact = True
    for kind in options.databases:
        for jobs, count in (("small", options.messages), ("whole", options.whole)):
            if count == 0:
                continue
            with tempfile.TemporaryDirectory(prefix="deliveries-") as folder, database(kind) as url:
                data_dir = Path(folder) / "data"
                build_plant(data_dir, database_url=url)
                done = play(data_dir, url, messages=count, workers=options.workers, seed=options.seed, kind=jobs)
            print(f"{kind}, {jobs} jobs: {done}", flush=True)
            exact = exact and done.exact
    return int(not exact)


if __name__ == "__main__":
    sys.exit(main())
