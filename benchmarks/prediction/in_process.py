"""What is measured inside one process, with the model that serves: latencies, start, memory.

    python -m benchmarks.prediction.in_process TASK PEERS_FOLDER --count 500 --began 123.4

Each task runs in a process of its own. The instance is the one of ROUTING_DATA_DIR.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.prediction import peers
from benchmarks.prediction.questions import CANDIDATES, QUANTITY, Questions, given

ROUNDS = 5
SLOW_SHARE = 5  # one in so many questions goes to the contenders that take tens of milliseconds
HEAVY = ("sklearn", "scipy")  # never imported where predictions are made
Ask = Callable[[int], object]


def latencies(contenders: Mapping[str, tuple[Ask, int]], rounds: int = ROUNDS) -> dict[str, dict[str, list[float]]]:
    """Ask every contender its count of questions, round by round, so that a busy moment meets all of them.

    Returns:
        By contender, `wall_ms` and `cpu_ms` (of the asking thread) of every question.
    """
    found: dict[str, dict[str, list[float]]] = {name: {"wall_ms": [], "cpu_ms": []} for name in contenders}
    for turn in range(rounds):
        for name, (ask, count) in contenders.items():
            for number in range(count * turn // rounds, count * (turn + 1) // rounds):
                cpu, wall = time.thread_time(), time.perf_counter()
                ask(number)
                found[name]["wall_ms"].append((time.perf_counter() - wall) * 1000)
                found[name]["cpu_ms"].append((time.thread_time() - cpu) * 1000)
    return found


def latency_task(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one prediction of each kind beside the peers."""
    model = _model()
    codes, vectors = peers.load_vectors(options.peers)
    contenders = product_contenders(model, codes, options.count)
    for name, make in peers.SEARCHES.items():
        slow = name != "bare hnswlib"
        contenders[name] = _peer_contender(
            make(options.peers, vectors), vectors, options.count // (SLOW_SHARE if slow else 1)
        )
    return {
        "latencies": latencies(contenders), "model_kind": model.model_kind, "backend": model.backend,
        "batch": _batch(model, codes, options.count), "heavy": _heavy(),
    }  # fmt: skip


