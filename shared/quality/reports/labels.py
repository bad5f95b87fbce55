"""What the figures are called, how they are written, and what a cycle says in one sentence."""

from collections.abc import Mapping
from typing import Any

from shared.database.tables import QualityCycle, WorkState
from shared.quality.evidence.shares import (
    LEVEL_OF_ERRORS,
    LEVEL_OF_MISSES,
    LEVEL_OF_SPREAD,
    RISE_OF_ERRORS,
    RISE_OF_MISSES,
)

LABELS = {
    "mae": ("Mean absolute error, minutes an order and operation", False),
    "trim_mae": ("The same, trimmed", False),
    "rmse": ("Root mean square error, minutes", False),
    "mdape": ("Median absolute percentage error", True),
    "mae_per_piece": ("Mean absolute error, minutes a piece", False),
    "bias": ("Predicted over booked minutes", False),
    "interval_coverage": ("Orders inside their 80 % interval", True),
    "interval_score": ("Interval score, minutes", False),
    "cv": ("Spread of booked minutes a piece, sd over mean", False),
    "sample_count": ("Orders per item and operation", False),
    "process_match": ("Actual operations predicted", True),
    "exact_top1": ("Whole routing right at first", True),
    "exact_top3": ("Whole routing among three", True),
    "edit_distance": ("Normalised edit distance", False),
    "precedence_accuracy": ("Pairs of operations in the right order", True),
    "work_centre_accuracy": ("Work centre right", True),
    "in_house_accuracy": ("In-house or outsourced right", True),
    "outsourcing_success": ("Outsourced operations found", True),
    "items_with_actuals": ("Sampled items with an order to compare", True),
    "operations_with_actuals": ("Operations of their routings with an order to compare", True),
    "compared": ("Booked orders and operations compared", True),
    "left_out": ("Left out", True),
    "partial": ("Partial: fewer pieces than the order's other operations", True),
    "corrected": ("Corrected by a reversal or a later report", True),
    "contradictory": ("Contradictory: reports apart by orders of magnitude", True),
    "taken_back": ("Taken back altogether", True),
    "off_routing": ("On an operation that the routing lacks", True),
    "days_to_report": ("Median days from an order's first report to its last", False),
    "days_to_order": ("Days from a prediction to its order", False),
    "edit_rate": ("Proposals that planners edited or rejected", True),
}


STREAMS = {  # short, since families are named before them
    RISE_OF_ERRORS: "errors risen",
    RISE_OF_MISSES: "more operations missed",
    LEVEL_OF_ERRORS: "error above its threshold",
    LEVEL_OF_MISSES: "misses above their threshold",
    LEVEL_OF_SPREAD: "spread above its threshold",
}
HEADS = {"items": "have the items changed", "compared_with": "orders compared", "activation": "watched activation"}


def head_of(row: QualityCycle) -> dict[str, Any]:
    """Return what stands at the top of every report."""
    return {
        "cycle_id": row.id,
        "state": row.state,
        "verdict": verdict(row),
        "reason": row.reason,
        "error": row.error,
        "model_version": row.model_version,
        "strategy": row.strategy,
        "strata": ", ".join(row.strata or ()),
        "seed": row.seed,
        "sample_size": row.sample_size,
        "evaluated": row.evaluated,
        "failed": row.failed,
        "compared_with": (row.report or {}).get("mode"),
        "snapshot_id": row.snapshot_id,
        "message": chief_of(row).get("metadata", {}).get("message"),
        "items": (row.metrics or {}).get("drift", {}).get("message"),
        "activation": (row.metrics or {}).get("watch", {}).get("reason"),
        "created_at": row.created_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
    }


