"""The one place where a cycle's alarms are judged: alerts raised or closed, and one retraining asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlmodel import SQLModel

from shared.database.alerts import Alerts
from shared.errors import Conflict
from shared.quality.alarms import ALERT_KIND, WATCHED, Finding, findings
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
    add: Sequence[SQLModel] = ()  # rows to be stored together with the end of the cycle


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides on alarms."""

    alerts: Alerts
    request_retraining: RequestRetraining

    def judge(self, measured: MeasuredCycle) -> Judgement:
        """Raise and close alerts by the figures of `measured`, and ask for one retraining where that can help."""
        crossed = findings(measured.figures["overall"], measured.configuration.quality)
        return Judgement(findings=crossed, retraining=self._act_on(measured, crossed))

    def _act_on(self, measured: MeasuredCycle, crossed: Sequence[Finding]) -> dict[str, Any] | None:
        cycle_id, overall = measured.row.id, measured.figures["overall"]
        evident = [finding for finding in crossed if finding.evident]
        raised: list[str] = []
        for finding in evident:
            details = finding.as_json() | {"cycle_id": cycle_id, "model_version": measured.served.version}
            raised.append(self.alerts.raise_alert(ALERT_KIND, finding.metric, finding.message, details=details).id)
            log.warning("quality.alarm", cycle_id=cycle_id, metric=finding.metric, value=finding.value)
        beyond = {finding.metric for finding in crossed}
        for metric in WATCHED:
            if metric not in beyond and overall[metric]["value"] is not None:
                self.alerts.close_matching(ALERT_KIND, metric, ACTOR)
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
