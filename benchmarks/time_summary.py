"""Compare ways to add up the times of operations, and the time that reading them from JSON takes.

    .venv/bin/python -m benchmarks.time_summary

Every way starts from the same parsed operations and gives the same totals. The best of several rounds counts, taken in
turns, so that a busy moment of the machine meets all ways.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl

from shared.prediction.time_summary import SummaryOperation, TimeSummaryRequest, summarise_times

SIZES = (10, 100, 1_000, 10_000)
BUDGET_MS = {10_000: 2.0}  # in process, from parsed operations
QUANTITY = 10.0
_TIMES = ("setup_minutes", "run_minutes_per_unit", "wait_minutes", "move_minutes", "queue_minutes")
Totals = tuple[float, ...]  # setup, run, wait, move, queue and lead minutes
Way = Callable[[Sequence[SummaryOperation]], Totals]


def product(operations: Sequence[SummaryOperation]) -> Totals:
    """Add up as the product does."""
    totals = summarise_times(operations, QUANTITY)
    return tuple(totals[f"{name}_minutes"] for name in ("setup", "run", "wait", "move", "queue", "lead"))


def exact_sums(operations: Sequence[SummaryOperation]) -> Totals:
    """Add up column by column without any rounding."""
    return _totals([math.fsum(map(attrgetter(name), operations)) for name in _TIMES])


def numpy_columns(operations: Sequence[SummaryOperation]) -> Totals:
    """Gather one array a column."""
    return _totals([float(np.array([getattr(row, name) for row in operations]).sum()) for name in _TIMES])


def numpy_table(operations: Sequence[SummaryOperation]) -> Totals:
    """Gather one array of all rows."""
    table = np.array(list(map(attrgetter(*_TIMES), operations)))
    return _totals(table.sum(axis=0).tolist())


def polars_frame(operations: Sequence[SummaryOperation]) -> Totals:
    """Gather a frame."""
    frame = pl.DataFrame(list(map(attrgetter(*_TIMES), operations)), schema=list(_TIMES), orient="row")
    return _totals(list(frame.sum().row(0)))


def _totals(sums: list[float]) -> Totals:
    setup, run, wait, move, queue = sums
    run *= QUANTITY
    return (setup, run, wait, move, queue, setup + run + wait + move + queue)


WAYS: dict[str, Way] = {
    "product: one loop": product, "columns, math.fsum": exact_sums, "NumPy, a column each": numpy_columns,
    "NumPy, one table": numpy_table, "polars frame": polars_frame,
}  # fmt: skip


def request_body(operations: int) -> str:
    """Return the JSON of a request for so many operations."""
    rows = [
        {
            "sequence": number * 10, "operation_code": f"T{number % 40:02d}", "setup_minutes": 12.5 + number % 7,
            "run_minutes_per_unit": 0.1 * (number % 11), "wait_minutes": 3.0, "move_minutes": 1.5,
            "queue_minutes": 60.0 + number % 5,
        }
        for number in range(1, operations + 1)
    ]  # fmt: skip
    return json.dumps({"operations": rows, "quantity": QUANTITY})


def compare(operations: int, rounds: int) -> dict[str, float]:
    """Return the milliseconds of each way and of reading the operations.

    Raises:
        SystemExit: two ways disagree.
    """
    body = request_body(operations)
    rows = TimeSummaryRequest.model_validate_json(body, strict=True).operations
    expected = exact_sums(rows)
    for name, way in WAYS.items():
        if not np.allclose(way(rows), expected, rtol=1e-12, atol=0):
            raise SystemExit(f"{name} gives {way(rows)} and not {expected}")
    tasks: dict[str, Callable[[], object]] = {name: lambda way=way: way(rows) for name, way in WAYS.items()}  # type: ignore[misc]
    tasks["reading and checking the JSON"] = lambda: TimeSummaryRequest.model_validate_json(body, strict=True)
    return _best(tasks, rounds)


def _best(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(tasks, math.inf)
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            best[name] = min(best[name], (time.perf_counter() - started) * 1000)
    return best


def _print(measured: Mapping[int, Mapping[str, float]]) -> None:
    print("| milliseconds, operations: | " + " | ".join(f"{size:,}" for size in measured) + " |")
    print("|---|" + "---:|" * len(measured))
    for name in next(iter(measured.values())):
        cells = []
        for size, found in measured.items():
            fastest = min(found[way] for way in WAYS)
            ratio = f" ({found[name] / fastest:.1f} x)" if name in WAYS else ""
            cells.append(f"{found[name]:.3f}{ratio}")
            if name == "product: one loop" and size in BUDGET_MS:
                cells[-1] += " met" if found[name] <= BUDGET_MS[size] else " **missed**"
        print(f"| {name} | " + " | ".join(cells) + " |")


def main(words: Sequence[str] | None = None) -> int:
    """Compare at every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    measured: dict[int, dict[str, Any]] = {size: compare(size, options.rounds) for size in SIZES}
    if options.json:
        print(json.dumps(measured))
    else:
        _print(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
