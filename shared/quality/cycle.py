"""One self-check of the product: sample, predict as if unknown, compare with what happened, decide on an alarm.

`start` inserts a row and rings the bell; `run` is what a queue function (or the command line) does for it. Whatever
happens, the row ends with figures or with a reason that a person can read.

- no model is active, no snapshot, every prediction failed: `failed` with that reason;
- no item has both a routing and a work result: `skipped`, evaluated 0, every figure None with n = 0;
- every item abstained: `succeeded`, evaluated 0, figures None, and the message says so.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.configuration import Configuration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.pulse import Pulse
from shared.database.tables import QualityCycle, WorkState
from shared.database.work import Claim, WorkRows
from shared.erp.snapshot import Snapshot
from shared.errors import Conflict, LeaseLost, NoActiveModel, NotFound, RoutingError
from shared.prediction.model import RoutingModel
from shared.quality import reports
from shared.quality.actuals import collect_actuals, family_attributes
from shared.quality.alarms import ALERT_KIND, WATCHED, Finding, findings
from shared.quality.cycle_rows import new_cycle, prune_reports
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.metrics import QualityMetrics, measure
from shared.quality.sampling import Sample, draw_sample, eligible_items
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.doorbells import Doorbells

log = structlog.get_logger()

MAX_ATTEMPTS = 5
FRESH_ITEMS = 50  # so many items with orders after the model's data suffice to judge it on those alone
ACTOR = "quality cycle"


class Served(Protocol):
    """A served model: `shared.registry.serving.ServedModel`."""

    @property
    def version(self) -> str:
        """The version's name."""
        ...

    @property
    def model(self) -> RoutingModel:
        """The model itself."""
        ...


