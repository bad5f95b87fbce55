"""What is timed, one task a process."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from threadpoolctl import threadpool_limits

from shared.configuration import default_configuration
from shared.erp.snapshot import Snapshot, open_snapshot
from shared.prediction.fit import fit_with_lessons
from shared.prediction.minutes.forms.stack import tree_rows
from shared.registry.build import build_package
from shared.registry.signing import Keys
from shared.training.child import JobSpec
from shared.training.cores import training_cores
from shared.training.supervision import child_environment
from shared.training.trainers.material import Material

PEER_TREES = 100


@dataclass
class Steps:
    """Seconds of each step, from one progress report to the next; a trainer's fits are one step."""

    seconds: dict[str, float] = field(default_factory=dict)
    _name: str | None = None
    _since: float = field(default_factory=time.perf_counter)

    def report(self, _percent: float, name: str) -> None:
        """Close the step under way and begin the next."""
        now = time.perf_counter()
        if self._name is not None:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name.split(", fit ")[0].split(", view ")[0], now


def run(task: str, snapshot_folder: Path, place: Path | None) -> dict[str, Any]:
    """Run a task and return its figures with the time and the memory that it took; `active` writes to `place`."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    tasks: dict[str, Callable[[Snapshot], dict[str, Any]]] = {
        "refit": refit,
        "refit-job": lambda snapshot: job("refit", snapshot),
        "challenger": lambda snapshot: job("challenger", snapshot),
        "peer": peer,
    }
    snapshot = open_snapshot(snapshot_folder)
    with threadpool_limits(training_cores(), user_api="blas"):
        if task == "active" and place is not None:
            active(snapshot, place)
            return {}
        found = tasks[task](snapshot)
    return {
        "peak_mib": _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss),
        "items": snapshot.rows["items"],
    } | found


def refit(snapshot: Snapshot) -> dict[str, Any]:
    """Fit, index and package."""
    steps, started, worked = Steps(), time.perf_counter(), time.process_time()
    model = fit_with_lessons(snapshot, default_configuration(), progress=steps.report).model
    with tempfile.TemporaryDirectory() as scratch:
        keys = Keys(Path(scratch) / "keys")
        keys.ensure()
        steps.report(100, "packaging")
        build_package(model, Path(scratch) / "measured", version="measured", keys=keys)
        steps.report(100, "done")
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "cpu_seconds": time.process_time() - worked, "steps": steps.seconds}


def job(kind: str, snapshot: Snapshot) -> dict[str, Any]:
    """Run a job's own child process against a version of the same data, whose making is not timed.

    A refit of the same data is registered, so that its package is made too; a challenger hardly ever.
    """
    configuration = default_configuration()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        _make_active(snapshot.folder, place)
        spec = JobSpec(
            job_id="job_measured", kind=kind, snapshot_folder=snapshot.folder, configuration=configuration,
            keys_folder=place / "keys", allow_unsigned=False, active_folder=place / "serving", parent="serving",
            version="measured", package_folder=place / "measured",
        )  # fmt: skip
        (place / "job.json").write_text(spec.model_dump_json(), encoding="utf-8")
        return _followed(place / "job.json")


def _make_active(snapshot_folder: Path, place: Path) -> None:
    """Make the active version in a process of its own, so that its memory is nobody's here."""
    words = [sys.executable, "-m", "benchmarks.training", "--task", "active", "--snapshot", str(snapshot_folder)]
    subprocess.run([*words, "--output", str(place)], check=True, stdout=subprocess.DEVNULL)


def active(snapshot: Snapshot, place: Path) -> None:
    """Fit and package a version named serving in `place`, with keys beside it."""
    keys = Keys(place / "keys")
    keys.ensure()
    model = fit_with_lessons(snapshot, default_configuration()).model
    build_package(model, place / "serving", version="serving", keys=keys)


def _followed(spec_file: Path) -> dict[str, Any]:
    """Run a job's child as its worker does and return what it reported, with its time and memory."""
    steps, started = Steps(), time.perf_counter()
    words = [sys.executable, "-m", "shared.training.child", str(spec_file)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, env=child_environment(os.environ))
    assert child.stdout is not None
    told: dict[str, Any] = {}
    for line in child.stdout:
        said = json.loads(line)
        if "progress" in said:
            steps.report(said["progress"], said["step"])
            print(f"{time.perf_counter() - started:9.1f} s  {said['progress']:5.1f} %  {said['step']}", file=sys.stderr)
        told |= {name: said[name] for name in ("result", "error") if name in said}
    _, status, used = os.wait4(child.pid, 0)
    steps.report(100, "done")
    seconds = time.perf_counter() - started
    if "result" not in told:
        raise SystemExit(f"the job's process ended with {os.waitstatus_to_exitcode(status)}: {told.get('error')}")
    result = told["result"]
    return {
        "seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_mib": _mib(used.ru_maxrss),
        "steps": steps.seconds, "tried": result["tried"], "promoted": result["promoted"], "reason": result["reason"],
    }  # fmt: skip


def peer(snapshot: Snapshot) -> dict[str, Any]:
    """Fit a plain forest to the same rows; arranging them is not timed."""
    from sklearn.ensemble import RandomForestRegressor

    fit = fit_with_lessons(snapshot, default_configuration())
    material = Material.of(fit.lessons)
    sample, usual = material.sample, material.usual[frozenset()]
    every = np.arange(len(sample.row))
    rows = tree_rows(
        material.features, every, usual.typical[0, sample.task],
        usual.centres[0, sample.task, sample.resource].astype(np.float64),
    )[1::2]  # fmt: skip
    goals = np.nan_to_num(sample.target[:, 1])
    started, worked = time.perf_counter(), time.process_time()
    RandomForestRegressor(PEER_TREES, random_state=1, n_jobs=training_cores()).fit(rows, goals)
    return {
        "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - worked, "rows": len(rows),
        "trees": PEER_TREES,
    }  # fmt: skip


def _mib(peak: float) -> float:
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**20
