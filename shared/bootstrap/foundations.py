"""What everything else stands on: the database and its rows, the configuration, storage."""

import contextlib
import os
import socket
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.clock import Clock, utc_now
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.database.alerts import Alerts
    from shared.database.audit import Audit
    from shared.database.configuration import ConfigurationStore
    from shared.database.deliveries import Deliveries
    from shared.database.poison import PoisonMessages
    from shared.database.snapshots import SnapshotRows
    from shared.database.work import WorkRows
    from shared.storage.clients import Storage
    from shared.storage.doorbells import Doorbells


class Foundations:
    """Settings, clock, database and storage of one process."""

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