def verdict(row: QualityCycle) -> str:
    """Say in one sentence what the cycle found."""
    if row.state == WorkState.FAILED:
        return f"The cycle failed and says nothing about quality: {row.error}"
    if row.state == WorkState.SKIPPED:
        return f"There was nothing to judge: {row.reason}"
    if row.state != WorkState.SUCCEEDED:
        return f"The cycle is {row.state}."
    overall, alerts = overall_of(row), chief_of(row).get("alerts", [])
    if not row.evaluated:
        return f"Nothing could be judged: {chief_of(row).get('metadata', {}).get('message')}"
    figures = f"the trimmed error is {told('trim_mae', overall)} minutes an order and operation"
    figures += f", and {told('process_match', overall)} of the actual operations were predicted"
    evident = [alert["message"] for alert in alerts if alert.get("evident")]
    if evident:
        return f"Alarm: {' '.join(evident)} In this sample {figures}."
    doubtful = [alert for alert in alerts if alert.get("low") is not None or alert.get("value") is not None]
    if doubtful:
        noted = " ".join(alert["message"] for alert in doubtful)
        return f"No alarm, though to be noted: {noted} In this sample {figures}."
    return f"All is as it should be: {figures}."


def basis(row: QualityCycle) -> str:
    """Say in one sentence what the figures stand on; nothing where there are none."""
    orders = overall_of(row).get("mae", {}).get("n", 0)
    if not row.evaluated or not orders:
        return ""
    unseen = (row.report or {}).get("mode") == "after the model's data"
    how = "by orders that came after its data" if unseen else "each withheld from all that it learned"
    asked = f"{row.evaluated:,} of {row.sample_size:,} sampled items were predicted by the model {row.model_version}"
    return f"{asked}, {how}, and compared with {orders:,} booked orders and operations."


def told(metric: str, overall: dict[str, dict[str, Any]]) -> str:
    """Return a figure with its interval in words."""
    figure, share = overall.get(metric), LABELS.get(metric, ("", False))[1]
    if figure is None or figure["value"] is None:
        return "not measured"
    return f"{number(figure['value'], share)} ({interval(figure, share)})"


def chief_of(row: QualityCycle) -> dict[str, Any]:
    """Return the sixteen fields, empty where there are none."""
    quality: dict[str, Any] = (row.metrics or {}).get("quality", {})
    return quality


def overall_of(row: QualityCycle) -> dict[str, dict[str, Any]]:
    """Return the overall figures, empty where there are none."""
    overall: dict[str, dict[str, Any]] = (row.metrics or {}).get("overall", {})
    return overall


def figures_in(part: Any) -> dict[str, dict[str, Any]]:
    """Return those members of a part of the metrics that are figures."""
    if not isinstance(part, dict):
        return {}
    return {name: value for name, value in part.items() if isinstance(value, dict) and {"value", "n"} <= value.keys()}


def every_figure(row: QualityCycle) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return every figure as (scope, name, metric, figure)."""
    metrics = row.metrics or {}
    found = [("overall", "", metric, figure) for metric, figure in overall_of(row).items()]
    for scope, key in (("family", "by_family"), ("operation", "by_operation")):
        for name, group in metrics.get(key, {}).items():
            found += [(scope, name, metric, figure) for metric, figure in group.items()]
    for scope in ("completeness", "live", "decisions"):
        found += [(scope, "", metric, figure) for metric, figure in figures_in(metrics.get(scope)).items()]
    for name, group in (metrics.get("live") or {}).get("by_version", {}).items():
        found += [("live version", name, metric, figure) for metric, figure in figures_in(group).items()]
    return found


def unmeasured(figures: Mapping[str, dict[str, Any]]) -> str:
    """Return in one sentence why none of some figures could be measured; nothing where one was."""
    if any(figure["value"] is not None for figure in figures.values()):
        return ""
    said = dict.fromkeys(figure.get("message") or "nothing was compared" for figure in figures.values())
    return f"Not measured: {'; '.join(said)}."


def value_of(figure: dict[str, Any], share: bool) -> str:
    """Return a figure's value, or that there is none."""
    return "not measured" if figure["value"] is None else number(figure["value"], share)


def interval(figure: dict[str, Any], share: bool) -> str:
    """Return a figure's 95 % interval."""
    if figure.get("low") is None or figure.get("high") is None:
        return "interval not known"
    return f"{number(figure['low'], share)} to {number(figure['high'], share)}"


def number(value: float, share: bool) -> str:
    """Return a number with three digits, a share in per cent."""
    return f"{value:.1%}" if share else f"{value:.3g}"
