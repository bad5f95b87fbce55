"""Model versions: which transitions there are, one active version at any time, and every change an event."""

from builtins import list as list_of
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, Engine, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import one_at_a_time, reading, writing
from shared.database.tables import ModelEvent, ModelVersion, Registration, TrainingJob, VersionState
from shared.errors import Conflict, NotFound

log = structlog.get_logger()

# From each state, where a person's word may lead. `retired` is reached by another version's activation only, and from
# `removed` a version comes back when its package is dropped again.
TRANSITIONS: dict[str, frozenset[str]] = {
    VersionState.PENDING: frozenset({VersionState.ACTIVE, VersionState.REJECTED, VersionState.REMOVED}),
    VersionState.ACTIVE: frozenset(),
    VersionState.RETIRED: frozenset({VersionState.ACTIVE, VersionState.REMOVED}),
    VersionState.REJECTED: frozenset({VersionState.REMOVED}),
    VersionState.REMOVED: frozenset({VersionState.PENDING}),
}
PINNED, UNPINNED, SIGNED, CLEARED = "pinned", "unpinned", "signed", "cleared"  # events that change no state
NO_MANIFEST = ""  # in place of a manifest's hash, while nobody vouches for a folder


class ModelVersions:
    """The table of installed versions and the log of what happened to them."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep versions in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def insert(self, row: ModelVersion, *, actor: str = "system", reason: str = "registered") -> None:
        """Add a `pending` version with its first event.

        Raises:
            Conflict: a version of that name exists.
            ValueError: the row is not `pending`.
        """
        if row.state != VersionState.PENDING:
            raise ValueError("a version enters the registry as pending")
        copy = ModelVersion(**row.model_dump())
        try:
            with writing(self._engine) as session:
                if session.get(ModelVersion, row.version) is not None:
                    raise _already_there(row.version)
                session.add(copy)
                add_first_event(session, row, actor=actor, reason=reason, at=self._event_time(session))
        except IntegrityError as error:
            raise _already_there(row.version) from error

    def get(self, version: str) -> ModelVersion:
        """Return one version.

        Raises:
            NotFound: there is none of that name.
        """
        with reading(self._engine) as session:
            return _require(session.get(ModelVersion, version), version)

    def find(self, version: str) -> ModelVersion | None:
        """Return one version, or None when there is none of that name."""
        with reading(self._engine) as session:
            return session.get(ModelVersion, version)

    def list(self, *, limit: int = 50, offset: int = 0, state: str | None = None) -> tuple[list_of[ModelVersion], int]:
        """Return versions, newest first, and how many there are in all."""
        wanted = col(ModelVersion.state) == state if state is not None else col(ModelVersion.version).is_not(None)
        order = (col(ModelVersion.registered_at).desc(), col(ModelVersion.version).desc())
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(ModelVersion).where(wanted)).one()
            rows = session.exec(select(ModelVersion).where(wanted).order_by(*order).limit(limit).offset(offset)).all()
        return list_of(rows), total

    def active(self) -> ModelVersion | None:
        """Return the version in service, or None while there is none."""
        with reading(self._engine) as session:
            return _active(session)

    def previous(self) -> ModelVersion | None:
        """Return the version that served before the active one, or None; rolling back activates it."""
        with reading(self._engine) as session:
            return _previous(session)

    def active_at(self, at: datetime) -> ModelEvent | None:
        """Return the activation in force at `at`, or None when nothing was active yet."""
        activated = (col(ModelEvent.to_state) == VersionState.ACTIVE, col(ModelEvent.at) <= at)
        with reading(self._engine) as session:
            last = select(ModelEvent).where(*activated).order_by(col(ModelEvent.id).desc()).limit(1)
            return session.exec(last).first()

    def activation_in_force(self) -> ModelEvent | None:
        """Return the activation that made the present version the active one, or None while none is active."""
        with reading(self._engine) as session:
            active = _active(session)
            return None if active is None else _last_activation(session, ModelEvent.version == active.version)

    def last_activation_by(self, actor: str) -> ModelEvent | None:
        """Return the newest activation of a pending version by `actor`, or None."""
        anew = (ModelEvent.actor == actor, ModelEvent.from_state == VersionState.PENDING)
        with reading(self._engine) as session:
            return _last_activation(session, *anew)

    def is_in_force(self, session: Session, activation: ModelEvent) -> bool:
        """Return, inside a transaction, whether no version was activated after `activation`."""
        newest = _last_activation(session)
        return newest is not None and newest.id == activation.id

    def complete_event(self, event: ModelEvent, details: dict[str, Any]) -> bool:
        """Add to an event's details what came of it; False when one of these is there already."""
        with writing(self._engine) as session:
            return self.complete_event_in(session, event, details)

    def complete_event_in(self, session: Session, event: ModelEvent, details: dict[str, Any]) -> bool:
        """Do the same in a caller's write transaction."""
        row = session.exec(select(ModelEvent).where(ModelEvent.id == event.id).with_for_update()).one()
        known = row.details or {}
        if known.keys() & details.keys():
            return False
        row.details = known | details
        session.add(row)
        session.flush()
        return True

    def events(self, version: str) -> list_of[ModelEvent]:
        """Return what happened to a version, oldest first.

        Raises:
            NotFound: there is none of that name.
        """
        with reading(self._engine) as session:
            _require(session.get(ModelVersion, version), version)
            mine = select(ModelEvent).where(ModelEvent.version == version).order_by(col(ModelEvent.id))
            return list_of(session.exec(mine).all())

    def transition(
        self,
        version: str,
        to: str,
        *,
        actor: str,
        reason: str,
        expected_active: str | None = None,
        details: dict[str, Any] | None = None,
        also: Callable[[Session, ModelVersion], None] | None = None,
    ) -> ModelVersion:
        """Move a version to state `to` in one transaction; activating retires the version that was active.

        `expected_active` is what the caller believes to be active (empty for "none"); None does not ask. `details`
        are kept with the event. `also` runs first in the same transaction, with the version that was active: it may
        refuse by raising, and what it writes stands or falls with the change.

        Raises:
            NotFound: there is no such version.
            Conflict: `TRANSITIONS` forbids it, another version is active than expected, or another change came
                between; `facts["state"]` holds the current state.
        """
        try:
            with writing(self._engine) as session:
                row = _require(session.get(ModelVersion, version), version)
                active = _active(session)
                _refuse_surprise(row, active, expected_active)
                if to not in TRANSITIONS[row.state]:
                    raise Conflict(
                        f"The version {version} is {row.state} and cannot become {to}.",
                        state=row.state,
                        version=version,
                    )
                if to == VersionState.REMOVED:
                    _refuse_needed(session, row)
                if also is not None and active is not None:
                    also(session, active)
                at = self._event_time(session)
                if to == VersionState.ACTIVE and active is not None:
                    _move(session, active, VersionState.RETIRED, actor=actor, reason=f"{version} activated", at=at)
                _move(session, row, to, actor=actor, reason=reason, at=at, details=details)
                session.refresh(row)
        except IntegrityError as error:  # the partial unique index: another process activated a version just now
            raise _came_between(version, self.get(version).state) from error
        log.info("model.transition", model_version=version, to=to, actor=actor, reason=reason)
        return row

    def pin(self, version: str, *, pinned: bool, actor: str, reason: str) -> ModelVersion:
        """Keep a version whatever its age, or no longer, and return its row; what it is already changes nothing.

        Raises:
            NotFound: there is no such version.
            Conflict: it was removed, or another change came between.
        """
        with writing(self._engine) as session:
            row = _require(session.get(ModelVersion, version), version)
            if row.state == VersionState.REMOVED:
                raise Conflict(
                    f"The version {version} was removed; only its history is left.", state=row.state, version=version
                )
            if row.pinned != pinned:
                event = PINNED if pinned else UNPINNED
                at = self._event_time(session)
                _change(session, row, {"pinned": pinned}, event, actor=actor, reason=reason, at=at)
                session.refresh(row)
        return row

    def vouch(self, version: str, values: dict[str, Any], *, actor: str, reason: str) -> ModelVersion:
        """Give a version that had no manifest what its manifest says, and return its row; once is enough.

        Raises:
            NotFound: there is no such version.
            Conflict: another change came between.
        """
        with writing(self._engine) as session:
            row = _require(session.get(ModelVersion, version), version)
            if row.manifest_sha256 == NO_MANIFEST:
                at = self._event_time(session)
                _change(session, row, values, SIGNED, actor=actor, reason=reason, at=at)
                session.refresh(row)
        return row

    def clear_caches(self, caches: list_of[str], *, actor: str, reason: str) -> ModelEvent:
        """Append that every process is to forget what it keeps of `caches`, and return that event.

        It stands in the history of the active version; without one, in that of no version.
        """
        with writing(self._engine) as session:
            one_at_a_time(session, "model-events-cleared")  # ids in the order in which others come to see them
            active = _active(session)
            event = ModelEvent(
                version=active.version if active else "", from_state=active.state if active else None,
                to_state=CLEARED, actor=actor[:128], reason=reason[:2000], at=self._event_time(session),
                details={"caches": caches},
            )  # fmt: skip
            session.add(event)
            session.flush()
            note(session, "caches.cleared", event.version, after={"caches": caches}, reason=reason, actor=actor)
        return event

    def clearings(self, *, after_id: int) -> list_of[ModelEvent]:
        """Return the clearings of caches that came after one, oldest first."""
        later = select(ModelEvent).where(col(ModelEvent.id) > after_id, ModelEvent.to_state == CLEARED)
        with reading(self._engine) as session:
            return list_of(session.exec(later.order_by(col(ModelEvent.id))).all())

    def last_clearing(self) -> ModelEvent | None:
        """Return the newest clearing of caches, or None."""
        cleared = select(ModelEvent).where(ModelEvent.to_state == CLEARED)
        with reading(self._engine) as session:
            return session.exec(cleared.order_by(col(ModelEvent.id).desc()).limit(1)).first()

    def free_name(self, wanted: str) -> str:
        """Return `wanted`, or `wanted_n` with the smallest n from 2 on that no version, job or drop has used."""
        with reading(self._engine) as session:
            taken: set[str | None] = set()
            for column in (ModelVersion.version, Registration.version, TrainingJob.model_version):
                taken |= set(session.exec(select(column).where(col(column).startswith(wanted, autoescape=True))).all())
        lower = {name.lower() for name in taken if name is not None}
        name, n = wanted, 1
        while name.lower() in lower:
            n += 1
            name = f"{wanted}_{n}"
        return name

    def _event_time(self, session: Session) -> datetime:
        """Return now, or the last event's time when this machine's clock is behind it: events never go back."""
        last = session.exec(select(func.max(ModelEvent.at))).one()
        now = self._clock()
        return now if last is None else max(now, last)


