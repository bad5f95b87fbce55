"""Measure what the embedded Functions host costs, beside bare peers in the same run.

    .venv/bin/python -m benchmarks.host
    .venv/bin/python -m benchmarks.host --quick
    .venv/bin/python -m benchmarks.host --only http memory

Functions that do nothing are asked over HTTP, with keys, metrics and log lines on and in a worker process of their own,
beside Starlette on the same server with the same settings, which writes the same log line a request; contenders take
turns, and a ratio is made of each round. Messages go through a queue function beside a bare loop of the storage SDK,
blobs are dropped at random moments, and hosts are started. Linux only: it reads /proc. Starlette stands in
requirements-benchmarks.txt; `--peer asgi` does without and holds the host against the bare server.
docs/SPEED.md says what each figure means.
"""

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from benchmarks.host import events, over_http, peers
from benchmarks.host.running import EMPTY, NOOPS, host, peer, seconds_to_answer, served_by, write_app
from benchmarks.prediction.figures import Figure
from benchmarks.telling import tell
from tests.conformance.account import Account

SECTIONS = ("http", "memory", "queue", "blob", "start")
START_SECONDS = 1.5
WHOLE_HTTP = over_http.Amounts(rounds=7, alone=4_000, together=16_000, warm=4_000, remembered=100_000)
QUICK_HTTP = over_http.Amounts(rounds=3, alone=500, together=1_600, warm=500, remembered=5_000)
WHOLE_EVENTS = events.Amounts(rounds=5, messages=1_000, blobs=8)
QUICK_EVENTS = events.Amounts(rounds=1, messages=100, blobs=1)


def run(options: argparse.Namespace, folder: Path) -> Iterator[list[Figure]]:
    """Do every chosen measurement and yield the figures, part by part."""
    amounts = QUICK_HTTP if options.quick else WHOLE_HTTP
    if {"http", "memory"} & set(options.only):
        with ExitStack() as stack:
            running = stack.enter_context(host(write_app(folder / "noops", NOOPS)))
            own = [served_by(running, kind) for kind in ("async", "sync")]
            if "http" in options.only:
                contenders = [stack.enter_context(peer(options.peer, folder)), *own]
                over_http.warm_up(contenders, amounts)
                alone = over_http.measure(contenders, amounts, 1)
                yield over_http.figures(alone, over_http.measure(contenders, amounts, over_http.CLIENTS), options.peer)
            if "memory" in options.only:
                yield [over_http.memory(own[0], amounts)]
    if {"queue", "blob"} & set(options.only):
        yield from _events(options, folder)
    if "start" in options.only:
        yield [_start(folder, 1 if options.quick else 5)]


def _events(options: argparse.Namespace, folder: Path) -> Iterator[list[Figure]]:
    amounts = QUICK_EVENTS if options.quick else WHOLE_EVENTS
    with events.storage(folder / "azurite") as azurite:
        account = Account(azurite.connection_string)
        with events.listening(folder / "listeners", account) as running:
            if "queue" in options.only:
                yield [events.messages(running, account, amounts)]
            if "blob" in options.only:
                yield events.blobs(running, account, amounts)
        account.close()


def _start(folder: Path, times: int) -> Figure:
    app_dir = write_app(folder / "empty", EMPTY)
    seconds = [seconds_to_answer(app_dir, "/api/async", number) for number in range(times)]
    return Figure(
        what="start of an empty app to its first answer", value=statistics.median(seconds), unit="s",
        limit=START_SECONDS, note=f"median of {times}, {min(seconds):.2f} to {max(seconds):.2f}",
    )  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.host", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--peer", choices=peers.APPS, default="starlette", help="what the HTTP functions stand beside")
    parser.add_argument("--quick", action="store_true", help="ask and send less; its ratios are rough")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with this process
    if "http" in options.only and options.peer == "starlette" and find_spec("starlette") is None:
        parser.error("starlette is missing: install requirements-benchmarks.txt, or say --peer asgi")
    with tempfile.TemporaryDirectory(prefix="host-speed-") as scratch:
        tell(run(options, Path(scratch)), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
