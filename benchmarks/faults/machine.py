"""What a machine does to a job in mid-flight: its disk fills up, its clock is set back, its storage is set back.

The rows win each time: what was begun ends, once, with its effect or with a reason that a person can read.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import crashes
from benchmarks.faults.instance import Instance, make_instance
from shared.database.tables import TrainingJob, WorkState

AN_HOUR_SECONDS = 3_600.0
FULL_FOR_SECONDS = 8.0
DISK_BYTES = 96 * 2**20
PACKAGE_BYTES = 64 * 2**10  # less than any package
STORAGE_KEEPS_SECONDS = 7.0  # Azurite writes its state to disk every five seconds


@dataclass
class Fault:
    """What one fault did."""

    name: str
    told: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or stuck."""
        return not self.wrong

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{'ok ' if self.good else 'BAD'} {self.name}, {self.seconds:.1f} s: {'; '.join(self.told + self.wrong)}"


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount a file system of so many bytes on `folder`; it needs root, and Linux."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def _running(folder: Path, url: str) -> Iterator[Instance]:
    instance = make_instance(folder, url)
    try:
        instance.start_storage()
        instance.start_host()
        yield instance
    finally:
        instance.stop()


def disk_full_for_a_while(folder: Path, url: str) -> Fault:
    """The disk of the whole data directory is full for some seconds while a child trains."""
    fault = Fault("the data directory's disk is full for 8 s in mid-job")
    with small_disk(folder / "data", DISK_BYTES), _running(folder, url) as instance:
        job_id = _begin(instance, fault)
        instance.eventually(instance.children, 60, "a training child")
        ballast = instance.data_dir / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as stream:
            while True:
                stream.write(b"0" * 65_536)
                stream.flush()
        time.sleep(FULL_FOR_SECONDS)
        ballast.unlink()
        _end(instance, job_id, fault, {WorkState.SUCCEEDED})
    return fault


def disk_full_for_packages(folder: Path, url: str) -> Fault:
    """There is never room for a package: the job fails with that reason; the next one, with room, succeeds."""
    fault = Fault("no room for a package")
    with _running(folder, url) as instance:
        staging = instance.data_dir / "staging"
        with small_disk(staging, PACKAGE_BYTES):
            row = _end(instance, _begin(instance, fault), fault, {WorkState.FAILED})
            if "No space left" not in str(row.error):
                fault.wrong.append(f"the reason does not tell of the disk: {row.error}")
        _end(instance, _begin(instance, fault), fault, {WorkState.SUCCEEDED})
    return fault


def clock_set_back(folder: Path, url: str) -> Fault:
    """The clock goes back an hour while a child trains."""
    fault = Fault("the clock set back an hour in mid-job")
    with _running(folder, url) as instance:
        job_id = _begin(instance, fault)
        instance.eventually(instance.children, 60, "a training child")
        (instance.armed / "clock").write_text(str(-AN_HOUR_SECONDS))
        _end(instance, job_id, fault, {WorkState.SUCCEEDED})
    return fault


def clock_set_back_and_worker_dead(folder: Path, url: str) -> Fault:
    """The clock goes back an hour and the worker dies at once: its lease seems to last an hour more."""
    fault = Fault("the clock set back an hour, and the worker killed")
    with _running(folder, url) as instance:
        job_id = _begin(instance, fault)
        children = instance.eventually(instance.children, 60, "a training child")
        parent = int(Path(f"/proc/{children[0]}/stat").read_text().rpartition(")")[2].split()[1])
        (instance.armed / "clock").write_text(str(-AN_HOUR_SECONDS))
        os.kill(parent, signal.SIGKILL)
        died = time.monotonic()
        instance.eventually(
            lambda: instance.services.work.get(TrainingJob, job_id).attempt > 1, 90, "the job is taken up again"
        )
        fault.told.append(f"taken up again after {time.monotonic() - died:.1f} s")
        _end(instance, job_id, fault, {WorkState.SUCCEEDED})
    return fault


def storage_set_back(folder: Path, url: str) -> Fault:
    """Azurite is killed and comes back as it was: deleted messages are there again, later ones never were."""
    fault = Fault("storage killed and set back in mid-job")
    instance = make_instance(folder, url)
    try:
        instance.start_storage()
        old = instance.services.training_jobs.enqueue("refit", reason="before", actor="faults", label="before")
        time.sleep(STORAGE_KEEPS_SECONDS)
        copy = Path(shutil.copytree(folder / "azurite", folder / "azurite-before"))
        instance.start_host()
        before = _end(instance, old.id, fault, {WorkState.SUCCEEDED})
        running = _begin(instance, fault)
        instance.eventually(instance.children, 60, "a training child")
        waiting = _begin(instance, fault, label="after")
        instance.set_storage_back(copy)
        # Its message is there again; the messages of the two others are not.
        for job_id in (running, waiting):
            _end(instance, job_id, fault, {WorkState.SUCCEEDED})
        after = instance.services.work.get(TrainingJob, old.id)
        if (after.attempt, after.ended_at) != (before.attempt, before.ended_at):
            fault.wrong.append(f"{old.id} was worked on again: attempt {after.attempt}")
    finally:
        instance.stop()
    return fault


FAULTS: tuple[Callable[[Path, str], Fault], ...] = (
    disk_full_for_a_while,
    disk_full_for_packages,
    clock_set_back,
    clock_set_back_and_worker_dead,
    storage_set_back,
)


def _begin(instance: Instance, fault: Fault, *, label: str | None = None) -> str:
    answer = instance.ask("POST", "training/jobs", {"kind": "refit", "label": label})
    assert answer is not None, fault.name
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _end(instance: Instance, job_id: str, fault: Fault, wanted: set[WorkState]) -> TrainingJob:
    """Wait for the job's end and look at what it left."""
    begun = time.monotonic()
    work = instance.services.work
    done = crashes.Round(point=fault.name, died=True)
    try:
        instance.eventually(lambda: work.get(TrainingJob, job_id).state in TrainingJob.FINAL, 180, f"{job_id} ends")
        crashes.settle(instance, job_id)
    except AssertionError as stuck:
        fault.wrong.append(str(stuck))
    row = work.get(TrainingJob, job_id)
    if row.state not in wanted:
        fault.wrong.append(f"{job_id} ended {row.state}")
    crashes.check_effect(instance, row, done)
    crashes.look_for_doubles(instance, done)
    fault.wrong += done.lost + done.doubled
    fault.told.append(f"{row.state} at attempt {row.attempt}" + (f": {row.error}" if row.error else ""))
    fault.seconds += time.monotonic() - begun
    return row
