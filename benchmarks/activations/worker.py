"""Changes versions at random until it is killed or has done enough; one line on standard output for each call.

python -m benchmarks.activations.worker DATABASE_URL SEED CALLS
"""

import logging
import random
import sys
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from shared.clock import utc_now
from shared.database.engine import make_engine, reading
from shared.database.models import ModelVersions
from shared.database.tables import ModelVersion, VersionState
from shared.errors import Conflict, NotFound, RoutingError

POOL = 12  # versions that may serve; more are made when these are used up by refusals and removals


class Changer:
    """One process's hand on the registry: what the API's calls do to the rows, without the files behind them."""

    def __init__(self, engine: Engine, name: str, seed: int) -> None:
        self._engine = engine
        self._versions = ModelVersions(engine)
        self._dice = random.Random(seed)
        self._name = name
        self._made = 0

    def call(self) -> str:
        """Do one call and return what it was and how it ended."""
        calls: list[tuple[Callable[[], None], int]] = [
            (self._activate, 6), (self._rollback, 3), (self._reject, 1), (self._remove, 1), (self._pin, 1),
            (self._add, 2),
        ]  # fmt: skip
        [call] = self._dice.choices([one for one, _ in calls], [weight for _, weight in calls])
        try:
            call()
        except (Conflict, NotFound) as fault:
            return f"{call.__name__} {type(fault).__name__}"
        except (RoutingError, SQLAlchemyError) as fault:  # a database that is busy beyond its patience
            return f"{call.__name__} {type(fault).__name__}"
        return f"{call.__name__} done"

    def _some(self, *states: str) -> str:
        with reading(self._engine) as session:
            rows = session.exec(select(ModelVersion)).all()
        names = sorted(row.version for row in rows if row.state in states)
        if not names:
            raise NotFound("There is none in that state.")
        return self._dice.choice(names)

    def _activate(self) -> None:
        version = self._some(VersionState.PENDING, VersionState.RETIRED)
        expected = self._versions.active() if self._dice.random() < 0.5 else None
        self._versions.transition(
            version, VersionState.ACTIVE, actor=self._name, reason="activated",
            expected_active=expected.version if expected else None,
        )  # fmt: skip

    def _rollback(self) -> None:
        previous = self._versions.previous()
        if previous is None:
            raise NotFound("Nothing served before.")
        self._versions.transition(previous.version, VersionState.ACTIVE, actor=self._name, reason="rolled back")

    def _reject(self) -> None:
        version = self._some(VersionState.PENDING)
        self._versions.transition(version, VersionState.REJECTED, actor=self._name, reason="refused")

    def _remove(self) -> None:
        version = self._some(VersionState.RETIRED, VersionState.REJECTED)
        self._versions.transition(version, VersionState.REMOVED, actor=self._name, reason="removed")

    def _pin(self) -> None:
        version = self._some(VersionState.RETIRED, VersionState.ACTIVE)
        self._versions.pin(version, pinned=self._dice.random() < 0.3, actor=self._name, reason="pinned or not")

    def _add(self) -> None:
        usable = self._versions.list(limit=1, state=VersionState.PENDING)[1]
        if usable < POOL:
            self._made += 1
            add_version(self._versions, f"{self._name}-{self._made}")


def add_version(versions: ModelVersions, name: str) -> None:
    """Insert the row of a version that has no files."""
    versions.insert(
        ModelVersion(
            version=name, manifest_sha256="0" * 64, model_kind="none", schema_version="none", registered_at=utc_now()
        ),
        actor="benchmark",
    )


def main() -> int:
    """Call until there were enough."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    url, seed, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    changer = Changer(make_engine(url), f"w{seed}", seed)
    for _ in range(calls):
        print(changer.call(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
