"""What is measured over HTTP, through the product as `manage.py up` runs it, recording and logs on."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.prediction.figures import Spread
from benchmarks.prediction.instance import (
    cpu_seconds,
    eventually,
    finish_load,
    http_worker,
    load,
    maps_heavy,
    peer,
    running,
    start_load,
)
from benchmarks.prediction.questions import Questions, given, known_body, new_body
from benchmarks.time_summary import request_body
from tests.acceptance.acceptance_support import RunningInstance

PREDICTIONS, SUMMARIES = "/api/predictions", "/api/time-summaries"
CLIENTS = 16
SWAP_CLIENTS = 2
ARRIVALS_PER_SECOND = 50.0
ARRIVAL_CONNECTIONS = 64
ROUNDS = 5
ENDED = ("succeeded", "failed", "cancelled", "skipped")


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much is asked."""

    alone: int  # requests of one connection, of each kind
    together: int  # requests of 16 clients
    batch: int  # items of one batch request
    arrival_seconds: float  # of requests that arrive at a fixed rate beside a training
    load_seconds: float  # of the load beside a training, and beside a swap
    most_per_second: int  # requests that such a load has in store: no item is asked about twice


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What one contender did under one load."""

    spread: Spread
    per_second: float
    failed: int
    cpu_ms: float | None = None  # of the serving process, a request
    kilobytes: float = 0.0  # of one answer

    @classmethod
    def of(cls, outcomes: Sequence[Mapping[str, Any]], cpu: float | None = None) -> "Answered":
        """Join the outcomes of several runs."""
        latencies = [value for outcome in outcomes for value in outcome["latencies_ms"]]
        return cls(
            spread=Spread.of(latencies),
            per_second=len(latencies) / sum(outcome["seconds"] for outcome in outcomes),
            failed=sum(outcome["failed"] for outcome in outcomes),
            cpu_ms=None if cpu is None else cpu * 1000 / len(latencies),
            kilobytes=sum(outcome["received_bytes"] for outcome in outcomes) / len(latencies) / 1000,
        )

    @property
    def told(self) -> str:
        """Return what the chief figure alone does not say."""
        cpu = "" if self.cpu_ms is None else f", {self.cpu_ms:.2f} ms CPU of the server a request"
        failed = f", **{self.failed} failed**" if self.failed else ""
        return f"{self.spread.told}{cpu}, {self.kilobytes:.0f} kB an answer{failed}"


class HttpBench:
    """Measurements on one running instance and its peers."""

    def __init__(
        self, instance: RunningInstance, peer_ports: Mapping[str, int], codes: Sequence[str], amounts: Amounts
    ):
        self.instance = instance
        self._peers = dict(peer_ports)
        self._questions = Questions(codes, 5)
        self._amounts = amounts
        self.find_worker()

    def find_worker(self) -> None:
        """Look which process serves; it is another after a restart."""
        self._worker = http_worker(self.instance)

    def _runs(self, runs: Sequence[Mapping[str, Any]]) -> Answered:
        before = cpu_seconds(self._worker)
        outcomes = load(self.instance.port, runs)
        return Answered.of(outcomes, cpu_seconds(self._worker) - before)

    def alone(self) -> dict[str, Answered]:
        """One connection: known items, new items, and the peers' known items, in turns."""
        count = self._amounts.alone
        known, warm = self._questions.take(count), self._questions.take(20)
        new = [new_body(number, self._attributes(code)) for number, code in enumerate(self._questions.take(count))]
        load(self.instance.port, [_run([known_body([code]) for code in warm])])
        outcomes: dict[str, list[dict[str, Any]]] = {}
        cpu: dict[str, float] = {}
        for turn in range(ROUNDS):
            part = slice(count * turn // ROUNDS, count * (turn + 1) // ROUNDS)
            bodies = [known_body([code]) for code in known[part]]
            for name, asked in (("known item", bodies), ("new item", new[part])):
                before = cpu_seconds(self._worker)
                outcomes.setdefault(name, []).extend(load(self.instance.port, [_run(asked)]))
                cpu[name] = cpu.get(name, 0.0) + cpu_seconds(self._worker) - before
            for name, port in self._peers.items():
                outcomes.setdefault(name, []).extend(load(port, [_run(_share(name, bodies))]))
        return {name: Answered.of(each, cpu.get(name)) for name, each in outcomes.items()}

    def _attributes(self, code: str) -> dict[str, Any]:
        return given(self.instance.get(f"items/{code}")["attributes"])

    def together(self) -> dict[str, Answered]:
        """Sixteen clients, the product and the peers."""
        bodies = [known_body([code]) for code in self._questions.take(self._amounts.together)]
        found = {"product": self._runs([_run(bodies, clients=CLIENTS)])}
        for name, port in self._peers.items():
            found[name] = Answered.of(load(port, [_run(_share(name, bodies), clients=CLIENTS)]))
        return found

    def batches(self) -> tuple[Answered, int]:
        """Return three batch requests, one after the other, and the items of each."""
        size = self._amounts.batch
        bodies = [known_body(self._questions.take(size)) for _ in range(3)]
        return self._runs([_run(bodies)]), size

    def summaries(self, operations: int, requests: int) -> Answered:
        """Time summaries of so many operations."""
        return self._runs([_run([request_body(operations)] * requests, path=SUMMARIES)])

    def beside_training(self) -> tuple[Answered, Answered, str]:
        """Return one connection's requests idle and while a training runs, and the job's state when they ended."""
        idle = self._for_a_while()
        job = self.instance.post("training/jobs", {"kind": "refit", "dry_run": True})["job_id"]
        eventually(lambda: self._fits(job), "the training fits a model")
        busy = self._for_a_while()
        state = str(self.instance.get(f"training/jobs/{job}")["state"])
        self._end(job)
        return idle, busy, state

    def arrivals_beside_training(self, kind: str) -> tuple[Answered, Answered, dict[str, Any]]:
        """Return requests that arrive at a fixed rate, idle and while a job computes, and the job when they ended.

        The job is under way before the first of the later requests arrives, and stays so until the last is answered;
        it is cancelled then.
        """
        idle = self._arriving(seed=1)
        job = self.instance.post("training/jobs", {"kind": kind, "dry_run": True})["job_id"]
        eventually(lambda: self._fits(job), "the training fits a model")
        busy = self._arriving(seed=2)
        row = self.instance.get(f"training/jobs/{job}")
        self._end(job)
        return idle, busy, row

    def _arriving(self, seed: int) -> Answered:
        seconds = self._amounts.arrival_seconds
        bodies = [known_body([code]) for code in self._questions.take(int(seconds * ARRIVALS_PER_SECOND * 1.3) + 50)]
        run = _run(bodies, clients=ARRIVAL_CONNECTIONS)
        return self._runs([run | {"seconds": seconds, "per_second": ARRIVALS_PER_SECOND, "seed": seed}])

    def _end(self, job: str) -> None:
        if self.instance.get(f"training/jobs/{job}")["state"] in ENDED:
            return
        path = f"{self.instance.address}/api/training/jobs/{job}"
        httpx.delete(path, headers={"x-api-key": self.instance.key}, timeout=30)
        eventually(lambda: self.instance.get(f"training/jobs/{job}")["state"] in ENDED, "the training ends")

    def _fits(self, job: str) -> bool:
        row = self.instance.get(f"training/jobs/{job}")
        return row["state"] in ENDED or (row["state"] == "running" and (row["progress"] or 0) > 0)

    def _for_a_while(self, clients: int = 1) -> Answered:
        return self._runs([self._lasting(self._amounts.load_seconds, clients)])

    def _lasting(self, seconds: float, clients: int) -> dict[str, Any]:
        bodies = [known_body([code]) for code in self._questions.take(int(seconds * self._amounts.most_per_second))]
        return _run(bodies, clients=clients) | {"seconds": seconds}

    def swap(self) -> tuple[Answered, Answered, float]:
        """Return requests in steady state and while the active model is exchanged, and how long the exchange took."""
        seconds = self._amounts.load_seconds
        steady = self._for_a_while(SWAP_CLIENTS)
        active = self._serving_version()
        [other] = [row["version"] for row in self.instance.get("models")["items"] if row["version"] != active]
        process = start_load(self.instance.port, [self._lasting(seconds, SWAP_CLIENTS)])
        self.instance.post(f"models/{other}/activate", {"reason": "speed benchmark"}, status=200)
        eventually(lambda: self._serving_version() == other, "the other version serves", 120)
        over = time.monotonic()
        [outcome] = finish_load(process)
        during = [
            latency
            for latency, at in zip(outcome["latencies_ms"], outcome["finished_at"], strict=True)
            if outcome["began"] + at <= over
        ]
        taken = {**outcome, "latencies_ms": during, "seconds": over - outcome["began"]}
        return steady, Answered.of([taken]), over - outcome["began"]

    def _serving_version(self) -> str:
        """Return the version in service; the registry's row is ahead of it while a version is loaded."""
        answer = self.instance.predict("no such item", as_if_unknown=True)
        return str(answer.headers["x-model-version"])

    def quality_cycle(self, items: int) -> float:
        """Run a quality cycle and return the seconds between its begin and its end."""
        name = self.instance.post("quality/cycles", {"sample_size": items})["id"]
        row = eventually(lambda: self._ended_cycle(name), "the cycle ends")
        if row["state"] != "succeeded":
            raise SystemExit(f"the quality cycle ended as {row['state']}: {row.get('error')}")
        began, ended = (datetime.fromisoformat(row[key]) for key in ("started_at", "ended_at"))
        return (ended - began).total_seconds()

    def _ended_cycle(self, name: str) -> dict[str, Any] | None:
        row: dict[str, Any] = self.instance.get(f"quality/cycles/{name}")
        return row if row["state"] in ENDED else None

    def heavy_in_worker(self) -> list[str]:
        """Return which learning libraries the serving process has loaded."""
        return maps_heavy(self._worker, ("sklearn", "scipy"))


def _share(peer_name: str, bodies: Sequence[str]) -> Sequence[str]:
    """Ask a peer that looks at every vector a tenth of the questions: it takes a hundred times as long."""
    return bodies[::10] if "brute" in peer_name else bodies


def _run(bodies: Sequence[str], *, clients: int = 1, path: str = PREDICTIONS) -> dict[str, Any]:
    return {"path": path, "bodies": list(bodies), "clients": clients}


@contextmanager
def benched(
    data_dir: Path, peers_folder: Path, codes: Sequence[str], amounts: Amounts, peer_apps: Mapping[str, str]
) -> Iterator[HttpBench]:
    """Run the instance, and the peers by their names, for as long as the block lasts."""
    with ExitStack() as stack:
        ports = {name: stack.enter_context(peer(app, peers_folder)) for name, app in peer_apps.items()}
        yield HttpBench(stack.enter_context(running(data_dir)), ports, codes, amounts)
