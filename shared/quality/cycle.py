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
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.pulse import Pulse
from shared.database.tables import QualityCycle, WorkState
from shared.database.work import Claim, WorkRows
from shared.erp.snapshot import Snapshot
from shared.errors import LeaseLost, NotFound, RoutingError
from shared.quality.conclusion import Conclusion, conclude
from shared.quality.cycle_rows import new_cycle, prune_reports
from shared.quality.edits import planners_decisions
from shared.quality.error_seeking import ErrorHistory, read_history
from shared.quality.evidence.store import StaleEvidence
from shared.quality.evidence.weighing import Scales
from shared.quality.judging import ACTOR, Judge, Judgement, RequestRetraining
from shared.quality.live import LiveScores, score_live
from shared.quality.measured import MeasuredCycle, Served, measure_cycle
from shared.quality.options import CycleOptions
from shared.quality.population import Population
from shared.quality.unit_changes import UnitLook, UnitWatch
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from shared.storage.doorbells import Doorbells

log = structlog.get_logger()

MAX_ATTEMPTS = 5
FAILED_ALERT = "quality-cycle-failed"
MAX_JUDGEMENTS = 10  # of one cycle, while others end beside it
AS_CONFIGURED = CycleOptions()

# Called with what a cycle found and how it was judged, before its row ends, while the claim holds; what it answers
# joins the cycle's `metrics`. A cycle whose worker dies runs again, so a second call must do no harm.
AfterCycle = Callable[[MeasuredCycle, Judgement], Mapping[str, Any]]


