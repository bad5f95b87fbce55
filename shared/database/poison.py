"""Messages that nobody could handle, kept word for word until a person replays them."""

import hashlib
import uuid
from builtins import list as list_of

import structlog
from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import reading, writing
from shared.database.tables import PoisonMessage
from shared.errors import NotFound

log = structlog.get_logger()
_POISON_SUFFIX = "-poison"


class PoisonMessages:
    """Buries, lists and marks poison messages."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        """Keep messages in `engine`'s database."""
        self._engine = engine
        self._clock = clock

    def bury(self, queue: str, body: str, reason: str, *, message_id: str | None = None) -> str:
        """Keep a message of `queue` (named with or without `-poison`) and return the row's id.

        The same `message_id`, queue and body bury once, however often the message is delivered; without a
        `message_id` every call is a message of its own.
        """
        queue = queue.removesuffix(_POISON_SUFFIX)
        identity = "\0".join((queue, message_id or uuid.uuid4().hex, body)).encode("utf-8", "surrogatepass")
        id = f"poison_{hashlib.sha256(identity).hexdigest()[:40]}"  # noqa: A001 - the column's own name
        row = PoisonMessage(id=id, queue=queue, body=body, reason=reason, buried_at=self._clock())
        try:
            with writing(self._engine) as session:
                if session.get(PoisonMessage, id) is None:
                    session.add(row)
                    note(session, "message.buried", id, after={"queue": queue}, reason=reason)
        except IntegrityError:
            self.get(id)  # another process buried it at the same moment; anything else is a defect
        log.warning("message.buried", queue=queue, id=id, reason=reason)
        return id

    def list(self, *, limit: int = 50, offset: int = 0, queue: str | None = None) -> tuple[list_of[PoisonMessage], int]:
        """Return messages, newest first, and how many there are in all."""
        wanted = col(PoisonMessage.queue) == queue if queue is not None else col(PoisonMessage.id).is_not(None)
        order = (col(PoisonMessage.buried_at).desc(), col(PoisonMessage.id))
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(PoisonMessage).where(wanted)).one()
            rows = session.exec(select(PoisonMessage).where(wanted).order_by(*order).limit(limit).offset(offset)).all()
        return list_of(rows), total

    def get(self, id: str) -> PoisonMessage:  # noqa: A002
        """Return one message.

        Raises:
            NotFound: there is none of that id.
        """
        with reading(self._engine) as session:
            row = session.get(PoisonMessage, id)
        if row is None:
            raise NotFound(f"There is no poison message {id!r}.", id=id)
        return row

    def mark_replayed(self, id: str, actor: str) -> PoisonMessage:  # noqa: A002
        """Note that `actor` sent the message again; a later replay overwrites the earlier name and time.

        Raises:
            NotFound: there is none of that id.
        """
        row = self.get(id)
        with writing(self._engine) as session:
            before = {"replayed_at": row.replayed_at, "replayed_by": row.replayed_by}
            row.replayed_at, row.replayed_by = self._clock(), actor[:128]
            session.add(row)
            after = {"queue": row.queue, "replayed_by": actor}
            note(session, "message.replayed", id, before=before, after=after, actor=actor)
        return row
