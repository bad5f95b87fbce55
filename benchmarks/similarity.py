"""Measure the similarity index beside bare hnswlib on the whole vectors and beside NumPy that scores every vector.

    .venv/bin/python -m benchmarks.similarity --items 321000
    .venv/bin/python -m benchmarks.similarity --snapshot data/snapshots/2027-01-01
    .venv/bin/python -m benchmarks.similarity --vectors vectors.npy

The vectors are those of a demo factory's items, or of a snapshot's, as the encoder makes them. Every contender runs in
a process of its own with one thread, one after the other; all answer the same questions, the vectors of a seeded
sample of items. Linux tells the memory; elsewhere that column is empty.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import structlog

from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import open_snapshot
from shared.erp.sources.location import FolderLocation
from shared.features.encoder import ItemEncoder
from shared.similarity.distinct import collapse
from shared.similarity.graph import BREADTH, LINKS
from shared.similarity.index import INDEX_FILE, VECTORS_FILE, NeighbourIndex
from shared.similarity.ranking import Found
from shared.similarity.threads import use_one_thread

Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors, int], Found]

NOW = datetime(2027, 1, 1, tzinfo=UTC)  # after the demo factory's last day
QUESTIONS = 1_000
COUNTS = (10, 40)  # neighbours at which recall is measured; the last is what is asked for
BARE_WALK = 128  # bare hnswlib's ef
BATCH = 100
_ENGINE, _QUESTIONS, _GRAPH = "engine.joblib", "questions.npz", "bare.bin"
_TIE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one contender did."""

    build_seconds: float
    build_cpu_seconds: float
    load_seconds: float
    file_mib: float
    loaded_mib: float | None  # memory added by loading
    asked_mib: float | None  # and by answering all questions
    recall: list[float]  # at each of COUNTS, ties counted as found
    p50_us: float
    p95_us: float
    p95_cpu_us: float  # of the thread: says more than the clock on a busy machine
    batch_us: float  # for one of a batch


class Contender:
    """Builds, loads and searches; the files lie in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, vectors: Vectors, seed: int) -> None:
        """Make the files."""

    def load(self) -> Search:
        """Read them, and return what answers a batch."""
        raise NotImplementedError

    def files(self) -> list[str]:
        """Name the files."""
        return [VECTORS_FILE]


def _codes(count: int) -> list[str]:
    return [f"{place:09d}" for place in range(count)]


class Index(Contender):
    """The product's index."""

    def build(self, vectors: Vectors, seed: int) -> None:
        """Make the files."""
        index = NeighbourIndex.build(_codes(len(vectors)), vectors, seed=seed)
        index.save(self.folder)
        joblib.dump(index.state(), self.folder / _ENGINE)
        print(json.dumps(index.parameters), file=sys.stderr)

    def load(self) -> Search:
        """Read them, and return what answers a batch."""
        state = joblib.load(self.folder / _ENGINE)
        codes = _codes(len(state["entry_of"]))
        return NeighbourIndex.load(state, self.folder / VECTORS_FILE, self.folder / INDEX_FILE, codes).search_many

    def files(self) -> list[str]:
        """Name the files."""
        return [VECTORS_FILE, INDEX_FILE, _ENGINE]


class ExactIndex(Index):
    """The same files on a machine without hnswlib."""

    def build(self, vectors: Vectors, seed: int) -> None:
        """Take what the index wrote."""

    def load(self) -> Search:
        """Read them, and return what answers a batch."""
        sys.modules["hnswlib"] = None  # type: ignore[assignment]  # importing it fails from now on
        return super().load()

    def files(self) -> list[str]:
        """Name the files."""
        return [VECTORS_FILE, _ENGINE]


class Bare(Contender):
    """A graph of the library over the whole vectors, inserted as they come, its own answer as it is."""

    def build(self, vectors: Vectors, seed: int) -> None:
        """Make the files."""
        import hnswlib

        graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
        graph.init_index(max_elements=len(vectors), M=LINKS, ef_construction=BREADTH, random_seed=seed)
        graph.add_items(vectors, num_threads=1)
        graph.save_index(str(self.folder / _GRAPH))

    def load(self) -> Search:
        """Read them, and return what answers a batch."""
        import hnswlib

        size = np.load(self.folder / VECTORS_FILE, mmap_mode="r", allow_pickle=False).shape[1]
        graph = hnswlib.Index(space="ip", dim=size)
        graph.load_index(str(self.folder / _GRAPH))
        graph.set_ef(BARE_WALK)

        def search(asked: Vectors, count: int) -> Found:
            labels, distances = graph.knn_query(asked, k=count, num_threads=1)
            return _found(labels, 1 - distances)

        return search

    def files(self) -> list[str]:
        """Name the files."""
        return [_GRAPH]


