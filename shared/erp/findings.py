"""What a check of a profile finds: sentences with a severity and a remedy that names the profile's field."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # what is read is wrong: correct the profile before anything is learnt from it
    WARNING = "warning"  # probably wrong, or much is lost
    HINT = "hint"  # could be better


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a person should look at."""

    severity: Severity
    field: str  # the profile's field to change, such as `routings.time_unit`
    message: str
    remedy: str


@dataclass
class TableFacts:
    """How one table was read."""

    origin: str
    rows_read: int = 0
    rows_kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # rows left out, merged, or with a value that was not usable
    columns_read: dict[str, str] = field(default_factory=dict)  # the profile's field to the source column it reads
    unused: list[dict[str, Any]] = field(default_factory=list)  # source columns that the profile does not name


@dataclass
class CheckReport:
    """A profile beside its source."""

    profile: str
    source: str
    rows_limit: int | None
    tables: dict[str, TableFacts] = field(default_factory=dict)
    unread_tables: list[str] = field(default_factory=list)  # of the source, which the profile does not name
    joins: dict[str, Any] = field(default_factory=dict)
    coverage: dict[str, Any] = field(default_factory=dict)
    times: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether something read is wrong."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)
