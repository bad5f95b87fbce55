"""Signing in with a browser: a key once, a cookie from then on."""

from dataclasses import replace
from datetime import datetime

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from functions.access import Access
from functions.auditing import acting_caller
from functions.http import Call, Reply, endpoint
from shared.errors import NotAuthenticated
from shared.identity.api_keys import MOST_KEY_CHARACTERS
from shared.identity.recognition import Shown

blueprint = func.Blueprint()

UNCACHED = {"cache-control": "no-store"}


class SignIn(BaseModel):
    """The key to sign in with."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    key: SecretStr = Field(min_length=1, max_length=MOST_KEY_CHARACTERS)


class SignedIn(BaseModel):
    """Who is signed in."""

    name: str
    role: str
    expires_at: datetime | None = Field(description="when the session ends; None without one")


@endpoint(
    blueprint, "POST", "session", access=Access.OPEN, summary="Sign in with a key", body=SignIn, answer=SignedIn,
    status=201,
)  # fmt: skip
def begin_session(call: Call) -> Reply:
    """Take a key once and answer with a session's cookie; a few failures a minute, then 429."""
    asked: SignIn = call.body
    key, client = asked.key.get_secret_value(), call.credentials.client
    throttle = call.services.sign_in_throttle
    throttle.check(client, key)
    holder = call.services.api_keys.holder_of(key)
    if holder is None:
        throttle.note_failure(client, key)
        raise NotAuthenticated("This key does not let anybody in.", remedy="Ask an administrator for a key.")
    who = replace(call.caller, name=holder.name, role=holder.role)
    with acting_caller(who, call.request_id):
        begun = call.services.sessions.begin(holder, origin=who.origin)
    seconds = int((begun.session.expires_at - begun.session.created_at).total_seconds())
    cookie = call.credentials.set_cookie(begun.token, seconds)
    answer = SignedIn(name=holder.name, role=holder.role, expires_at=begun.session.expires_at)
    return Reply(body=answer, status=201, headers={"set-cookie": cookie, **UNCACHED})


@endpoint(blueprint, "GET", "session", access=Access.OPEN, summary="Who I am", answer=SignedIn)
def get_session(call: Call) -> Reply:
    """Tell the name and role of whoever's key or session came along, and when the session ends; null for nobody."""
    brought, recognition = call.credentials, call.services.recognition
    holder = None
    if brought.key is not None:
        holder = recognition.holder_of(Shown.KEY, brought.key, reads_only=True)
    elif brought.session is not None:
        holder = recognition.holder_of(Shown.SESSION, brought.session, reads_only=True)
    if holder is None:
        return Reply(body=None, headers=UNCACHED)  # no 401, which a browser would show as an error of the page
    answer = SignedIn(name=holder.name, role=holder.role, expires_at=holder.session_expires_at)
    return Reply(body=answer, headers=UNCACHED)


@endpoint(blueprint, "DELETE", "session", access=Access.OPEN, summary="Sign out", status=204)
def end_session(call: Call) -> Reply:
    """End the session of the cookie that came along, if one did, and take the cookie back."""
    token = call.credentials.session
    holder = call.services.sessions.holder_of(token) if token is not None else None
    if token is not None and holder is not None:
        who = replace(call.caller, name=holder.name, role=holder.role)
        with acting_caller(who, call.request_id):
            call.services.sessions.end(token)
        call.services.recognition.forget(Shown.SESSION, token)
    return Reply(status=204, headers={"set-cookie": call.credentials.clear_cookie(), **UNCACHED})
