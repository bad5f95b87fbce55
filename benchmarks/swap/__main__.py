"""Exchange the active model again and again under load, and see whether anybody notices.

    .venv/bin/python -m benchmarks.swap --items 321000 --swaps 1000
    .venv/bin/python -m benchmarks.swap --items 5000 --swaps 20 --seconds 20

Makes the demo factory, two models that answer differently, and an instance of its own (or goes on with what `--keep`
holds). Eight clients ask all the time, each again as soon as it is answered. First nothing else happens; then versions
are activated and rolled back, the next as soon as the last answer of the one before was given; and so on in turn, since
such a machine's own speed changes from minute to minute. Every answer is held
against what its version answers to that question alone. Only answers given between an activation and the old
version's last answer count as given during a swap. Linux only: it reads /proc.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.prediction.figures import Figure, Spread, table
from benchmarks.prediction.instance import eventually, finish_load, load, running, start_load
from benchmarks.prediction.kept import make_instance
from benchmarks.prediction.making import VERSION
from benchmarks.prediction.questions import Questions, known_body
from benchmarks.swap import other
from benchmarks.telling import tell_surroundings
from tests.acceptance.acceptance_support import RunningInstance

CLIENTS, QUESTIONS = 8, 64
P99_RATIO = 1.25
_PATH = "/api/predictions"


@dataclass(frozen=True, kw_only=True)
class Swap:
    """One change of the active version, by the monotonic clock."""

    old: str
    new: str
    began: float
    answered: float  # when the registry had answered


@dataclass(kw_only=True)
class Memory:
    """MiB of all the instance's processes: before the swaps, the most while they went on, and after them."""

    before: float = 0.0
    most: float = 0.0
    after: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Round:
    """What the clients met while nothing else happened, and then while versions changed back to back."""

    calm: dict[str, Any]
    under: dict[str, Any]
    swaps: list[Swap]


def run(
    instance: RunningInstance, bodies: Sequence[str], swaps: int, rounds: int, seconds: float, memory: Memory
) -> list[Figure]:
    """Load the instance and return the figures."""
    expected = {version: _answers(instance, bodies, version) for version in (other.VERSION, VERSION)}
    if expected[VERSION] == expected[other.VERSION]:
        raise SystemExit("the two models answer alike: a mixed answer could not be told")
    load(instance.port, [_plan(bodies, 2.0)])
    memory.before = resident_mib(instance)
    found: list[Round] = []
    for number in range(rounds):
        calm = load(instance.port, [_plan(bodies, seconds / rounds)])[0]
        share = swaps // rounds + (number < swaps % rounds)
        found.append(_round(instance, bodies, calm, share, memory))
        print(f"round {number + 1} of {rounds}: {share} swaps", file=sys.stderr, flush=True)
    time.sleep(3)
    memory.after = resident_mib(instance)
    return figures(found, expected, memory)


def _round(instance: RunningInstance, bodies: Sequence[str], calm: dict[str, Any], swaps: int, memory: Memory) -> Round:
    process = start_load(instance.port, [_plan(bodies, 24 * 3600.0)])
    try:
        time.sleep(1)
        done = _swap(instance, swaps, bodies[0], memory)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        [under] = finish_load(process)
    finally:
        process.kill()
    return Round(calm=calm, under=under, swaps=done)


def _plan(bodies: Sequence[str], seconds: float) -> dict[str, Any]:
    return {
        "path": _PATH, "bodies": list(bodies), "clients": CLIENTS, "seconds": seconds, "again": True, "tell": True,
        "warm": list(bodies),
    }  # fmt: skip


def _answers(instance: RunningInstance, bodies: Sequence[str], version: str) -> dict[str, str]:
    """Return what a version answers to each question, both as hashes."""
    if _serving(instance, bodies[0]) != version:
        instance.post(f"models/{version}/activate", {"reason": "swap benchmark"}, status=200)
        eventually(lambda: _serving(instance, bodies[0]) == version, f"{version} serves", 120)
    plan = {"path": _PATH, "bodies": list(bodies), "clients": 1, "tell": True}
    [outcome] = load(instance.port, [plan])
    return {question: answer for question, _, answer in outcome["told"]}


def _swap(instance: RunningInstance, swaps: int, question: str, memory: Memory) -> list[Swap]:
    """Change versions back to back and return the changes."""
    done: list[Swap] = []
    now, looks = _serving(instance, question), itertools.count()
    for number in range(swaps):
        new = other.VERSION if now == VERSION else VERSION
        began = time.monotonic()
        call = f"models/{new}/activate" if number % 2 else "models/rollback"
        instance.post(call, {"reason": "swap benchmark"}, status=200)
        answered = time.monotonic()
        while _serving(instance, question) != new:
            if next(looks) % 10 == 0:  # itself a load: it walks the page tables of every process
                memory.most = max(memory.most, resident_mib(instance))
            time.sleep(0.1)
            if time.monotonic() - began > 120:
                raise SystemExit(f"{new} does not serve after 120 s:\n{instance.told()}")
        done.append(Swap(old=now, new=new, began=began, answered=answered))
        now = new
    return done


