"""The sweep's look at the audit: seals what a dead process left unsealed, and raises an alert where it was touched."""

import structlog

from shared.database.alerts import Alerts
from shared.database.audit import Audit
from shared.errors import AuditBroken

log = structlog.get_logger()

KIND = "audit-broken"
ACTOR = "audit watch"


class AuditWatch:
    """Keeps the audit sealed."""

    def __init__(self, audit: Audit, alerts: Alerts) -> None:
        """Watch one installation's audit."""
        self._audit = audit
        self._alerts = alerts

    def run(self) -> int:
        """Seal the head; return 1 where that is refused because the audit was touched, having raised an alert."""
        try:
            self._audit.seal.seal()
        except AuditBroken as broken:
            if self._alerts.standing(KIND, "") is None:  # raised at every sweep, it would only count the sweeps
                self._alerts.raise_alert(KIND, "", str(broken), severity="critical")
            return 1
        except OSError as fault:
            log.error("audit.not_sealed", error=str(fault))
            return 1
        if self._alerts.standing(KIND, "") is not None:
            self._alerts.close_matching(KIND, "", ACTOR)
        return 0
