"""The audit as services use it: read, exported, verified; and records of changes that are no database transaction."""

import threading
import time
from builtins import list as list_of
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from shared.audit.checking import stored_rows
from shared.audit.events import BEGUN, DONE, EVENTS, FAILED, REFUSED, STORED, time_text
from shared.audit.recording import note
from shared.audit.seal import Seal, Verdict
from shared.database.engine import Sealing, reading, seal_by, writing
from shared.errors import RoutingError

log = structlog.get_logger()

# So many refusals of one kind and origin are recorded one by one in each minute; the next one kept tells of the others.
REFUSALS_A_MINUTE = 20
_MOST_KINDS = 1_000
_SHOWN = ("sequence", *(str(column.name) for column in EVENTS.columns if column.name not in ("sequence", "mac")))


@dataclass(frozen=True, kw_only=True)
class AuditQuery:
    """Which events: those that have all that is given."""

    actor: str | None = None
    action: str | None = None  # or its beginning, with a final dot or star: `model.`
    object: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the query as conditions on the table."""
        given = {name: getattr(self, name) for name in ("actor", "object", "outcome")}
        found: list[ColumnElement[bool]] = [EVENTS.c[name] == value for name, value in given.items() if value]
        if self.action is not None:
            beginning = self.action.removesuffix("*")
            whole = beginning == self.action and not beginning.endswith(".")
            found.append(
                EVENTS.c.action == beginning if whole else EVENTS.c.action.startswith(beginning, autoescape=True)
            )
        if self.since is not None:
            found.append(EVENTS.c.at >= time_text(self.since))
        if self.until is not None:
            found.append(EVENTS.c.at < time_text(self.until))
        return found


class Audit:
    """One installation's audit."""

    def __init__(self, engine: Engine, keys_folder: Path) -> None:
        """Read and add to the audit of `engine`'s database; its seal lies in `keys_folder`."""
        self._engine = engine
        self._seal = Seal(engine, keys_folder)
        self._refusals = _Refusals()

    @property
    def seal(self) -> Seal:
        """The seal on its head."""
        return self._seal

    def follow(self) -> None:
        """From now on seal the head after every transaction of this engine that added to the audit."""
        seal_by(self._engine, Sealing(mac_of=self._seal.mac_of, seal=self.try_to_seal))

    def try_to_seal(self) -> bool:
        """Seal the head, and log why where that cannot be done: the change itself stands; the sweep tries again."""
        try:
            self._seal.seal()
        except (RoutingError, SQLAlchemyError, OSError) as fault:
            log.error("audit.not_sealed", error=str(fault)[:500])
            return False
        return True

    # -- recording

    def record(self, action: str, object: object, **facts: Any) -> None:  # noqa: A002 - the column's own name
        """Record a change that is no transaction of this database (facts: `shared.audit.recording.noted_change`)."""
        with writing(self._engine) as session:
            note(session, action, object, **facts)

    @contextmanager
    def changing(self, action: str, object: object, **facts: Any) -> Iterator[dict[str, Any]]:  # noqa: A002
        """Record that a change outside of the database begins, and how it ended; yields what to add to its `after`.

        One that begins and never ends tells of a process that died meanwhile.
        """
        self.record(action, object, outcome=BEGUN, **facts)
        after: dict[str, Any] = dict(facts.pop("after", None) or {})
        try:
            yield after
        except BaseException as fault:
            said = fault.detail if isinstance(fault, RoutingError) else type(fault).__name__
            self.record(action, object, outcome=FAILED, **facts | {"reason": said})
            raise
        self.record(action, object, outcome=DONE, after=after or None, **facts)

    def refused(self, action: str, object: object, fault: RoutingError, *, outcome: str = REFUSED) -> None:  # noqa: A002
        """Record that a change was asked for and not made, and why.

        A flood of refusals of one kind is recorded in part, with how many were left out: nobody can fill the disk
        with wrong keys. What cannot be recorded is logged; the refusal stands either way.
        """
        left_out = self._refusals.count(f"{action} {fault.code}")
        if left_out is None:
            return
        after: dict[str, Any] = {"code": fault.code}
        if left_out:
            after["left_out_before"] = left_out
        try:
            self.record(action, object, after=after, reason=fault.detail, outcome=outcome)
        except (RoutingError, SQLAlchemyError) as trouble:
            log.error("audit.refusal_not_recorded", action=action, code=fault.code, error=str(trouble)[:300])

    # -- reading

    def list(self, query: AuditQuery, *, limit: int = 50, offset: int = 0) -> tuple[list_of[dict[str, Any]], int]:
        """Return events, newest first, and how many there are in all."""
        conditions = query.conditions()
        shown = select(*(EVENTS.c[name] for name in _SHOWN)).where(*conditions)
        newest_first = shown.order_by(EVENTS.c.sequence.desc()).limit(limit).offset(offset)
        counted = select(func.count()).select_from(EVENTS).where(*conditions)
        with reading(self._engine) as session:
            connection = session.connection()
            total = connection.execute(counted).scalar_one()
            rows = connection.execute(newest_first).mappings().all()
        return [dict(row) for row in rows], total

    def export(self) -> Iterator[Mapping[str, Any]]:
        """Yield every event as it is stored, oldest first: with the hashes, whoever reads it can check the chain."""
        with stored_rows(self._engine) as rows:
            for row in rows:
                yield dict(zip(STORED, row, strict=True))

    def verify(self) -> Verdict:
        """Check every event and the seal."""
        return self._seal.verify()


class _Refusals:
    """Counts refusals by kind and minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: dict[str, deque[float]] = {}
        self._left_out: dict[str, int] = {}

    def count(self, kind: str) -> int | None:
        """Return how many of this kind were left out since the last recorded one; None where this one is, too."""
        now = time.monotonic()
        with self._lock:
            if len(self._recent) > _MOST_KINDS:
                self._recent.clear()
            recent = self._recent.setdefault(kind, deque())
            while recent and recent[0] < now - 60.0:
                recent.popleft()
            if len(recent) >= REFUSALS_A_MINUTE:
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return None
            recent.append(now)
            return self._left_out.pop(kind, 0)