class Brute(Contender):
    """Every vector scored by NumPy, the best sorted."""

    def load(self) -> Search:
        """Read them, and return what answers a batch."""
        vectors = np.load(self.folder / VECTORS_FILE, allow_pickle=False)

        def search(asked: Vectors, count: int) -> Found:
            scores = asked @ vectors.T
            best = np.argpartition(scores, scores.shape[1] - count, axis=1)[:, -count:]
            alike = np.take_along_axis(scores, best, axis=1)
            order = np.argsort(-alike, axis=1, kind="stable")
            return _found(np.take_along_axis(best, order, axis=1), np.take_along_axis(alike, order, axis=1))

        return search


CONTENDERS: dict[str, type[Contender]] = {
    "index": Index, "bare hnswlib": Bare, "exact back end": ExactIndex, "NumPy": Brute,
}  # fmt: skip
PEERS = {"index": "bare hnswlib", "exact back end": "NumPy"}


def _found(places: npt.NDArray[Any], similarities: npt.NDArray[Any]) -> Found:
    bounds = np.arange(len(places) + 1) * places.shape[1]
    return Found(bounds=bounds, places=places.ravel().astype(np.int64), similarities=similarities.ravel())


def _memory_mib() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def _more(before: float | None) -> float | None:
    now = _memory_mib()
    return None if before is None or now is None else now - before


def _measure(name: str, folder: Path, seed: int) -> Measured:
    use_one_thread()
    contender = CONTENDERS[name](folder)
    wall, cpu = time.perf_counter(), time.process_time()
    if type(contender).build is not Contender.build:
        contender.build(np.load(folder / VECTORS_FILE, allow_pickle=False), seed)
    built, built_cpu = time.perf_counter() - wall, time.process_time() - cpu
    done = subprocess.run(_command(folder, seed, f"ask {name}"), check=True, stdout=subprocess.PIPE)
    return Measured(build_seconds=built, build_cpu_seconds=built_cpu, **json.loads(done.stdout))


def _ask(name: str, folder: Path) -> dict[str, Any]:
    """Return the figures of a process that only loads and answers."""
    use_one_thread()
    contender = CONTENDERS[name](folder)
    with np.load(folder / _QUESTIONS, allow_pickle=False) as file:
        asked, edges = file["asked"], file["edges"]
    before, started = _memory_mib(), time.perf_counter()
    search = contender.load()
    seconds, loaded = time.perf_counter() - started, _more(before)
    count = max(COUNTS)
    found = [search(vector[None, :], count).similarities for vector in asked]  # also warms up
    times = np.empty((len(asked), 2))
    for place, vector in enumerate(asked):
        wall, cpu = time.perf_counter(), time.thread_time()
        search(vector[None, :], count)
        times[place] = (time.perf_counter() - wall) * 1e6, (time.thread_time() - cpu) * 1e6
    started = time.perf_counter()
    for start in range(0, len(asked), BATCH):
        search(asked[start : start + BATCH], count)
    batch = (time.perf_counter() - started) / len(asked) * 1e6
    nearest = np.stack(found)
    return {
        "load_seconds": seconds, "loaded_mib": loaded, "asked_mib": _more(before), "batch_us": batch,
        "file_mib": sum((folder / file).stat().st_size for file in contender.files()) / 2**20,
        "recall": [float((nearest[:, :at] >= edges[:, [n]] - _TIE).mean()) for n, at in enumerate(COUNTS)],
        "p50_us": float(np.quantile(times[:, 0], 0.5)), "p95_us": float(np.quantile(times[:, 0], 0.95)),
        "p95_cpu_us": float(np.quantile(times[:, 1], 0.95)),
    }  # fmt: skip


