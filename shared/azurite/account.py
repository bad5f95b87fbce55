"""Name and keys of the storage account that an installation makes for itself, kept in one file of its owner's."""

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.platform import write_secret

LOOPBACK = "127.0.0.1"
KEY_BYTES = 64  # 512 bits, as Azure's own keys have
WELL_KNOWN_ACCOUNT = "devstoreaccount1"  # of every emulator, with a key that is printed in its manual
_NAME = re.compile(r"[a-z0-9]{3,24}")


@dataclass(frozen=True, kw_only=True)
class StorageKey:
    """One of the account's keys; its value is never part of a text about it."""

    value: str = field(repr=False)
    made_at: datetime | None = None  # None: made before the time was kept

    @classmethod
    def random(cls, made_at: datetime | None = None) -> "StorageKey":
        """Make a key that nobody else knows."""
        return cls(value=base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(), made_at=made_at)

    @property
    def fingerprint(self) -> str:
        """What tells this key from another one without telling anything of it."""
        return hashlib.sha256(self.value.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class StorageAccount:
    """A storage account of this installation's own; never the emulator's well-known one.

    The first key is the one in use. A second one, the key before it, is accepted until the next rotation.
    """

    name: str
    keys: tuple[StorageKey, ...]

    @classmethod
    def random(cls, made_at: datetime | None = None) -> "StorageAccount":
        """Make a new account with one key."""
        return cls(name=f"routing{secrets.token_hex(4)}", keys=(StorageKey.random(made_at),))

    @classmethod
    def kept_in(cls, path: Path, *, now: datetime | None = None) -> "StorageAccount":
        """Return the account kept in the file, made there (0600) the first time, or instead of the well-known one.

        Raises:
            ValueError: the file is damaged; its content is not quoted.
        """
        account = cls._read(path) if path.exists() else None
        if account is None or account.name == WELL_KNOWN_ACCOUNT:
            account = cls.random(now)
            account.keep_in(path)
        return account

    @classmethod
    def _read(cls, path: Path) -> "StorageAccount":
        try:
            kept = json.loads(path.read_bytes())
            entries = kept["keys"] if "keys" in kept else [{"key": kept["key"]}]  # one key, as the first releases kept
            account = cls(name=str(kept["account"]), keys=tuple(_key_of(entry) for entry in entries))
        except (ValueError, KeyError, TypeError):
            account = None
        if account is None or not _NAME.fullmatch(account.name) or not 1 <= len(account.keys) <= 2:
            raise ValueError(f"{path} does not hold a storage account: restore it from a backup, or remove it.")
        return account

    def keep_in(self, path: Path) -> None:
        """Write the account to a file that only its owner may read; whole or not at all."""
        keys = [{"key": key.value, "made_at": key.made_at and key.made_at.isoformat()} for key in self.keys]
        write_secret(path, json.dumps({"account": self.name, "keys": keys}).encode() + b"\n")

    def rotated(self, *, now: datetime, at_once: bool = False) -> "StorageAccount":
        """Return the account with a new key; the one before it stays valid beside it, unless `at_once`."""
        before = () if at_once else self.keys[:1]
        return replace(self, keys=(StorageKey.random(now), *before))

    def accepts(self, key: StorageKey) -> bool:
        """Whether the account's storage still takes requests signed with `key`."""
        return any(secrets.compare_digest(key.value, own.value) for own in self.keys)

    @property
    def for_azurite(self) -> str:
        """The value of AZURITE_ACCOUNTS: with it, Azurite knows no other account."""
        return ":".join([self.name, *(key.value for key in self.keys)])

    def connection_string(self, ports: Sequence[int], host: str = LOOPBACK) -> str:
        """Return what any Azure SDK client needs to reach blobs, queues and tables on these three ports."""
        endpoints = zip(("Blob", "Queue", "Table"), ports, strict=True)
        parts = [f"{kind}Endpoint=http://{host}:{port}/{self.name}" for kind, port in endpoints]
        key = self.keys[0].value
        return ";".join(["DefaultEndpointsProtocol=http", f"AccountName={self.name}", f"AccountKey={key}", *parts])


def names_well_known_account(connection: str) -> bool:
    """Whether a connection string means the emulator's account, whose key everybody knows."""
    plain = connection.replace(" ", "").lower()
    return "usedevelopmentstorage=true" in plain or f"accountname={WELL_KNOWN_ACCOUNT}" in plain


def reachable_host(bind_address: str) -> str:
    """Return the host by which this machine reaches what listens on an address, fit for a URL.

    Raises:
        ValueError: it is no IP address.
    """
    address = ipaddress.ip_address(bind_address)
    if address.is_unspecified:
        return LOOPBACK if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"


def _key_of(entry: Any) -> StorageKey:
    value, made_at = str(entry["key"]), entry.get("made_at")
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if not value:
        raise ValueError("empty")
    return StorageKey(value=value, made_at=None if made_at is None else datetime.fromisoformat(made_at))
