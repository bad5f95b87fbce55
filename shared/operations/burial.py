"""Burial: a message nobody could handle is kept with its reason, its row marked, an alert raised; replay undoes it."""

from dataclasses import dataclass

import structlog

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.poison import PoisonMessages
from shared.database.tables import PoisonMessage, Registration, RegistrationState, WorkState
from shared.database.work import WORK_TABLES, WorkRows
from shared.errors import InvalidInput, NotFound, RoutingError
from shared.registry.registrations import Registrations
from shared.storage.doorbells import Doorbells, parse_doorbell

log = structlog.get_logger()

_FAILED_STATE = {Registration.QUEUE: RegistrationState.REJECTED}


@dataclass(frozen=True, kw_only=True)
class Burial:
    """Keeps and replays poison messages."""

    work: WorkRows
    poison: PoisonMessages
    alerts: Alerts
    doorbells: Doorbells
    registrations: Registrations
    clock: Clock = utc_now

    def bury(self, queue: str, body: str, *, message_id: str | None = None) -> str:
        """Keep `body`, end the row it names, raise one alert; burying the same message again changes nothing."""
        reason = self._end_row(queue, body)
        buried = self.poison.bury(queue, body, reason, message_id=message_id)
        self.alerts.raise_alert("poison-message", queue, f"A message of {queue} could not be handled: {reason}")
        log.warning("message.buried", queue=queue, poison_id=buried, reason=reason)
        return buried

    def replay(self, poison_id: str, actor: str) -> PoisonMessage:
        """Put the row back to work and ring its bell; for a blob, look for missed drops again."""
        row = self.poison.get(poison_id)
        table = WORK_TABLES.get(row.queue)
        if table is None:
            self.registrations.note_missed_drops()
        else:
            work_id = _doorbell_of(row)
            if not self.work.reopen(table, work_id):
                raise NotFound(f"The row {work_id} that the message names is gone or not ended.")
            self.doorbells.ring(row.queue, work_id)
            self.work.mark_rung(table, [work_id])
        return self.poison.mark_replayed(poison_id, actor)

    def _end_row(self, queue: str, body: str) -> str:
        table = WORK_TABLES.get(queue)
        if table is None:
            return "the blob event failed five times"
        try:
            work_id = parse_doorbell(body)
        except RoutingError as unreadable:
            return unreadable.detail
        try:
            row = self.work.get(table, work_id)
        except NotFound:
            return f"it names {work_id}, and there is no such row"
        reason = row.error or "the function failed at every try; the log holds why"
        state = _FAILED_STATE.get(queue, WorkState.FAILED)
        self.work.give_up(table, work_id, f"gave up after {row.attempt} attempts: {reason}", state=state)
        return reason


def _doorbell_of(row: PoisonMessage) -> str:
    try:
        return parse_doorbell(row.body)
    except RoutingError as unreadable:
        raise InvalidInput(
            f"This message was never work: {unreadable.detail}", remedy="There is nothing to replay."
        ) from None
