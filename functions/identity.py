"""Who may come in: named API keys, for administrators. A key's text is in one answer only, that of its making."""

from dataclasses import asdict

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from functions.access import Access
from functions.http import Call, Reply, endpoint
from functions.lists import Listing, Page, listing
from shared.identity.api_keys import GRACE_HOURS, MOST_DAYS, MOST_GRACE_HOURS, NewKey
from shared.identity.callers import MOST_NAME_CHARACTERS, Role

blueprint = func.Blueprint()

UNCACHED = {"cache-control": "no-store"}


class KeyRequest(BaseModel):
    """Whose key to make."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(min_length=1, max_length=MOST_NAME_CHARACTERS, description="made where there is none yet")
    role: str = Field(pattern=f"^({'|'.join(Role)})$")
    label: str = Field("", max_length=200, description="what the key is for")
    expires_days: float | None = Field(
        None, gt=0, le=MOST_DAYS, description="how long it is right; for ever unless set"
    )


class RotationRequest(BaseModel):
    """How long both keys are right."""

    model_config = ConfigDict(extra="forbid")

    grace_hours: float = Field(GRACE_HOURS, ge=0, le=MOST_GRACE_HOURS)


class KeyPage(Page):
    """Which keys."""

    user: str | None = Field(None, max_length=MOST_NAME_CHARACTERS)


@endpoint(
    blueprint, "GET", "keys", access=Access.ADMINISTER, summary="API keys, without their secrets", query=KeyPage,
    answer=Listing,
)  # fmt: skip
def list_api_keys(call: Call) -> Reply:
    """List keys, newest first, with their roles, their last use and whether they count."""
    page = call.query
    assert isinstance(page, KeyPage)
    rows, total = call.services.api_keys.list(limit=page.limit, offset=page.offset, user=page.user)
    return Reply(body=listing((asdict(row) for row in rows), total, page))


@endpoint(
    blueprint, "POST", "keys", access=Access.ADMINISTER, summary="Make an API key", body=KeyRequest, status=201
)  # fmt: skip
def make_api_key(call: Call) -> Reply:
    """Make a key for a user; this answer is the only place that ever shows it."""
    asked: KeyRequest = call.body
    made = call.services.api_keys.make(
        asked.user, Role(asked.role), by=call.actor, label=asked.label, days=asked.expires_days
    )
    return _shown_once(made)


@endpoint(
    blueprint, "POST", "keys/{id}/rotate", access=Access.ADMINISTER, summary="Put a new API key in a key's place",
    body=RotationRequest, body_optional=True, status=201,
)  # fmt: skip
def rotate_api_key(call: Call) -> Reply:
    """Make a key like another; both are right for the grace period, then only the new one."""
    asked: RotationRequest = call.body
    made = call.services.api_keys.rotate(call.params["id"], by=call.actor, grace_hours=asked.grace_hours)
    return _shown_once(made)


@endpoint(blueprint, "DELETE", "keys/{id}", access=Access.ADMINISTER, summary="Revoke an API key")
def revoke_api_key(call: Call) -> Reply:
    """Let a key, and what was signed in with it, count no more from now on."""
    return Reply(body=asdict(call.services.api_keys.revoke(call.params["id"], by=call.actor)))


def _shown_once(made: NewKey) -> Reply:
    body = asdict(made.key) | {"key": made.text}
    return Reply(body=body, status=201, headers={"location": f"/api/keys?user={made.key.user}", **UNCACHED})
