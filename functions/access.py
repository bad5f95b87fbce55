"""Who may call what: reads are open on loopback, every change wants a key whose role is allowed to make it.

The host's own keys have no name and no role, so all routes are anonymous to it and the key is checked here.
"""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.errors import Forbidden, NotAuthenticated, RoutingError
from shared.identity.callers import MOST_ORIGIN_CHARACTERS, Caller, Role
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.bootstrap import Services

KEY_HEADER = "x-api-key"


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


def caller_of(headers: Mapping[str, str], url: str, access: Access, services: "Services") -> Caller:
    """Return who calls.

    Raises:
        NotAuthenticated: `access` demands a key and none came, or a wrong one.
        Forbidden: the key is right and its role may not do this.
        WrongHost: without a key, loopback was reached under a foreign name.
    """
    origin = origin_of(headers)
    least_role = access.least_role
    if least_role is None:
        return Caller.anonymous(origin)
    presented = presented_key(headers)
    if presented is not None:
        holder = services.recognition.holder_of(presented, reads_only=access is Access.READ)
        if holder is None:
            raise NotAuthenticated(
                "The key is not known here, or counts no more.",
                remedy="An administrator sees why in `manage.py access keys list`.",
            )
        caller = Caller(name=holder.name, role=holder.role, origin=origin)
        if not _may(holder.role, access):
            raise Forbidden.to(caller.name, holder.role, least_role)
        return caller
    if access is Access.READ and services.settings.reads_are_open:
        _refuse_rebinding(headers, url, services.settings)
        return Caller.anonymous(origin)
    raise NotAuthenticated(
        "This needs a key and none was sent.",
        remedy=f"Send the header `{KEY_HEADER}`; `manage.py keys show` prints the administrator key.",
    )


def asks_the_database(headers: Mapping[str, str], services: "Services") -> bool:
    """Return whether telling who calls takes a question to the database."""
    presented = presented_key(headers)
    return presented is not None and services.recognition.remembered(presented) is None


def origin_of(headers: Mapping[str, str]) -> str:
    """Return the way a request came: `http` and the client's address, where the host tells it."""
    return f"http {client_address(headers)}"[:MOST_ORIGIN_CHARACTERS]


def client_address(headers: Mapping[str, str]) -> str:
    """Return the address that the host, or the nearest proxy, saw; `unknown` where it tells none.

    Only the last entry counts: those before it are whatever the client wrote.
    """
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    host = last.rpartition(":")[0].strip("[]") if last.count(":") == 1 or last.startswith("[") else last
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "unknown"


def presented_key(headers: Mapping[str, str]) -> str | None:
    """Return the key that a request brings in a header."""
    key = headers.get(KEY_HEADER)
    if key:
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


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


def access_matrix() -> list[dict[str, Any]]:
    """Return for every endpoint who may call it: `yes`, `no`, or `loopback` where reads are open."""
    from functions.http import ENDPOINTS

    return [
        {"method": declared.method, "route": declared.route, "function": declared.name, "rule": declared.access.value,
         "allowed": {"nobody": _for_nobody(declared.access)}
         | {role.value: "yes" if _may(role, declared.access) else "no" for role in Role}}
        for declared in sorted(ENDPOINTS.values(), key=lambda declared: (declared.route, declared.method))
    ]  # fmt: skip


def _may(role: Role, access: Access) -> bool:
    return access.least_role is None or role.includes(access.least_role)


def _for_nobody(access: Access) -> str:
    return {Access.OPEN: "yes", Access.READ: "loopback"}.get(access, "no")