def add_first_event(session: Session, row: ModelVersion, *, actor: str, reason: str, at: datetime) -> None:
    """Add the event of a version's registration, for callers that insert the row in a transaction of their own."""
    session.add(
        ModelEvent(
            version=row.version, from_state=None, to_state=row.state, actor=actor[:128], reason=reason[:2000], at=at
        )
    )
    facts = row.model_dump(include={"state", "manifest_sha256", "model_kind", "parent", "job_id", "profile"})
    note(session, "model.registered", row.version, after=facts, reason=reason, actor=actor)


def _active(session: Session) -> ModelVersion | None:
    return session.exec(select(ModelVersion).where(ModelVersion.state == VersionState.ACTIVE)).one_or_none()


def _previous(session: Session) -> ModelVersion | None:
    retired = (ModelEvent.to_state == VersionState.RETIRED, ModelVersion.state == VersionState.RETIRED)
    query = select(ModelVersion).join(ModelEvent, col(ModelEvent.version) == col(ModelVersion.version))
    return session.exec(query.where(*retired).order_by(col(ModelEvent.id).desc()).limit(1)).first()


def _refuse_needed(session: Session, row: ModelVersion) -> None:
    """Refuse to remove what somebody may go back to at any moment."""
    previous = _previous(session)
    if row.pinned:
        why, remedy = "is pinned", f"Unpin it first: `manage.py models unpin {row.version}`."
    elif previous is not None and previous.version == row.version:
        why, remedy = "is the one that a rollback would activate", "Activate another version first."
    else:
        return
    raise Conflict(f"The version {row.version} {why}.", remedy=remedy, state=row.state, version=row.version)


