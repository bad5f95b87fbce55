"""The one place where a cycle's alarms are judged: alerts raised or closed, and one retraining asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlmodel import Session

from shared.database.alerts import Alerts
from shared.errors import Conflict
from shared.quality.alarms import ALERT_KIND, Finding, findings, quiet_subjects
from shared.quality.evidence.weighing import Scales, nothing_stored
from shared.quality.measured import MeasuredCycle
from shared.quality.unit_changes import UnitLook

log = structlog.get_logger()

ACTOR = "quality cycle"

RequestRetraining = Callable[[str, str], Any]  # (reason, cycle id): a job, or Conflict with why there is none


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was decided about one cycle."""

    findings: Sequence[Finding]
    alert_ids: Sequence[str]  # of the alerts that it raised, once more or for the first time
    retraining: dict[str, Any] | None  # what became of the request; None: none was made
    metrics: dict[str, Any] = field(default_factory=dict)  # further parts of the cycle's `metrics`
    write: Callable[[Session], None] = nothing_stored  # stores the evidence, in the transaction that ends the cycle


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides on alarms."""

    alerts: Alerts
    request_retraining: RequestRetraining
    scales: Scales

    def judge(self, measured: MeasuredCycle, units: UnitLook) -> Judgement:
        """Raise and close alerts by the figures of `measured`, and ask for one retraining where that can help."""
        weighed = self.scales.weigh(units.trusted(measured))
        crossed = findings(measured.figures["overall"], measured.configuration.quality, weighed.readings)
        alert_ids = self._raise(measured, crossed)
        for subject in quiet_subjects(measured.figures["overall"], crossed, weighed.readings):
            self.alerts.close_matching(ALERT_KIND, subject, ACTOR)
        return Judgement(
            findings=[*(one.as_finding() for one in units.suspected), *crossed],
            alert_ids=[*units.alert_ids, *alert_ids],
            retraining=self._retrain(measured, crossed, alert_ids) or units.retraining,
            metrics=weighed.metrics | {"units": [one.as_json() for one in units.suspected]},
            write=weighed.write,
        )

    def _raise(self, measured: MeasuredCycle, crossed: Sequence[Finding]) -> list[str]:
        cycle_id, raised = measured.row.id, list[str]()
        for finding in crossed:
            if not finding.evident:
                continue
            details = finding.as_json() | {"cycle_id": cycle_id, "model_version": measured.served.version}
            raised.append(self.alerts.raise_alert(ALERT_KIND, finding.subject, finding.message, details=details).id)
            log.warning("quality.alarm", cycle_id=cycle_id, metric=finding.metric, value=finding.value)
        return raised

    def _retrain(
        self, measured: MeasuredCycle, crossed: Sequence[Finding], alert_ids: Sequence[str]
    ) -> dict[str, Any] | None:
        helped = [finding.message for finding in crossed if finding.evident and finding.retraining_helps]
        if not helped:
            return None
        retraining = self._ask(" ".join(helped), measured.row.id)
        for alert_id in alert_ids:
            self.alerts.add_details(alert_id, {"retraining": retraining})
        return retraining | {"alert_ids": list(alert_ids)}

    def _ask(self, reason: str, cycle_id: str) -> dict[str, Any]:
        try:
            job = self.request_retraining(reason, cycle_id)
        except Conflict as error:
            log.info("quality.retraining_refused", cycle_id=cycle_id, reason=str(error))
            return {"asked": True, "refused": str(error), "because": error.facts.get("reason")}
        return {"asked": True, "job_id": getattr(job, "id", None)}
