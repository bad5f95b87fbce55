"""Attack an audit 10,000 times, and measure how fast one is verified.

    .venv/bin/python -m benchmarks.audit                      # 10,000 changes; 300,000 events verified
    .venv/bin/python -m benchmarks.audit --postgresql URL     # verified there, too: an empty database

Each change is made to a copy of a sealed audit whose attacker may write whatever he likes to the database and has no
key; `manage.py audit verify`'s own check then says whether it sees it. The peer of the speed is a bare loop that hashes
the same bytes, already in memory.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import orjson
import structlog
from sqlalchemy import Engine, insert, select

from benchmarks.audit.attacking import attack
from benchmarks.audit.making import Copy, make_audit
from shared.audit.checking import stored_rows
from shared.audit.events import EVENTS, HASHED
from shared.audit.seal import Seal
from shared.database.engine import make_engine, migrate


def main() -> int:
    """Print the figures; 1 where a change was not seen or an untouched audit does not verify."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        seen = _attack(Path(scratch, "attack"), options)
        fine = _measure(Path(scratch, "speed"), options)
    return 0 if seen and fine else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=120, help="events of the audit that is attacked")
    parser.add_argument("--events", type=int, default=300_000, help="events of the audit whose verification is timed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--postgresql", help="URL of an empty database to verify the same events in")
    return parser.parse_args()


def _attack(folder: Path, options: argparse.Namespace) -> bool:
    folder.mkdir()
    engine, audit = make_audit(folder, options.rows, options.seed)
    untouched = audit.verify().ok
    copy = Copy(engine, folder / "keys")
    untouched = untouched and copy.seal.verify().ok
    started = time.perf_counter()
    outcome = attack(copy, options.changes, options.seed)
    print(f"an audit of {options.rows} events, untouched: {'verifies' if untouched else 'DOES NOT VERIFY'}")
    for kind in sorted(outcome.tried):
        print(f"  {kind:22} {outcome.found[kind]:6,} of {outcome.tried[kind]:6,} found")
    total, found = sum(outcome.tried.values()), sum(outcome.found.values())
    print(f"  {'all':22} {found:6,} of {total:6,} found, in {time.perf_counter() - started:.0f} s")
    for missed in outcome.missed[:10]:
        print(f"  MISSED: {missed}")
    engine.dispose()
    return untouched and outcome.all_found


def _measure(folder: Path, options: argparse.Namespace) -> bool:
    folder.mkdir()
    engine, audit = make_audit(folder, options.events, options.seed)
    fine = _report("SQLite", engine, audit.seal, options)
    if options.postgresql:
        migrate(options.postgresql)
        other = make_engine(options.postgresql)
        with engine.connect() as connection, other.begin() as target:
            rows = connection.execute(select(EVENTS).order_by(EVENTS.c.sequence)).mappings()
            for part in rows.partitions(5_000):
                target.execute(insert(EVENTS), [dict(row) for row in part])
        fine = _report("PostgreSQL", other, Seal(other, folder / "keys"), options) and fine
        other.dispose()
    engine.dispose()
    return fine


def _report(name: str, engine: Engine, seal: Seal, options: argparse.Namespace) -> bool:
    bare, product = [], []
    with stored_rows(engine) as rows:
        documents = [orjson.dumps(row[: len(HASHED)]) for row in rows]
        size = sum(map(len, documents)) / len(documents)
    fine = True
    for _ in range(options.repeats):
        bare.append(len(documents) / _bare_seconds(documents))
        started = time.perf_counter()
        verdict = seal.verify()
        product.append(verdict.events / (time.perf_counter() - started))
        fine = fine and verdict.ok and verdict.events == options.events
    speed, peer = statistics.median(product), statistics.median(bare)
    print(f"{name}: {options.events:,} events of {size:.0f} bytes verified at {speed:,.0f} events/s ", end="")
    print(f"(least {min(product):,.0f}); bare hashing {peer:,.0f}/s, {peer / speed:.2f} times as fast")
    if not fine:
        print("  THE UNTOUCHED AUDIT DOES NOT VERIFY")
    return fine


def _bare_seconds(documents: list[bytes]) -> float:
    link = b"0" * 128
    started = time.perf_counter()
    for document in documents:
        link = hashlib.sha256(document + link).hexdigest().encode() * 2
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
