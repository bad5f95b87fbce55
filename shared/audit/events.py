"""The audit table and its chain: each row's hash covers the row and the hash before it.

    hash(n) = SHA-256( canonical JSON of row n without its hash and code  +  hash(n-1)  +  code(n-1) )
    code(n) = HMAC-SHA-256( the installation's key, hash(n) )
    both in hexadecimal; before the first event stand 64 zeros and no code

Canonical is: an array of the row's values in the alphabetical order of their columns, no spaces, UTF-8, as orjson
writes it. Every column but the number is text, also the time and the JSON documents, so that what is hashed is what is
stored, on every database alike. Anybody can work out a hash;
the code beside it takes the key, so who can only write to the database cannot put an event at the end either.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Integer, String, Table
from sqlmodel import SQLModel

NO_HASH = "0" * 64  # stands before the first event

EVENTS = Table(
    "audit_events",
    SQLModel.metadata,
    Column(
        "sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False, nullable=False
    ),
    Column("at", String(32), nullable=False, index=True),
    Column("actor", String(128), nullable=False, index=True),
    Column("role", String(32), nullable=False),
    Column("origin", String(100), nullable=False),
    Column("action", String(64), nullable=False, index=True),
    Column("object", String(200), nullable=False, index=True),
    Column("before", String, nullable=True),
    Column("after", String, nullable=True),
    Column("reason", String, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("mac", String(64), nullable=False),
)

# What is hashed, in the order of the canonical form.
HASHED = tuple(sorted(str(column.name) for column in EVENTS.columns if column.name not in ("hash", "mac")))
STORED = (*HASHED, "hash", "mac")
_HASHED = len(HASHED)
SEQUENCE, HASH, MAC = (STORED.index(name) for name in ("sequence", "hash", "mac"))

DONE, REFUSED, FAILED, BEGUN = "done", "refused", "failed", "begun"
OUTCOMES = (DONE, REFUSED, FAILED, BEGUN)


def hash_of(values: Sequence[Any], previous: str) -> str:
    """Return the hash of a row, given its values in the order of `HASHED`; `previous`: hash and code before it."""
    return hashlib.sha256(orjson.dumps(values[:_HASHED]) + previous.encode()).hexdigest()


def time_text(moment: datetime) -> str:
    """Return how a time is stored: RFC 3339 in UTC with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
