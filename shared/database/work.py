"""Work rows: claimed by compare-and-set, held under a lease, written only with the fencing token of the claim.

A message is a doorbell that says "look at row X"; everything that decides who may work stands in the row. A claim
raises `lease_token`; every later write names the token it was given, so a worker that lost its lease without
noticing can change nothing any more.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

import structlog
from sqlalchemy import ColumnElement, CursorResult, Engine, Table, UniqueConstraint, and_, func, or_, update
from sqlalchemy import inspect as sql_inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer
from sqlmodel import Session, SQLModel, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import (
    Extract,
    QualityCycle,
    Registration,
    RegistrationState,
    TrainingJob,
    WorkColumns,
    WorkState,
)
from shared.errors import Conflict, LeaseLost, NotFound

log = structlog.get_logger()

WORK_TABLES: dict[str, type[WorkColumns]] = {
    table.QUEUE: table for table in (Extract, QualityCycle, TrainingJob, Registration)
}
CLOCKS_AGREE = timedelta(minutes=1)  # later than this from now is a time from before the clock was set back
_TOLD = {
    "state", "slot", "profile", "full_reading", "strategy", "seed", "sample_size", "strata", "kind", "priority",
    "dry_run", "label", "cycle_id", "version", "manifest_sha256", "is_zip",
}  # fmt: skip
_FAILURES = frozenset({WorkState.FAILED, RegistrationState.REJECTED})
_SUCCESSES = frozenset({WorkState.SUCCEEDED, RegistrationState.INSTALLED})

Row = TypeVar("Row", bound=WorkColumns)


@dataclass(frozen=True, kw_only=True)
class Claim(Generic[Row]):
    """The right to work on one row until the lease ends; `row` is a copy as it was when claimed."""

    table: type[Row]
    id: str
    token: int
    attempt: int
    worker: str
    row: Row


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """What a worker learns when it renews its lease."""

    held: bool
    cancel_requested: bool
    ended: bool = False  # not held any more because this very claim ended the row, or gave it back


class WorkRows:
    """Every read and write of work rows, the same for extracts, cycles, jobs and registrations."""

    def __init__(self, engine: Engine, *, clock: Clock = utc_now) -> None:
        """Work on `engine`'s database; `clock` decides leases and delays."""
        self._engine = engine
        self._clock = clock

    @property
    def engine(self) -> Engine:
        """The database that the rows are in."""
        return self._engine

    def insert(self, row: WorkColumns, *, guard: Callable[[Session], None] | None = None) -> bool:
        """Store a new row and return True; return False when its id, slot or other unique key exists already.

        `guard` runs first in the same transaction (alone, on SQLite) and refuses by raising: a place for limits such
        as "at most three jobs may wait", which no unique key can express.
        """
        copy = type(row)(**_fitted(type(row), row.model_dump()))
        try:
            with writing(self._engine) as session:
                if guard is not None:
                    guard(session)
                session.add(copy)
                session.flush()
                who = getattr(copy, "actor", "") or None
                note(session, f"{copy.KIND}.requested", copy.id, after=_told(copy), reason=copy.reason, actor=who)
        except IntegrityError:
            if self._exists(copy):
                return False
            raise
        return True

    def get(self, table: type[Row], id: str) -> Row:  # noqa: A002 - the column's own name
        """Return one row.

        Raises:
            NotFound: there is none of that id.
        """
        with reading(self._engine) as session:
            return _require(session.get(table, id), table, id)

    def count(self, table: type[WorkColumns], states: Collection[str]) -> int:
        """Return how many rows are in one of `states`."""
        with reading(self._engine) as session:
            return session.exec(select(func.count()).select_from(table).where(col(table.state).in_(states))).one()

    def claim(self, table: type[Row], id: str, *, worker: str, lease_seconds: float) -> Claim[Row] | None:  # noqa: A002
        """Take the row for `worker`, or return None when it is unknown, held, final, or not to be tried yet.

        One conditional update decides, so of any number of callers exactly one is given a claim.
        """
        now = self._clock()
        with writing(self._engine) as session:
            statement = (
                update(_sql(table))
                .where(col(table.id) == id, _claimable(table, now, timedelta(seconds=lease_seconds)))
                .values(
                    state=table.HELD,
                    attempt=table.attempt + 1,
                    lease_token=table.lease_token + 1,
                    lease_until=now + timedelta(seconds=lease_seconds),
                    worker=worker[:128],
                    started_at=func.coalesce(col(table.started_at), now),
                    not_before=None,
                )
            )
            if _changed(session, statement) == 0:
                return None
            row = _require(session.get(table, id), table, id)
        log.info("work.claimed", queue=table.QUEUE, id=id, attempt=row.attempt, worker=worker)
        return Claim(table=table, id=id, token=row.lease_token, attempt=row.attempt, worker=worker, row=row)

    def heartbeat(
        self,
        claim: Claim[Any],
        *,
        lease_seconds: float,
        progress: float | None = None,
        step: str | None = None,
        add: Sequence[SQLModel] = (),
        **columns: Any,
    ) -> Heartbeat:
        """Renew the lease, note progress and other `columns`, and insert the rows of `add`, in one transaction.

        `held` is False when another worker owns the row, or it ended; nothing was written then.
        """
        table = claim.table
        values: dict[str, Any] = {**columns, "lease_until": self._clock() + timedelta(seconds=lease_seconds)}
        if progress is not None:
            values["progress"] = progress
        if step is not None:
            values["step"] = step
        with writing(self._engine) as session:
            if _changed(session, update(_sql(table)).where(_owned(claim)).values(**_fitted(table, values))) == 0:
                now_there = session.get(table, claim.id)
                ended = now_there is not None and now_there.lease_token == claim.token
                return Heartbeat(held=False, cancel_requested=False, ended=ended)
            session.add_all(add)
            row = _require(session.get(table, claim.id), table, claim.id)
        return Heartbeat(held=True, cancel_requested=row.cancel_requested)

    def update(self, claim: Claim[Any], **columns: Any) -> None:
        """Write columns of a held row.

        Raises:
            LeaseLost: another worker owns the row now, or it ended; nothing was written.
        """
        with self.fenced(claim) as session:
            _write(session, claim, columns)

    def finish(
        self,
        claim: Claim[Any],
        state: str,
        *,
        add: Sequence[SQLModel] = (),
        also: Callable[[Session], None] | None = None,
        **columns: Any,
    ) -> None:
        """End the row in a final `state` and, in the same transaction, insert the rows of `add`.

        `also` does more in that transaction; its error undoes it all.

        Raises:
            LeaseLost: another worker owns the row now, or it ended; nothing was written.
            ValueError: `state` is no final state of this kind of work.
        """
        if state not in claim.table.FINAL:
            raise ValueError(f"{state!r} does not end a row of {claim.table.__tablename__}")
        values = {"lease_until": None, "ended_at": self._clock(), "not_before": None, **columns, "state": state}
        if state in _SUCCESSES:
            values["progress"] = 100.0
        with self.fenced(claim) as session:
            session.add_all(add)
            session.flush()
            if also is not None:
                also(session)
            _write(session, claim, values)
            _note_end(session, claim, state, values)
        log.info("work.finished", queue=claim.table.QUEUE, id=claim.id, state=state, attempt=claim.attempt)

    def release(
        self,
        claim: Claim[Any],
        *,
        error: str | None = None,
        delay_seconds: float = 0.0,
        state: str | None = None,
        add: Sequence[SQLModel] = (),
        **columns: Any,
    ) -> None:
        """Give the row back to be claimed again, after `delay_seconds`; one that was to be cancelled is cancelled.

        In the same transaction other `columns` are written and the rows of `add` inserted.

        Raises:
            LeaseLost: another worker owns the row now, or it ended; nothing was written.
            ValueError: nobody could claim a row in `state`.
        """
        table = claim.table
        state = table.RELEASED if state is None else state
        if state not in table.CLAIMABLE:
            raise ValueError(f"a row of {table.__tablename__} cannot be claimed in state {state!r}")
        now = self._clock()
        with self.fenced(claim) as session:
            row = _require(session.get(table, claim.id), table, claim.id)
            values: dict[str, Any] = {**columns, "state": state, "lease_until": None, "error": error}
            if row.cancel_requested and WorkState.CANCELLED in table.FINAL:
                values |= {"state": WorkState.CANCELLED, "ended_at": now}
            elif delay_seconds > 0:
                values["not_before"] = now + timedelta(seconds=delay_seconds)
            session.add_all(add)
            _write(session, claim, values)
            if values["state"] == WorkState.CANCELLED:
                _note_end(session, claim, WorkState.CANCELLED, values)
        log.info("work.released", queue=table.QUEUE, id=claim.id, error=error, delay_seconds=delay_seconds)

    @contextmanager
    def fenced(self, claim: Claim[Any]) -> Iterator[Session]:
        """Yield a write transaction in which the claim is proven to hold, for writes beside the row's own columns.

        Raises:
            LeaseLost: another worker owns the row now, or it ended; the block does not run.
        """
        with writing(self._engine) as session:
            held = update(_sql(claim.table)).where(_owned(claim)).values(lease_token=claim.token)
            if _changed(session, held) == 0:
                raise LeaseLost(
                    f"The work {claim.id} was taken over or ended while {claim.worker} held it.",
                    remedy="Nothing is to be done: the row says who works on it now.",
                )
            yield session

    def request_cancel(
        self,
        table: type[Row],
        id: str,  # noqa: A002 - the column's own name
        *,
        also: Callable[[Session, Row], None] | None = None,
    ) -> Row:
        """Cancel a row that nobody works on, or ask its worker to stop; an already cancelled row stays as it is.

        `also` sees the row as it would become, in the same transaction: it may refuse by raising, or write more.

        Raises:
            NotFound: there is none of that id.
            Conflict: it has ended another way, or its kind cannot be cancelled.
        """
        now = self._clock()
        with writing(self._engine) as session:
            row = session.exec(select(table).where(col(table.id) == id).with_for_update()).one_or_none()
            row = _require(row, table, id)
            if row.state == WorkState.CANCELLED:
                return row
            if row.state in table.FINAL or WorkState.CANCELLED not in table.FINAL:
                raise Conflict(f"The work {id} is {row.state} and cannot be cancelled.", state=row.state)
            before, asked_before = row.state, row.cancel_requested
            row.cancel_requested = True
            if row.state != table.HELD or row.lease_until is None or row.lease_until < now:
                row.state, row.ended_at, row.lease_until = WorkState.CANCELLED, now, None
                row.lease_token += 1  # a worker that lost its lease stays out
            if also is not None:
                also(session, row)
            session.add(row)
            if row.state != before or not asked_before:
                done = "cancelled" if row.state == WorkState.CANCELLED else "cancel-requested"
                note(session, f"{row.KIND}.{done}", id, before={"state": before}, after={"state": row.state})
        return row

    def give_up(self, table: type[Row], id: str, reason: str, *, state: str = WorkState.FAILED) -> Row | None:  # noqa: A002
        """End a row that no live worker holds, because its message could not be handled; None when there is no such.

        A row that is held, or has ended, is returned unchanged.
        """
        if state not in table.FINAL:
            raise ValueError(f"{state!r} does not end a row of {table.__tablename__}")
        now = self._clock()
        with writing(self._engine) as session:
            row = session.exec(select(table).where(col(table.id) == id).with_for_update()).one_or_none()
            if row is None or row.state in table.FINAL:
                return row
            if row.state == table.HELD and row.lease_until is not None and row.lease_until >= now:
                return row
            before = {"state": row.state}
            row.state, row.ended_at, row.lease_until, row.error = state, now, None, reason
            row.lease_token += 1
            session.add(row)
            note(session, f"{row.KIND}.given-up", id, before=before, after={"state": state}, reason=reason)
        return row

    def reopen(self, table: type[WorkColumns], id: str) -> bool:  # noqa: A002
        """Make a failed or rejected row claimable again, with all its attempts; False when it is no such row."""
        failed = col(table.state).in_(table.FINAL & _FAILURES)
        values = {
            "state": table.model_fields["state"].default,
            "attempt": 0,
            "lease_token": table.lease_token + 1,
            "cancel_requested": False,
            "progress": 0.0,
            "step": "",
            "error": None,
            "rung_at": None,
            "ended_at": None,
        }
        with writing(self._engine) as session:
            reopened = _changed(session, update(_sql(table)).where(col(table.id) == id, failed).values(**values)) == 1
            if reopened:
                note(session, f"{table.KIND}.reopened", id, after={"state": values["state"]})
            return reopened

    def due(
        self, table: type[WorkColumns], *, now: datetime, ring_after_seconds: float, lease_seconds: float = 30.0
    ) -> list[str]:
        """Return ids, oldest first, that somebody could claim and whose last bell is `ring_after_seconds` old.

        These lost their message, or the worker that held them died. Times that a clock wrote before it was set back
        hold nothing up.
        """
        self._forget_times_ahead(table, now)
        cutoff = now - timedelta(seconds=ring_after_seconds)
        rested = or_(col(table.not_before).is_(None), col(table.not_before) <= cutoff)
        known = or_(col(table.created_at) <= cutoff, col(table.created_at) > now + CLOCKS_AGREE)
        waits = and_(col(table.state).in_(table.CLAIMABLE), known, rested)
        abandoned = _abandoned(table, now, timedelta(seconds=lease_seconds))
        silent = or_(col(table.rung_at).is_(None), col(table.rung_at) <= cutoff)
        with reading(self._engine) as session:
            query = select(table.id).where(or_(waits, abandoned), silent).order_by(col(table.created_at))
            return list(session.exec(query).all())

    def _forget_times_ahead(self, table: type[WorkColumns], now: datetime) -> None:
        """A bell that was rung in the future shows that the clock was set back; that bell and its delay are void."""
        ahead = (col(table.state).not_in(table.FINAL), col(table.rung_at) > now + CLOCKS_AGREE)
        with reading(self._engine) as session:
            if session.exec(select(table.id).where(*ahead).limit(1)).first() is None:
                return
        with writing(self._engine) as session:
            _changed(session, update(_sql(table)).where(*ahead).values(rung_at=None, not_before=None))

    def mark_rung(self, table: type[WorkColumns], ids: Collection[str]) -> None:
        """Note that a message for each of these rows was sent just now."""
        if not ids:
            return
        with writing(self._engine) as session:
            session.execute(update(_sql(table)).where(col(table.id).in_(ids)).values(rung_at=self._clock()))

    def list(
        self, table: type[Row], *, limit: int = 50, offset: int = 0, without: Sequence[str] = (), **equal: str | None
    ) -> tuple[list[Row], int]:
        """Return rows, newest first, and how many there are in all; `equal` are columns and their values, None: any.

        The columns `without` are not read: whoever leaves out a large one must not ask the rows for it.
        """
        columns = _sql(table).columns
        conditions = [columns[name] == value for name, value in equal.items() if value is not None]
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(table).where(*conditions)).one()
            newest_first = (col(table.created_at).desc(), col(table.id).desc())
            left_out = [defer(getattr(table, name)) for name in without]
            query = select(table).options(*left_out).where(*conditions).order_by(*newest_first)
            rows = session.exec(query.limit(limit).offset(offset)).all()
        return list(rows), total

    def _exists(self, row: WorkColumns) -> bool:
        """Return whether a stored row has one of `row`'s unique keys."""
        keys = [tuple(c.name for c in _sql(type(row)).primary_key)]
        keys += [
            tuple(c.name for c in u.columns) for u in _sql(type(row)).constraints if isinstance(u, UniqueConstraint)
        ]
        keys += [tuple(c.name for c in i.columns) for i in _sql(type(row)).indexes if i.unique]
        with reading(self._engine) as session:
            for names in keys:
                values = {name: getattr(row, name) for name in names}
                if None in values.values():
                    continue
                if session.exec(select(type(row)).filter_by(**values).limit(1)).first() is not None:
                    return True
        return False


