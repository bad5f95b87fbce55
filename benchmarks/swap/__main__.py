"""Exchange the active model again and again under load, and see whether anybody notices.

    .venv/bin/python -m benchmarks.swap --items 321000 --swaps 1000
    .venv/bin/python -m benchmarks.swap --items 5000 --swaps 20 --seconds 20

Makes the demo factory, two models that answer differently, and an instance of its own (or goes on with what `--keep`
holds). Eight clients ask all the time, each again as soon as it is answered. First nothing else happens; then versions
are activated and rolled back, the next as soon as the last answer of the one before was given. Every answer is held
against what its version answers to that question alone. Only answers given between an activation and the old
version's last answer count as given during a swap. Linux only: it reads /proc.
"""

import argparse
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

from benchmarks.prediction.__main__ import surroundings
from benchmarks.prediction.figures import Figure, Spread, table
from benchmarks.prediction.instance import eventually, finish_load, load, running, start_load
from benchmarks.prediction.kept import make_instance
from benchmarks.prediction.making import VERSION
from benchmarks.prediction.questions import Questions, known_body
from benchmarks.swap import other
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


def run(instance: RunningInstance, bodies: Sequence[str], swaps: int, seconds: float) -> list[Figure]:
    """Load the instance and return the figures."""
    expected = {version: _answers(instance, bodies, version) for version in (other.VERSION, VERSION)}
    if expected[VERSION] == expected[other.VERSION]:
        raise SystemExit("the two models answer alike: a mixed answer could not be told")
    steady = load(instance.port, [_plan(bodies, seconds)])[0]
    before = resident_mib(instance)
    process = start_load(instance.port, [_plan(bodies, 24 * 3600.0)])
    try:
        time.sleep(1)
        done, most = _swap(instance, swaps)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        [under] = finish_load(process)
    finally:
        process.kill()
    time.sleep(3)
    return figures(steady, under, done, expected, (before, most, resident_mib(instance)))


def _plan(bodies: Sequence[str], seconds: float) -> dict[str, Any]:
    return {
        "path": _PATH, "bodies": list(bodies), "clients": CLIENTS, "seconds": seconds, "again": True, "tell": True,
        "warm": list(bodies),
    }  # fmt: skip


def _answers(instance: RunningInstance, bodies: Sequence[str], version: str) -> dict[str, str]:
    """Return what a version answers to each question, both as hashes."""
    if _serving(instance) != version:
        instance.post(f"models/{version}/activate", {"reason": "swap benchmark"}, status=200)
        eventually(lambda: _serving(instance) == version, f"{version} serves", 120)
    plan = {"path": _PATH, "bodies": list(bodies), "clients": 1, "tell": True}
    [outcome] = load(instance.port, [plan])
    return {question: answer for question, _, answer in outcome["told"]}


def _swap(instance: RunningInstance, swaps: int) -> tuple[list[Swap], float]:
    """Change versions back to back; return the changes and the most memory seen, in MiB."""
    done: list[Swap] = []
    most, now = 0.0, _serving(instance)
    for number in range(swaps):
        new = other.VERSION if now == VERSION else VERSION
        began = time.monotonic()
        call = f"models/{new}/activate" if number % 2 else "models/rollback"
        instance.post(call, {"reason": "swap benchmark"}, status=200)
        answered = time.monotonic()
        while _serving(instance) != new:
            most = max(most, resident_mib(instance))
            time.sleep(0.05)
            if time.monotonic() - began > 120:
                raise SystemExit(f"{new} does not serve after 120 s:\n{instance.told()}")
        done.append(Swap(old=now, new=new, began=began, answered=answered))
        now = new
    return done, most


def _serving(instance: RunningInstance) -> str:
    """Return the version that answered a new connection; the registry's row is ahead of it during a swap."""
    return str(instance.predict("no such item", as_if_unknown=True).headers["x-model-version"])


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


def figures(
    steady: dict[str, Any],
    under: dict[str, Any],
    swaps: Sequence[Swap],
    expected: dict[str, dict[str, str]],
    memory: tuple[float, float, float],
) -> list[Figure]:
    """Return what clients met, beside the steady state before."""
    at = [under["began"] + seconds for seconds in under["finished_at"]]
    versions = [version for _, version, _ in under["told"]]
    windows = [_window(swap, at, versions) for swap in swaps]
    during = [
        latency for latency, moment in zip(under["latencies_ms"], at, strict=True)
        if any(began <= moment <= ended for began, ended in windows)
    ]  # fmt: skip
    mixed = sum(expected.get(version, {}).get(question) != answer for question, version, answer in under["told"])
    calm, busy = Spread.of(steady["latencies_ms"]), Spread.of(during)
    taken = [ended - began for began, ended in windows]
    answered = [swap.answered - swap.began for swap in swaps]
    before, most, after = memory
    return [
        Figure(what="swaps", value=len(swaps), unit="swaps", note=f"{sum(taken) / len(taken):.2f} s each, longest "
               f"{max(taken):.2f} s from the call to the old version's last answer"),
        Figure(what="requests failed", value=under["failed"] + steady["failed"], unit="requests", limit=0,
               note="; ".join(under["failures"][:3])),
        Figure(what="answers mixed or of no version", value=mixed, unit="answers", limit=0,
               note=f"of {len(versions):,}"),
        Figure(what="p99 steady", value=calm.p99, unit="ms", note=calm.told),
        Figure(what="p99 during swaps", value=busy.p99, unit="ms", note=busy.told),
        Figure(what="p99 during swaps over steady", value=busy.p99 / calm.p99, unit="x", limit=P99_RATIO),
        Figure(what="longest request during swaps", value=max(during), unit="ms",
               note=f"steady {max(steady['latencies_ms']):.1f}"),
        Figure(what="longest activation or rollback call", value=max(answered), unit="s"),
        Figure(what="memory after over before", value=after / before, unit="x",
               note=f"before {before:.0f}, most {most:.0f}, after {after:.0f} MiB"),
    ]  # fmt: skip


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
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady state before")
    parser.add_argument("--keep", type=Path, help="make everything in this folder, or use what a run before left there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"before: {surroundings()}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="swap-") as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        _, environment = make_instance(folder, items=options.items, seed=options.seed)
        subprocess.run([sys.executable, "-m", "benchmarks.swap.other"], env=environment, check=True)
        os.environ.update(environment)
        with running(folder / "data") as instance:
            codes = [row["item_code"] for row in instance.get("items?limit=500")["items"]]
            bodies = [known_body([code]) for code in Questions(codes, 7).take(min(QUESTIONS, len(codes)))]
            found = run(instance, bodies, options.swaps, options.seconds)
    print(f"after: {surroundings()}", file=sys.stderr, flush=True)
    print(json.dumps([figure.as_json() for figure in found]) if options.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
