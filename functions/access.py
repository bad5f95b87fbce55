"""Who may call what: reads are open on loopback, every change wants a key.

The host's own keys have no name and no role, so all routes are anonymous to it and the key is checked here. This is
the first form: one administrator key, made at the first start and kept in a file only its owner can read.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import NotAuthenticated, RoutingError
from shared.settings import Settings

ADMINISTRATOR = "administrator"
ANONYMOUS = "anonymous"
KEY_FILE = "administrator.key"
KEY_HEADER = "x-api-key"


class Access(StrEnum):
    """What an endpoint demands of its caller."""

    OPEN = "open"  # liveness and documentation: anyone who reaches the port
    READ = "read"  # open on loopback, a key elsewhere
    CHANGE = "change"  # always a key


class WrongHost(RoutingError):
    """A request reached loopback under a foreign name, as a rebinding web page would send it."""

    code, title, status, exit_code = "wrong-host", "This name is not served here", 421, 3


def actor_of(headers: Mapping[str, str], url: str, access: Access, settings: Settings) -> str:
    """Return the caller's name, or raise `NotAuthenticated` where `access` demands a key."""
    presented = _presented_key(headers)
    if presented is not None:
        if not _is_administrator(presented, settings.keys / KEY_FILE):
            raise NotAuthenticated("The key is not known here.", remedy="`manage.py keys show` prints the right one.")
        return ADMINISTRATOR
    if access is Access.OPEN:
        return ANONYMOUS
    if access is Access.READ and settings.reads_are_open:
        _refuse_rebinding(headers, url, settings)
        return ANONYMOUS
    raise NotAuthenticated(
        "This needs a key and none was sent.",
        remedy=f"Send the header `{KEY_HEADER}`; `manage.py keys show` prints the administrator key.",
    )


def _presented_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get(KEY_HEADER)
    if key:
        return key
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def _is_administrator(presented: str, key_file: Path) -> bool:
    try:
        expected = key_file.read_bytes().strip()
    except OSError:
        return False
    return bool(expected) and hmac.compare_digest(presented.strip().encode(), expected)


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
