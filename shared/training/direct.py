"""Training into a package folder: what a job's child does, and the command line and the first start do in process."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from threadpoolctl import threadpool_limits

from shared.clock import Clock, utc_now
from shared.configuration import Configuration
from shared.erp.snapshot import Snapshot
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from shared.registry.build import build_package
from shared.registry.manifest import Manifest
from shared.registry.signing import Keys
from shared.training.cores import training_cores
from shared.training.making import JUDGED, Cancelled, Judged, Progress, judge, scaled

log = structlog.get_logger()

PACKAGED = 98.0


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What became of a training: its judgement, and the package where one was made."""

    judged: Judged | None  # None when the caller wanted no judgement
    manifest: Manifest | None  # None when the active model was kept
    folder: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        judged = {} if self.judged is None else self.judged.as_json()
        return judged | {"packaged": None if self.manifest is None else self.manifest.version}


def train_now(
    snapshot: Snapshot,
    configuration: Configuration,
    out_folder: Path,
    *,
    version: str,
    keys: Keys,
    kind: str = "refit",
    active: RoutingModel | None = None,
    exclude_items: Collection[str] = (),
    evaluate: bool = True,
    job_id: str | None = None,
    parent: str | None = None,
    progress: Progress = lambda _percent, _step: None,
    cancelled: Cancelled = lambda: False,
    clock: Clock = utc_now,
) -> Trained:
    """Fit a model, judge it as if unknown, and write the signed package to `out_folder`.

    `out_folder` must not exist; it appears whole or not at all. When the comparison with `active` keeps the active
    model, nothing is written. `exclude_items` are not learned from. `evaluate=False` skips the judgement,
    for a first model that somebody waits for. `progress` is told percent and step.

    Raises:
        NotEnoughData: there is too little to learn from.
        Cancelled: `cancelled` answered true at a safe point.
        Conflict: `out_folder` exists.
    """
    with threadpool_limits(training_cores(configuration.training.cores), user_api="blas"):
        if evaluate:
            judged = judge(
                kind,
                snapshot,
                configuration,
                active,
                exclude_items=exclude_items,
                progress=progress,
                cancelled=cancelled,
            )
            log.info("training.judged", kind=kind, promoted=judged.promoted, reason=judged.reason)
            if not judged.promoted:
                return Trained(judged=judged, manifest=None, folder=None)
            model = judged.model
        else:
            judged = None
            fitting = scaled(progress, 0.0, JUDGED)
            excluded = tuple(sorted(exclude_items))
            model = fit_model(snapshot, configuration, exclude_items=excluded, progress=fitting, cancelled=cancelled)
    progress(JUDGED, "packaging")
    manifest = build_package(
        model,
        out_folder,
        version=version,
        keys=keys,
        job_id=job_id,
        parent=parent,
        metrics=_metrics(judged),
        clock=clock,
    )
    progress(PACKAGED, "packaged")
    return Trained(judged=judged, manifest=manifest, folder=out_folder)


def _metrics(judged: Judged | None) -> dict[str, Any]:
    """The figures that a package carries: the chief ones as if unknown, and how it was judged."""
    if judged is None or judged.evaluation is None:
        return {}
    overall = judged.evaluation["overall"]
    names = ("mae", "trim_mae", "rmse", "mdape", "interval_coverage", "process_match", "exact_top1", "exact_top3")
    return {
        "as_if_unknown": {name: overall[name] for name in names} | {"items": judged.evaluation["items"]},
        "decision": {"recipe": judged.recipe, "reason": judged.reason},
    }
