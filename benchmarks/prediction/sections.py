"""The measurements in the order of the table, and the budgets they are held against (milliseconds unless named)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.prediction.figures import Figure, Spread
from benchmarks.prediction.in_process import measure
from benchmarks.prediction.instance import restart_host
from benchmarks.prediction.making import Made
from benchmarks.prediction.over_http import ARRIVALS_PER_SECOND, CLIENTS, Answered, HttpBench
from benchmarks.time_summary import BUDGET_MS, compare

KNOWN_MS, NEW_MS, EXACT_MS = 2.0, 5.0, 8.0
HTTP_KNOWN_MS, HTTP_NEW_MS, HTTP_PEER_RATIO = 4.0, 8.0, 4.0
TOGETHER_PER_SECOND, TOGETHER_P99_MS = 400.0, 60.0
BATCH_PER_SECOND = 1_000.0
START_SECONDS = 3.0
MEMORY_RATIO = 1.5
FIT_SECONDS, FIT_MIB = 120.0, 4_096.0
TRAINING_RATIO, SWAP_RATIO = 3.0, 1.25
SUMMARY_HTTP_MS, CYCLE_SECONDS, CYCLE_ITEMS = 3.0, 2.0, 500
SUMMARIES = ((10, 200), (200, 200), (10_000, 10))  # operations, requests
STARLETTE = "Starlette + hnswlib"
PEER_APPS = {STARLETTE: "starlette", "FastAPI + scikit-learn brute": "fastapi"}


def of_making(made: Mapping[str, Made]) -> list[Figure]:
    """Return what generating, reading, fitting and installing took."""
    figures = []
    for step, each in made.items():
        seconds, mib = (FIT_SECONDS, FIT_MIB) if step == "fit" else (None, None)
        name = "fit, index and package" if step == "fit" else step
        cpu = f"CPU {each.cpu_seconds:.1f} s"
        figures.append(Figure(what=name, value=each.seconds, unit="s", limit=seconds, note=cpu))
        figures.append(Figure(what=f"{name}: peak memory", value=each.peak_mib, unit="MiB", limit=mib))
        if step == "fit":
            longest = sorted(each.told["steps"].items(), key=lambda pair: -pair[1])
            told = ", ".join(f"{what} {taken:.1f}" for what, taken in longest)
            size = each.told["package_bytes"] / 2**20
            figures.append(Figure(what="package", value=size, unit="MiB", note=f"seconds: {told}"))
    return figures


def in_process(folder: Path, environment: Mapping[str, str], count: int, told: Mapping[str, Any]) -> list[Figure]:
    """Return the latencies within one process, beside the bare searches."""
    words = ("--count", str(count))
    found = measure("latency", folder, environment, *words)
    spreads = {name: Spread.of(each["wall_ms"], each["cpu_ms"]) for name, each in found["latencies"].items()}
    model = f"model `{found['model_kind']}`, {found['backend']} back end"
    bare = spreads["bare hnswlib"]
    figures = [
        _latency(f"in process p95: {name}", spreads[name], limit, ("bare hnswlib", bare), model)
        for name, limit in (("known item", KNOWN_MS), ("new item", NEW_MS), ("new item, sisters left out", NEW_MS))
    ]
    peers = {"bare hnswlib": f"ef {told['ef']}, recall@10 {told['recall']:.4f}, {told['size']} numbers a vector"}
    figures += [
        _latency(f"in process p95: peer {name}", spread, None, None, peers.get(name, ""))
        for name, spread in spreads.items()
        if "item" not in name
    ]
    exact = measure("exact", folder, environment, *words)
    spreads = {name: Spread.of(each["wall_ms"], each["cpu_ms"]) for name, each in exact["latencies"].items()}
    peer = ("exact NumPy", spreads["exact NumPy"])
    what = f"in process p95: known item without hnswlib ({exact['backend']})"
    figures.append(_latency(what, spreads["known item"], EXACT_MS, peer, ""))
    figures += [_summary(operations, limit) for operations, limit in BUDGET_MS.items()]
    batch = found["batch"]
    figures.append(
        Figure(
            what="in process: one call for many items", value=batch["items_per_second"], unit="items/s",
            limit=BATCH_PER_SECOND, at_least=True, note=f"{batch['items']} items",
        )
    )  # fmt: skip
    return figures


def _summary(operations: int, limit: float) -> Figure:
    found = compare(operations, rounds=20)
    ours, numpy = found["product: one loop"], found["NumPy, a column each"]
    return Figure(
        what=f"in process: time summary of {operations:,} operations", value=ours, unit="ms", limit=limit,
        peer_name="NumPy", peer=numpy, note=f"reading their JSON takes {found['reading and checking the JSON']:.1f} ms",
    )  # fmt: skip


def _latency(what: str, spread: Spread, limit: float | None, peer: tuple[str, Spread] | None, note: str) -> Figure:
    name, beside = peer if peer else (None, None)
    return Figure(
        what=what, value=spread.p95, unit="ms", limit=limit, peer_name=name, peer=beside.p95 if beside else None,
        note="; ".join(text for text in (spread.told, note) if text),
    )  # fmt: skip


def start(folder: Path, environment: Mapping[str, str], count: int, told: Mapping[str, Any]) -> list[Figure]:
    """Return how soon a new process answers, what the model adds to its memory, and what it does not import."""
    begun = measure("start", folder, environment, "--code", told["code"])
    if begun["answer"] != told["answer"]:
        raise SystemExit(f"the first answer of a new process is another: {begun['answer']} and {told['answer']}")
    memory = measure("memory", folder, environment, "--count", str(min(count, 200)))
    added = memory["used_mib"] - memory["before_mib"]
    files = memory["index_mib"] + memory["tables_mib"]
    told_memory = (
        f"before {memory['before_mib']:.0f}, loaded {memory['loaded_mib']:.0f}, used {memory['used_mib']:.0f} MiB; "
        f"index {memory['index_mib']:.0f}, tables {memory['tables_mib']:.0f} MiB"
    )
    return [
        Figure(
            what="new process to its first right answer", value=begun["seconds"], unit="s", limit=START_SECONDS,
            note=f"of it load, verify and replay {begun['load_seconds']:.2f} s",
        ),
        Figure(
            what="memory that loading and use add", value=added, unit="MiB", limit=MEMORY_RATIO * files,
            note=told_memory,
        ),
        _nothing_heavy("in a predicting process", sorted({*begun["heavy"], *memory["heavy"]})),
    ]  # fmt: skip


def _nothing_heavy(where: str, heavy: list[str]) -> Figure:
    note = ", ".join(heavy) or "none"
    return Figure(what=f"scikit-learn or scipy {where}", value=len(heavy), unit="libraries", limit=0, note=note)


def over_http(bench: HttpBench, code: str) -> list[Figure]:
    """Return the figures over HTTP, the start of the host last."""
    alone, together = bench.alone(), bench.together()
    peer = alone[STARLETTE]
    figures = [
        _http_latency("HTTP p95: known item", alone["known item"], HTTP_KNOWN_MS, peer),
        Figure(
            what=f"HTTP p95: known item over {STARLETTE}", value=alone["known item"].spread.p95 / peer.spread.p95,
            unit="x", limit=HTTP_PEER_RATIO,
        ),
        _http_latency("HTTP p95: new item", alone["new item"], HTTP_NEW_MS, peer),
    ]  # fmt: skip
    figures += [
        _http_latency(f"HTTP p95: peer {name}", each, None, None)
        for name, each in alone.items()
        if "item" not in name
    ]  # fmt: skip
    figures += _together(together)
    batch, size = bench.batches()
    told = f"3 requests of {size:,} items, {batch.spread.p50 / 1000:.1f} s each; {batch.told}"
    rate = batch.per_second * size
    what = "HTTP batch: items a second"
    figures.append(Figure(what=what, value=rate, unit="/s", limit=BATCH_PER_SECOND, at_least=True, note=told))
    for operations, requests in SUMMARIES:
        found = bench.summaries(operations, requests)
        limit = SUMMARY_HTTP_MS if operations <= 200 else None
        figures.append(_http_latency(f"HTTP p95: time summary of {operations:,} operations", found, limit, None))
    figures.append(_nothing_heavy("mapped by the serving process", bench.heavy_in_worker()))
    seconds = restart_host(bench.instance, code)
    bench.find_worker()
    what = "new host to its first answer over HTTP"
    figures.append(Figure(what=what, value=seconds, unit="s", limit=START_SECONDS))
    return figures


def _together(together: Mapping[str, Answered]) -> list[Figure]:
    product, peer = together["product"], together[STARLETTE]
    figures = [
        Figure(
            what=f"HTTP, {CLIENTS} clients: predictions a second", value=product.per_second, unit="/s",
            limit=TOGETHER_PER_SECOND, at_least=True, peer_name=STARLETTE, peer=peer.per_second, note=product.told,
        ),
        Figure(
            what=f"HTTP p99, {CLIENTS} clients", value=product.spread.p99, unit="ms", limit=TOGETHER_P99_MS,
            peer_name=STARLETTE, peer=peer.spread.p99,
        ),
    ]  # fmt: skip
    for name, each in together.items():
        if name not in ("product", STARLETTE):
            what = f"HTTP, {CLIENTS} clients: peer {name}"
            figures.append(Figure(what=what, value=each.per_second, unit="/s", note=each.told))
    return figures


def _http_latency(what: str, answered: Answered, limit: float | None, peer: Answered | None) -> Figure:
    return Figure(
        what=what, value=answered.spread.p95, unit="ms", limit=limit, peer_name=STARLETTE if peer else None,
        peer=peer.spread.p95 if peer else None, note=answered.told,
    )  # fmt: skip


def beside_work(bench: HttpBench) -> list[Figure]:
    """Return what a training, an exchange of the active model and a quality cycle do and take."""
    steady, swapped, seconds = bench.swap()
    idle, busy, state = bench.beside_training()
    bench.quality_cycle(10)  # the process that runs cycles loads the model first
    cycle = bench.quality_cycle(CYCLE_ITEMS)
    return [
        Figure(
            what="swap under load: failed requests", value=swapped.failed + steady.failed, unit="requests", limit=0,
            note=f"exchanged within {seconds:.1f} s",
        ),
        Figure(
            what="swap under load: p99", value=swapped.spread.p99, unit="ms", limit=SWAP_RATIO * steady.spread.p99,
            peer_name="steady", peer=steady.spread.p99, note=swapped.told,
        ),
        Figure(
            what="HTTP p99 while a training runs", value=busy.spread.p99, unit="ms",
            limit=TRAINING_RATIO * idle.spread.p99, peer_name="idle", peer=idle.spread.p99,
            note=f"{busy.told}; afterwards the training was {state}",
        ),
        Figure(what=f"quality cycle of {CYCLE_ITEMS} items", value=cycle, unit="s", limit=CYCLE_SECONDS),
    ]  # fmt: skip


def arrivals(bench: HttpBench) -> list[Figure]:
    """Return what requests wait that arrive at a fixed rate, while a challenger job computes all the time."""
    idle, busy, job = bench.arrivals_beside_training("challenger")
    state = f"{job['state']} at {job['progress'] or 0:.0f} %, {job['step']}"
    return [
        Figure(
            what=f"HTTP p99 at {ARRIVALS_PER_SECOND:.0f} arrivals/s while a challenger is made", value=busy.spread.p99,
            unit="ms", limit=TRAINING_RATIO * idle.spread.p99, peer_name="idle", peer=idle.spread.p99,
            note=f"{busy.told}; {busy.per_second:.1f}/s answered; when the last was answered the job was {state}",
        )
    ]  # fmt: skip