class ModelSource(Protocol):
    """Where the active model comes from: `shared.registry.serving.Serving`."""

    def active(self) -> Served:
        """Return the served model, or raise NoActiveModel."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    sample: Sample
    reported_after: date | None

    @property
    def mode(self) -> str:
        return "withheld" if self.reported_after is None else "after the model's data"


class QualityCycles:
    """Starts, runs and reports quality cycles."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        work: WorkRows,
        doorbells: Doorbells,
        snapshots: Snapshots,
        configuration: ConfigurationStore,
        alerts: Alerts,
        serving: ModelSource,
        request_retraining: Callable[[str, str], Any],
        clock: Clock = utc_now,
        worker: str = "",
    ) -> None:
        """Join the services; `request_retraining(reason, cycle_id)` enqueues a job or raises Conflict with why not."""
        self._settings = settings
        self._engine = engine
        self._work = work
        self._doorbells = doorbells
        self._snapshots = snapshots
        self._configuration = configuration
        self._alerts = alerts
        self._serving = serving
        self._request_retraining = request_retraining
        self._clock = clock
        self._worker = worker or f"{socket.gethostname()}:{os.getpid()}"

    def start(
        self,
        slot: str | None,
        reason: str,
        *,
        sample_size: int | None = None,
        strategy: str | None = None,
        seed: int | None = None,
    ) -> QualityCycle | None:
        """Insert a cycle and ring its bell; None when the slot has one already. What is not given is configured.

        Raises:
            InvalidInput: a value lies outside what the configuration would accept.
        """
        row = new_cycle(
            self._configuration.current()[1].quality,
            now=self._clock(),
            slot=slot,
            reason=reason,
            sample_size=sample_size,
            strategy=strategy,
            seed=seed,
        )
        if not self._work.insert(row):
            log.info("quality.cycle_exists", slot=slot)
            return None
        self._work.mark_rung(QualityCycle, self._doorbells.try_ring(QualityCycle.QUEUE, [row.id]))
        log.info("quality.cycle_started", cycle_id=row.id, slot=slot, reason=reason)
        return self._work.get(QualityCycle, row.id)

    def run_now(
        self,
        reason: str,
        *,
        sample_size: int | None = None,
        strategy: str | None = None,
        seed: int | None = None,
        serving: ModelSource | None = None,
    ) -> QualityCycle:
        """Insert a cycle and run it here and now, without a message; return the ended row.

        Raises:
            InvalidInput: a value lies outside what the configuration would accept.
        """
        row = new_cycle(
            self._configuration.current()[1].quality,
            now=self._clock(),
            slot=None,
            reason=reason,
            sample_size=sample_size,
            strategy=strategy,
            seed=seed,
        )
        self._work.insert(row)
        self.run(row.id, serving)
        return self._work.get(QualityCycle, row.id)

    def get(self, cycle_id: str) -> QualityCycle:
        """Return one cycle; NotFound when there is none of that id."""
        return self._work.get(QualityCycle, cycle_id)

    def list(self, *, limit: int = 50, offset: int = 0) -> tuple[list[QualityCycle], int]:
        """Return cycles, newest first, and how many there are in all."""
        return self._work.list(QualityCycle, limit=limit, offset=offset)

    def run(self, cycle_id: str, serving: ModelSource | None = None) -> QualityCycle | None:
        """Do the cycle's work; None when there is nothing to do (another worker has it, it ended, or the lease went).

        Never raises for the work itself: the row says what went wrong. `serving` stands in for the service's own
        source of the active model.
        """
        claim = self._work.claim(
            QualityCycle, cycle_id, worker=self._worker, lease_seconds=self._settings.lease_seconds
        )
        if claim is None:
            log.info("quality.cycle_not_claimed", cycle_id=cycle_id)
            return None
        beat = self._settings.heartbeat_seconds
        try:
            with Pulse(self._work, claim, lease_seconds=self._settings.lease_seconds, every_seconds=beat) as pulse:
                self._guarded(claim, serving or self._serving, pulse)
        except LeaseLost as error:
            log.warning("quality.cycle_lost", cycle_id=cycle_id, error=str(error))
            return None
        return self._work.get(QualityCycle, cycle_id)

    def _guarded(self, claim: Claim[QualityCycle], serving: ModelSource, pulse: Pulse) -> None:
        try:
            if claim.attempt > MAX_ATTEMPTS:
                raise RoutingError(f"Given up after {MAX_ATTEMPTS} attempts: the worker died each time.")
            self._work_through(claim, serving, pulse)
        except LeaseLost:
            raise
        except NoActiveModel as error:
            self._fail(claim, "no-active-model", f"no model is active: {error}")
        except RoutingError as error:
            self._fail(claim, error.code, str(error))
        except Exception as error:
            log.exception("quality.cycle_broke", cycle_id=claim.id)
            self._fail(claim, "internal-error", f"{type(error).__name__}: {error}")

    def _fail(self, claim: Claim[QualityCycle], code: str, reason: str, **columns: Any) -> None:
        self._work.finish(claim, WorkState.FAILED, error=reason, step="failed", **columns)
        self._alerts.raise_alert(
            "quality-cycle-failed",
            "",
            f"A quality cycle failed: {reason}",
            details={"cycle_id": claim.id, "code": code},
        )
        log.error("quality.cycle_failed", cycle_id=claim.id, code=code, error=reason)

    def _work_through(self, claim: Claim[QualityCycle], serving: ModelSource, pulse: Pulse) -> None:
        row, begun = claim.row, time.perf_counter()
        configuration = self._configuration.current()[1]
        served = serving.active()
        snapshot = self._snapshot()
        self._step(claim, pulse, 5, "sampling", model_version=served.version, snapshot_id=snapshot.id)
        drawn = self._draw(row, snapshot, served.model)
        self._step(claim, pulse, 15, "reading actuals", sampled=len(drawn.sample.item_codes), mode=drawn.mode)
        sample = drawn.sample
        actuals = collect_actuals(snapshot, sample.item_codes, reported_after=drawn.reported_after)
        self._step(claim, pulse, 25, "predicting", items=len(actuals))
        weights = dict(zip(sample.item_codes, sample.weights, strict=True))
        evaluation = evaluate(
            served.model,
            actuals,
            weights,
            progress=lambda share: pulse.report(25 + 50 * share, "predicting"),
            cancelled=pulse.lost.is_set,
        )
        self._step(claim, pulse, 75, "measuring", evaluated=evaluation.evaluated, failed=evaluation.failed_count)
        figures = measure(
            evaluation.orders,
            evaluation.routings,
            trim_share=configuration.quality.trim_share,
            minimum_samples=configuration.quality.minimum_samples,
            seed=row.seed,
        )
        self._step(claim, pulse, 90, "deciding")
        self._conclude(claim, pulse, served.version, snapshot, drawn, evaluation, figures, configuration, begun)

    def _conclude(
        self,
        claim: Claim[QualityCycle],
        pulse: Pulse,
        version: str,
        snapshot: Snapshot,
        drawn: _Drawn,
        evaluation: Evaluation,
        figures: dict[str, Any],
        configuration: Configuration,
        begun: float,
    ) -> None:
        crossed = findings(figures["overall"], configuration.quality)
        message = _message(drawn.sample, evaluation)
        with self._work.fenced(claim):
            pulse.check()
        retraining = self._act_on(claim.id, version, crossed, figures["overall"])
        metadata = {
            "model_version": version,
            "snapshot_id": snapshot.id,
            "mode": drawn.mode,
            "population": drawn.sample.population,
            "abstained": len(evaluation.abstained),
            "retraining": retraining,
            "message": message,
        }
        chief = self._chief(claim.row, figures["overall"], crossed, evaluation, metadata, begun)
        columns: dict[str, Any] = {
            "model_version": version,
            "evaluated": evaluation.evaluated,
            "failed": evaluation.failed_count,
            "metrics": {"quality": chief.as_json()} | figures,
            "report": reports.build(snapshot, version, drawn.mode, drawn.sample, evaluation),
        }
        if not drawn.sample.item_codes:
            self._work.finish(claim, WorkState.SKIPPED, reason=message, step="nothing to evaluate", **columns)
        elif evaluation.failed_count and not evaluation.evaluated and not evaluation.abstained:
            self._fail(claim, "predictions-failed", str(message), **columns)
            return
        else:
            self._work.finish(claim, WorkState.SUCCEEDED, step=message or "done", **columns)
        prune_reports(self._engine, configuration.quality.keep_cycles)
        log.info(
            "quality.cycle_done",
            cycle_id=claim.id,
            model_version=version,
            evaluated=evaluation.evaluated,
            mae=chief.mae,
            process_match=chief.process_match,
            duration_seconds=chief.duration_seconds,
            message=message,
        )

    def _chief(
        self,
        row: QualityCycle,
        overall: dict[str, Any],
        crossed: Sequence[Finding],
        evaluation: Evaluation,
        metadata: dict[str, Any],
        begun: float,
    ) -> QualityMetrics:
        return QualityMetrics(
            cycle_id=row.id,
            sample_size=row.sample_size,
            strategy=row.strategy,
            mae=overall["mae"]["value"],
            trim_mae=overall["trim_mae"]["value"],
            rmse=overall["rmse"]["value"],
            process_match=overall["process_match"]["value"],
            outsourcing_success=overall["outsourcing_success"]["value"],
            cv=overall["cv"]["value"],
            sample_count=overall["sample_count"]["value"],
            alerts=[finding.as_json() for finding in crossed],
            timestamp=self._clock().isoformat(),
            duration_seconds=round(time.perf_counter() - begun, 3),
            items_evaluated=evaluation.evaluated,
            items_failed=evaluation.failed_count,
            metadata=metadata,
        )

    def _snapshot(self) -> Snapshot:
        try:
            return self._snapshots.current()
        except NotFound as error:
            raise NotFound(
                "There is no snapshot of the ERP to compare predictions with.",
                remedy="Let an extract run first: POST /api/data/snapshots.",
            ) from error

    def _draw(self, row: QualityCycle, snapshot: Snapshot, model: RoutingModel) -> _Drawn:
        """Sample among orders that the model cannot have seen where there are enough, otherwise among all."""
        strata = family_attributes(snapshot) if row.strategy == "stratified" else ()
        cut_off = model.data_as_of.date()
        fresh = eligible_items(snapshot, strata, reported_after=cut_off)
        enough = fresh.height >= min(row.sample_size, FRESH_ITEMS)
        population = fresh if enough else eligible_items(snapshot, strata)
        sample = draw_sample(population, strategy=row.strategy, size=row.sample_size, seed=row.seed)
        return _Drawn(sample=sample, reported_after=cut_off if enough else None)

    def _act_on(
        self, cycle_id: str, version: str, crossed: Sequence[Finding], overall: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Raise and close alerts, and ask for one retraining where that can help; return what became of it."""
        evident = [finding for finding in crossed if finding.evident]
        for finding in evident:
            details = finding.as_json() | {"cycle_id": cycle_id, "model_version": version}
            self._alerts.raise_alert(ALERT_KIND, finding.metric, finding.message, details=details)
            log.warning("quality.alarm", cycle_id=cycle_id, metric=finding.metric, value=finding.value)
        beyond = {finding.metric for finding in crossed}
        for metric in WATCHED:
            if metric not in beyond and overall[metric]["value"] is not None:
                self._alerts.close_matching(ALERT_KIND, metric, ACTOR)
        helped = [finding.message for finding in evident if finding.retraining_helps]
        if not helped:
            return None
        try:
            job = self._request_retraining(" ".join(helped), cycle_id)
        except Conflict as error:
            log.info("quality.retraining_refused", cycle_id=cycle_id, reason=str(error))
            return {"asked": True, "refused": str(error)}
        return {"asked": True, "job_id": getattr(job, "id", None)}

    def _step(self, claim: Claim[QualityCycle], pulse: Pulse, progress: float, step: str, **facts: Any) -> None:
        pulse.report(progress, step)
        log.info("quality.step", cycle_id=claim.id, step=step, **facts)


def _message(sample: Sample, evaluation: Evaluation) -> str | None:
    if sample.message and not sample.item_codes:
        return sample.message
    if evaluation.evaluated:
        return sample.message
    if evaluation.failed_count and not evaluation.abstained:
        first = next(iter(evaluation.failed.items()))
        return f"None of {evaluation.asked} sampled items could be predicted; {first[0]}: {first[1]}"
    return f"Nothing was evaluated: the model abstained for {len(evaluation.abstained)} of {evaluation.asked} items."
