"""Reading who changed what: a role of its own, and no other can."""

from typing import Any, Literal

import azure.functions as func
import orjson
from pydantic import AwareDatetime, Field

from functions.access import Access
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from shared.database.audit import AuditQuery

blueprint = func.Blueprint()


class AuditPage(Page):
    """Which events: those that have all that is given."""

    actor: str | None = Field(None, max_length=128)
    action: str | None = Field(None, max_length=64, description="such as model.active; `model.` for all that begin so")
    object: str | None = Field(None, max_length=200, description="such as a version's name")
    outcome: Literal["done", "refused", "failed", "begun"] | None = None
    since: AwareDatetime | None = Field(None, description="RFC 3339; from this time on")
    until: AwareDatetime | None = Field(None, description="RFC 3339; before this time")


@endpoint(blueprint, "GET", "audit", access=Access.AUDIT, summary="Who changed what", query=AuditPage, answer=Listing)
def list_audit(call: Call) -> Reply:
    """List audit events, newest first, of one actor, action, object, outcome or span of time where asked for."""
    page = call.query
    assert isinstance(page, AuditPage)
    query = AuditQuery(
        actor=page.actor, action=page.action, object=page.object, outcome=page.outcome, since=page.since,
        until=page.until,
    )  # fmt: skip
    rows, total = call.services.audit.list(query, limit=page.limit, offset=page.offset)
    return Reply(body=listing((_view(row) for row in rows), total, page))


def _view(row: dict[str, Any]) -> dict[str, Any]:
    """One event, its documents as JSON; their stored text is what `manage.py audit export` writes."""
    return row | {name: None if row[name] is None else orjson.loads(row[name]) for name in ("before", "after")}
