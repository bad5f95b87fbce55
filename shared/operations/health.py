"""Health: every part is asked for real, within a short time, and says what is wrong and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.engine import database_trouble, ping
from shared.database.predictions import PredictionLog
from shared.database.tables import AlertState
from shared.errors import RoutingError, SetupError
from shared.operations.caches import Caches
from shared.operations.data_watch import REMEDY, DataWatch
from shared.operations.webhook import Webhook
from shared.registry.manifest import SCHEMA_VERSION
from shared.registry.serving import Serving
from shared.settings import Settings
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells

if TYPE_CHECKING:
    from shared.erp.lookup.item_lookup import ItemLookup

Check = Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Health:
    """Asks every part how it is."""

    settings: Settings
    engine: Engine
    storage: Storage
    doorbells: Doorbells
    serving: Serving
    alerts: Alerts
    prediction_log: PredictionLog
    item_lookup: "ItemLookup"
    configuration: ConfigurationStore
    caches: Caches
    queues: tuple[str, ...]
    clock: Clock = utc_now

    def detail(self) -> dict[str, Any]:
        """Return every part's condition; `status` is up, degraded or down (no prediction can be answered)."""
        serving = self.serving.status()
        checks: Mapping[str, Check] = {"registry": self._registry, "storage": self._storage, "data": self._data}
        parts: dict[str, dict[str, Any]] = {name: _ask(check) for name, check in checks.items()}
        parts["model"] = self._model(serving)
        if self.settings.alert_webhook.get_secret_value():
            parts["webhook"] = _ask(self._webhook)
        storage_answers = parts["storage"]["status"] != "down"
        open_alerts = parts["registry"].pop("open_alerts", None)
        return {
            "status": _overall(parts),
            "parts": parts,
            "active_version": serving["active_version"],
            "manifest_schema_version": SCHEMA_VERSION,
            "data_as_of": serving["data_as_of"],
            "data_age_seconds": self._data_age(serving["data_as_of"]),
            "queues": self._queue_depths() if storage_answers else dict.fromkeys(self.queues),
            "open_alerts": open_alerts,
            "prediction_log": {"waiting": self.prediction_log.waiting, "dropped": self.prediction_log.dropped},
            "erp_lookup": self.item_lookup.status(),
            "caches": self._caches(serving),
            "unsigned_packages_allowed": self.settings.allow_unsigned,
            "profile": self.settings.profile,
        }

    def _caches(self, serving: dict[str, Any]) -> dict[str, Any]:
        """Say what this process keeps, and when which of it was last cleared."""
        try:
            last = self.caches.last()
        except SQLAlchemyError:  # part `registry` says so
            last = None
        return {
            "model": serving["serving_version"],
            "items": self.item_lookup.status()["remembered"],
            "configuration": self.configuration.known_version(),
            "last_clearing": last,
        }

    def _registry(self) -> dict[str, Any]:
        ping(self.engine)
        _, open_alerts = self.alerts.list(limit=1, state=AlertState.OPEN)  # a database without tables answers a ping
        return {"status": "up", "dialect": self.engine.dialect.name, "open_alerts": open_alerts}

    def _storage(self) -> dict[str, Any]:
        self.storage.ping()
        if self.storage.is_known_to_everybody:
            return {
                "status": "degraded",
                "detail": "Storage is the emulator's account, whose key everybody knows.",
                "remedy": "Unset AzureWebJobsStorage, and `manage.py up` makes an account of this installation's own.",
            }
        return {"status": "up"}

    def _webhook(self) -> dict[str, Any]:
        return Webhook(self.settings, self.engine, self.clock).status() or {"status": "up"}

    def _data(self) -> dict[str, Any]:
        """Say how old the newest snapshot is, which may be newer than the data of the served model."""
        state = DataWatch(self.settings, self.engine, self.clock).freshness()
        as_of = None if state.data_as_of is None else state.data_as_of.isoformat()
        part: dict[str, Any] = {
            "status": "up",
            "snapshot_id": state.snapshot_id,
            "data_as_of": as_of,
            "data_age_seconds": self._data_age(as_of),
            "maximum_age_hours": state.limit.total_seconds() / 3600,
        }
        if state.too_old:
            part |= {"status": "degraded", "detail": state.sentence, "remedy": REMEDY}
        return part

    def _model(self, serving: dict[str, Any]) -> dict[str, Any]:
        if not serving["ready"]:
            return {
                "status": "down",
                "detail": serving["last_error"] or "No model is active and loaded.",
                "remedy": "Train and activate one: `manage.py train`, then `manage.py models activate VERSION`.",
            }
        told = (
            "serving_version",
            "model_kind",
            "similarity_backend",
            "loaded_at",
            "load_seconds",
            "manifest_check",
            "signed",
            "warnings",
        )
        part = {"status": "up", **{name: serving[name] for name in (*told, "development_key")}}
        if serving["last_error"]:
            part |= {"status": "degraded", "detail": serving["last_error"]}
        return part

    def _data_age(self, as_of: str | None) -> float | None:
        if as_of is None:
            return None
        return round((self.clock() - datetime.fromisoformat(as_of)).total_seconds(), 1)

    def _queue_depths(self) -> dict[str, int | None]:
        depths: dict[str, int | None] = {}
        for queue in self.queues:
            try:
                depths[queue] = self.doorbells.depth(queue)
            except RoutingError:
                depths[queue] = None
        return depths


def _ask(check: Check) -> dict[str, Any]:
    try:
        return check()
    except RoutingError as known:
        return _down(known)
    except SQLAlchemyError as fault:
        return _down(database_trouble(fault) or SetupError(f"The database refused a question: {type(fault).__name__}."))
    except Exception as unexpected:  # noqa: BLE001 - a part that fails in a new way is still a part that is down
        return {"status": "down", "detail": f"{type(unexpected).__name__}: {str(unexpected)[:300]}"}


def _down(known: RoutingError) -> dict[str, Any]:
    return {"status": "down", "detail": known.detail, "remedy": known.remedy}


def _overall(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Predictions need the model alone; a lost database or storage degrades the rest."""
    if parts["model"]["status"] == "down":
        return "down"
    return "up" if all(part["status"] == "up" for part in parts.values()) else "degraded"
