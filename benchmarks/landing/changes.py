"""How long activations and rollbacks take, and how soon every host answers with the version they chose."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prediction.instance import eventually
from benchmarks.prediction.making import VERSION
from benchmarks.swap import other
from launcher.environment import instance_environment, with_recorded_storage
from shared.platform import end_process_tree, free_ports
from tests.acceptance.acceptance_support import PROJECT, RunningInstance

_REASON = {"reason": "landing benchmark"}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of the active version."""

    call: str  # activate or rollback
    seconds: float  # of the call
    followed: tuple[float, ...]  # seconds from its answer until each host answered with the version


@contextlib.contextmanager
def second_host(instance: RunningInstance) -> Iterator[int]:
    """Run another host on the same data directory, database and storage, and yield its port."""
    port = free_ports(1)[0]
    environment = with_recorded_storage(instance_environment(instance.data_dir))
    command = [sys.executable, "-m", "funchost", "--app-dir", str(PROJECT), "--port", str(port)]
    command += ["--state-dir", str(instance.data_dir / "funchost")]
    with Path(f"{instance.output}.second").open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=out, stderr=out)
    try:
        eventually(lambda: process.poll() is not None or serving(port), "the second host serves", 120)
        if process.poll() is not None:
            raise SystemExit(f"the second host ended:\n{Path(out.name).read_text(encoding='utf-8')[-2000:]}")
        yield port
    finally:
        end_process_tree(process, grace_seconds=10)


def serving(port: int) -> str | None:
    """Return the version that a host answers a new connection with; None where it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/api/health/ready")
        return connection.getresponse().headers["x-model-version"]
    return None


def change(instance: RunningInstance, ports: list[int], times: int, *, pause_seconds: float) -> list[Change]:
    """Activate and roll back in turn, each `pause_seconds` after every host has followed the one before."""
    for version in (other.VERSION, VERSION):  # so that each has served before, and a rollback has where to go
        if serving(instance.port) != version:
            instance.post(f"models/{version}/activate", _REASON, status=200)
        _follow(ports, version)
    time.sleep(pause_seconds)
    now, done = VERSION, []
    for number in range(times):
        new = other.VERSION if now == VERSION else VERSION
        call = f"models/{new}/activate" if number % 2 else "models/rollback"
        began = time.perf_counter()
        instance.post(call, _REASON, status=200)
        seconds = time.perf_counter() - began
        done.append(Change(call=call.rpartition("/")[2], seconds=seconds, followed=_follow(ports, new)))
        now = new
        time.sleep(pause_seconds)
    return done


def _follow(ports: list[int], version: str) -> tuple[float, ...]:
    began, followed = time.perf_counter(), dict.fromkeys(ports, 0.0)
    left = set(ports)
    while left:
        for port in sorted(left):
            if serving(port) == version:
                followed[port] = time.perf_counter() - began
                left.discard(port)
        time.sleep(0.05)
        if time.perf_counter() - began > 120:
            raise SystemExit(f"{version} does not serve on {sorted(left)} after 120 s")
    return tuple(followed.values())
