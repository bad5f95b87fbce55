"""Run cycles of the instance of ROUTING_DATA_DIR and print what each part took, as JSON.

python -m benchmarks.cycle.running activation|start SAMPLE_SIZE STRATEGY CYCLES
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import MutableMapping, Sequence
from typing import Any

import structlog

from shared.bootstrap import Services, current_services
from shared.database.engine import migrate, writing
from shared.database.tables import SnapshotRow
from shared.erp.snapshot import DOCUMENT
from shared.prediction.answers import ItemQuery
from shared.quality.actuals import collect_actuals
from shared.quality.cycle_rows import new_cycle
from shared.quality.evaluate import BATCH_ITEMS
from shared.quality.options import CycleOptions

BEGIN = "beginning"


class Parts:
    """Takes the time at every line that a cycle logs, and writes nothing."""

    def __init__(self) -> None:
        """Begin with no cycle under way."""
        self._marks: list[tuple[str, float]] = []
        self.warnings: list[str] = []

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Note a step of a cycle; a structlog processor."""
        if event["event"] == "quality.step":
            self._marks.append((event["step"], time.perf_counter()))
        elif event.get("level") in {"warning", "error"}:
            self.warnings.append(f"{event['event']}: {event.get('error', '')}")
        raise structlog.DropEvent

    def begin(self) -> None:
        """Forget the last cycle."""
        self._marks = [(BEGIN, time.perf_counter())]

    def end(self) -> dict[str, float]:
        """Return the seconds of each step, in order."""
        ends = [at for _, at in self._marks[1:]] + [time.perf_counter()]
        seconds: dict[str, float] = {}
        for (name, begun), ended in zip(self._marks, ends, strict=True):
            seconds[name] = seconds.get(name, 0.0) + ended - begun
        return seconds


def run_cycle(services: Services, parts: Parts, options: CycleOptions) -> dict[str, Any]:
    """Run one cycle as the queue function does, and return what its parts took."""
    configured = services.configuration_store.current()[1].quality
    row = new_cycle(configured, options, now=services.clock(), slot=None, reason="benchmark")
    services.work.insert(row)
    cycle_id, worked = row.id, time.process_time()
    parts.begin()
    services.serving.refresh()
    ended = services.quality_cycles.run(cycle_id)
    seconds = parts.end()
    if ended is None or ended.state != "succeeded":
        raise SystemExit(f"the cycle ended as {ended and ended.state}: {ended and (ended.error or ended.reason)}")
    report = ended.report or {}
    return {
        "seconds": sum(seconds.values()), "cpu_seconds": time.process_time() - worked, "parts": seconds,
        "evaluated": ended.evaluated, "mode": report["mode"], "item_codes": report["sample"]["item_codes"],
    }  # fmt: skip


def bare_predictions(services: Services, codes: Sequence[str]) -> float:
    """Return the seconds of the bare batch answers for items, at the quantity of each of their orders."""
    model = services.serving.active().model
    actuals = collect_actuals(services.snapshots.current(), codes)
    begun = time.perf_counter()
    for start in range(0, len(codes), BATCH_ITEMS):
        some = [code for code in codes[start : start + BATCH_ITEMS] if code in actuals]
        model.predict_orders([ItemQuery(item_code=code) for code in some], [actuals[code].quantities for code in some])
    return time.perf_counter() - begun


def newer_snapshot(services: Services) -> None:
    """Put the current snapshot into use once more under another name, as an extract does that found the same."""
    snapshot = services.snapshots.current()
    name = f"{snapshot.id}_again"
    folder = snapshot.folder.with_name(name)
    shutil.copytree(snapshot.folder, folder)
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    (folder / DOCUMENT).write_text(json.dumps(document | {"id": name}), encoding="utf-8")
    row = SnapshotRow(
        id=name, profile=snapshot.profile_name, fingerprint=snapshot.fingerprint, data_as_of=snapshot.data_as_of,
        folder=folder.relative_to(services.settings.data_dir).as_posix(), rows=dict(snapshot.rows),
        created_at=services.clock(),
    )  # fmt: skip
    with writing(services.engine) as session:
        session.add(row)


def activate_again(services: Services) -> None:
    """Activate the active version anew, by way of another one, so that a new activation begins."""
    active = services.model_versions.active()
    versions = [row.version for row in services.model_versions.list(limit=10, offset=0)[0]]
    for version in (next(name for name in versions if active is None or name != active.version), "measured"):
        services.lifecycle.activate(version, actor="benchmark", reason="a new activation")


def run(task: str, sample_size: int, strategy: str, cycles: int) -> dict[str, Any]:
    """Run the cycles of a process that just started."""
    parts, services = Parts(), current_services()
    structlog.configure(processors=[structlog.stdlib.add_log_level, parts])
    migrate(services.settings.database)
    if task == "activation":
        activate_again(services)
    begun = time.perf_counter()
    services.serving.refresh()
    services.serving.active()
    told: dict[str, Any] = {"loading_seconds": time.perf_counter() - begun}
    options = [CycleOptions(sample_size=sample_size, strategy=strategy, seed=seed) for seed in range(1, cycles + 3)]
    told["first"] = run_cycle(services, parts, options[0])
    if task == "start":
        told["following"] = [run_cycle(services, parts, each) for each in options[1:-1]]
        told["bare_seconds"] = [bare_predictions(services, each["item_codes"]) for each in told["following"]]
        newer_snapshot(services)
        told["newer_snapshot"] = run_cycle(services, parts, options[-1])
    for each in (told["first"], *told.get("following", ()), told.get("newer_snapshot", {})):
        each.pop("item_codes", None)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told["peak_mib"] = used * (1 if sys.platform == "darwin" else 1024) / 2**20
    told["warnings"] = parts.warnings
    return told


if __name__ == "__main__":
    task, size, strategy, cycles = sys.argv[1:]
    print(json.dumps(run(task, int(size), strategy, int(cycles))))
