"""The registry of one data directory, as the tests of this room use it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from shared.database.alerts import Alerts
from shared.database.models import ModelVersions
from shared.database.work import WorkRows
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.serving import Serving
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.settings import Settings


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """The registry of one data directory with its real database."""

    settings: Settings
    engine: Engine
    clock: Clock
    keys: Keys
    versions: ModelVersions
    alerts: Alerts
    work: WorkRows
    store: ModelStore
    installer: Installer
    lifecycle: Lifecycle
    serving: Serving
    package_of: Callable[[str], Path]  # the package of a version, made once for all tests
    build_another: Callable[[str], Path]  # another package under the same version name

    def install(self, version: str) -> None:
        """Register the small model as `version`."""
        self.installer.register_local(self.package_of(version), actor="test", reason="made for a test")
