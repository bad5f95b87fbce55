"""Change single bytes of a model package at random, and count the changes that a check does not notice.

    .venv/bin/python -m benchmarks.tampering                                       # a package of 5,000 demo items
    .venv/bin/python -m benchmarks.tampering --package models/version_x --changes 10000
    .venv/bin/python -m benchmarks.tampering --items 60 --every                        # each byte of each file, in turn

Every change is made in a copy, checked as an installation checks it before anything is decoded, and taken back. All
files count by their bytes, so most changes hit the large ones; every tenth hits one below 10 kB, as the manifest is.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from shared.errors import PackageRejected
from shared.registry.build import sign_folder
from shared.registry.signing import Keys
from shared.registry.verify import check_package

_SMALL_BYTES = 10_000
BEFORE_DECODING = {"manifest", "signature", "files"}


def tamper(folder: Path, keys: Keys, changes: int, seed: int) -> Counter[str]:
    """Make the changes one at a time, and return how many each check refused; `accepted` is what must not be there."""
    dice, outcomes = random.Random(seed), Counter[str]()
    files = [path for path in sorted(folder.iterdir()) if path.stat().st_size]
    small = [path for path in files if path.stat().st_size < _SMALL_BYTES]
    sizes = [path.stat().st_size for path in files]
    for number in range(changes):
        path = dice.choice(small) if number % 10 == 0 and small else dice.choices(files, sizes)[0]
        place, change = dice.randrange(path.stat().st_size), dice.randrange(1, 256)
        _flip(path, place, change)
        outcomes[_outcome(folder, keys)] += 1
        _flip(path, place, change)
    check_package(folder, keys)
    return outcomes


def tamper_everywhere(folder: Path, keys: Keys, seed: int, step: int = 1) -> Counter[str]:
    """Change each byte of each file, the manifest's too, once (or each `step`-th); return the outcomes as `tamper`."""
    dice, outcomes = random.Random(seed), Counter[str]()
    for path in sorted(folder.iterdir()):
        for place in range(0, path.stat().st_size, step):
            change = dice.randrange(1, 256)
            _flip(path, place, change)
            outcomes[_outcome(folder, keys)] += 1
            _flip(path, place, change)
    check_package(folder, keys)
    return outcomes


def _outcome(folder: Path, keys: Keys) -> str:
    try:
        check_package(folder, keys)
    except PackageRejected as fault:
        return str(fault.facts["check"])
    return "accepted"


def _flip(path: Path, place: int, change: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        [old] = file.read(1)
        file.seek(place)
        file.write(bytes([old ^ change]))


def demo_package(folder: Path, keys: Keys, items: int) -> Path:
    """Fit and package a model of the demo factory."""
    from datetime import UTC, datetime

    from shared.configuration import default_configuration
    from shared.erp.demo.generate import generate_demo
    from shared.erp.extract import extract
    from shared.erp.profiles.model import load_profile
    from shared.erp.sources.location import FolderLocation
    from shared.prediction.fit import fit_model
    from shared.registry.build import build_package

    generate_demo(folder / "factory", items=items, seed=42)
    now = datetime.now(UTC)
    snapshot = extract(load_profile("demo"), FolderLocation(folder / "factory"), folder / "snapshots", now=now)
    build_package(fit_model(snapshot, default_configuration()), folder / "pilot", version="pilot", keys=keys)
    return folder / "pilot"


def main() -> int:
    """Count; 0 when every change was refused before anything was decoded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--every", action="store_true", help="each byte of each file in turn, not random ones")
    parser.add_argument("--step", type=int, default=1, help="with --every: each n-th byte")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="tampering-") as scratch:
        keys = Keys(Path(scratch) / "keys")
        if options.package is None:
            folder = demo_package(Path(scratch), keys, options.items)
        else:
            folder = Path(shutil.copytree(options.package, Path(scratch) / options.package.name))
            sign_folder(folder, keys)
        size = sum(path.stat().st_size for path in folder.iterdir())
        began = time.monotonic()
        if options.every:
            outcomes = tamper_everywhere(folder, keys, options.seed, options.step)
        else:
            outcomes = tamper(folder, keys, options.changes, options.seed)
    seconds = time.monotonic() - began
    told = ", ".join(f"{count} by {check}" for check, count in sorted(outcomes.items()))
    print(f"{outcomes.total()} changes of one byte in {size / 2**20:.1f} MiB: refused {told}; {seconds:.0f} s")
    return int(not outcomes.keys() <= BEFORE_DECODING)


if __name__ == "__main__":
    sys.exit(main())