def _serving(instance: RunningInstance, question: str) -> str:
    """Return the version that answered a new connection; the registry's row is ahead of it during a swap."""
    connection = http.client.HTTPConnection("127.0.0.1", instance.port, timeout=30)  # others make a TLS context first
    with contextlib.closing(connection):
        connection.request("POST", _PATH, question)
        return str(connection.getresponse().headers["x-model-version"])


def resident_mib(instance: RunningInstance) -> float:
    """Return the memory of the instance's processes, shared pages counted once."""
    total = 0
    for pid in instance.members():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total / 1024


def figures(rounds: Sequence[Round], expected: dict[str, dict[str, str]], memory: Memory) -> list[Figure]:
    """Return what clients met, beside the calm before each row of swaps."""
    windows = [window for each in rounds for window in _windows(each)]
    answers = [answer for each in rounds for answer in each.under["told"]]
    mixed = sum(expected.get(version, {}).get(question) != answer for question, version, answer in answers)
    calm = Spread.of([latency for each in rounds for latency in each.calm["latencies_ms"]])
    busy = Spread.of([latency for each in rounds for latency in _during(each)])
    longest_calm = max(max(each.calm["latencies_ms"]) for each in rounds)
    longest = max(max(_during(each)) for each in rounds)
    taken = [ended - began for began, ended in windows]
    answered = [swap.answered - swap.began for each in rounds for swap in each.swaps]
    parts = [part for each in rounds for part in (each.calm, each.under)]
    failures = [failure for part in parts for failure in part["failures"]]
    return [
        Figure(what="swaps", value=len(windows), unit="swaps", note=f"{sum(taken) / len(taken):.2f} s each, longest "
               f"{max(taken):.2f} s from the call to the old version's last answer"),
        Figure(what="requests failed", value=sum(part["failed"] for part in parts), unit="requests", limit=0,
               note="; ".join(failures[:3])),
        Figure(what="answers mixed or of no version", value=mixed, unit="answers", limit=0,
               note=f"of {len(answers):,}"),
        Figure(what="p99 steady", value=calm.p99, unit="ms", note=calm.told),
        Figure(what="p99 during swaps", value=busy.p99, unit="ms", note=busy.told),
        Figure(what="p99 during swaps over steady", value=busy.p99 / calm.p99, unit="x", limit=P99_RATIO),
        Figure(what="longest request during swaps", value=longest, unit="ms", note=f"steady {longest_calm:.1f}"),
        Figure(what="longest activation or rollback call", value=max(answered), unit="s"),
        Figure(what="memory after over before", value=memory.after / memory.before, unit="x",
               note=f"before {memory.before:.0f}, most {memory.most:.0f}, after {memory.after:.0f} MiB"),
    ]  # fmt: skip


def _moments(under: dict[str, Any]) -> list[float]:
    """Return when each answer was whole, by the monotonic clock."""
    return [under["began"] + seconds for seconds in under["finished_at"]]


def _during(each: Round) -> list[float]:
    """Return the latencies, in milliseconds, of the answers given within a swap."""
    windows = _windows(each)
    pairs = zip(each.under["latencies_ms"], _moments(each.under), strict=True)
    return [latency for latency, at in pairs if any(began <= at <= ended for began, ended in windows)]


def _windows(each: Round) -> list[tuple[float, float]]:
    versions = [version for _, version, _ in each.under["told"]]
    moments = _moments(each.under)
    return [_window(swap, moments, versions) for swap in each.swaps]


def _window(swap: Swap, at: Sequence[float], versions: Sequence[str]) -> tuple[float, float]:
    """Return from when to when a swap lasted: from the call to the old version's last answer before the next swap."""
    new = [moment for moment, version in zip(at, versions, strict=True) if version == swap.new and moment > swap.began]
    first = min(new, default=swap.answered)
    old = [
        moment for moment, version in zip(at, versions, strict=True)
        if version == swap.old and swap.began <= moment <= first + 5
    ]  # fmt: skip
    return swap.began, max(old, default=swap.answered)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.swap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=321_000, help="items of the factory")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--swaps", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady state, over all rounds")
    parser.add_argument("--rounds", type=int, default=4, help="rows of swaps, a part of the steady state before each")
    parser.add_argument("--keep", type=Path, help="make everything in this folder, or use what a run before left there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tell_surroundings("before")
    with tempfile.TemporaryDirectory(prefix="swap-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _, environment = make_instance(folder, items=options.items, seed=options.seed)
        subprocess.run([sys.executable, "-m", "benchmarks.swap.other"], env=environment, check=True)
        os.environ.update(environment)
        with running(folder / "data") as instance:
            codes = [row["item_code"] for row in instance.get("items?limit=500")["items"]]
            bodies = [known_body([code]) for code in Questions(codes, 7).take(min(QUESTIONS, len(codes)))]
            found = run(instance, bodies, options.swaps, options.rounds, options.seconds, Memory())
    tell_surroundings("after")
    print(json.dumps([figure.as_json() for figure in found]) if options.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
