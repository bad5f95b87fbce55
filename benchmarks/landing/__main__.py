"""How long a dropped package takes to be `pending`, a rollback to be made, and every host to follow it.

    .venv/bin/python -m benchmarks.landing --items 321000
    .venv/bin/python -m benchmarks.landing --keep FOLDER --drops 10 --zips 3 --changes 20

Makes the demo factory, two models and an instance of its own (or goes on with what `--keep` holds). Packages of the
fitted model's files, each signed under a new name, are uploaded with the ordinary SDK, the manifest last; the time runs
from the end of that upload to the end of the registration, whose row comes with the version's `pending` one. Beside
each, the SDK alone streams and hashes the same blobs. Then versions are activated and rolled back over HTTP on two
hosts of the same database, folder and storage. What was made is removed; the rows stay as history.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.landing import dropping
from benchmarks.landing.changes import Change, change, second_host
from benchmarks.landing.dropping import Landing
from benchmarks.prediction.figures import Figure, table
from benchmarks.prediction.instance import running
from benchmarks.prediction.kept import make_instance
from benchmarks.prediction.making import VERSION
from benchmarks.telling import tell_surroundings
from launcher.environment import instance_environment, with_recorded_storage
from shared.registry.signing import Keys
from tests.acceptance.acceptance_support import RunningInstance

PENDING_SECONDS = 5.0
ROLLBACK_SECONDS = 1.0
FOLLOW_SECONDS = 5.0


def drops(instance: RunningInstance, source: Path, scratch: Path, counts: tuple[int, int]) -> list[Figure]:
    """Drop folders and archives and return what became of them; `counts` says how many of each."""
    environment = with_recorded_storage(instance_environment(instance.data_dir))
    container = dropping.container_of(environment["AzureWebJobsStorage"])
    keys = Keys(instance.data_dir / "keys")
    folders: list[Landing] = []
    archives: list[Landing] = []
    peers: list[float] = []
    with dropping.packages_like(source, scratch, keys, sum(counts)) as packages:
        for number, package in enumerate(packages):
            drop, found = (dropping.drop_folder, folders) if number < counts[0] else (dropping.drop_zip, archives)
            try:
                landing = dropping.landed(instance, package.name, drop(container, package))
                found.append(landing)
                print(f"{package.name}: {landing.seconds:.2f} s {_told(landing)}", file=sys.stderr, flush=True)
                peers.append(dropping.bare_download(container, package.name))
            finally:
                dropping.forget(instance, container, package.name)
    figures = _figures("a folder", folders, peers[: counts[0]], limit=PENDING_SECONDS)
    return figures + _figures("a zip archive, found by the sweep", archives, peers[counts[0] :], limit=None)


def _figures(what: str, found: Sequence[Landing], peers: Sequence[float], limit: float | None) -> list[Figure]:
    if not found:
        return []
    seconds, peer = [landing.seconds for landing in found], statistics.median(peers)
    spread = f"n {len(found)}, {min(seconds):.2f} to {max(seconds):.2f}"
    figures = [
        Figure(what=f"{what}, to pending, median", value=statistics.median(seconds), unit="s", limit=limit, note=spread,
               peer_name="bare SDK download + SHA-256", peer=peer),
        Figure(what=f"{what}, to pending, longest", value=max(seconds), unit="s", limit=limit),
    ]  # fmt: skip
    for part in found[0].parts:
        values = [landing.parts.get(part, 0.0) for landing in found]
        note = f"{min(values):.2f} to {max(values):.2f}"
        figures.append(Figure(what=f"{what}: {part}", value=statistics.median(values), unit="s", note=note))
    return figures


def _told(landing: Landing) -> str:
    return ", ".join(f"{name} {seconds:.2f}" for name, seconds in landing.parts.items())


def changes(found: Sequence[Change]) -> list[Figure]:
    """Return how long the calls took and when both hosts had followed."""
    figures = []
    for call, limit in (("rollback", ROLLBACK_SECONDS), ("activate", None)):
        seconds = [each.seconds for each in found if each.call == call]
        note = f"n {len(seconds)}, median {statistics.median(seconds):.2f}"
        figures.append(Figure(what=f"{call}, longest call", value=max(seconds), unit="s", limit=limit, note=note))
    for host, name in enumerate(("the host that was asked", "another host")):
        followed = [each.followed[host] for each in found]
        note = f"n {len(followed)}, median {statistics.median(followed):.2f}, from the call's answer"
        figures.append(
            Figure(what=f"{name} follows, longest", value=max(followed), unit="s", limit=FOLLOW_SECONDS, note=note)
        )
    return figures


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.landing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=321_000, help="items of the factory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--drops", type=int, default=5, help="packages dropped as folders")
    parser.add_argument("--zips", type=int, default=2, help="packages dropped as archives")
    parser.add_argument("--changes", type=int, default=20, help="rollbacks and activations, in turn")
    parser.add_argument(
        "--pause", type=float, default=30.0, help="seconds between changes; a spare worker is ready after some 25"
    )
    parser.add_argument("--keep", type=Path, help="make everything in this folder, or use what a run before left there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tell_surroundings("before")
    with tempfile.TemporaryDirectory(prefix="landing-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _, environment = make_instance(folder, items=options.items, seed=options.seed)
        if options.changes:
            subprocess.run([sys.executable, "-m", "benchmarks.swap.other"], env=environment, check=True)
        os.environ.update(environment)
        found: list[Figure] = []
        with running(folder / "data") as instance:
            counts = (options.drops, options.zips)
            found += drops(instance, folder / "packages" / VERSION, folder / "landing", counts)
            if options.changes:
                with second_host(instance) as port:
                    ports = [instance.port, port]
                    found += changes(change(instance, ports, options.changes, pause_seconds=options.pause))
    tell_surroundings("after")
    print(json.dumps([figure.as_json() for figure in found]) if options.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
