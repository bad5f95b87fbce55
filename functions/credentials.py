"""What a request brings to say who calls: a key, a session's cookie, an address; and whether another page sent it.

A browser sends a session's cookie by itself, so a change that comes with one has to show that a page of ours asked for
it: by the `Origin` that the browser writes, and by a header that no form and no foreign page can add without being
asked first, which this app never grants. `SameSite=Strict` alone would not do: to it, every port of a machine is the
same site.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from shared.errors import RoutingError

KEY_HEADER = "x-api-key"
PAGE_HEADER = "x-requested-with"  # any value: that it can be sent is the proof
COOKIE = "routing_session"
_HARMLESS = frozenset({"GET", "HEAD"})


class CrossSite(RoutingError):
    """A change that a page of another site may have sent in the name of whoever is signed in."""

    code, title, status, exit_code = "cross-site", "Another site's page may have sent this", 403, 3


@dataclass(frozen=True, kw_only=True, repr=False)
class Credentials:
    """What a request brought; its secrets are in no representation."""

    key: str | None
    session: str | None  # the token of the cookie
    client: str
    cookie: str  # the cookie's name here
    is_encrypted: bool  # as far as the browser is concerned

    @classmethod
    def of(cls, headers: Mapping[str, str], url: str) -> Self:
        """Read a request's headers."""
        name = _cookie_name(headers)
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() or url.partition(":")[0]
        return cls(
            key=_presented_key(headers), session=_cookie(headers, name), client=client_address(headers), cookie=name,
            is_encrypted=scheme.lower() == "https",
        )  # fmt: skip

    def set_cookie(self, token: str, seconds: int) -> str:
        """Return the header that gives a browser its session."""
        return self._written(token, seconds)

    def clear_cookie(self) -> str:
        """Return the header that takes it back."""
        return self._written("", 0)

    def _written(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self.is_encrypted else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def refuse_cross_site(method: str, headers: Mapping[str, str], *, has_session: bool) -> None:
    """Raise CrossSite for a change that a foreign page may have sent."""
    if method in _HARMLESS:
        return
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", "").lower():
        raise CrossSite(
            f"The page that sent this is of {origin[:100]!r}, which is not here.",
            remedy="Open the page by the name that it asks; a proxy before it has to pass the Host header on.",
        )
    if has_session and not headers.get(PAGE_HEADER):
        raise CrossSite(
            f"A change by a signed-in browser needs the header `{PAGE_HEADER}`.",
            remedy="Send it with any value; programs send a key instead of a cookie.",
        )


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


def _presented_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get(KEY_HEADER)
    if key:
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def _cookie_name(headers: Mapping[str, str]) -> str:
    """Return this instance's own name: browsers keep one cookie of a name for all ports of a machine."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isascii() and port.isdigit() and len(port) <= 5 else COOKIE


def _cookie(headers: Mapping[str, str], name: str) -> str | None:
    for part in headers.get("cookie", "").split(";"):
        found, _, value = part.strip().partition("=")
        if found == name and value:
            return value
    return None


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
