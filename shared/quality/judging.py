"""The one place where a cycle's alarms are judged: alerts raised or closed, and one retraining asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlmodel import Session

from shared.database.alerts import Alerts
from shared.errors import Conflict
from shared.quality.alarms import ALERT_KIND, Finding, findings, quiet_subjects
from shared.quality.evidence.streams import Reading
from shared.quality.evidence.weighing import Scales, nothing_stored
from shared.quality.measured import MeasuredCycle

log = structlog.get_logger()

ACTOR = "quality cycle"

RequestRetraining = Callable[[str, str], Any]  # (reason, cycle id): a job, or Conflict with why there is none


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was decided about one cycle."""

    findings: Sequence[Finding]
    retraining: dict[str, Any] | None  # what became of the request; None: none was made
    metrics: dict[str, Any] = field(default_factory=dict)  # further parts of the cycle's `metrics`
    write: Callable[[Session], None] = nothing_stored  # stores the evidence, in the transaction that ends the cycle


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides on alarms."""

    alerts: Alerts
    request_retraining: RequestRetraining
    scales: Scales

    def judge(self, measured: MeasuredCycle) -> Judgement:
        """Raise and close alerts by the figures of `measured`, and ask for one retraining where that can help."""
        weighed = self.scales.weigh(measured)
        crossed = findings(measured.figures["overall"], measured.configuration.quality, weighed.readings)
        return Judgement(
            findings=crossed,
            retraining=self._act_on(measured, crossed, weighed.readings),
            metrics=weighed.metrics,
            write=weighed.write,
        )

    def _act_on(
        self, measured: MeasuredCycle, crossed: Sequence[Finding], read: Sequence[Reading]
    ) -> dict[str, Any] | None:
        cycle_id, overall = measured.row.id, measured.figures["overall"]
        evident = [finding for finding in crossed if finding.evident]
        raised: list[str] = []
        for finding in evident:
            details = finding.as_json() | {"cycle_id": cycle_id, "model_version": measured.served.version}
            raised.append(self.alerts.raise_alert(ALERT_KIND, finding.subject, finding.message, details=details).id)
            log.warning("quality.alarm", cycle_id=cycle_id, metric=finding.metric, value=finding.value)
        for subject in quiet_subjects(overall, crossed, read):
            self.alerts.close_matching(ALERT_KIND, subject, ACTOR)
        helped = [finding.message for finding in evident if finding.retraining_helps]
        if not helped:
            return None
        retraining = self._ask(" ".join(helped), cycle_id)
        for alert_id in raised:
            self.alerts.add_details(alert_id, {"retraining": retraining})
        return retraining | {"alert_ids": raised}

    def _ask(self, reason: str, cycle_id: str) -> dict[str, Any]:
        try:
            job = self.request_retraining(reason, cycle_id)
        except Conflict as error:
            log.info("quality.retraining_refused", cycle_id=cycle_id, reason=str(error))
            return {"asked": True, "refused": str(error), "because": error.facts.get("reason")}
        return {"asked": True, "job_id": getattr(job, "id", None)}
