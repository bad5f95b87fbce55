"""Where the power goes: what the alarm would catch if it were told, one after another, what the oracle knows."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.alarms.worlds import CHANGE, CYCLES, HARD, RATE, History, World, oracle_cusum, simulate
from shared.quality.evidence.shares import RISE_OF_ERRORS, limit, share_of_stream

Floats = NDArray[np.float64]
DELAYS = (7, 14, 30)
STUDIED = tuple(world for world in HARD if world.name == "CV 1.3" or world.wobble >= 0.1)
LARGE_REFERENCE = 20_000


def handicaps(world: World, *, histories: int, seed: int) -> Iterator[tuple[str, list[float]]]:
    """Yield what the test is told besides, and the share of rises of 20 % caught within `DELAYS` cycles."""
    quiet, risen = _both(world, histories, seed, wobble_told=False)
    yield "the alarm", _caught(risen.evidence, limit(RATE, share_of_stream(RISE_OF_ERRORS)))
    yield "given all of the 5 %", _caught(risen.evidence, limit(RATE, 1.0))
    yield "its limit set to 5 % in this world", _caught(risen.evidence, _limit_of(quiet.evidence))
    told, told_risen = _both(world, histories, seed, wobble_told=True)
    yield "and told the wobble", _caught(told_risen.evidence, _limit_of(told.evidence))
    large = replace(world, reference=LARGE_REFERENCE)
    told, told_risen = _both(large, histories, seed, wobble_told=True)
    yield f"and {LARGE_REFERENCE:,} in the reference", _caught(told_risen.evidence, _limit_of(told.evidence))
    known = _limit_of(oracle_cusum(world, quiet.oracle))
    yield "oracle CUSUM", _caught(oracle_cusum(world, risen.oracle), known)


def _both(world: World, histories: int, seed: int, *, wobble_told: bool) -> tuple[History, History]:
    quiet = simulate(world, histories=histories, cycles=CYCLES, seed=seed, wobble_told=wobble_told)
    parts = np.concatenate([np.zeros(CHANGE), np.ones(DELAYS[-1])])
    risen = simulate(
        world, histories=histories, cycles=len(parts), seed=seed + 1, rise=1.2, parts=parts, wobble_told=wobble_told
    )
    return quiet, risen


def _limit_of(evidence: Floats) -> float:
    return float(np.quantile(evidence.max(axis=1), 1 - RATE))


def _caught(evidence: Floats, least: float) -> list[float]:
    highest = np.maximum.accumulate(evidence[:, CHANGE:], axis=1)
    return [float((highest[:, delay - 1] >= least).mean()) for delay in DELAYS]


def handicaps_table(histories: int, seed: int) -> list[str]:
    """Return the findings as a table."""
    lines = ["", f"| within {', '.join(map(str, DELAYS))} cycles | " + " | ".join(w.name for w in STUDIED) + " |"]
    lines.append("|---|" + "---|" * len(STUDIED))
    found = [dict(handicaps(world, histories=histories, seed=seed)) for world in STUDIED]
    rows = {told: [", ".join(f"{share:.2f}" for share in one[told]) for one in found] for told in found[0]}
    return lines + [f"| {told} | {' | '.join(cells)} |" for told, cells in rows.items()]