def exact_task(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one prediction of a known item where hnswlib is missing."""
    sys.modules["hnswlib"] = None  # type: ignore[assignment]
    model = _model()
    codes, vectors = peers.load_vectors(options.peers)
    contenders = {"known item": product_contenders(model, codes, options.count)["known item"]}
    contenders["exact NumPy"] = _peer_contender(peers.exact_numpy(options.peers, vectors), vectors, options.count)
    return {"latencies": latencies(contenders), "backend": model.backend}


def product_contenders(model: Any, codes: Sequence[str], count: int, seed: int = 1) -> dict[str, tuple[Ask, int]]:
    """Return the product's three questions: a known item, a new one, and a new one whose drawing is known."""
    from shared.prediction.answers import ItemQuery

    questions = Questions(codes, seed)
    warm, known, others = questions.take(min(50, count)), questions.take(count), questions.take(count)
    attributes = [given(model.item(code).attributes) for code in others]

    def ask_known(number: int) -> object:
        query = ItemQuery(item_code=known[number])
        return model.predict([query], candidates=CANDIDATES, quantity=QUANTITY, as_if_unknown=True)

    def ask_new(number: int, *, as_if_unknown: bool = False) -> object:
        query = ItemQuery(item_code=f"new {number}", attributes=attributes[number])
        return model.predict([query], candidates=CANDIDATES, quantity=QUANTITY, as_if_unknown=as_if_unknown)

    for code in warm:
        model.predict([ItemQuery(item_code=code)], candidates=CANDIDATES, quantity=QUANTITY, as_if_unknown=True)
    return {
        "known item": (ask_known, count), "new item": (ask_new, count),
        "new item, sisters left out": (lambda number: ask_new(number, as_if_unknown=True), count),
    }  # fmt: skip


def _peer_contender(search: peers.Search, vectors: peers.Vectors, count: int) -> tuple[Ask, int]:
    chosen = np.random.default_rng(2).permutation(len(vectors))[:count]
    return lambda number: search(vectors[chosen[number]]), len(chosen)


def _batch(model: Any, codes: Sequence[str], count: int) -> dict[str, float]:
    """Return items a second of one call for many items."""
    from shared.prediction.answers import ItemQuery

    queries = [ItemQuery(item_code=code) for code in Questions(codes, 3).take(count)]
    started = time.perf_counter()
    model.predict(queries, candidates=CANDIDATES, quantity=QUANTITY, as_if_unknown=True)
    return {"items": len(queries), "items_per_second": len(queries) / (time.perf_counter() - started)}


def start_task(options: argparse.Namespace) -> dict[str, Any]:
    """Answer once, as soon as this process can, and say how long after `began` that was."""
    from shared.bootstrap import current_services

    served = current_services().serving.active()
    answer = _first_answer(served.model, options.code)
    seconds = time.monotonic() - options.began
    return {"seconds": seconds, "load_seconds": served.load_seconds, "answer": answer, "heavy": _heavy()}


def memory_task(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what loading the model, and then answering with it, adds to a process that has imported everything."""
    import polars as pl

    from shared.bootstrap import current_services

    services = current_services()
    folder = _everything_but_the_model(services)
    codes = peers.load_codes(options.peers)
    before = resident_mib()
    model = services.serving.active().model
    loaded = resident_mib()
    for ask, count in product_contenders(model, codes, options.count).values():
        for number in range(count):
            ask(number)
    used = resident_mib()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    by_role: dict[str, list[Path]] = {}
    for artifact in manifest["artifacts"]:
        by_role.setdefault(artifact["role"], []).append(folder / artifact["path"])
    index = sum(path.stat().st_size for path in by_role["similarity"] if path.suffix != ".joblib")
    tables = sum(int(pl.read_parquet(path).estimated_size()) for path in by_role["table"])
    return {
        "before_mib": before, "loaded_mib": loaded, "used_mib": used, "index_mib": index / 2**20,
        "tables_mib": tables / 2**20, "heavy": _heavy(),
    }  # fmt: skip


def _everything_but_the_model(services: Any) -> Path:
    """Import what loading needs, let polars start its threads, and return the active version's folder."""
    import hnswlib  # noqa: F401
    import joblib  # noqa: F401
    import polars as pl

    import shared.prediction.golden
    import shared.prediction.package
    import shared.registry.safe_loading  # noqa: F401

    version = services.model_versions.active()
    assert version is not None
    services.keys.list()
    pl.DataFrame({"number": range(1_000)}).lazy().filter(pl.col("number") > 5).sort("number").collect()
    folder: Path = services.settings.models / version.version
    return folder


def resident_mib() -> float:
    """Return this process's resident memory (Linux)."""
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def peers_task(options: argparse.Namespace) -> dict[str, Any]:
    """Write the vectors of the items with a routing for the peers, and say what an item's first answer is."""
    model = _model()
    codes = list(model.index.item_codes)
    vectors = np.ascontiguousarray(model.index.vectors_of(np.arange(len(codes))), dtype=np.float32)
    code = Questions(codes, 4).take(1)[0]
    told = peers.save(options.peers, codes, vectors)
    return {**told, "code": code, "answer": _first_answer(model, code), "size": int(vectors.shape[1])}


def _first_answer(model: Any, code: str) -> list[Any]:
    from shared.prediction.answers import ItemQuery

    query = ItemQuery(item_code=code)
    [answer] = model.predict([query], candidates=CANDIDATES, quantity=QUANTITY, as_if_unknown=True)
    return [[candidate.routing_signature, candidate.probability] for candidate in answer.candidates]


def _heavy() -> list[str]:
    return sorted(name for name in HEAVY if name in sys.modules)


def _model() -> Any:
    from shared.bootstrap import current_services

    return current_services().serving.active().model


TASKS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "peers": peers_task, "latency": latency_task, "exact": exact_task, "start": start_task, "memory": memory_task,
}  # fmt: skip


def measure(task: str, folder: Path, environment: Mapping[str, str], *words: str) -> dict[str, Any]:
    """Run one task as a child process.

    Raises:
        SystemExit: it failed; its errors are told.
    """
    command = [sys.executable, "-m", "benchmarks.prediction.in_process", task, str(folder), *words]
    command += ["--began", str(time.monotonic())]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> int:
    """Do one task and print what it measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--began", type=float, default=0.0)
    parser.add_argument("--code", default="")
    options = parser.parse_args()
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(json.dumps(TASKS[options.task](options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
