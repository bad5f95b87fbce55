"""The one place where the parts are put together; each is made on first use and lives as long as the process.

Nothing here is imported before it is needed: reading `function_app` stays fast and pulls in no learning library.
"""

import atexit
import contextlib
import os
import socket
from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.clock import Clock, utc_now
from shared.settings import Settings, current_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.database.alerts import Alerts
    from shared.database.audit import Audit
    from shared.database.configuration import ConfigurationStore
    from shared.database.deliveries import Deliveries
    from shared.database.models import ModelVersions
    from shared.database.poison import PoisonMessages
    from shared.database.predictions import Decisions, PredictionLog
    from shared.database.snapshots import SnapshotRows
    from shared.database.work import WorkRows
    from shared.erp.lookup.item_lookup import ItemLookup
    from shared.identity.api_keys import ApiKeys
    from shared.identity.recognition import Recognition
    from shared.identity.session_secrets import SessionSecrets
    from shared.identity.sessions import BrowserSessions
    from shared.identity.throttle import SignInThrottle
    from shared.identity.users import Users
    from shared.operations.burial import Burial
    from shared.operations.caches import Caches
    from shared.operations.health import Health
    from shared.operations.sweep import Sweep
    from shared.operations.timetable import Timetable
    from shared.prediction.combining import Combiner
    from shared.quality.cycle import QualityCycles
    from shared.registry.key_changes import KeyChanges
    from shared.registry.legacy import LegacyPackages
    from shared.registry.lifecycle import Lifecycle
    from shared.registry.lineage import Lineage
    from shared.registry.registrations import Registrations
    from shared.registry.retention import Retention
    from shared.registry.serving import Serving
    from shared.registry.signing import Keys
    from shared.snapshots.service import Snapshots
    from shared.storage.clients import Storage
    from shared.storage.doorbells import Doorbells
    from shared.storage.packages import Packages
    from shared.storage.signatures import UploadSignatures
    from shared.training.jobs import TrainingJobs


