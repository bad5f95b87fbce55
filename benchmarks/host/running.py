"""The contenders as they run: a Functions host for a small app, and the peers' servers, in processes of their own."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.prediction.instance import cpu_seconds, eventually
from funchost.keeper import descendants
from shared.platform import end_process_tree, free_ports
from tests.conformance.hosts import MASTER, PROJECT, EmbeddedHost

NOOPS = '''
"""Functions that do nothing: what is left is the host."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="async", methods=["GET"])
async def noop_async(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")


@app.route(route="sync", methods=["GET"])
def noop_sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")
'''
EMPTY = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="async", methods=["GET"])
async def noop(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ok")
"""
_HOST_JSON = {
    "version": "2.0",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
}
_READY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """Something that answers requests, as the load meets it."""

    name: str
    port: int
    pid: int
    path: str
    headers: dict[str, str]

    @property
    def processes(self) -> list[int]:
        """Its process and all below."""
        return [self.pid, *descendants(self.pid)]

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have used; of those that have ended, nothing."""
        return sum(_cpu_seconds(pid) for pid in self.processes)

    def own_mib(self) -> float:
        """Return the memory of its processes, pages that several share counted once."""
        return sum(_proportional_kib(pid) for pid in self.processes) / 1024


def _cpu_seconds(pid: int) -> float:
    with contextlib.suppress(OSError):
        return cpu_seconds(pid)
    return 0.0


def _proportional_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return 0


def write_app(folder: Path, source: str) -> Path:
    """Write an app into `folder` and return it; host.json holds nothing but what it must."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function_app.py").write_text(source)
    (folder / "host.json").write_text(json.dumps(_HOST_JSON))
    return folder


def start_host(
    app_dir: Path, settings: dict[str, str] | None = None, arguments: Sequence[str] = (), number: int = 0
) -> EmbeddedHost:
    """Start a host for the app of a folder and return at once; its settings are the defaults where none are given."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        "PYTHONPATH": str(PROJECT),
        "RECORD": str(app_dir / "record.jsonl"),
        "FUNCHOST_MASTER_KEY": MASTER,
        **(settings or {}),
    }
    return EmbeddedHost(app_dir, number, environment, list(arguments))


@contextmanager
def host(app_dir: Path, settings: dict[str, str] | None = None) -> Iterator[EmbeddedHost]:
    """Run a host for the app of a folder until the block ends."""
    started = start_host(app_dir, settings)
    try:
        started.wait_ready()
        yield started
    finally:
        end_process_tree(started.process, grace_seconds=10)


def served_by(running: EmbeddedHost, kind: str) -> Server:
    """Return one of the no-op functions of a host as the load meets it: with the function's own key."""
    keys = json.loads((running.app_dir / ".funchost" / "host-keys.json").read_text(encoding="utf-8"))
    return Server(
        name=kind,
        port=port_of(running),
        pid=running.process.pid,
        path=f"/api/{kind}",
        headers={"x-functions-key": keys["functions"][f"noop_{kind}"]["default"]},
    )


def port_of(running: EmbeddedHost) -> int:
    """Return where a host listens."""
    return int(running.url.rpartition(":")[2])


@contextmanager
def peer(app: str, folder: Path) -> Iterator[Server]:
    """Serve a peer until the block ends; its log lines go into a file, as the host's do."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_ports(1)[0]
    with (folder / f"{app}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.host.peers", app, str(port)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: _has_line(folder / f"{app}.log") or process.poll() is not None, f"{app} listens", 30)
        if process.poll() is not None:
            raise SystemExit(f"the peer {app} ended:\n{(folder / f'{app}.log').read_text()[-2000:]}")
        headers = {"x-functions-key": "a" * 43}
        yield Server(name=app, port=port, pid=process.pid, path="/api/async", headers=headers)
    finally:
        process.terminate()
        process.wait(10)


def _has_line(path: Path) -> bool:
    return path.stat().st_size > 0


def python_child(words: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    """Run a module of this package in a process of its own and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-m", *words], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def seconds_to_answer(app_dir: Path, path: str, number: int) -> float:
    """Start a host, ask it until it answers with 200, and end it; return the seconds from start to answer."""
    import http.client

    port = free_ports(1)[0]
    began = time.perf_counter()
    started = start_host(app_dir, arguments=["--port", str(port)], number=number)
    try:
        while time.perf_counter() - began < _READY_SECONDS:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_READY_SECONDS)
            with contextlib.suppress(OSError), contextlib.closing(connection):
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return time.perf_counter() - began
            time.sleep(0.002)
        raise SystemExit(f"the host did not answer:\n{started.log_text()[-2000:]}")
    finally:
        end_process_tree(started.process, grace_seconds=10)
