"""Notes changes beside the transaction that makes them; the notes become rows of the chain as its last step.

The chain's head can only be extended by one transaction after the other. Were it taken when a change is noted, two
transactions that go on to other rows could wait for each other; taken last, its holder waits for nothing but the
commit, so no circle can close.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select
from sqlmodel import Session

from shared.audit.acting import Acting, acting_now
from shared.audit.events import DONE, EVENTS, HASHED, NO_HASH, hash_of, time_text
from shared.audit.redaction import clean_text, redacted
from shared.clock import utc_now

_NOTED = "audit"
MOST_DOCUMENT_BYTES = 16_384
MOST_REASON = 2_000
_LENGTHS = {"actor": 128, "role": 32, "origin": 100, "action": 64, "object": 200, "request_id": 64}


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A change, as it will stand in the audit."""

    acting: Acting
    actor: str
    action: str
    object: str
    before: str | None
    after: str | None
    reason: str
    outcome: str


def noted_change(
    action: str,
    object: object,  # noqa: A002 - the column's own name
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    actor: str | None = None,
    outcome: str = DONE,
) -> Noted:
    """Return a change by whoever acts now, or by `actor` where the change was made in another's name."""
    acting = acting_now()
    return Noted(
        acting=acting,
        actor=actor or acting.name,
        action=action,
        object=str(object),
        before=_document(before),
        after=_document(after),
        reason=clean_text(reason)[:MOST_REASON],
        outcome=outcome,
    )


def note(session: Session, action: str, object: object, **facts: Any) -> None:  # noqa: A002
    """Note a change that `session`'s transaction makes (facts: see `noted_change`); it stands or falls with it.

    Only transactions of `shared.database.engine.writing` write their notes down.
    """
    session.info.setdefault(_NOTED, []).append(noted_change(action, object, **facts))


def take_notes(session: Session) -> list[Noted]:
    """Return what was noted in the session's transaction, and forget it."""
    noted: list[Noted] = session.info.pop(_NOTED, [])
    return noted


def append(connection: Connection, noted: Sequence[Noted], mac_of: Callable[[str], str]) -> None:
    """Add changes to the chain; the caller's transaction is the only one that does so now, until it ends.

    `mac_of` makes the authentication code of a row's hash.
    """
    newest = select(EVENTS.c.sequence, EVENTS.c.hash, EVENTS.c.mac).order_by(EVENTS.c.sequence.desc()).limit(1)
    sequence, last_hash, last_mac = connection.execute(newest).one_or_none() or (0, NO_HASH, "")
    at = time_text(utc_now())
    rows = []
    for change in noted:
        sequence += 1
        row = _row(change, sequence, at)
        last_hash = row["hash"] = hash_of([row[name] for name in HASHED], last_hash + last_mac)
        last_mac = row["mac"] = mac_of(last_hash)
        rows.append(row)
    connection.execute(insert(EVENTS), rows)


def _row(change: Noted, sequence: int, at: str) -> dict[str, Any]:
    texts = {
        "actor": change.actor, "role": change.acting.role, "origin": change.acting.origin, "action": change.action,
        "object": change.object, "request_id": change.acting.request_id,
    }  # fmt: skip
    fitted = {name: clean_text(text)[: _LENGTHS[name]] for name, text in texts.items()}
    return fitted | {
        "sequence": sequence, "at": at, "before": change.before, "after": change.after, "reason": change.reason,
        "outcome": change.outcome,
    }  # fmt: skip


def _document(values: Mapping[str, Any] | None) -> str | None:
    """Return values as canonical JSON without secrets; of a document that is too large, what identifies it."""
    if values is None:
        return None
    written = orjson.dumps(redacted(values), option=orjson.OPT_SORT_KEYS)
    if len(written) > MOST_DOCUMENT_BYTES:
        written = orjson.dumps({"bytes": len(written), "sha256": hashlib.sha256(written).hexdigest()})
    return written.decode()