def _write_questions(vectors: Vectors, folder: Path, seed: int) -> None:
    """Write the distinct vectors, the questions, and how similar the last of the true nearest is to each."""
    distinct, _ = collapse(vectors)
    np.save(folder / VECTORS_FILE, distinct, allow_pickle=False)
    asked = distinct[np.sort(np.random.default_rng(seed + 1).permutation(len(distinct))[:QUESTIONS])]
    edges = np.empty((len(asked), len(COUNTS)))
    for start in range(0, len(asked), BATCH):
        scores = asked[start : start + BATCH] @ distinct.T
        last = [scores.shape[1] - count for count in COUNTS]
        edges[start : start + BATCH] = np.partition(scores, last, axis=1)[:, last]
    np.savez(folder / _QUESTIONS, asked=asked, edges=edges)


def _encoded(snapshot: Path | None, items: int, seed: int, scratch: Path) -> Vectors:
    """Return the vectors of a snapshot's items, or of a generated factory's."""
    if snapshot is None:
        generate_demo(scratch / "factory", items=items, seed=seed)
        opened = extract(load_profile("demo"), FolderLocation(scratch / "factory"), scratch / "snapshots", now=NOW)
    else:
        opened = open_snapshot(snapshot)
    frame = opened.items()
    columns = {attribute.name: frame[attribute.name].to_list() for attribute in opened.attributes}
    return ItemEncoder(opened.attributes, seed=seed).fit(columns).transform(columns)


def _command(folder: Path, seed: int, child: str) -> list[str]:
    words = [sys.executable, "-m", "benchmarks.similarity", "--folder", str(folder), "--seed", str(seed)]
    return [*words, "--child", child]


def _print(measured: dict[str, Measured], entries: int) -> None:
    print(f"\n{entries:,} distinct vectors, {QUESTIONS:,} questions, {max(COUNTS)} neighbours each; x = times the peer")
    print("| what | build s (CPU) | load s | files MiB | memory MiB: loaded, asked | recall at 10, 40 ", end="")
    print("| p50 us | p95 us | p95 us CPU | us of a batch |")
    print("|---|" + "---:|" * 9)
    for name, run in measured.items():
        peer = measured.get(PEERS.get(name, ""))
        memory = "-" if run.loaded_mib is None else f"{run.loaded_mib:,.0f}, {run.asked_mib:,.0f}"
        recall = ", ".join(f"{share:.4f}" for share in run.recall)
        speeds = " | ".join(
            f"{getattr(run, part):,.0f}" + (f" ({getattr(run, part) / getattr(peer, part):.2f} x)" if peer else "")
            for part in ("p50_us", "p95_us", "p95_cpu_us", "batch_us")
        )
        print(
            f"| {name} | {run.build_seconds:.1f} ({run.build_cpu_seconds:.1f}) | {run.load_seconds:.2f} "
            f"| {run.file_mib:,.0f} | {memory} | {recall} | {speeds} |"
        )


def main() -> int:
    """Measure every contender and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=321_000, help="items of the generated factory")
    parser.add_argument("--snapshot", type=Path, help="an extracted snapshot, in place of a generated factory")
    parser.add_argument("--vectors", type=Path, help="a file of vectors (.npy), in place of either")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if options.child:
        task, name = options.child.split(" ", 1)
        child = _ask(name, options.folder) if task == "ask" else asdict(_measure(name, options.folder, options.seed))
        print(json.dumps(child))
        return 0
    measured: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="similarity-") as scratch:
        folder = Path(scratch)
        use_one_thread()
        vectors = np.load(options.vectors) if options.vectors else None
        if vectors is None:
            vectors = _encoded(options.snapshot, options.items, options.seed, folder)
        _write_questions(vectors, folder, options.seed)
        del vectors
        entries = len(np.load(folder / VECTORS_FILE, mmap_mode="r"))
        for name in CONTENDERS:
            done = subprocess.run(_command(folder, options.seed, f"measure {name}"), check=True, stdout=subprocess.PIPE)
            measured[name] = Measured(**json.loads(done.stdout))
    if options.json:
        print(json.dumps({name: asdict(run) for name, run in measured.items()}))
    else:
        _print(measured, entries)
    return 0


if __name__ == "__main__":
    sys.exit(main())
