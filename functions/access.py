"""Who may call what: reads are open on loopback, every change wants a key whose role is allowed to make it.

The host's own keys have no name and no role, so all routes are anonymous to it and the key is checked here.
"""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from functions.credentials import KEY_HEADER, Credentials, client_address, refuse_cross_site
from shared.errors import Forbidden, NotAuthenticated, RoutingError
from shared.identity.api_keys import Holder
from shared.identity.callers import MOST_ORIGIN_CHARACTERS, Caller, Role
from shared.identity.recognition import Shown
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.bootstrap import Services


class Access(StrEnum):
    """What an endpoint demands of its caller: nothing, or a least role. Only `READ` may be open to everybody."""

    OPEN = "open"  # liveness, documentation, signing in: anyone who reaches the port; no key is looked at
    READ = "read"  # reads and predictions: open on loopback, a viewer elsewhere
    PLAN = "plan"
    OPERATE = "operate"
    ADMINISTER = "administer"
    AUDIT = "audit"

    @property
    def least_role(self) -> Role | None:
        """The least role that may call; None where nobody is asked."""
        return _LEAST_ROLES[self]


_LEAST_ROLES = {
    Access.OPEN: None,
    Access.READ: Role.VIEWER,
    Access.PLAN: Role.PLANNER,
    Access.OPERATE: Role.OPERATOR,
    Access.ADMINISTER: Role.ADMINISTRATOR,
    Access.AUDIT: Role.AUDITOR,
}


class WrongHost(RoutingError):
    """A request reached loopback under a foreign name, as a rebinding web page would send it."""

    code, title, status, exit_code = "wrong-host", "This name is not served here", 421, 3


def caller_of(headers: Mapping[str, str], url: str, access: Access, services: "Services", *, method: str) -> Caller:
    """Return who calls.

    Raises:
        NotAuthenticated: `access` demands a key and none came, or a wrong one.
        Forbidden: the key is right and its role may not do this.
        CrossSite: a change that a foreign page may have sent.
        WrongHost: without a key, loopback was reached under a foreign name.
    """
    brought, origin = Credentials.of(headers, url), origin_of(headers)
    least_role = access.least_role
    if least_role is None:
        refuse_cross_site(method, headers, has_session=brought.session is not None)
        return Caller.anonymous(origin)
    holder = _holder(brought, services, reads_only=access is Access.READ)
    if holder is not None:
        if brought.key is None:
            refuse_cross_site(method, headers, has_session=True)
        if not may(holder.role, access):
            raise Forbidden.to(holder.name, holder.role, least_role)
        return Caller(name=holder.name, role=holder.role, origin=origin)
    if access is Access.READ and services.settings.reads_are_open:
        _refuse_rebinding(headers, url, services.settings)
        return Caller.anonymous(origin)
    raise NotAuthenticated(
        "This needs a key and none was sent."
        if brought.session is None
        else "This session has ended, or is not known here.",
        remedy=f"Send the header `{KEY_HEADER}`, or sign in; `manage.py keys show` prints the administrator key.",
    )


def origin_of(headers: Mapping[str, str]) -> str:
    """Return the way a request came: `http` and the client's address, where the host tells it."""
    return f"http {client_address(headers)}"[:MOST_ORIGIN_CHARACTERS]


def _holder(brought: Credentials, services: "Services", *, reads_only: bool) -> Holder | None:
    """Return whom the key, or else the session, stands for; a wrong key is never taken for none."""
    if brought.key is not None:
        holder = services.recognition.holder_of(Shown.KEY, brought.key, reads_only=reads_only)
        if holder is None:
            raise NotAuthenticated(
                "The key is not known here, or counts no more.",
                remedy="An administrator sees why in `manage.py access keys list`.",
            )
        return holder
    if brought.session is not None:
        return services.recognition.holder_of(Shown.SESSION, brought.session, reads_only=reads_only)
    return None


def asks_the_database(headers: Mapping[str, str], services: "Services") -> bool:
    """Return whether telling who calls takes a question to the database."""
    brought, recognition = Credentials.of(headers, ""), services.recognition
    if brought.key is not None:
        return recognition.remembered(Shown.KEY, brought.key) is None
    return brought.session is not None and recognition.remembered(Shown.SESSION, brought.session) is None


def _refuse_rebinding(headers: Mapping[str, str], url: str, settings: Settings) -> None:
    """Without a key, loopback answers only to loopback names: a web page cannot point its own name here."""
    if settings.open_reads:
        return
    name = _host_name(f"//{headers['host']}" if "host" in headers else url)
    if not _is_loopback(name):
        raise WrongHost(
            f"Without a key this instance answers only to loopback names, not to {name[:100]!r}.",
            remedy="Call http://127.0.0.1, send a key, or set ROUTING_OPEN_READS=true.",
        )


@lru_cache(100)
def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is not closed, or holds no address
        return ""


def may(role: Role, access: Access) -> bool:
    """Return whether somebody of `role` may call what demands `access`."""
    return access.least_role is None or role.includes(access.least_role)
