"""Every service of a process: what people and models need, and what works for them."""

import atexit
import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.models import Models
from shared.bootstrap.people import People

if TYPE_CHECKING:
    from shared.database.predictions import Decisions, PredictionLog
    from shared.erp.lookup.item_lookup import ItemLookup
    from shared.operations.burial import Burial
    from shared.operations.caches import Caches
    from shared.operations.health import Health
    from shared.operations.sweep import Sweep
    from shared.operations.timetable import Timetable
    from shared.prediction.combining import Combiner
    from shared.quality.cycle import QualityCycles
    from shared.snapshots.service import Snapshots
    from shared.training.jobs import TrainingJobs


class Services(People, Models):
    """Every service of one process, made from its settings."""

    @cached_property
    def prediction_log(self) -> "PredictionLog":
        """The background recorder of predictions; flushed when the process ends."""
        from shared.database.predictions import PredictionLog

        recorder = PredictionLog(self.engine, clock=self.clock)
        atexit.register(recorder.close)
        return recorder

    @cached_property
    def combiner(self) -> "Combiner":
        """Answers small requests that wait at the same time in one call."""
        from shared.prediction.combining import Combiner

        return Combiner()

    @cached_property
    def decisions(self) -> "Decisions":
        """Planners' decisions."""
        from shared.database.predictions import Decisions

        return Decisions(self.engine, clock=self.clock)

    @cached_property
    def snapshots(self) -> "Snapshots":
        """Extracts and the current snapshot."""
        from shared.snapshots.service import Snapshots

        return Snapshots(self.settings, self.engine, self.work, self.doorbells, clock=self.clock)

    @cached_property
    def caches(self) -> "Caches":
        """What this process keeps in memory, and what asks it to forget that."""
        from shared.operations.caches import Cache, Caches

        def where_made(name: str, forget: str) -> Callable[[], None]:
            def run() -> None:
                if (made := self.__dict__.get(name)) is not None:
                    getattr(made, forget)()

            return run

        return Caches(
            self.model_versions,
            {
                Cache.MODEL: where_made("serving", "reload"),
                Cache.ITEMS: where_made("item_lookup", "forget"),
                Cache.CONFIGURATION: where_made("configuration_store", "forget"),
                Cache.SNAPSHOT: where_made("snapshots", "forget_opened"),
                Cache.DROPS: where_made("registrations", "look_again"),
            },
        )

    @cached_property
    def item_lookup(self) -> "ItemLookup":
        """Items that the model's data lacks, read from the ERP by code."""
        from shared.erp.lookup.item_lookup import ItemLookup
        from shared.operations.meters import observe_lookup

        return ItemLookup(self.settings, clock=self.clock, observe=observe_lookup)

    @cached_property
    def training_jobs(self) -> "TrainingJobs":
        """Training jobs."""
        from shared.training.activation import AutoActivation
        from shared.training.jobs import TrainingJobs

        return TrainingJobs(
            settings=self.settings,
            work=self.work,
            doorbells=self.doorbells,
            configuration=self.configuration_store,
            snapshots=self.snapshots,
            versions=self.model_versions,
            registrations=self.registrations,
            alerts=self.alerts,
            activation=AutoActivation(self.lifecycle, self.model_versions, self.configuration_store),
            clock=self.clock,
            worker=self.worker,
        )

    @cached_property
    def quality_cycles(self) -> "QualityCycles":
        """Quality cycles; an alarm asks for one retraining job."""
        from shared.quality.cycle import QualityCycles
        from shared.quality.drift import DriftDiagnosis
        from shared.training.watch import ActivationWatch

        watch = ActivationWatch(
            settings=self.settings, versions=self.model_versions, alerts=self.alerts, keys=self.keys
        )
        return QualityCycles(
            settings=self.settings,
            engine=self.engine,
            work=self.work,
            doorbells=self.doorbells,
            snapshots=self.snapshots,
            configuration=self.configuration_store,
            alerts=self.alerts,
            serving=self.serving,
            request_retraining=self.training_jobs.enqueue_for_alarm,
            after_cycle=(DriftDiagnosis(self.alerts), watch),
            clock=self.clock,
            worker=self.worker,
        )

    @cached_property
    def burial(self) -> "Burial":
        """Poison messages."""
        from shared.operations.burial import Burial

        return Burial(
            work=self.work,
            poison=self.poison_messages,
            alerts=self.alerts,
            doorbells=self.doorbells,
            registrations=self.registrations,
            clock=self.clock,
        )

    @cached_property
    def timetable(self) -> "Timetable":
        """What timers start, and what they missed."""
        from schedules.zone import local_zone
        from shared.database.tables import Extract, QualityCycle, TrainingJob
        from shared.operations.timetable import Timed, Timetable

        settings = self.settings
        timed = (
            Timed(
                function="start_extract", table=Extract, schedule=settings.extract_schedule,
                start=lambda slot, reason: self.snapshots.start(slot, reason),
            ),
            Timed(
                function="start_quality_cycle", table=QualityCycle, schedule=settings.quality_schedule,
                start=lambda slot, reason: self.quality_cycles.start(slot, reason),
            ),
            Timed(
                function="start_training", table=TrainingJob, schedule=settings.training_schedule,
                start=lambda slot, reason: self.training_jobs.enqueue_scheduled(slot, reason),
            ),
        )  # fmt: skip
        return Timetable(self.engine, timed, zone=local_zone(os.environ), environment=os.environ, clock=self.clock)

    @cached_property
    def sweep(self) -> "Sweep":
        """The sweep."""
        from shared.database.job_rows import JobRows
        from shared.operations.audit_watch import AuditWatch
        from shared.operations.sweep import Sweep
        from shared.quality.keeping import PredictionTidying
        from shared.registry.apart import loading_apart
        from shared.registry.repair import Repair
        from shared.training.tidying import JobTidying

        return Sweep(
            settings=self.settings,
            work=self.work,
            doorbells=self.doorbells,
            registrations=self.registrations,
            repair=Repair(
                self.settings, self.engine, self.alerts, keys=self.keys, clock=self.clock, loading=loading_apart
            ),
            forget_predictions=PredictionTidying(
                engine=self.engine,
                keep_days=lambda: self.configuration_store.current()[1].quality.keep_prediction_days,
                clock=self.clock,
            ).run,
            tidy_models=self.retention.run,
            tidy_jobs=JobTidying(self.settings, JobRows(self.engine), self.configuration_store).run,
            make_up=self.timetable.run,
            seal_audit=AuditWatch(self.audit, self.alerts).run,
            clock=self.clock,
        )

    @cached_property
    def health(self) -> "Health":
        """Health of every part."""
        from shared.database.work import WORK_TABLES
        from shared.operations.health import Health

        return Health(
            settings=self.settings,
            engine=self.engine,
            storage=self.storage,
            doorbells=self.doorbells,
            serving=self.serving,
            alerts=self.alerts,
            prediction_log=self.prediction_log,
            item_lookup=self.item_lookup,
            configuration=self.configuration_store,
            caches=self.caches,
            queues=tuple(WORK_TABLES),
            clock=self.clock,
        )