class ModelSource(Protocol):
    """Where the active model comes from: `shared.registry.serving.Serving`."""

    def active(self) -> Served:
        """Return the served model, or raise NoActiveModel."""
        ...


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
        request_retraining: RequestRetraining,
        after_cycle: Sequence[AfterCycle] = (),
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
        self._judge = Judge(alerts=alerts, request_retraining=request_retraining, scales=Scales(engine, clock))
        self._units = UnitWatch(alerts)
        self._after_cycle = tuple(after_cycle)
        self._last_population: Population | None = None
        self._clock = clock
        self._worker = worker or f"{socket.gethostname()}:{os.getpid()}"

    def start(self, slot: str | None, reason: str, options: CycleOptions = AS_CONFIGURED) -> QualityCycle | None:
        """Insert a cycle and ring its bell; None when the slot has one already. What is not given is configured.

        Raises:
            InvalidInput: a value lies outside what the configuration would accept.
        """
        row = self._new(slot, reason, options)
        if not self._work.insert(row):
            log.info("quality.cycle_exists", slot=slot)
            return None
        self._work.mark_rung(QualityCycle, self._doorbells.try_ring(QualityCycle.QUEUE, [row.id]))
        log.info("quality.cycle_started", cycle_id=row.id, slot=slot, reason=reason)
        return self._work.get(QualityCycle, row.id)

    def run_now(
        self, reason: str, options: CycleOptions = AS_CONFIGURED, *, serving: ModelSource | None = None
    ) -> QualityCycle:
        """Insert a cycle and run it here and now, without a message; return the ended row.

        Raises:
            InvalidInput: a value lies outside what the configuration would accept.
        """
        row = self._new(None, reason, options)
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

    def _new(self, slot: str | None, reason: str, options: CycleOptions) -> QualityCycle:
        configured = self._configuration.current()[1].quality
        return new_cycle(configured, options, now=self._clock(), slot=slot, reason=reason)

    def _guarded(self, claim: Claim[QualityCycle], serving: ModelSource, pulse: Pulse) -> None:
        try:
            if claim.attempt > MAX_ATTEMPTS:
                raise RoutingError(f"Given up after {MAX_ATTEMPTS} attempts: the worker died each time.")
            self._work_through(claim, serving, pulse)
        except LeaseLost:
            raise
        except RoutingError as error:
            self._fail(claim, error.code, str(error))
        except Exception as error:
            log.exception("quality.cycle_broke", cycle_id=claim.id)
            self._fail(claim, "internal-error", f"{type(error).__name__}: {error}")

    def _fail(self, claim: Claim[QualityCycle], code: str, reason: str, **columns: Any) -> None:
        self._work.finish(claim, WorkState.FAILED, error=reason, step="failed", **columns)
        self._alerts.raise_alert(
            FAILED_ALERT,
            "",
            f"A quality cycle failed: {reason}",
            details={"cycle_id": claim.id, "code": code},
        )
        log.error("quality.cycle_failed", cycle_id=claim.id, code=code, error=reason)

    def _work_through(self, claim: Claim[QualityCycle], serving: ModelSource, pulse: Pulse) -> None:
        steps = _Steps(claim.id, pulse)
        configuration = self._configuration.current()[1]
        measured = measure_cycle(claim.row, configuration, serving.active(), self._population, self._history, steps)
        steps.step(84, "looking at units")
        with self._work.fenced(claim):
            pulse.check()
        units = self._units.look(measured)
        steps.step(85, "scoring live predictions")
        live = self._score_live(measured, units)
        steps.step(90, "deciding", scored_now=len(live.rows))
        with self._work.fenced(claim):
            pulse.check()
        ended = self._decide(claim, measured, units, live, steps)
        if ended is None:
            return
        self._alerts.close_matching(FAILED_ALERT, "", ACTOR)
        prune_reports(self._engine, configuration.quality.keep_cycles)
        log.info(
            "quality.cycle_done",
            cycle_id=claim.id,
            model_version=measured.served.version,
            evaluated=measured.evaluation.evaluated,
            mae=ended.chief.mae,
            process_match=ended.chief.process_match,
            duration_seconds=ended.chief.duration_seconds,
            message=ended.message,
        )

    def _score_live(self, measured: MeasuredCycle, units: UnitLook) -> LiveScores:
        return score_live(
            self._engine,
            measured.snapshot,
            measured.population.reported,
            cycle_id=measured.row.id,
            now=self._clock(),
            keep_days=measured.configuration.quality.keep_prediction_days,
            seed=measured.row.seed,
            in_doubt=units.in_doubt,
        )

    def _finish(self, claim: Claim[QualityCycle], ended: Conclusion, judgement: Judgement, live: LiveScores) -> None:
        try:
            self._work.finish(claim, ended.state, add=live.rows, also=judgement.write, **ended.columns)
        except IntegrityError:
            if not live.rows:
                raise
            # Another cycle scored the same predictions meanwhile; its scores stand.
            log.info("quality.scores_exist", cycle_id=claim.id)
            self._work.finish(claim, ended.state, also=judgement.write, **ended.columns)

    def _history(self, before: datetime) -> ErrorHistory:
        return read_history(self._engine, before=before)

    def _decide(
        self, claim: Claim[QualityCycle], measured: MeasuredCycle, units: UnitLook, live: LiveScores, steps: "_Steps"
    ) -> Conclusion | None:
        """Judge what was measured and end the row, again when evidence came between; None when the cycle failed."""
        decisions = planners_decisions(self._engine, before=claim.row.created_at)
        for attempt in range(1, MAX_JUDGEMENTS + 1):
            judgement = self._judge.judge(measured, units)
            steps.step(93, "looking for causes")
            further = [{"decisions": decisions, "live": live.figures}]
            further += [dict(hook(measured, judgement)) for hook in self._after_cycle]
            steps.step(98, "storing")
            ended = conclude(measured, judgement, further, now=self._clock())
            if ended.failure is not None:
                self._fail(claim, *ended.failure, **ended.columns)
                return None
            try:
                self._finish(claim, ended, judgement, live)
            except StaleEvidence:
                log.info("quality.judged_again", cycle_id=claim.id, attempt=attempt)
                continue
            return ended
        raise RoutingError("Other cycles kept adding evidence while this one was judged.", remedy="Run it again.")

    def _population(self) -> Population:
        """Return the population of the current snapshot; what was read of it is kept until there is another one."""
        snapshot = self._snapshot()
        if self._last_population is None or self._last_population.snapshot is not snapshot:
            self._last_population = Population(snapshot)
        return self._last_population

    def _snapshot(self) -> Snapshot:
        try:
            return self._snapshots.current()
        except NotFound as error:
            raise NotFound(
                "There is no snapshot of the ERP to compare predictions with.",
                remedy="Let an extract run first: POST /api/data/snapshots.",
            ) from error


class _Steps:
    """Reports a run's steps to its row and to the log, each line with the seconds since the cycle began."""

    def __init__(self, cycle_id: str, pulse: Pulse) -> None:
        self._cycle_id = cycle_id
        self._pulse = pulse
        self._begun = time.perf_counter()

    def step(self, progress: float, name: str, **facts: Any) -> None:
        self._pulse.report(progress, name)
        seconds = round(time.perf_counter() - self._begun, 3)
        log.info("quality.step", cycle_id=self._cycle_id, step=name, seconds_so_far=seconds, **facts)

    def progress(self, percent: float, name: str) -> None:
        self._pulse.report(percent, name)

    def lost(self) -> bool:
        return self._pulse.lost.is_set()