def _claimable(table: type[WorkColumns], now: datetime, lease: timedelta) -> ColumnElement[bool]:
    ready = or_(col(table.not_before).is_(None), col(table.not_before) <= now)
    return or_(and_(col(table.state).in_(table.CLAIMABLE), ready), _abandoned(table, now, lease))


def _abandoned(table: type[WorkColumns], now: datetime, lease: timedelta) -> ColumnElement[bool]:
    """Held, and the lease ran out; or it ends later than any lease can, so the clock was set back since.

    A live worker's next heartbeat sets its lease right; one that is overtaken before that is fenced off.
    """
    ended = or_(col(table.lease_until) < now, col(table.lease_until) > now + 2 * lease)
    return and_(col(table.state) == table.HELD, ended)


def _owned(claim: Claim[Any]) -> ColumnElement[bool]:
    table = claim.table
    return and_(col(table.id) == claim.id, col(table.lease_token) == claim.token, col(table.state) == table.HELD)


def _write(session: Session, claim: Claim[Any], values: dict[str, Any]) -> None:
    table = claim.table
    session.execute(update(_sql(table)).where(col(table.id) == claim.id).values(**_fitted(table, values)))


def _note_end(session: Session, claim: Claim[Any], state: str, values: dict[str, Any]) -> None:
    kept = ("reason", "error", "model_version", "snapshot_id", "step", "evaluated", "failed")
    after = {"state": state, "attempt": claim.attempt} | {name: values[name] for name in kept if values.get(name)}
    table = claim.table
    note(session, f"{table.KIND}.{state}", claim.id, before={"state": table.HELD}, after=after)


def _told(row: WorkColumns) -> dict[str, Any]:
    """Return what is recorded of a new row: what was asked for, never where a source is, which may hold a password."""
    return row.model_dump(mode="json", include=_TOLD, exclude_none=True)


def _changed(session: Session, statement: Any) -> int:
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


def _sql(table: type[SQLModel]) -> Table:
    return cast(Table, sql_inspect(table).local_table)


def _fitted(table: type[SQLModel], values: dict[str, Any]) -> dict[str, Any]:
    """Cut texts that are longer than their column, since a reason quoted from elsewhere may be any length."""
    columns = _sql(table).columns
    fitted = {}
    for name, value in values.items():
        length = getattr(columns[name].type, "length", None)
        fitted[name] = value[:length] if isinstance(value, str) and length is not None else value
    return fitted


def _require(row: Row | None, table: type[Row], id: str) -> Row:  # noqa: A002
    if row is None:
        raise NotFound(
            f"There is no {table.CALLED} {id!r}.",
            remedy="Their list shows those there are; old ones are tidied away.",
            id=id,
        )
    return row
