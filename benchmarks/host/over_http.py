"""Requests to functions that do nothing, beside a bare framework on the same server in the same run."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.host.running import Server
from benchmarks.prediction.figures import Figure, Spread
from benchmarks.prediction.instance import load

CLIENTS = 16
P50_RATIO, ASYNC_RATIO, SYNC_RATIO, P99_MS = 1.6, 0.4, 0.35, 5.0
GROWTH_MIB = 1.0  # of all processes together, over the requests of the memory part


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How much is asked."""

    rounds: int
    alone: int  # requests of one connection, a round and a contender
    together: int  # requests of 16 connections, a round and a contender
    warm: int  # before anything counts, of each contender
    remembered: int  # requests between two looks at the memory


@dataclass(kw_only=True)
class Turns:
    """What one contender did under one load, turn by turn."""

    outcomes: list[dict[str, Any]] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def spread(self) -> Spread:
        """Return all latencies together."""
        return Spread.of([value for outcome in self.outcomes for value in outcome["latencies_ms"]])

    @property
    def p50s(self) -> list[float]:
        """Return the middle latency of each turn, in milliseconds."""
        return [statistics.median(outcome["latencies_ms"]) for outcome in self.outcomes]

    @property
    def p99s(self) -> list[float]:
        """Return the 99 % point of each turn, in milliseconds."""
        return [Spread.of(outcome["latencies_ms"]).p99 for outcome in self.outcomes]

    @property
    def rates(self) -> list[float]:
        """Return the requests a second of each turn."""
        return [len(outcome["latencies_ms"]) / outcome["seconds"] for outcome in self.outcomes]

    @property
    def failed(self) -> int:
        """Return how many requests were not answered with 200."""
        return sum(outcome["failed"] for outcome in self.outcomes)

    @property
    def cpu_us(self) -> float:
        """Return the processor time of the server's processes a request, in microseconds."""
        return self.cpu_seconds * 1e6 / sum(len(outcome["latencies_ms"]) for outcome in self.outcomes)


def measure(contenders: Sequence[Server], amounts: Amounts, clients: int) -> dict[str, Turns]:
    """Let the contenders take turns, the first of a round being another each time."""
    requests = amounts.alone if clients == 1 else amounts.together
    found = {contender.name: Turns() for contender in contenders}
    for number in range(amounts.rounds):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            turns = found[contender.name]
            before = contender.cpu_seconds()
            turns.outcomes += load(contender.port, [_run(contender, requests, clients)])
            turns.cpu_seconds += contender.cpu_seconds() - before
    return found


def warm_up(contenders: Sequence[Server], amounts: Amounts) -> None:
    """Ask each contender some requests that count for nothing."""
    for contender in contenders:
        load(contender.port, [_run(contender, amounts.warm, CLIENTS)])


def _run(server: Server, requests: int, clients: int) -> dict[str, Any]:
    return {
        "path": server.path, "headers": server.headers, "method": "GET", "bodies": [""], "times": requests,
        "clients": clients,
    }  # fmt: skip


def figures(alone: Mapping[str, Turns], together: Mapping[str, Turns], peer: str) -> list[Figure]:
    """Return latency at one connection and throughput at 16, each beside the peer's of the same rounds."""
    found = [
        _compared(
            f"{kind} no-op, p50 at 1 connection", "ms", alone[kind].p50s, alone[peer].p50s, peer,
            limit=P50_RATIO if kind == "async" else None, at_least=False, more=_told(alone[kind], alone[peer]),
        )
        for kind in ("async", "sync")
    ]  # fmt: skip
    for kind, limit in (("async", ASYNC_RATIO), ("sync", SYNC_RATIO)):
        found.append(
            _compared(
                f"{kind} no-op, requests/s at {CLIENTS} connections", "/s", together[kind].rates, together[peer].rates,
                peer, limit=limit, at_least=True, more=_told(together[kind], together[peer]),
            )
        )  # fmt: skip
    for kind in ("async", "sync"):
        p99s = together[kind].p99s
        found.append(
            Figure(
                what=f"{kind} no-op, p99 at {CLIENTS} connections", value=statistics.median(p99s), unit="ms",
                limit=P99_MS, peer_name=peer, peer=statistics.median(together[peer].p99s),
                note=f"median of {len(p99s)} rounds, {min(p99s):.2f} to {max(p99s):.2f}",
            )
        )  # fmt: skip
    runs = [*alone.values(), *together.values()]
    found.append(Figure(what="requests failed", value=sum(run.failed for run in runs), unit="requests", limit=0))
    return found


def _compared(
    what: str, unit: str, own: Sequence[float], others: Sequence[float], peer: str, *,
    limit: float | None, at_least: bool, more: str,
) -> Figure:  # fmt: skip
    """Return the median ratio of the rounds to the peer's, with the values it was made of."""
    ratios = [mine / theirs for mine, theirs in zip(own, others, strict=True)]
    values = f"{statistics.median(own):,.3g} {unit} and {statistics.median(others):,.3g}".replace(" /s", "/s")
    if unit == "/s":
        values = f"{statistics.median(own):,.0f}/s and {statistics.median(others):,.0f}"
    return Figure(
        what=f"{what}, over {peer}", value=statistics.median(ratios), unit="x", limit=limit, at_least=at_least,
        note=f"{values}; {len(ratios)} rounds {min(ratios):.2f} to {max(ratios):.2f}; {more}",
    )  # fmt: skip


def _told(own: Turns, peer: Turns) -> str:
    return f"CPU of the server a request {own.cpu_us:.0f} µs and {peer.cpu_us:.0f}"


def memory(server: Server, amounts: Amounts) -> Figure:
    """Return how much the host's processes grew over many requests, after as many as it takes to warm up."""
    load(server.port, [_run(server, max(1, amounts.remembered // 4), CLIENTS)])
    before = server.own_mib()
    [outcome] = load(server.port, [_run(server, amounts.remembered, CLIENTS)])
    after = server.own_mib()
    return Figure(
        what=f"memory grown over {amounts.remembered:,} requests", value=after - before, unit="MiB", limit=GROWTH_MIB,
        note=f"{before:.1f} MiB before, {after:.1f} after, all processes of the host; {outcome['failed']} failed",
    )  # fmt: skip
