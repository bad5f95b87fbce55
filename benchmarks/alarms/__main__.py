"""`python -m benchmarks.alarms [--quick] --output FOLDER`: false alarms and power of the alarm, as table and chart."""

import argparse
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alarms.charts import power_chart
from benchmarks.alarms.handicaps import handicaps_table
from benchmarks.alarms.lives import LIVES, many
from benchmarks.alarms.worlds import CHANGE, CYCLES, EASY, HARD, RATE, World, oracle_cusum, simulate
from shared.quality.evidence.shares import RISE_OF_ERRORS, limit, share_of_stream
from shared.quality.intervals import wilson

FOLLOWED = 60
DELAYS = (7, 14, 30, 60)
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One world's figures."""

    world: World
    false_alarms: dict[str, Any]
    naive_false_alarms: float
    test: list[float]  # share caught within 1, 2, … cycles
    oracle: list[float]


def measure(world: World, *, histories: int, seed: int, parts: Floats | None = None) -> Result:
    """Simulate without and with a rise of 20 % after `CHANGE` cycles."""
    least = limit(RATE, share_of_stream(RISE_OF_ERRORS))
    quiet = simulate(world, histories=histories, cycles=CYCLES, seed=seed)
    alarmed = (quiet.evidence.max(axis=1) >= least).astype(np.float64)
    centre = float(quiet.oracle.mean()) if world.residuals is not None else 0.0  # what the oracle knows
    oracle_limit = float(np.quantile(oracle_cusum(world, quiet.oracle - centre).max(axis=1), 1 - RATE))
    ramp = np.ones(FOLLOWED) if parts is None else parts
    whole = np.concatenate([np.zeros(CHANGE), ramp])
    risen = simulate(world, histories=histories, cycles=len(whole), seed=seed + 1, rise=1.2, parts=whole)
    known = oracle_cusum(world, risen.oracle - centre)
    return Result(
        world=world,
        false_alarms=wilson(alarmed, np.ones(histories)).as_json(),
        naive_false_alarms=float((quiet.naive.max(axis=1) > 0).mean()),
        test=_caught(risen.evidence[:, CHANGE:], least),
        oracle=_caught(known[:, CHANGE:], oracle_limit),
    )


def _caught(evidence: Floats, least: float) -> list[float]:
    return [float(share) for share in (np.maximum.accumulate(evidence, axis=1) >= least).mean(axis=0)]


def late_bookings(days: int) -> Floats:
    """Return the share of a day's bookings that belong to orders made after a change, by days since it.

    A booking comes a log-normal time after the order: half within 3 days, 95 % within 14.
    """
    delay = np.random.default_rng(5).lognormal(np.log(3), np.log(14 / 3) / 1.645, 200_000)
    return np.array([(delay <= day).mean() for day in range(days)])


def lives_table(histories: int, seed: int) -> list[str]:
    """Return a table of how many whole lives without change ever alarmed, by any stream."""
    lines = ["", "| life of 250 cycles, all streams | ever alarmed falsely (95 %) | by |", "|---|---|---|"]
    for life in LIVES:
        found = [[name for name, excess in most.items() if excess >= 0] for most in many(life, histories, seed)]
        wrong = wilson(np.array([float(bool(streams)) for streams in found]), np.ones(histories)).as_json()
        streams = Counter(name for alarmed in found for name in alarmed)
        told = ", ".join(f"{name} {count}" for name, count in streams.most_common())
        lines.append(f"| {life.name} | {wrong['value']:.3f} ({wrong['low']:.3f} to {wrong['high']:.3f}) | {told} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Measure every world; write `alarms.json`, `alarms.md` and `alarms.svg`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer histories")
    parser.add_argument("--histories", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--lives", type=int, default=0, help="whole lives of every stream, several seconds each")
    parser.add_argument("--handicaps", action="store_true", help="also where the power goes")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--residuals", type=Path, help="an array (items, values) of relative errors, .npy")
    chosen = parser.parse_args()
    histories = 100 if chosen.quick else chosen.histories
    chosen.output.mkdir(parents=True, exist_ok=True)
    worlds: list[tuple[World, Floats | None]] = [(world, None) for world in (*EASY, *HARD)]
    if chosen.residuals:
        errors = np.load(chosen.residuals)
        spread = float(np.nanmean(np.log(np.maximum(errors, 1e-3)), axis=1).std())
        worlds.append((World(name="demo factory", variation=float(np.expm1(spread**2) ** 0.5), residuals=errors), None))
    lines = [
        "| world | false alarms in 250 cycles (95 %) | naive interval | "
        + " | ".join(f"within {delay}: alarm / oracle" for delay in DELAYS)
        + " |",
        "|---|---|---|" + "---|" * len(DELAYS),
    ]
    results = {}
    late = (replace(EASY[1], name="calendar days, late bookings"), late_bookings(FOLLOWED))
    for world, parts in [*worlds, late]:
        results[world.name] = result = measure(world, histories=histories, seed=chosen.seed, parts=parts)
        wrong = result.false_alarms
        told = " | ".join(f"{result.test[d - 1]:.2f} / {result.oracle[d - 1]:.2f}" for d in DELAYS)
        interval = f"{wrong['value']:.3f} ({wrong['low']:.3f} to {wrong['high']:.3f})"
        lines.append(f"| {world.name} | {interval} | {result.naive_false_alarms:.2f} | {told} |")
        print(lines[-1], flush=True)
    lines += handicaps_table(histories, chosen.seed) if chosen.handicaps else []
    lines += lives_table(chosen.lives, chosen.seed) if chosen.lives else []
    (chosen.output / "alarms.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    plain = {name: {**result.__dict__, "world": name} for name, result in results.items()}
    (chosen.output / "alarms.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")
    curves = {name: (result.test[:30], result.oracle[:30]) for name, result in results.items()}
    (chosen.output / "alarms.svg").write_text(power_chart(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
