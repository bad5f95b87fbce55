"""Measure how fast the product predicts, beside peers in the same run on the same machine and data.

    .venv/bin/python -m benchmarks.prediction --items 321000
    .venv/bin/python -m benchmarks.prediction --quick
    .venv/bin/python -m benchmarks.prediction --package models/version_x --factory /factory/demo --only in-process http

Generates the demo factory (or takes the one of `--factory`), reads, fits and packages it (or takes `--package`), and
installs the package into a data directory of its own. Linux only: it reads /proc. The peers over HTTP need
requirements-benchmarks.txt. docs/SPEED.md says what each figure means.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.prediction import peers, sections
from benchmarks.prediction.figures import Figure
from benchmarks.prediction.in_process import measure
from benchmarks.prediction.kept import make_instance
from benchmarks.prediction.over_http import Amounts, benched
from benchmarks.telling import tell

QUICK = Amounts(alone=100, together=300, batch=100, load_seconds=4, arrival_seconds=10, most_per_second=150)
WHOLE = Amounts(alone=1_000, together=4_000, batch=1_000, load_seconds=30, arrival_seconds=120, most_per_second=500)
QUICK_ITEMS, WHOLE_ITEMS = 5_000, 321_000
SECTIONS = ("in-process", "start", "http", "training", "arrivals")


def run(options: argparse.Namespace, folder: Path) -> Iterator[list[Figure]]:
    """Do every chosen measurement in `folder` and yield the figures, part by part."""
    steps, environment = make_instance(
        folder, items=options.items, seed=options.seed, factory=options.factory, package=options.package
    )
    yield sections.of_making(steps)
    amounts = QUICK if options.quick else WHOLE
    peers_folder = folder / "peers"
    told_file = peers_folder / "told.json"
    if not told_file.exists():
        told = measure("peers", peers_folder, environment)
        told_file.write_text(json.dumps(told), encoding="utf-8")
    told = json.loads(told_file.read_text(encoding="utf-8"))
    if "in-process" in options.only:
        yield sections.in_process(peers_folder, environment, amounts.alone, told)
    if "start" in options.only:
        yield sections.start(peers_folder, environment, amounts.alone, told)
    if {"http", "training", "arrivals"} & set(options.only):
        os.environ.update(environment)  # what is started from here belongs to the instance
        codes, _ = peers.load_vectors(peers_folder)
        peer_apps = sections.PEER_APPS if "http" in options.only else {}
        with benched(folder / "data", peers_folder, codes, amounts, peer_apps) as bench:
            if "http" in options.only:
                yield sections.over_http(bench, told["code"])
            if "training" in options.only:
                yield sections.beside_work(bench)
            if "arrivals" in options.only:
                yield sections.arrivals(bench)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.prediction", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--items", type=int, help=f"items of the factory ({WHOLE_ITEMS:,}; {QUICK_ITEMS:,} with --quick)"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--factory", type=Path, help="a demo factory's folder, not generated then")
    parser.add_argument("--package", type=Path, help="a package's folder, not fitted then")
    parser.add_argument(
        "--keep", type=Path, help="make everything in this folder, and use what a run before left there"
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--quick", action="store_true", help="ask about fewer items")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with this process
    missing = [app for app in sections.PEER_APPS.values() if find_spec(app) is None]
    if missing and "http" in options.only:
        parser.error(f"{' and '.join(missing)} are missing: install requirements-benchmarks.txt, or leave out http")
    options.items = options.items or (QUICK_ITEMS if options.quick else WHOLE_ITEMS)
    with tempfile.TemporaryDirectory(prefix="prediction-speed-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        tell(run(options, folder), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
