"""One error tree: what happened, whether trying again helps, and how it maps to HTTP, CLI and queue.

Every error a service raises on purpose is a `RoutingError`. Its `code` is stable and documented, `status` is the
HTTP status of the problem document made from it, `exit_code` the command line's, and `retryable` tells a queue
function whether another delivery could succeed. Anything else that escapes is a defect and becomes a 500.
"""

from typing import Any, ClassVar, Self


class RoutingError(Exception):
    """The product could not do what was asked."""

    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, remedy: str | None = None, **facts: Any) -> None:
        """Say in `detail` what happened, in `remedy` what to do; `facts` are extra JSON members."""
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.detail} {self.remedy}" if self.remedy else self.detail


class InvalidInput(RoutingError):
    """The caller's values break a rule; `facts["errors"]` names each field."""

    code, title, status, exit_code = "invalid-input", "The request breaks a rule", 422, 2


class MalformedRequest(RoutingError):
    """The request could not be read at all."""

    code, title, status, exit_code = "malformed-request", "The request could not be read", 400, 2


class TooLarge(RoutingError):
    """The request exceeds a size limit."""

    code, title, status, exit_code = "too-large", "The request is too large", 413, 2


class NotAuthenticated(RoutingError):
    """A key is needed and none, or a wrong one, was sent."""

    code, title, status, exit_code = "not-authenticated", "A valid key is needed", 401, 3


class Forbidden(RoutingError):
    """The caller is known and their role may not do this; `facts` hold both roles."""

    code, title, status, exit_code = "forbidden", "This role may not do that", 403, 3
    caller_name: str | None = None

    @classmethod
    def to(cls, name: str, role: str | None, least_role: str) -> Self:
        """Return the refusal of what needs `least_role` to somebody of another role."""
        refusal = cls(
            f"{name} has the role {role or 'of nobody'}; this needs the role {least_role}.",
            remedy="Ask an administrator for a key of that role: `manage.py access keys new`.",
            role=role,
            least_role=least_role,
        )
        refusal.caller_name = name
        return refusal


class TooManyAttempts(RoutingError):
    """Too many tries failed lately; `facts["retry_after_seconds"]` says when to try again."""

    code, title, status, exit_code = "too-many-attempts", "Too many tries failed", 429, 3


class NotFound(RoutingError):
    """The named thing does not exist."""

    code, title, status, exit_code = "not-found", "No such thing", 404, 4


class Conflict(RoutingError):
    """The thing's current state forbids the change; `facts["state"]` holds that state."""

    code, title, status, exit_code = "conflict", "The current state forbids this", 409, 5


class NoActiveModel(RoutingError):
    """Nothing can be predicted before a model version is active."""

    code, title, status, exit_code = "no-active-model", "No model is active", 503, 6
    retryable = True


class StorageUnavailable(RoutingError):
    """Blob or queue storage did not answer."""

    code, title, status, exit_code = "storage-unavailable", "Storage does not answer", 503, 7
    retryable = True


class DatabaseUnavailable(RoutingError):
    """The database did not answer, is locked for too long, or has not been set up yet."""

    code, title, status, exit_code = "database-unavailable", "The database does not answer", 503, 13
    retryable = True


class SourceError(RoutingError):
    """An ERP source cannot be read: missing folder, file or key column, unreadable data."""

    code, title, status, exit_code = "source-error", "The ERP source cannot be read", 422, 8


class SourceUnavailable(SourceError):
    """The ERP's database does not answer, or went away while it was read."""

    code, title, status, exit_code = "source-unavailable", "The ERP does not answer", 503, 15
    retryable = True


class ProfileError(RoutingError):
    """A mapping profile is invalid; the detail names file and field."""

    code, title, status, exit_code = "profile-error", "The mapping profile is invalid", 422, 8


class NotEnoughData(RoutingError):
    """There is too little to learn from or to evaluate."""

    code, title, status, exit_code = "not-enough-data", "There is too little data", 422, 9


class PackageRejected(RoutingError):
    """A model package failed a check; `facts["check"]` names the check."""

    code, title, status, exit_code = "package-rejected", "The model package was refused", 422, 10


class PackageIncomplete(RoutingError):
    """A package's manifest is here and some of its files are not yet."""

    code, title, status, exit_code = "package-incomplete", "The model package is not complete yet", 409, 10
    retryable = True


class Cancelled(RoutingError):
    """The work was cancelled on request."""

    code, title, status, exit_code = "cancelled", "The work was cancelled", 409, 11


class LeaseLost(RoutingError):
    """Another worker owns the work now; nothing more may be written for it."""

    code, title, status, exit_code = "lease-lost", "Another worker owns this work", 409, 12


class SetupError(RoutingError):
    """The installation or its settings cannot work as they are."""

    code, title, status, exit_code = "setup-error", "The installation is not usable as it is", 500, 20


class AuditBroken(RoutingError):
    """The audit is not what was written: events were changed, removed, put in or cut off."""

    code, title, status, exit_code = "audit-broken", "The audit was touched", 500, 18
