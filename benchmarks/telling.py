"""What a benchmark tells a reader: the machine before and after, each part as soon as it is known, and all of it."""

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.prediction.figures import Figure, table


def surroundings() -> str:
    """Return what a reader must know of the machine: nothing else should have run on it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "polars", "hnswlib", "uvicorn"))
    return f"{os.cpu_count()} cores ({cpu}), load {load}; Python {platform.python_version()}, {versions}"


def tell_surroundings(when: str) -> None:
    """Write the machine's state to standard error; `when` is such as "before"."""
    print(f"{when}: {surroundings()}", file=sys.stderr, flush=True)


def tell(parts: Iterable[Sequence[Figure]], *, as_json: bool) -> None:
    """Write each part to standard error when it is measured, and everything to standard output at the end."""
    figures: list[Figure] = []
    tell_surroundings("before")
    for part in parts:
        print(table(part), file=sys.stderr, flush=True)  # a later failure loses nothing
        figures += part
    tell_surroundings("after")
    print(json.dumps([figure.as_json() for figure in figures]) if as_json else table(figures))
