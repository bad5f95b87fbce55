"""The active model, ready to answer: an immutable model behind one reference, exchanged beside the requests.

A request takes the reference once and keeps it to its end, so an answer is never mixed of two versions, and the old
version goes when the last request that holds it ends. A watcher follows the registry's row: whatever is active there
is loaded, verified and warmed before it takes the reference. A version that cannot be loaded leaves the old one in
service and raises an alert, once.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.clock import Clock, utc_now
from shared.configuration import PredictionConfiguration
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.engine import database_trouble
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion
from shared.errors import NoActiveModel, PackageRejected, RoutingError, SetupError
from shared.registry.manifest import Manifest
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import VerifiedPackage, verify_folder
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

# A prediction makes hundreds of small objects and no cycles; looking after each 700 costs a batch a third of its time.
GC_THRESHOLDS = (20_000, 20, 50)

log = structlog.get_logger()

# A thread that computes long, such as one that loads the next model, gives the interpreter's lock back after so long.
# An answer asks for the lock at every step that had let go of it: with Python's 5 ms it would wait ten times as long.
_SWITCH_SECONDS = 0.0005
ALERT_KIND = "model-not-servable"
LONGEST_RETRY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One version in service; hold it for the whole of a request."""

    version: str
    model: "RoutingModel"
    manifest: Manifest
    manifest_sha256: str
    signed: bool
    development_key: bool
    loaded_at: datetime
    load_seconds: float
    warnings: tuple[str, ...] = ()


class _InForce(NamedTuple):
    """A loaded version, the settings last seen, and the version answering by them."""

    loaded: ServedModel
    settings: PredictionConfiguration
    answering: ServedModel


@dataclass(kw_only=True)
class _Failure:
    """A version that could not be loaded, and when it is worth trying again."""

    version: str
    manifest_sha256: str
    error: str
    check: str | None
    tries: int
    retry_at: float


