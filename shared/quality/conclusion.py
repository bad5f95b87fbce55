"""How a cycle ends: its chief figures, its report, and the state that its row is left in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.database.tables import WorkState
from shared.quality.evaluate import Evaluation
from shared.quality.judging import Judgement
from shared.quality.measured import MeasuredCycle
from shared.quality.metrics import QualityMetrics
from shared.quality.reports.stored import build
from shared.quality.sampling import Sample


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The row's last state and its columns; `failure` is why it failed, as (code, reason)."""

    state: str
    columns: dict[str, Any]
    chief: QualityMetrics
    message: str | None
    failure: tuple[str, str] | None = None


def conclude(
    measured: MeasuredCycle, judgement: Judgement, further: Sequence[dict[str, Any]], *, now: datetime
) -> Conclusion:
    """Return how the cycle ends; `further` are more parts of its `metrics`."""
    evaluation, sample = measured.evaluation, measured.drawn.sample
    message = _message(sample, evaluation, measured.served.version)
    chief = _chief(measured, judgement, message, now)
    metrics: dict[str, Any] = {"quality": chief.as_json()} | measured.figures | judgement.metrics
    for part in further:
        metrics |= part
    columns: dict[str, Any] = {
        "model_version": measured.served.version,
        "snapshot_id": measured.snapshot.id,
        "evaluated": evaluation.evaluated,
        "failed": evaluation.failed_count,
        "metrics": metrics,
        "report": build(measured.snapshot, measured.served.version, measured.drawn.mode, sample, evaluation),
    }
    if not sample.item_codes:
        columns |= {"reason": message, "step": "nothing to evaluate"}
        return Conclusion(state=WorkState.SKIPPED, columns=columns, chief=chief, message=message)
    if evaluation.failed_count and not evaluation.evaluated and not evaluation.abstained:
        failure = ("predictions-failed", str(message))
        return Conclusion(state=WorkState.FAILED, columns=columns, chief=chief, message=message, failure=failure)
    columns["step"] = message or "done"
    return Conclusion(state=WorkState.SUCCEEDED, columns=columns, chief=chief, message=message)


def _chief(measured: MeasuredCycle, judgement: Judgement, message: str | None, now: datetime) -> QualityMetrics:
    row, overall, evaluation = measured.row, measured.figures["overall"], measured.evaluation
    return QualityMetrics(
        cycle_id=row.id,
        sample_size=row.sample_size,
        strategy=row.strategy,
        mae=overall["mae"]["value"],
        trim_mae=overall["trim_mae"]["value"],
        rmse=overall["rmse"]["value"],
        process_match=overall["process_match"]["value"],
        outsourcing_success=overall["outsourcing_success"]["value"],
        cv=overall["cv"]["value"],
        sample_count=overall["sample_count"]["value"],
        alerts=[finding.as_json() for finding in judgement.findings],
        timestamp=now.isoformat(),
        duration_seconds=round(measured.seconds, 3),
        items_evaluated=evaluation.evaluated,
        items_failed=evaluation.failed_count,
        metadata={
            "model_version": measured.served.version,
            "snapshot_id": measured.snapshot.id,
            "mode": measured.drawn.mode,
            "population": measured.drawn.sample.population,
            "abstained": len(evaluation.abstained),
            "retraining": judgement.retraining,
            "message": message,
        },
    )


def _message(sample: Sample, evaluation: Evaluation, version: str) -> str | None:
    if sample.message and not sample.item_codes:
        return sample.message
    if evaluation.evaluated:
        return sample.message
    if evaluation.failed_count and not evaluation.abstained:
        item_code, why = next(iter(evaluation.failed.items()))
        return (
            f"None of {evaluation.asked} sampled items could be predicted by {version}. The first one, {item_code}: "
            f"{why.rstrip('.')}. Go back to the version before with `manage.py models rollback`."
        )
    return f"Nothing was evaluated: the model abstained for {len(evaluation.abstained)} of {evaluation.asked} items."
