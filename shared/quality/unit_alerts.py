"""What standing alerts of suspected units mean for others; light, since whoever asks for a job looks here."""

from collections.abc import Sequence
from datetime import date

from shared.database.tables import Alert

UNIT_SUSPECTED = "unit-suspected"


def no_job(alerts: Sequence[Alert]) -> str:
    """Return why nothing is retrained by itself while these alerts of suspected units stand."""
    named = ", ".join(sorted(f"{alert.subject} (since {since_of(alert)})" for alert in alerts))
    return (
        f"No job: a change of unit is suspected in {named}. Confirm or set the unit in the profile "
        "(work_results.unit_changes) and read the ERP again, or ask for a job yourself."
    )


def since_of(alert: Alert) -> date:
    """Return the day from which a unit is suspected."""
    told = (alert.details or {}).get("since")
    return date.fromisoformat(told) if told else alert.created_at.date()
