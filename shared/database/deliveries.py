"""The outbox of alerts: what the webhook is to hear, written with the alert's own change and kept until it was heard.

`note` is called inside the transaction that changes an alert, so that neither can be without the other. A sender
takes a message by compare-and-set (`take`): that counts the attempt and sets the time of the next one before anything
is sent, so two senders never send one message knowingly, and a sender that dies over it is followed by another try.
"""

from builtins import list as list_of
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import CursorResult, Engine, delete, func, or_, update
from sqlmodel import Session, col, select

from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import Alert, AlertDelivery

OPENED, RAISED, ACKNOWLEDGED, CLOSED = "opened", "raised", "acknowledged", "closed"
REMIND_AFTER = timedelta(hours=1)  # an alert that is raised again and again is told of once in this time
PAUSES_SECONDS = (30.0, 120.0, 600.0, 3_600.0, 21_600.0)  # after the first, second, … attempt that failed
MOST_ATTEMPTS = len(PAUSES_SECONDS) + 1
KEPT_FOR = timedelta(days=30)
MOST_DETAIL_BYTES = 20_000
CLOCKS_AGREE = timedelta(minutes=1)  # a time later than its pause and this is from before the clock was set back


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A message that this sender alone may send now."""

    row: AlertDelivery
    attempt: int  # counted from 1, this one included


@dataclass(frozen=True, kw_only=True)
class OutboxState:
    """How the webhook fares."""

    waiting: int
    given_up: int  # messages kept that will not be tried again
    failing: bool  # the newest message that came to an end was given up, or one is being tried again
    last_error: str | None


def note(session: Session, alert: Alert, event: str, at: datetime) -> None:
    """Write what the webhook is to hear of an alert's change, in the change's own transaction.

    An alert raised again is told of at once when its severity changed, else after `REMIND_AFTER` at the earliest; a
    message of it that nobody has tried to send yet is brought up to date instead.
    """
    body = {"event": event, "alert": _told(alert)}
    if event == RAISED:
        query = select(AlertDelivery).where(AlertDelivery.alert_id == alert.id).order_by(col(AlertDelivery.id).desc())
        last = session.exec(query.limit(1)).first()
        if last is not None and last.event in (OPENED, RAISED):
            if last.attempts == 0 and last.next_at is not None:
                last.body = {"event": last.event, "alert": _told(alert)}
                session.add(last)
                return
            same = last.body["alert"].get("severity") == alert.severity
            if same and timedelta() <= at - last.created_at < REMIND_AFTER:
                return
    session.add(AlertDelivery(alert_id=alert.id, event=event, body=body, next_at=at, created_at=at))


class Deliveries:
    """Reads and settles the outbox."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Work on `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def due(self, limit: int) -> list_of[AlertDelivery]:
        """Return messages to be sent now, oldest first; one only after all earlier ones of its alert have ended."""
        now = self._clock()
        waiting = select(AlertDelivery).where(col(AlertDelivery.next_at).is_not(None)).order_by(col(AlertDelivery.id))
        with reading(self._engine) as session:
            rows = session.exec(waiting.limit(10 * limit)).all()
        found: list_of[AlertDelivery] = []
        blocked: set[str] = set()
        for row in rows:
            if row.alert_id not in blocked and _is_due(row, now):
                found.append(row)
            blocked.add(row.alert_id)
        return found[:limit]

    def take(self, row: AlertDelivery) -> Taken | None:
        """Count an attempt and set the time of the next; None when another sender was faster."""
        assert row.id is not None
        values = {"attempts": row.attempts + 1, "next_at": self._clock() + _pause(row.attempts + 1)}
        if not self._change(row.id, row.attempts, values):
            return None
        return Taken(row=row, attempt=row.attempts + 1)

    def heard(self, taken: Taken) -> None:
        """Note that the receiver has it; nothing when somebody else has tried again meanwhile."""
        assert taken.row.id is not None
        self._change(taken.row.id, taken.attempt, {"delivered_at": self._clock(), "next_at": None, "error": None})

    def failed(self, taken: Taken, why: str) -> bool:
        """Keep why it failed; return whether it is given up with that."""
        assert taken.row.id is not None
        given_up = taken.attempt >= MOST_ATTEMPTS
        values: dict[str, Any] = {"error": why[:400]} | ({"next_at": None} if given_up else {})
        self._change(taken.row.id, taken.attempt, values)
        return given_up

    def of(self, alert_id: str) -> list_of[AlertDelivery]:
        """Return an alert's messages, oldest first, at most 100."""
        mine = select(AlertDelivery).where(AlertDelivery.alert_id == alert_id).order_by(col(AlertDelivery.id))
        with reading(self._engine) as session:
            return list_of(session.exec(mine.limit(100)).all())

    def state(self) -> OutboxState:
        """Return how many messages wait, and how the last ones ended."""
        ended = or_(col(AlertDelivery.delivered_at).is_not(None), col(AlertDelivery.error).is_not(None))
        with reading(self._engine) as session:
            waiting = _count(session, col(AlertDelivery.next_at).is_not(None))
            given_up = _count(session, col(AlertDelivery.next_at).is_(None), col(AlertDelivery.delivered_at).is_(None))
            newest = select(AlertDelivery).where(ended).order_by(col(AlertDelivery.id).desc())
            last = session.exec(newest.limit(1)).first()
        failing = last is not None and last.delivered_at is None
        return OutboxState(
            waiting=waiting, given_up=given_up, failing=failing, last_error=last.error if last and failing else None
        )

    def drop_waiting(self) -> int:
        """Forget what waits, because nobody is to be told; return how much that was."""
        return self._drop(col(AlertDelivery.next_at).is_not(None))

    def drop_old(self) -> int:
        """Forget what ended more than `KEPT_FOR` ago; return how much that was."""
        before = self._clock() - KEPT_FOR
        return self._drop(col(AlertDelivery.next_at).is_(None), col(AlertDelivery.created_at) < before)

    def _drop(self, *conditions: Any) -> int:
        with reading(self._engine) as session:
            if session.exec(select(AlertDelivery.id).where(*conditions).limit(1)).first() is None:
                return 0  # a write lock for nothing would be taken at every round
        with writing(self._engine) as session:
            statement = delete(AlertDelivery).where(*conditions)
            return cast("CursorResult[Any]", session.execute(statement)).rowcount

    def _change(self, id: int, attempts: int, values: dict[str, Any]) -> bool:  # noqa: A002
        with writing(self._engine) as session:
            unchanged = (
                col(AlertDelivery.id) == id,
                col(AlertDelivery.attempts) == attempts,
                col(AlertDelivery.delivered_at).is_(None),
                col(AlertDelivery.next_at).is_not(None),
            )
            statement = update(AlertDelivery).where(*unchanged).values(**values)
            return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def _is_due(row: AlertDelivery, now: datetime) -> bool:
    """Whether its time has come; a time that no pause can explain was written before the clock was set back."""
    assert row.next_at is not None
    return row.next_at <= now or row.next_at > now + _pause(max(1, row.attempts)) + CLOCKS_AGREE


def _pause(attempt: int) -> timedelta:
    return timedelta(seconds=PAUSES_SECONDS[min(attempt, len(PAUSES_SECONDS)) - 1])


def _told(alert: Alert) -> dict[str, Any]:
    """An alert as the webhook hears of it; details beyond a bound are left to GET /api/alerts/{id}."""
    told = alert.model_dump(mode="json")
    if len(orjson.dumps(told["details"])) > MOST_DETAIL_BYTES:
        told["details"] = {"left_out": "too large for a message; GET /api/alerts/{id} shows them"}
    return told


def _count(session: Session, *conditions: Any) -> int:
    return session.exec(select(func.count()).select_from(AlertDelivery).where(*conditions)).one()


def delivery_views(rows: Sequence[AlertDelivery]) -> list_of[dict[str, Any]]:
    """Return what is shown of an alert's messages: when, how often tried, and what went wrong; never where to."""
    shown = {"id", "event", "attempts", "next_at", "error", "created_at", "delivered_at"}
    return [
        row.model_dump(mode="json", include=shown) | {"given_up": row.next_at is None and row.delivered_at is None}
        for row in rows
    ]