class Serving:
    """Gives every request the active model. One instance a process; safe for any number of threads."""

    def __init__(
        self,
        settings: Settings,
        versions: ModelVersions,
        alerts: Alerts,
        *,
        keys: Keys | None = None,
        configuration: ConfigurationStore | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Serve from `settings.models`; nothing is read before the first use or `start`.

        With a live `configuration`, the model answers by its thresholds and feature weights as soon as they change;
        without one, by those that it was fitted with.
        """
        self._settings = settings
        self._versions = versions
        self._alerts = alerts
        self._keys = keys or Keys(settings.keys, clock=clock)
        self._clock = clock
        self._store = ModelStore(settings.models)
        self._configuration = configuration
        self._served: ServedModel | None = None
        self._in_force: _InForce | None = None
        self._failure: _Failure | None = None
        self._ask_for_successor: Callable[[], Any] | None = None
        self._first: Callable[[], object] = lambda: None
        self._asked: ModelVersion | None = None
        self._wanted_loads = 0  # raised by `reload`
        self._loads_done = 0  # what that was when the model in service began to be loaded
        self._loading = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self._starting = threading.Lock()

    # -- use

    def active(self) -> ServedModel:
        """Return the model in service; load the active version first when none was loaded yet.

        Raises:
            NoActiveModel: no version is active, or the active one cannot be loaded.
        """
        served = self._served
        if served is None:
            self.refresh()
            served = self._served
        if served is None:
            raise self._nothing_to_serve()
        return self._configured(served)

    def loaded(self) -> ServedModel | None:
        """Return the model in service, or None where none was loaded yet; never waits."""
        served = self._served
        return None if served is None else self._configured(served)

    def _configured(self, served: ServedModel) -> ServedModel:
        """Return the served model under the live configuration."""
        if self._configuration is None:
            return served
        settings, in_force = self._configuration.known().prediction, self._in_force
        if in_force is None or in_force.loaded is not served or in_force.settings is not settings:
            in_force = self._in_force = _InForce(served, settings, replace(served, model=served.model.under(settings)))
        return in_force.answering

    def ensure_loaded(self, timeout_seconds: float) -> ServedModel:
        """Return the model in service, waiting up to `timeout_seconds` for one to become active and loaded.

        Raises:
            NoActiveModel: the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self.active()
            except NoActiveModel:
                if time.monotonic() >= deadline:
                    raise
            self._stop.wait(min(0.2, self._settings.active_poll_seconds))

    def refresh(self) -> bool:
        """Follow the registry now, in this thread; return whether the version in service changed.

        A version that failed before is tried again only after a growing rest.
        """
        with self._loading:
            row = self._versions.active()
            if row is None:
                changed, self._served = self._served is not None, None
                return changed
            if self._serves(row):
                self._forget_failure()
                return False
            if self._should_rest(row):
                return False
            if self._served is not None and self._ask_for_successor is not None:
                self._asked = row
                self._ask_for_successor()
                return False
            return self._load(row)

    def reload(self) -> None:
        """Let the next look load the active version from its folder again, although it is in service; never waits.

        What is in service answers until the new one has passed every check, as with any other version.
        """
        self._wanted_loads += 1
        failure = self._failure
        if failure is not None:
            failure.retry_at = 0.0

    def take_over(self) -> None:
        """Load the active version in a process that is to follow another one.

        Raises:
            RoutingError: it cannot be loaded, or none is active; nobody is alerted, since the other process serves on.
            OSError, MemoryError: likewise.
        """
        with self._loading:
            started, wanted = time.perf_counter(), self._wanted_loads
            row = self._versions.active()
            if row is None:
                raise self._nothing_to_serve()
            self._put_in_service(self._verified(row), started, wanted)
            self._alerts.close_matching(ALERT_KIND, row.version, "serving")

    def note_failed_successor(self, reason: str) -> None:
        """Note why the process that was asked for did not take over; it is asked for again after a growing rest."""
        with self._loading:
            if self._asked is not None:
                self._note_failure(self._asked, NoActiveModel(reason))

    # -- the watcher

    def start(
        self, ask_for_successor: Callable[[], Any] | None = None, first: Callable[[], object] = lambda: None
    ) -> None:
        """Start following the registry in the background; a second call does nothing.

        `first` is called at the beginning of each look, once before this returns.

        With `ask_for_successor`, another version than the first is not loaded here: the call asks for a process that
        loads it and takes over. It returns at once, and may be made again at every look.
        """
        with self._starting:
            self._ask_for_successor = ask_for_successor
            if self._watcher is None:
                self._first = first
                with suppress(SQLAlchemyError, RoutingError):
                    first()
                self._stop.clear()
                sys.setswitchinterval(_SWITCH_SECONDS)
                self._watcher = threading.Thread(target=self._watch, name="model-watcher", daemon=True)
                self._watcher.start()

    def stop(self) -> None:
        """Stop following; what is loaded stays in service."""
        with self._starting:
            watcher, self._watcher = self._watcher, None
        self._stop.set()
        if watcher is not None:
            watcher.join()

    def _watch(self) -> None:
        trouble: str | None = None
        while True:
            trouble = self._look(trouble)
            if self._stop.wait(self._settings.active_poll_seconds):
                return

    def _look(self, trouble: str | None) -> str | None:
        """Follow the registry once and return what kept it from that; the same trouble as before is not logged again.

        The old model serves on meanwhile.
        """
        try:
            self._first()
            self.refresh()
            if self._configuration is not None:
                self._configuration.current()
        except (RoutingError, SQLAlchemyError, OSError) as fault:
            now = _sentence(fault)
            if now != trouble:
                log.warning("serving.poll_failed", error=now)
            return now
        if trouble is not None:
            log.info("serving.poll_recovered")
        return None

    # -- loading

    def _serves(self, row: ModelVersion) -> bool:
        served = self._served
        if served is None or self._loads_done != self._wanted_loads:
            return False
        return served.version == row.version and served.manifest_sha256 == row.manifest_sha256

    def _should_rest(self, row: ModelVersion) -> bool:
        failure = self._failure
        same = failure is not None and (failure.version, failure.manifest_sha256) == (row.version, row.manifest_sha256)
        return same and failure is not None and time.monotonic() < failure.retry_at

    def _load(self, row: ModelVersion) -> bool:
        started, wanted = time.perf_counter(), self._wanted_loads
        try:
            package = self._verified(row)
        except (RoutingError, OSError, MemoryError) as fault:
            self._note_failure(row, fault)
            return False
        self._put_in_service(package, started, wanted)
        return True

    def _put_in_service(self, package: VerifiedPackage, started: float, wanted: int) -> None:
        is_first = self._served is None
        if is_first:
            self._read_configuration()
        self._served = self._as_served(package, time.perf_counter() - started)
        self._loads_done = wanted
        self._forget_failure()
        if is_first:  # the model's millions of objects need not be looked at by every later collection
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
        seconds = round(self._served.load_seconds, 3)
        log.info("model.serving", model_version=self._served.version, load_seconds=seconds)

    def _read_configuration(self) -> None:
        """Read the live configuration before the first answer; the watcher follows it from then on."""
        try:
            if self._configuration is not None:
                self._configuration.current()
        except SetupError as fault:
            log.warning("serving.configuration_unreadable", error=str(fault))

    def _verified(self, row: ModelVersion) -> VerifiedPackage:
        folder = self._store.require(row.version)
        package = verify_folder(folder, self._keys, allow_unsigned=self._settings.allow_unsigned)
        if package.manifest_sha256 != row.manifest_sha256:
            raise PackageRejected(
                f"The folder of {row.version} holds another package than the one that was registered.",
                remedy="Restore the folder from a backup.",
                check="manifest",
            )
        return package  # replaying the golden questions has warmed it

    def _as_served(self, package: VerifiedPackage, seconds: float) -> ServedModel:
        return ServedModel(
            version=package.manifest.version,
            model=package.model,
            manifest=package.manifest,
            manifest_sha256=package.manifest_sha256,
            signed=package.signed_by is not None,
            development_key=package.signed_by is not None and package.signed_by.development,
            loaded_at=self._clock(),
            load_seconds=seconds,
            warnings=package.warnings,
        )

    def _note_failure(self, row: ModelVersion, fault: Exception) -> None:
        before = self._failure
        again = before is not None and (before.version, before.manifest_sha256) == (row.version, row.manifest_sha256)
        tries = before.tries + 1 if before is not None and again else 1
        check = fault.facts.get("check") if isinstance(fault, RoutingError) else None
        rest = min(self._settings.active_poll_seconds * 2.0**tries, LONGEST_RETRY_SECONDS)
        self._failure = _Failure(
            version=row.version,
            manifest_sha256=row.manifest_sha256,
            error=str(fault),
            check=check,
            tries=tries,
            retry_at=time.monotonic() + rest,
        )
        if again:
            return
        served = self._served
        log.error("model.not_servable", model_version=row.version, check=check, error=str(fault))
        self._alerts.raise_alert(
            ALERT_KIND,
            row.version,
            f"The active version {row.version} cannot be loaded: {fault} "
            + (f"{served.version} serves on." if served else "Nothing is served."),
            severity="critical",
            details={"check": check, "serving": served.version if served else None},
        )

    def _forget_failure(self) -> None:
        if self._failure is not None:
            self._alerts.close_matching(ALERT_KIND, self._failure.version, "serving")
            self._failure = None

    def _nothing_to_serve(self) -> NoActiveModel:
        failure = self._failure
        if failure is not None:
            return NoActiveModel(
                f"The active version {failure.version} cannot be loaded: {failure.error}",
                remedy="Activate another version, or go back with `manage.py models rollback`.",
                version=failure.version,
            )
        return NoActiveModel(
            "No model version is active yet.",
            remedy="List the versions with `manage.py models list` and activate one, or train with `manage.py train`.",
        )

    # -- health

    def status(self) -> dict[str, Any]:
        """Return what health says of the model: what should serve, what serves, since when, and the last failure."""
        served, failure = self._served, self._failure
        active: str | None = None
        database_error: str | None = None
        try:
            row = self._versions.active()
            active = row.version if row else None
        except SQLAlchemyError as fault:
            database_error = _sentence(fault)
        return {
            "active_version": active,
            "serving_version": served.version if served else None,
            "ready": served is not None,
            "manifest_check": "failed" if failure else ("passed" if served else "none"),
            "signed": served.signed if served else None,
            "development_key": served.development_key if served else None,
            "allow_unsigned": self._settings.allow_unsigned,
            "loaded_at": served.loaded_at.isoformat() if served else None,
            "load_seconds": round(served.load_seconds, 3) if served else None,
            "data_as_of": served.manifest.training.data_as_of if served else None,
            "model_kind": served.manifest.model_kind if served else None,
            "similarity_backend": served.model.backend if served else None,
            "warnings": list(served.warnings) if served else [],
            "last_error": database_error or (failure.error if failure else None),
            "watching": self._watcher is not None,
        }


def _sentence(fault: Exception) -> str:
    known = database_trouble(fault) if isinstance(fault, SQLAlchemyError) else None
    return str(known or fault)
