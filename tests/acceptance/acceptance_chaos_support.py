"""Deaths at a random moment, and what must hold afterwards: nothing lost, nothing doubled, everything ended.

`tests/acceptance/test_acceptance_chaos.py` does a few of these deaths, `benchmarks/chaos.py` many.
"""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from shared.registry.manifest import MANIFEST_NAME, parse_manifest
from shared.registry.signing import Keys
from tests.acceptance.acceptance_support import PROJECT, RunningInstance

FINAL_STATES = {
    "training_jobs": {"succeeded", "failed", "cancelled", "skipped"},
    "quality_cycles": {"succeeded", "failed", "cancelled", "skipped"},
    "extracts": {"succeeded", "failed", "cancelled", "skipped"},
    "registrations": {"installed", "rejected"},
}
GOOD_STATES = {"succeeded", "installed"}
VICTIMS = ("everything", "supervisor", "host", "event worker", "http worker", "training child", "azurite")
NEEDS_UP = {"everything", "supervisor"}  # the others are started again by the supervisor or the host
SETTLE_SECONDS = 150.0

Work = tuple[str, str]  # table and row id


# ------------------------------------------------------------------------------------------------------- looking


def query(instance: RunningInstance, sql: str, *values: object) -> list[sqlite3.Row]:
    """Read the instance's database beside it."""
    with contextlib.closing(sqlite3.connect(f"file:{instance.data_dir / 'routing.db'}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return list(database.execute(sql, values))


def work_row(instance: RunningInstance, work: Work) -> sqlite3.Row | None:
    """One row of work, or None when it is not there."""
    rows = query(instance, f"SELECT * FROM {work[0]} WHERE id = ?", work[1])
    return rows[0] if rows else None


def unended(instance: RunningInstance) -> list[str]:
    """Every row of work that has not reached a final state."""
    found = []
    for table, final in FINAL_STATES.items():
        rows = query(instance, f"SELECT id, state FROM {table}")
        found += [f"{table} {row['id']} is {row['state']}" for row in rows if row["state"] not in final]
    return found


def doubled(instance: RunningInstance) -> list[str]:
    """What exists twice, or against the rules of the registry."""
    found = []
    versions = query(instance, "SELECT version, state, job_id FROM model_versions")
    active = [row["version"] for row in versions if row["state"] == "active"]
    if len(active) > 1:
        found.append(f"active: {active}")
    jobs = [row["job_id"] for row in versions if row["job_id"]]
    found += [f"two versions of job {job}" for job in set(jobs) if jobs.count(job) > 1]
    for row in versions:
        events = query(instance, "SELECT * FROM model_events WHERE version = ? ORDER BY id", row["version"])
        chain = [None, *(event["to_state"] for event in events)]
        if [event["from_state"] for event in events] != chain[:-1] or chain[-1] != row["state"]:
            found.append(f"events of {row['version']} do not join: {chain}, and it is {row['state']}")
    return found


def astray(instance: RunningInstance) -> list[str]:
    """Folders and rows of models that miss each other."""
    models = instance.data_dir / "models"
    folders = {entry.name for entry in models.iterdir()} if models.is_dir() else set()
    rows = {row["version"] for row in query(instance, "SELECT version FROM model_versions")}
    return [f"folder without row: {name}" for name in sorted(folders - rows)] + [
        f"row without folder: {name}" for name in sorted(rows - folders)
    ]


def rubbish(instance: RunningInstance) -> list[Path]:
    """What lies in folders for passing things."""
    found: list[Path] = []
    for name in ("staging", "quarantine"):
        folder = instance.data_dir / name
        found += sorted(folder.iterdir()) if folder.is_dir() else []
    snapshots = instance.data_dir / "snapshots"
    return found + (sorted(snapshots.glob(".snapshot-*")) if snapshots.is_dir() else [])


# ------------------------------------------------------------------------------------------------------- killing


def children_of(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(entry.read_text(errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.parent.name))
    return found


def _whose_command_has(instance: RunningInstance, word: str) -> list[int]:
    found = []
    for pid in instance.members():
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _worker(instance: RunningInstance, name: str) -> list[int]:
    try:
        answer = httpx.get(
            f"{instance.address}/admin/host/status", headers={"x-functions-key": instance.master_key}, timeout=5
        )
        keeper = answer.json()["workers"][name]["processId"]
    except (httpx.HTTPError, ValueError, KeyError, OSError):
        return []
    return children_of(keeper) if keeper else []


def find(instance: RunningInstance, victim: str) -> list[int]:
    """The processes that `victim` stands for; none where it does not run now."""
    if victim == "supervisor":
        return [] if instance.process is None or instance.process.poll() is not None else [instance.process.pid]
    if victim in ("event worker", "http worker"):
        return _worker(instance, victim.removesuffix(" worker"))
    words = {"host": "funchost\0--app-dir", "training child": "shared.training.child", "azurite": "azurite.js"}
    return _whose_command_has(instance, words[victim])


def kill(instance: RunningInstance, victim: str) -> bool:
    """`kill -9`; return whether there was anything to kill. After the supervisor's death all must be gone in 5 s."""
    if victim == "everything":
        instance.kill_everything()
        return True
    found = find(instance, victim)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if victim == "supervisor":
        assert instance.process is not None
        instance.process.wait(10)
        instance.wait_gone(seconds=5)
    return bool(found)


# ------------------------------------------------------------------------------------------------------- working


@dataclass
class Drops:
    """Packages to drop: copies of one that this instance made, each under its own name and truly signed."""

    instance: RunningInstance
    folder: Path
    made: int = 0

    def next(self) -> tuple[str, Path]:
        """Return a new version's name and its package."""
        self.made += 1
        version = f"dropped-{self.made}-{random.randrange(10**6)}"
        target = Path(shutil.copytree(self.folder, self.folder.parent / version))
        manifest = parse_manifest((target / MANIFEST_NAME).read_bytes()).model_copy(update={"version": version})
        signed = Keys(self.instance.data_dir / "keys").sign(manifest)
        (target / MANIFEST_NAME).write_bytes(signed.to_bytes())
        return version, target

    @classmethod
    def of_active(cls, instance: RunningInstance, scratch: Path) -> "Drops":
        """Start from the active version's own folder."""
        active = query(instance, "SELECT version FROM model_versions WHERE state = 'active'")[0]["version"]
        scratch.mkdir(parents=True, exist_ok=True)
        return cls(instance, Path(shutil.copytree(instance.data_dir / "models" / active, scratch / "template")))


def upload(instance: RunningInstance, version: str, folder: Path, *, leave_out: str = "") -> None:
    """Upload as a careful client would: the manifest last, and again while storage is away."""
    connection = connection_string(instance)
    files = sorted((f for f in folder.iterdir() if f.is_file()), key=lambda f: f.name == MANIFEST_NAME)
    deadline = time.monotonic() + 60
    for file in files:
        if file.name == leave_out:
            continue
        while True:
            try:
                with BlobServiceClient.from_connection_string(connection, retry_total=0) as client:
                    container = client.get_container_client("model-drop")
                    if not container.exists():
                        container.create_container()
                    container.upload_blob(f"{version}/{file.name}", file.read_bytes(), overwrite=True)
                break
            except AzureError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)


def connection_string(instance: RunningInstance) -> str:
    """What any SDK client needs."""
    from shared.azurite.account import StorageAccount

    account = StorageAccount.kept_in(instance.data_dir / "keys" / "storage.json")
    first = instance.storage_port
    return account.connection_string((first, first + 1, first + 2))


def begin_training(instance: RunningInstance) -> list[Work]:
    """Ask for a refit."""
    return [("training_jobs", instance.post("training/jobs", {"kind": "refit"})["job_id"])]


def begin_cycle(instance: RunningInstance) -> list[Work]:
    """Ask for a quality cycle."""
    return [("quality_cycles", instance.post("quality/cycles", {})["cycle_id"])]


def begin_extract(instance: RunningInstance) -> list[Work]:
    """Ask for an extract."""
    return [("extracts", instance.post("data/snapshots", {})["id"])]


# --------------------------------------------------------------------------------------------------------- rounds


@dataclass(kw_only=True)
class Round:
    """What one death did."""

    moment: str
    victim: str
    after_seconds: float
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    answers_seconds: float | None = None  # from the death until the API answers
    taken_up_seconds: float | None = None  # from the death until the work is held again, or ended
    ended_seconds: float | None = None  # from the death until everything has ended


def bring_back(instance: RunningInstance, victim: str, *, wants_model: bool = True) -> None:
    """Start again what nobody else starts, and wait until the API answers."""
    if victim in NEEDS_UP:
        instance.up(wants_model=wants_model)
        return
    path = "ready" if wants_model else "live"
    eventually_true(lambda: _answers(instance, path), 60, "the API answers again")


def _answers(instance: RunningInstance, path: str) -> bool:
    try:
        return httpx.get(f"{instance.address}/api/health/{path}", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def eventually_true(ask: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def death(
    instance: RunningInstance,
    moment: str,
    victim: str,
    begin: Callable[[RunningInstance], list[Work]],
    *,
    after_seconds: float,
    when: Callable[[], bool] | None = None,
    afterwards: Callable[[], list[Work]] | None = None,
) -> Round:
    """Begin some work, kill `victim` a while after `when` holds, bring all back, and report what became of it.

    `afterwards` goes on with what a client outside does, and names the work that must be there then.
    """
    done = Round(moment=moment, victim=victim, after_seconds=after_seconds)
    works = begin(instance)
    if when is not None:
        eventually_true(when, 60, f"the moment: {moment}")
    time.sleep(after_seconds)
    died = time.monotonic()
    if not kill(instance, victim):
        done.victim += " (not running then)"
    before = {work: row["attempt"] if (row := work_row(instance, work)) else 0 for work in works}
    held = {work for work in works if (row := work_row(instance, work)) and row["state"] in ("running", "verifying")}
    bring_back(instance, victim)
    done.answers_seconds = time.monotonic() - died
    works += afterwards() if afterwards is not None else []
    _settle(instance, works, held, before, died, done)
    done.doubled += doubled(instance)
    eventually_astray(instance, done)
    return done


def _settle(
    instance: RunningInstance,
    works: list[Work],
    held: set[Work],
    before: dict[Work, int],
    died: float,
    done: Round,
) -> None:
    waiting = set(held)
    while time.monotonic() - died < SETTLE_SECONDS:
        for work in list(waiting):
            row = work_row(instance, work)
            if row is not None and (row["attempt"] > before[work] or row["state"] in FINAL_STATES[work[0]]):
                waiting.discard(work)
                done.taken_up_seconds = time.monotonic() - died
        if not unended(instance):
            break
        time.sleep(0.25)
    done.ended_seconds = time.monotonic() - died
    done.lost += unended(instance)
    for work in works:
        row = work_row(instance, work)
        if row is None:
            done.lost.append(f"{work} has no row")
        elif row["state"] not in GOOD_STATES:
            done.lost.append(f"{work} ended {row['state']}: {row['error']}")


def eventually_astray(instance: RunningInstance, done: Round) -> None:
    """Folders and rows must fit once the sweep has repaired; one look, then up to a minute's patience."""
    deadline = time.monotonic() + 60
    while astray(instance) and time.monotonic() < deadline:
        time.sleep(0.5)
    done.lost += astray(instance)


def launch(instance: RunningInstance) -> None:
    """Type `up` and do not wait."""
    command = [sys.executable, "manage.py", "up", "--host", "embedded", *instance.options]
    command += ["--port", str(instance.port), "--storage-port", str(instance.storage_port)]
    command += ["--data-dir", str(instance.data_dir)]
    with instance.output.open("a", encoding="utf-8") as out:
        instance.process = subprocess.Popen(
            command, cwd=PROJECT, stdout=out, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )


def start_and_kill(instance: RunningInstance, after_seconds: float) -> None:
    """Start, and kill everything while the first start is under way (or just after it)."""
    launch(instance)
    time.sleep(after_seconds)
    instance.kill_everything()


def make_old(path: Path) -> None:
    """Let a passing folder look as if it had been forgotten for two days."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path, (time.time() - 2 * 86_400,) * 2)
