"""Break a small real instance in every way that can be arranged, and count what was lost, doubled or stuck.

    .venv/bin/python -m benchmarks.faults crashes                     # kill -9 at every point, on SQLite
    .venv/bin/python -m benchmarks.faults crashes --database postgresql
    .venv/bin/python -m benchmarks.faults crashes --points claim burial --rounds 3
    .venv/bin/python -m benchmarks.faults machine                     # disk full, clock set back, storage set back
    .venv/bin/python -m benchmarks.faults cancel --rounds 20          # how long a cancellation takes

Linux only; everything lives in a temporary folder and ends with this program.
"""

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.faults import cancelling, crashes, machine
from benchmarks.faults.instance import Instance, make_instance
from benchmarks.faults.points import POINTS


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """Yield the URL of a new database: empty for SQLite below the data directory."""
    if kind == "sqlite":
        yield ""
        return
    from tests.postgresql import running_postgresql

    with running_postgresql() as server:
        own = server.new_database()
        yield own.url


@contextlib.contextmanager
def instance_on(kind: str) -> Iterator[Instance]:
    """Yield an instance in a temporary folder; its storage and host are to be started."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, database(kind) as url:
        instance = make_instance(Path(folder), url)
        try:
            yield instance
        finally:
            instance.stop()


def _crashes(options: argparse.Namespace) -> int:
    wanted = [p for p in POINTS if not options.points or any(word in p.name for word in options.points)]
    results: list[crashes.Round] = []
    with instance_on(options.database) as instance:
        instance.start_storage()
        instance.start_host()
        for _ in range(options.rounds):
            for point in wanted:
                results.append(crashes.play(instance, point))
                print(f"{'ok ' if results[-1].good else 'BAD'} {results[-1]}", flush=True)
    _table(results, options.database)
    return int(not all(result.good for result in results))


def _table(results: Sequence[crashes.Round], kind: str) -> None:
    print(f"\n{len(results)} deaths at {len({r.point for r in results})} points, {kind}\n")
    print("| killed at | rounds | lost | doubled | stuck | attempts | taken up, s | ended, s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in dict.fromkeys(result.point for result in results):
        group = [result for result in results if result.point == name]
        counts = [sum(bool(getattr(r, what)) for r in group) for what in ("lost", "doubled", "stuck")]
        print(
            f"| {name} | {len(group)} | {' | '.join(map(str, counts))} | {max(r.attempts for r in group)} "
            f"| {_longest([r.taken_up_seconds for r in group])} | {_longest([r.ended_seconds for r in group])} |"
        )
    taken_up = [r.taken_up_seconds for r in results if r.taken_up_seconds is not None]
    if taken_up:
        print(
            f"\nlost {sum(bool(r.lost) for r in results)}, doubled {sum(bool(r.doubled) for r in results)}, "
            f"stuck {sum(bool(r.stuck) for r in results)}, not met {sum(not r.died for r in results)}; "
            f"taken up after {statistics.median(taken_up):.1f} s (median), {max(taken_up):.1f} s (longest)"
        )


def _longest(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{max(known):.1f}" if known else "-"


def _machine(options: argparse.Namespace) -> int:
    results = []
    for fault in machine.FAULTS:
        if options.faults and fault.__name__ not in options.faults:
            continue
        with tempfile.TemporaryDirectory(prefix="faults-") as folder, database(options.database) as url:
            results.append(fault(Path(folder), url))
            print(results[-1], flush=True)
    return int(not all(result.good for result in results))


def _cancel(options: argparse.Namespace) -> int:
    with instance_on(options.database) as instance:
        instance.start_storage()
        instance.start_host()
        return cancelling.measure(instance, options.rounds)


def main() -> int:
    """Run what was asked for; 0 when nothing was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("crashes", _crashes), ("machine", _machine), ("cancel", _cancel)):
        command = commands.add_parser(name)
        command.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
        command.set_defaults(run=run)
        if name == "machine":
            command.add_argument("--faults", nargs="*", default=[])
        else:
            command.add_argument("--rounds", type=int, default=20 if name == "cancel" else 1)
        if name == "crashes":
            command.add_argument("--points", nargs="*", default=[], help="only points whose names hold one of these")
    options = parser.parse_args()
    result: int = options.run(options)
    return result


if __name__ == "__main__":
    sys.exit(main())
