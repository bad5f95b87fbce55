"""Does what a profile says of changed units speak of any report? A mistyped code would change nothing, silently."""

from collections.abc import Iterator

from shared.erp.check.tables import CheckedTable
from shared.erp.findings import Finding, Severity
from shared.erp.mapping.time_units import ReportPlaces, are_changed
from shared.erp.profiles.model import WorkResultsTable


def check_unit_changes(results: CheckedTable) -> Iterator[Finding]:
    """Yield a warning for each of the profile's `unit_changes` that holds for no report that was read."""
    assert isinstance(results.mapping, WorkResultsTable)
    frame = results.frame
    places = ReportPlaces(frame["operation_code"], frame["resource_code"], frame["reported_at"])
    for number, change in enumerate(results.mapping.unit_changes):
        if not are_changed(change, places).any():
            yield Finding(
                severity=Severity.WARNING,
                field=f"work_results.unit_changes.{number}",
                message=f"The change of unit since {change.since} holds for none of {frame.height:,} reports.",
                remedy="Check its days, and that operations and resources are codes as the source writes them.",
            )
