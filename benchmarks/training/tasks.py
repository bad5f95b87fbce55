"""What is timed, one task a process."""

import resource
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
from shared.training.cores import training_cores
from shared.training.making import judge
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


def run(task: str, snapshot_folder: Path) -> dict[str, Any]:
    """Run a task and return its figures with the time and the memory that it took."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    tasks: dict[str, Callable[[Snapshot], dict[str, Any]]] = {"refit": refit, "challenger": challenger, "peer": peer}
    snapshot = open_snapshot(snapshot_folder)
    with threadpool_limits(training_cores(), user_api="blas"):
        found = tasks[task](snapshot)
    return found | {"peak_mib": _peak_mib(), "items": snapshot.rows["items"]}


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


def challenger(snapshot: Snapshot) -> dict[str, Any]:
    """Run a whole challenger job against a model of the same data; that model's own fit is not timed."""
    configuration = default_configuration()
    active = fit_with_lessons(snapshot, configuration).model
    steps, started, worked = Steps(), time.perf_counter(), time.process_time()
    judged = judge("challenger", snapshot, configuration, active, progress=steps.report, cancelled=lambda: False)
    steps.report(100, "done")
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds, "cpu_seconds": time.process_time() - worked, "steps": steps.seconds,
        "tried": list(judged.tried), "promoted": judged.promoted, "reason": judged.reason,
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


def _peak_mib() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 2**20
