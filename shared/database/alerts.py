"""Alerts: what a person should know, one row for each thing until it is closed; each change is told to the webhook."""

import uuid
from builtins import list as list_of
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from shared.audit.recording import note as note_change
from shared.clock import Clock, utc_now
from shared.database.deliveries import ACKNOWLEDGED, CLOSED, OPENED, RAISED, note
from shared.database.engine import reading, writing
from shared.database.tables import Alert, AlertState
from shared.errors import Conflict, NotFound

log = structlog.get_logger()


class Alerts:
    """Raises, counts, acknowledges and closes alerts."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep alerts in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def raise_alert(
        self,
        kind: str,
        subject: str,
        message: str,
        *,
        severity: str = "warning",
        details: dict[str, Any] | None = None,
    ) -> Alert:
        """Open an alert, or count up the one of this kind and subject that is not closed; return the row."""
        try:
            with writing(self._engine) as session:
                return self.raise_in(session, kind, subject, message, severity=severity, details=details)
        except IntegrityError:  # another process opened it between our look and our insert
            with writing(self._engine) as session:
                return self.raise_in(session, kind, subject, message, severity=severity, details=details)

    def raise_in(
        self,
        session: Session,
        kind: str,
        subject: str,
        message: str,
        *,
        severity: str = "warning",
        details: dict[str, Any] | None = None,
    ) -> Alert:
        """Do the same in a caller's write transaction, so that the alert and what it tells of are one change.

        Two transactions that open one alert at once conflict at the end of the later one (an IntegrityError), which
        has to be made again.
        """
        kind, subject, now = kind[:64], subject[:200], self._clock()
        alert = _not_closed(session, kind, subject)
        is_new = alert is None
        if alert is None:
            alert = Alert(
                id=f"alert_{uuid.uuid4().hex}", kind=kind, subject=subject, message=message, created_at=now,
                updated_at=now,
            )  # fmt: skip
        else:
            alert.count += 1
        alert.message, alert.severity, alert.details, alert.updated_at = message, severity, details, now
        session.add(alert)
        session.flush()
        note(session, alert, OPENED if is_new else RAISED, now)
        if is_new:  # raised again, it only counts what goes on
            facts = {"state": alert.state, "kind": kind, "subject": subject, "severity": severity}
            note_change(session, "alert.opened", alert.id, after=facts, reason=message)
        log.warning("alert.raised", kind=kind, subject=subject, count=alert.count, message=message)
        return alert

    def add_details(self, id: str, details: dict[str, Any]) -> None:  # noqa: A002 - the column's own name
        """Add to an alert's details what became known after it was raised; nothing when it is gone."""
        with writing(self._engine) as session:
            alert = session.exec(select(Alert).where(Alert.id == id).with_for_update()).one_or_none()
            if alert is not None:
                alert.details = (alert.details or {}) | details
                session.add(alert)

    def list(
        self,
        *,
        limit: int = 50,
        offset: int = 0,
        state: str | None = None,
        kind: str | None = None,
        subject: str | None = None,
    ) -> tuple[list_of[Alert], int]:
        """Return alerts, the most recently raised first, and how many there are in all."""
        wanted: list_of[ColumnElement[bool]] = [col(Alert.id).is_not(None)]
        if state is not None:
            wanted.append(col(Alert.state) == state)
        if kind is not None:
            wanted.append(col(Alert.kind) == kind)
        if subject is not None:
            wanted.append(col(Alert.subject) == subject)
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(Alert).where(*wanted)).one()
            order = (col(Alert.updated_at).desc(), col(Alert.id))
            rows = session.exec(select(Alert).where(*wanted).order_by(*order).limit(limit).offset(offset)).all()
        return list_of(rows), total

    def get(self, id: str) -> Alert:  # noqa: A002 - the column's own name
        """Return one alert.

        Raises:
            NotFound: there is none of that id.
        """
        with reading(self._engine) as session:
            return _require(session.get(Alert, id), id)

    def standing(self, kind: str, subject: str) -> Alert | None:
        """Return the alert of this kind and subject that nobody has closed, or None."""
        with reading(self._engine) as session:
            same = (Alert.kind == kind[:64], Alert.subject == subject[:200], Alert.state != AlertState.CLOSED)
            return session.exec(select(Alert).where(*same)).one_or_none()

    def all_standing(self, kind: str) -> list_of[Alert]:
        """Return the alerts of this kind that nobody has closed, by what they are about."""
        same = (Alert.kind == kind[:64], Alert.state != AlertState.CLOSED)
        with reading(self._engine) as session:
            return list_of(session.exec(select(Alert).where(*same).order_by(col(Alert.subject))).all())

    def count_open(self) -> int:
        """Return how many alerts nobody has closed, acknowledged ones included."""
        with reading(self._engine) as session:
            not_closed = select(func.count()).select_from(Alert).where(col(Alert.state) != AlertState.CLOSED)
            return session.exec(not_closed).one()

    def acknowledge(self, id: str, actor: str) -> Alert:  # noqa: A002
        """Note that `actor` has seen it; a second acknowledgement keeps the first one's name.

        Raises:
            NotFound: there is none of that id.
            Conflict: it is closed.
        """
        with writing(self._engine) as session:
            alert = _locked(session, id)
            if alert.state == AlertState.CLOSED:
                raise Conflict(
                    f"The alert {id} is closed, so there is nothing to acknowledge.",
                    remedy="Should it happen again, that will be a new alert.",
                    state=alert.state,
                )
            if alert.state == AlertState.OPEN:
                now = self._clock()
                alert.state, alert.acknowledged_by = AlertState.ACKNOWLEDGED, actor[:128]
                alert.acknowledged_at = alert.updated_at = now
                session.add(alert)
                note(session, alert, ACKNOWLEDGED, now)
                _note_state(session, alert, AlertState.OPEN, actor)
        return alert

    def close(self, id: str, actor: str, remark: str = "") -> Alert:  # noqa: A002
        """Close it, with a remark for whoever reads it later; the next of its kind and subject is a new row.

        Closing twice keeps the first name and remark.

        Raises:
            NotFound: there is none of that id.
        """
        with writing(self._engine) as session:
            alert = _locked(session, id)
            self._close(session, alert, actor, remark)
        return alert

    def close_matching(self, kind: str, subject: str, actor: str) -> int:
        """Close the alert of this kind and subject, because what it told of is over; return how many were closed."""
        with writing(self._engine) as session:
            alert = _not_closed(session, kind[:64], subject[:200])
            if alert is None:
                return 0
            self._close(session, alert, actor)
        return 1

    def _close(self, session: Session, alert: Alert, actor: str, remark: str = "") -> None:
        if alert.state != AlertState.CLOSED:
            now, before = self._clock(), alert.state
            alert.state, alert.closed_by, alert.closed_note = AlertState.CLOSED, actor[:128], remark[:2000]
            alert.closed_at = alert.updated_at = now
            session.add(alert)
            note(session, alert, CLOSED, now)
            _note_state(session, alert, before, actor, remark)


def _note_state(session: Session, alert: Alert, before: str, actor: str, reason: str = "") -> None:
    about = {"kind": alert.kind, "subject": alert.subject}
    note_change(
        session, f"alert.{alert.state}", alert.id, before={"state": before}, after={"state": alert.state, **about},
        actor=actor, reason=reason,
    )  # fmt: skip


def _not_closed(session: Session, kind: str, subject: str) -> Alert | None:
    same = (Alert.kind == kind, Alert.subject == subject, Alert.state != AlertState.CLOSED)
    return session.exec(select(Alert).where(*same).with_for_update()).one_or_none()


def _locked(session: Session, id: str) -> Alert:  # noqa: A002
    return _require(session.exec(select(Alert).where(Alert.id == id).with_for_update()).one_or_none(), id)


def _require(alert: Alert | None, id: str) -> Alert:  # noqa: A002
    if alert is None:
        raise NotFound(
            f"There is no alert {id!r}.",
            remedy="GET /api/alerts and `manage.py alerts list` show those there are.",
            id=id,
        )
    return alert