def _last_activation(session: Session, *conditions: Any) -> ModelEvent | None:
    activated = select(ModelEvent).where(ModelEvent.to_state == VersionState.ACTIVE, *conditions)
    return session.exec(activated.order_by(col(ModelEvent.id).desc()).limit(1)).first()


def _refuse_surprise(row: ModelVersion, active: ModelVersion | None, expected: str | None) -> None:
    name = "" if active is None else active.version
    if expected is not None and expected != name:
        raise Conflict(
            f"The active version is {name or 'none'}, not {expected or 'none'} as expected.",
            remedy="Look at what is active now, and ask again.",
            state=row.state,
            active=name or None,
        )


def _move(
    session: Session,
    row: ModelVersion,
    to: str,
    *,
    actor: str,
    reason: str,
    at: datetime,
    details: dict[str, Any] | None = None,
) -> None:
    """Change one row's state, provided that nobody changed it since it was read, and append the event."""
    values: dict[str, Any] = {"state": to}
    if to == VersionState.ACTIVE:
        values["activated_at"] = at
    _change(session, row, values, to, actor=actor, reason=reason, at=at, details=details)


def _change(
    session: Session,
    row: ModelVersion,
    values: dict[str, Any],
    event_name: str,
    *,
    actor: str,
    reason: str,
    at: datetime,
    details: dict[str, Any] | None = None,
) -> None:
    values, pinned_before = values | {"row_version": row.row_version + 1}, row.pinned
    unchanged = (col(ModelVersion.version) == row.version, col(ModelVersion.row_version) == row.row_version)
    statement = update(ModelVersion).where(*unchanged).values(**values).execution_options(synchronize_session=False)
    event = ModelEvent(
        version=row.version, from_state=row.state, to_state=event_name, actor=actor[:128], reason=reason[:2000], at=at,
        details=details,
    )  # fmt: skip
    if cast("CursorResult[Any]", session.execute(statement)).rowcount != 1:
        raise _came_between(row.version, row.state)
    session.add(event)
    session.flush()
    note(
        session, f"model.{event_name}", row.version,
        before={"state": event.from_state, "pinned": pinned_before},
        after={"state": values.get("state", event.from_state), "pinned": values.get("pinned", pinned_before),
               "event": event.id},
        reason=reason, actor=actor,
    )  # fmt: skip


def _came_between(version: str, state: str) -> Conflict:
    return Conflict(
        f"Another change came between while {version} was being changed.",
        remedy="Look at the current state, and ask again.",
        state=state,
        version=version,
    )


def _already_there(version: str) -> Conflict:
    return Conflict(f"The version {version} is registered already.", version=version)


def _require(row: ModelVersion | None, version: str) -> ModelVersion:
    if row is None:
        raise NotFound(
            f"There is no model version {version!r}.",
            remedy="GET /api/models and `manage.py models list` show those there are.",
            version=version,
        )
    return row