class Services:
    """Every service of one process, made from its settings."""

    def __init__(self, settings: Settings, *, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.worker = f"{socket.gethostname()}:{os.getpid()}"

    @cached_property
    def engine(self) -> "Engine":
        """The database."""
        from shared.database.audit import Audit
        from shared.database.engine import make_engine

        engine = make_engine(self.settings.database)
        self._keep_secrets_out_of_the_audit(engine)
        Audit(engine, self.settings.keys).follow()
        return engine

    def _keep_secrets_out_of_the_audit(self, engine: "Engine") -> None:
        from shared.audit.redaction import SECRETS

        values = [getattr(self.settings, name) for name in type(self.settings).model_fields]
        SECRETS.learn(value.get_secret_value() for value in values if isinstance(value, SecretStr))
        SECRETS.learn([engine.url.password or ""])
        with contextlib.suppress(OSError):
            SECRETS.learn([(self.settings.keys / "administrator.key").read_text("ascii", "replace")])

    @cached_property
    def audit(self) -> "Audit":
        """Who changed what."""
        from shared.database.audit import Audit

        return Audit(self.engine, self.settings.keys)

    @cached_property
    def work(self) -> "WorkRows":
        """Claims on work rows."""
        from shared.database.work import WorkRows

        return WorkRows(self.engine, clock=self.clock)

    @cached_property
    def alerts(self) -> "Alerts":
        """Alerts."""
        from shared.database.alerts import Alerts

        return Alerts(self.engine, clock=self.clock)

    @cached_property
    def deliveries(self) -> "Deliveries":
        """What the webhook has heard of alerts, and what it is still to hear."""
        from shared.database.deliveries import Deliveries

        return Deliveries(self.engine, clock=self.clock)

    @cached_property
    def poison_messages(self) -> "PoisonMessages":
        """Buried messages."""
        from shared.database.poison import PoisonMessages

        return PoisonMessages(self.engine, clock=self.clock)

    @cached_property
    def model_versions(self) -> "ModelVersions":
        """Installed versions and their transitions."""
        from shared.database.models import ModelVersions

        return ModelVersions(self.engine, clock=self.clock)

    @cached_property
    def snapshot_rows(self) -> "SnapshotRows":
        """Snapshots' rows."""
        from shared.database.snapshots import SnapshotRows

        return SnapshotRows(self.engine)

    @cached_property
    def configuration_store(self) -> "ConfigurationStore":
        """The live configuration."""
        from shared.database.configuration import ConfigurationStore

        return ConfigurationStore(self.engine, clock=self.clock)

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
    def users(self) -> "Users":
        """Users and their roles."""
        from shared.identity.users import Users

        return Users(self.engine, clock=self.clock)

    @cached_property
    def api_keys(self) -> "ApiKeys":
        """Named API keys, the administrator's among them."""
        from shared.identity.api_keys import ApiKeys

        return ApiKeys(self.engine, self.settings.administrator_key, clock=self.clock)

    @cached_property
    def recognition(self) -> "Recognition":
        """Whom a key or session stands for."""
        from shared.identity.recognition import Recognition, Shown

        return Recognition(
            {Shown.KEY: self.api_keys.holder_of, Shown.SESSION: lambda token: self.sessions.holder_of(token)},
            note_use=self.api_keys.note_use,
        )

    @cached_property
    def session_secrets(self) -> "SessionSecrets":
        """What signs browser sessions."""
        from shared.identity.session_secrets import SessionSecrets

        return SessionSecrets(self.settings.keys / "sessions", changing=self.audit.changing)

    @cached_property
    def sessions(self) -> "BrowserSessions":
        """Browser sessions."""
        from shared.identity.sessions import BrowserSessions

        return BrowserSessions(self.engine, self.session_secrets, hours=self.settings.session_hours, clock=self.clock)

    @cached_property
    def sign_in_throttle(self) -> "SignInThrottle":
        """How many sign-ins failed lately."""
        from shared.identity.throttle import SignInThrottle

        return SignInThrottle()

    @cached_property
    def storage(self) -> "Storage":
        """Blob and queue storage."""
        from shared.storage.clients import Storage

        return Storage(
            self.settings.storage_connection.get_secret_value(), api_version=self.settings.storage_api_version
        )

    @cached_property
    def doorbells(self) -> "Doorbells":
        """Messages that say "look"."""
        from shared.storage.doorbells import Doorbells

        return Doorbells(self.storage)

    @cached_property
    def keys(self) -> "Keys":
        """Signing and trusted keys."""
        from shared.registry.signing import Keys

        return Keys(self.settings.keys, clock=self.clock, changing=self.audit.changing)

    @cached_property
    def key_changes(self) -> "KeyChanges":
        """New keys, and keys trusted no more."""
        from shared.registry.key_changes import KeyChanges
        from shared.registry.store import ModelStore

        return KeyChanges(self.keys, ModelStore(self.settings.models), self.model_versions)

    @cached_property
    def legacy_packages(self) -> "LegacyPackages":
        """Version folders without a manifest."""
        from shared.registry.legacy import LegacyPackages
        from shared.registry.store import ModelStore

        return LegacyPackages(self.keys, ModelStore(self.settings.models), self.model_versions, clock=self.clock)

    @cached_property
    def packages(self) -> "Packages":
        """The `model-drop` container."""
        from shared.storage.packages import Packages

        return Packages(self.storage)

    @cached_property
    def upload_signatures(self) -> "UploadSignatures":
        """Who may drop packages without the account's key."""
        from shared.storage.signatures import UploadSignatures

        lock = self.settings.data_dir / "run" / "signatures.lock"
        return UploadSignatures(self.storage, self.packages, lock, clock=self.clock)

    @cached_property
    def snapshots(self) -> "Snapshots":
        """Extracts and the current snapshot."""
        from shared.snapshots.service import Snapshots

        return Snapshots(self.settings, self.engine, self.work, self.doorbells, clock=self.clock)

    @cached_property
    def registrations(self) -> "Registrations":
        """Dropped packages on their way to `pending`."""
        from shared.registry.apart import load_apart
        from shared.registry.registrations import Registrations

        return Registrations(
            self.settings, self.engine, self.work, self.doorbells, self.packages, keys=self.keys, clock=self.clock,
            load=load_apart,
        )  # fmt: skip

    @cached_property
    def lifecycle(self) -> "Lifecycle":
        """Activation, rollback and refusal."""
        from shared.registry.apart import load_apart
        from shared.registry.lifecycle import Lifecycle

        return Lifecycle(self.settings, self.model_versions, keys=self.keys, clock=self.clock, load=load_apart)

    @cached_property
    def retention(self) -> "Retention":
        """Versions that are kept, and those that are removed."""
        from shared.registry.retention import Retention
        from shared.registry.store import ModelStore

        return Retention(
            self.model_versions, ModelStore(self.settings.models),
            keep=lambda: self.configuration_store.current()[1].models.keep,
        )  # fmt: skip

    @cached_property
    def lineage(self) -> "Lineage":
        """Where versions come from, and what they led to."""
        from shared.registry.lineage import Lineage

        return Lineage(self.settings, self.engine, self.model_versions)

    @cached_property
    def serving(self) -> "Serving":
        """The served model."""
        from shared.registry.serving import Serving

        return Serving(
            self.settings, self.model_versions, self.alerts, keys=self.keys, configuration=self.configuration_store,
            clock=self.clock,
        )  # fmt: skip

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
        from shared.registry.apart import load_apart
        from shared.registry.repair import Repair
        from shared.training.tidying import JobTidying

        return Sweep(
            settings=self.settings,
            work=self.work,
            doorbells=self.doorbells,
            registrations=self.registrations,
            repair=Repair(self.settings, self.engine, self.alerts, keys=self.keys, clock=self.clock, load=load_apart),
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


@cache
def current_services() -> Services:
    """Return the process's services, made from its environment on the first call."""
    return Services(current_settings())
