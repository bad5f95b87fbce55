"""Users, their roles, their API keys and their browser sessions.

A key or session acts for a user in one role, and only while the user is active and still has that role: taking a
role from a user, or disabling the user, ends at once what was given out before. No secret stands in any row: of a key
its SHA-256 digest, of a session its number, of a password (once there is one) its Argon2id hash.
"""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from shared.database.tables import UtcDateTime


class UserState(StrEnum):
    """Whether a user may do anything."""

    PENDING = "pending"  # asked for by themselves, not yet approved
    ACTIVE = "active"
    DISABLED = "disabled"  # none of their keys and sessions counts


class User(SQLModel, table=True):
    """A person or a machine that acts under a name of its own."""

    __tablename__ = "users"

    id: str = Field(primary_key=True, max_length=64)
    name: str = Field(max_length=64, unique=True, description="what every record of an action shows")
    state: str = Field(max_length=16)
    password_hash: str | None = Field(default=None, max_length=255, description="None: signs in with keys only")
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str = Field(max_length=128)
    state_changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state_changed_by: str | None = Field(default=None, max_length=128)


class UserRole(SQLModel, table=True):
    """A role that a user has."""

    __tablename__ = "user_roles"

    user_id: str = Field(primary_key=True, max_length=64, foreign_key="users.id")
    role: str = Field(primary_key=True, max_length=16)
    granted_at: datetime = Field(sa_type=UtcDateTime)
    granted_by: str = Field(max_length=128)


class ApiKey(SQLModel, table=True):
    """A key that lets whoever holds it act as its user, in one role."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True, max_length=64, description="stands in the key's own text, which is no secret")
    user_id: str = Field(max_length=64, foreign_key="users.id", index=True)
    role: str = Field(max_length=16)
    label: str = Field(default="", max_length=200)
    digest: str = Field(max_length=64, unique=True, description="SHA-256 of the whole key, hexadecimal")
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str = Field(max_length=128)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="to a few minutes")
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_by: str | None = Field(default=None, max_length=128)
    replaces: str | None = Field(default=None, max_length=64, description="the key that this one was rotated from")


class BrowserSession(SQLModel, table=True):
    """A browser that somebody signed in with; ends with its time, when it is revoked, or with its key."""

    __tablename__ = "browser_sessions"

    id: str = Field(primary_key=True, max_length=64)
    user_id: str = Field(max_length=64, foreign_key="users.id", index=True)
    role: str = Field(max_length=16)
    key_id: str | None = Field(default=None, max_length=64, foreign_key="api_keys.id", index=True)
    origin: str = Field(max_length=100)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_by: str | None = Field(default=None, max_length=128)
