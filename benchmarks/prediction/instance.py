"""The product as it runs: `manage.py up`, its processes, and the peers' servers beside it (Linux)."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from shared.platform import free_ports
from tests.acceptance.acceptance_support import RunningInstance

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PATIENCE_SECONDS = 1_800.0


def load(port: int, runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Let the load generator's process do `runs` against `port` and return what it measured."""
    with start_load(port, runs) as process:
        return finish_load(process)


def start_load(port: int, runs: Sequence[Mapping[str, Any]]) -> subprocess.Popen[str]:
    """Start the load generator; `finish_load` waits for it."""
    command = [sys.executable, "-m", "benchmarks.prediction.load"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps({"port": port, "runs": list(runs)}))
    process.stdin.close()
    process.stdin = None
    return process


def finish_load(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Return what a started load generator measured."""
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the load generator ended with {process.returncode}")
    outcomes: list[dict[str, Any]] = json.loads(out)
    return outcomes


def http_worker(instance: RunningInstance) -> int:
    """Return the process that answers requests: of those with the model loaded, the largest."""
    return max(instance.members(), key=lambda pid: _resident_pages(pid) if _is_worker(pid) else 0)


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"funchost.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _resident_pages(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def maps_heavy(pid: int, names: Sequence[str]) -> list[str]:
    """Return which of the packages `names` a process has loaded a library of."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return [name for name in names if f"/{name}/" in maps]


@contextmanager
def running(data_dir: Path) -> Iterator[RunningInstance]:
    """Run the instance of `data_dir` until the block ends."""
    port, storage_port = ports()
    instance = RunningInstance(data_dir=data_dir, port=port, storage_port=storage_port, options=("--no-demo",))
    try:
        instance.up()
        yield instance
    finally:
        instance.kill_everything()


def ports() -> tuple[int, int]:
    """Return a free port and the first of three free ones in a row."""
    from tests.acceptance.acceptance_support import consecutive_ports

    return consecutive_ports()


@contextmanager
def peer(app: str, folder: Path) -> Iterator[int]:
    """Serve a peer on the port that is yielded."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "benchmarks.prediction.peers", app, str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: _listens(port) or process.poll() is not None, f"{app} listens")
        if process.poll() is not None:
            assert process.stderr is not None
            raise SystemExit(f"the peer {app} ended:\n{process.stderr.read()[-2000:]}")
        yield port
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(ask: Callable[[], Any], what: str, seconds: float = _PATIENCE_SECONDS) -> Any:
    """Return the first true answer of `ask`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return answer


def restart_host(instance: RunningInstance, code: str) -> float:
    """Kill the host, let the supervisor start another, and return that one's seconds to its first prediction."""
    note = instance.data_dir / "run" / "host.json"
    before = json.loads(note.read_text(encoding="utf-8"))["pid"]
    os.kill(before, signal.SIGKILL)
    after = eventually(lambda: _other_pid(note, before), "the host is started again", 60)

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return instance.predict(code, as_if_unknown=True).status_code == 200
        return False

    eventually(answers, "the host answers again", 120)
    return _age_seconds(after)


def _other_pid(note: Path, before: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads(note.read_text(encoding="utf-8"))["pid"])
        return pid if pid != before else None
    return None


def _age_seconds(pid: int) -> float:
    """Return how long ago a process was started."""
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / _TICKS
    return float(Path("/proc/uptime").read_text().split()[0]) - started
