"""The evidence in the registry database: read for a cycle, and changed in the transaction that ends it.

A cycle reads the streams, adds what is new, and stores them only if nobody stored them since (the row of the empty
stream name tells), together with the keys of the actuals that entered and with the cycle's own end. So a cycle that
is killed anywhere, runs twice or beside another counts each actual once.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import CursorResult, Engine, insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select

from shared.clock import Clock, utc_now
from shared.database.engine import reading
from shared.database.tables import ModelEvent, QualityEvidence, TestedActual, VersionState
from shared.quality.evidence.state import LevelState, RiseState
from shared.quality.evidence.streams import Evidence

WHOLE = ""  # the row of what all streams share
_KEYS_AT_ONCE = 500


class StaleEvidence(Exception):
    """Another cycle stored evidence after this one read it: judge again."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is stored for an activation, and which cycle stored it."""

    evidence: Evidence | None  # None: no cycle of this activation has been tested
    cycle_id: str


class EvidenceStore:
    """Reads and writes the evidence."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep it in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def activation(self, version: str) -> int | None:
        """Return the event by which `version` became active last; None when it never was."""
        became = (ModelEvent.version == version, ModelEvent.to_state == VersionState.ACTIVE)
        with reading(self._engine) as session:
            return session.exec(select(func.max(ModelEvent.id)).where(*became)).one()

    def read(self, activation: int) -> Kept:
        """Return what is stored for an activation."""
        with reading(self._engine) as session:
            rows = session.exec(select(QualityEvidence).where(QualityEvidence.activation == activation)).all()
        states = {row.stream: row for row in rows}
        if WHOLE not in states:
            return Kept(evidence=None, cycle_id="")
        whole = states.pop(WHOLE)
        rises = {name: RiseState.from_json(row.state) for name, row in states.items() if "pool" in row.state}
        levels = {name: LevelState.from_json(row.state) for name, row in states.items() if "logs" in row.state}
        evidence = Evidence(
            cycles=whole.state["cycles"],
            families=tuple(whole.state["families"]),
            later=tuple(whole.state["later"]),
            rises={name: rises[name] for name in sorted(rises)},
            levels={name: levels[name] for name in sorted(levels)},
        )
        return Kept(evidence=evidence, cycle_id=whole.cycle_id)

    def cycles(self) -> int:
        """Return how many cycles were tested in the factory's life."""
        with reading(self._engine) as session:
            wholes = session.exec(select(QualityEvidence.state).where(QualityEvidence.stream == WHOLE)).all()
        return max((state["cycles"] for state in wholes), default=0)

    def tested(self, activation: int, keys: Collection[str]) -> set[str]:
        """Return those of `keys` that entered the test before."""
        wanted, found = sorted(keys), set[str]()
        with reading(self._engine) as session:
            for start in range(0, len(wanted), _KEYS_AT_ONCE):
                some = col(TestedActual.key).in_(wanted[start : start + _KEYS_AT_ONCE])
                found |= set(session.exec(select(TestedActual.key).where(TestedActual.activation == activation, some)))
        return found

    def writer(
        self, activation: int, version: str, cycle_id: str, before: Kept, after: Evidence, keys: Collection[str]
    ) -> Callable[[Session], None]:
        """Return what stores `after` in a caller's transaction.

        It raises StaleEvidence, and the transaction must be undone, when another cycle stored evidence for the
        activation after `before` was read.
        """
        states: dict[str, Mapping[str, Any]] = {name: state.as_json() for name, state in after.rises.items()}
        states |= {name: state.as_json() for name, state in after.levels.items()}
        whole = {"cycles": after.cycles, "families": list(after.families), "later": list(after.later)}
        known = set() if before.evidence is None else {*before.evidence.rises, *before.evidence.levels}

        def write(session: Session) -> None:
            now = self._clock()
            common = {"model_version": version, "cycle_id": cycle_id, "updated_at": now}

            def row(name: str, state: Mapping[str, Any]) -> dict[str, Any]:
                return {"activation": activation, "stream": name, "state": state, **common}

            if before.evidence is None:
                _insert_whole(session, row(WHOLE, whole))
            else:
                mine = (col(QualityEvidence.activation) == activation, col(QualityEvidence.stream) == WHOLE)
                unchanged = col(QualityEvidence.cycle_id) == before.cycle_id
                statement = update(QualityEvidence).where(*mine, unchanged).values(state=whole, **common)
                if cast("CursorResult[Any]", session.execute(statement)).rowcount == 0:
                    raise StaleEvidence(_STALE)
            new = [row(name, state) for name, state in states.items() if name not in known]
            if new:
                session.execute(insert(QualityEvidence), new)
            for name in known & states.keys():
                this = (col(QualityEvidence.activation) == activation, col(QualityEvidence.stream) == name)
                session.execute(update(QualityEvidence).where(*this).values(state=states[name], **common))
            if keys:
                entered = {"activation": activation, "cycle_id": cycle_id, "tested_at": now}
                session.execute(insert(TestedActual), [{"key": key, **entered} for key in sorted(keys)])

        return write


_STALE = "Another cycle added evidence for this activation meanwhile."


def _insert_whole(session: Session, values: dict[str, Any]) -> None:
    try:
        session.execute(insert(QualityEvidence), [values])
    except IntegrityError as error:
        raise StaleEvidence(_STALE) from error
