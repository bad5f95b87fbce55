"""Generate the demo factory at full size, beside a bare loop that writes as many bytes of the same rows with polars.

    .venv/bin/python -m benchmarks.demo --items 321000 --seed 42

Both run in processes of their own, one after the other, so that each has its own peak of memory. Linux and macOS only.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from shared.erp.demo.files import PART_ROWS
from shared.erp.demo.generate import generate_demo


def generate(folder: Path, items: int, seed: int) -> dict[str, Any]:
    """Generate the factory and return what it wrote."""
    files: dict[str, dict[str, Any]] = generate_demo(folder, items=items, seed=seed)["files"]
    return files


def write_only(folder: Path, written: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write the first rows of each view again and again until there are as many bytes as the generator wrote."""
    loaded = {name: pl.read_csv(folder / name, infer_schema=False, n_rows=PART_ROWS) for name in written}
    started = time.perf_counter()
    for name, part in loaded.items():
        with (folder / f"peer-{name}").open("wb") as file:
            while file.tell() < written[name]["bytes"]:
                part.write_csv(file)
    return {"seconds": time.perf_counter() - started}


def child(task: str, folder: Path, items: int, seed: int) -> None:
    """Do one task in this process and print its figures."""
    started = time.perf_counter()
    if task == "generate":
        figures: dict[str, Any] = {"files": generate(folder, items, seed)}
    else:
        figures = write_only(folder, json.loads((folder / "truth" / "demo.json").read_text(encoding="utf-8"))["files"])
    figures.setdefault("seconds", time.perf_counter() - started)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures["cpu_seconds"] = used.ru_utime + used.ru_stime  # says more than the clock on a busy machine
    figures["peak_mib"] = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**20
    print(json.dumps(figures))


def run(task: str, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.demo", "--task", task, "--folder", str(folder)]
    words += ["--items", str(asked.items), "--seed", str(asked.seed)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the demo factory at full size.")
    parser.add_argument("--items", type=int, default=321_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--task", choices=["generate", "write"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        child(asked.task, asked.folder, asked.items, asked.seed)
        return
    with tempfile.TemporaryDirectory() as scratch:
        made, bare = run("generate", Path(scratch), asked), run("write", Path(scratch), asked)
    rows = sum(file["rows"] for file in made["files"].values())
    size = sum(file["bytes"] for file in made["files"].values())
    for name, file in made["files"].items():
        print(f"{name:28} {file['rows']:>10,} rows {file['bytes']:>13,} bytes  sha256 {file['sha256']}")
    speed = rows / made["seconds"]
    print(f"generated {rows:,} rows, {size / 1e6:,.0f} MB in {made['seconds']:.1f} s: {speed:,.0f} rows/s")
    print(f"processor time {made['cpu_seconds']:.1f} s")
    print(f"peak memory {made['peak_mib']:,.0f} MiB")
    print(f"writing alone, as many bytes: {bare['seconds']:.1f} s, peak {bare['peak_mib']:,.0f} MiB")
    print(f"ratio {made['seconds'] / bare['seconds']:.1f}")


if __name__ == "__main__":
    main()
