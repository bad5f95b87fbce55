"""A changed unit in the booked minutes is a defect of the data, for a person: no model mends wrong numbers.

While an operation is suspected (`suspected_units`)

- an alert (`unit-suspected`) names the day, the factor, the columns and the work centres;
- the suspected orders judge no model, so that they alarm by themselves only;
- nothing is retrained by itself (`shared.training.admission`): learning such numbers would spoil what was learned from
  years of right ones.

A person says in the profile which unit holds from that day on (`unit_changes`), and the next cycle closes the alert:
because the orders are as predicted again, or because the profile confirms that the unit is the old one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from math import exp
from statistics import median
from typing import Any

import structlog

from shared.database.alerts import Alerts
from shared.database.tables import Alert
from shared.erp.profiles.model import WorkResultsTable, parse_profile
from shared.erp.profiles.unit_changes import UnitChange, confirmed
from shared.quality.measured import MeasuredCycle
from shared.quality.observations import OrderObservation
from shared.quality.suspected_units import LEAST_ITEMS, Compared, SuspectedUnit, compare_days, far_off, find_suspected
from shared.quality.unit_alerts import UNIT_SUSPECTED, no_job, since_of

log = structlog.get_logger()

ACTOR = "quality cycle"


@dataclass(frozen=True, kw_only=True)
class UnitLook:
    """What one cycle shows of units."""

    suspected: tuple[SuspectedUnit, ...] = ()
    in_doubt: Mapping[str, date] = field(default_factory=dict)  # operations with a standing alert -> since when
    alert_ids: tuple[str, ...] = ()
    retraining: dict[str, Any] | None = None  # why none is asked for; None where no unit stands in its way

    def trusted(self, measured: MeasuredCycle) -> MeasuredCycle:
        """Return what was measured without the orders in doubt."""
        if not self.in_doubt:
            return measured

        def is_trusted(order: OrderObservation) -> bool:
            day = measured.actuals[order.item_code].orders[order.order].reported_at
            first = self.in_doubt.get(order.operation_code)
            return first is None or day is None or day < first

        kept = tuple(order for order in measured.evaluation.orders if is_trusted(order))
        return replace(measured, evaluation=replace(measured.evaluation, orders=kept))


class UnitWatch:
    """Looks for changed units in each quality cycle."""

    def __init__(self, alerts: Alerts) -> None:
        """Tell what is found as `alerts`, and close those that are settled."""
        self._alerts = alerts

    def look(self, measured: MeasuredCycle) -> UnitLook:
        """Raise an alert for each suspected operation and close those that are settled.

        Where no order is new to the model, what stands stays.
        """
        standing = self._alerts.all_standing(UNIT_SUSPECTED)
        if measured.drawn.reported_after is None:
            return UnitLook(in_doubt={alert.subject: since_of(alert) for alert in standing})
        operations = far_off(measured.evaluation.orders) | {alert.subject for alert in standing}
        if not operations:
            return UnitLook()
        compared = compare_days(measured.evaluation.orders, measured.actuals, operations)
        found = find_suspected(compared, measured.snapshot)
        rules = parse_profile(measured.snapshot.profile_document, source=measured.snapshot.id).work_results
        suspected = [one for one in found if _stated(rules, one.operation_code, compared, one.since) is None]
        in_doubt = {one.operation_code: one.since for one in suspected}
        for alert in standing:
            remark = None if alert.subject in in_doubt else _settled(alert, compared, rules)
            if remark is not None:
                self._alerts.close(alert.id, ACTOR, remark)
            else:
                in_doubt.setdefault(alert.subject, since_of(alert))
        raised = [self._raise(one, measured.row.id) for one in suspected]
        if not raised:
            return UnitLook(in_doubt=in_doubt)
        refused = {"asked": False, "refused": no_job(raised), "because": UNIT_SUSPECTED}
        for alert in raised:
            self._alerts.add_details(alert.id, {"retraining": refused})
        ids = tuple(alert.id for alert in raised)
        return UnitLook(
            suspected=tuple(suspected), in_doubt=in_doubt, alert_ids=ids, retraining=refused | {"alert_ids": list(ids)}
        )

    def _raise(self, one: SuspectedUnit, cycle_id: str) -> Alert:
        log.warning("quality.unit_suspected", cycle_id=cycle_id, operation=one.operation_code, factor=one.factor)
        details = one.as_json() | {"cycle_id": cycle_id}
        return self._alerts.raise_alert(UNIT_SUSPECTED, one.operation_code, one.message, details=details)


def _stated(
    rules: WorkResultsTable, operation: str, compared: Mapping[str, Sequence[Compared]], since: date
) -> UnitChange | None:
    """Return where the profile says that an operation's latest orders are in the table's own unit."""
    days = [since, *(one.day for one in compared.get(operation, ()))]
    return confirmed(rules.unit_changes, rules.time_unit, operation, max(days))


def _settled(alert: Alert, compared: Mapping[str, Sequence[Compared]], rules: WorkResultsTable) -> str | None:
    """Return why an alert's suspicion is over, or None where this cycle cannot tell."""
    since = since_of(alert)
    stated = _stated(rules, alert.subject, compared, since)
    if stated is not None:
        return f"The profile confirms {stated.time_unit.value} for {alert.subject} since {stated.since}."
    again = [one for one in compared.get(alert.subject, ()) if one.day >= since]
    if len({one.item_code for one in again}) < LEAST_ITEMS:
        return None
    factor = exp(median(one.ratio for one in again))
    return (
        f"{len(again)} orders of {alert.subject} since {since} are booked with {factor:.2g} times the predicted "
        "minutes at the median: the unit is right again."
    )
