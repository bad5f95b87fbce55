"""When figures are bad enough, and sure enough, to wake somebody.

This is the first form of the decision: a threshold counts as crossed when the figure's whole 95 % interval lies
beyond it. Cycles are looked at one by one, so over a factory's life such alarms will at times be false; a test that
stays valid however often one looks belongs in its place.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.configuration import QualityConfiguration

ALERT_KIND = "quality"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A threshold that a figure lies beyond."""

    issue: str
    metric: str
    value: float | None  # None where nothing could be measured
    threshold: float
    low: float | None
    high: float | None
    evident: bool  # the whole interval lies beyond the threshold
    retraining_helps: bool
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Threshold:
    metric: str
    issue: str
    name: str
    unit: str
    above_is_bad: bool
    retraining_helps: bool


_THRESHOLDS = (
    _Threshold(
        metric="mae",
        issue="HIGH_MAE",
        name="mean absolute error of an order's operation",
        unit=" min",
        above_is_bad=True,
        retraining_helps=True,
    ),
    _Threshold(
        metric="process_match",
        issue="LOW_PROCESS_MATCH",
        name="share of actual operations predicted",
        unit="",
        above_is_bad=False,
        retraining_helps=True,
    ),
    _Threshold(
        metric="cv",
        issue="HIGH_CV",
        name="spread of booked minutes per piece (sd over mean)",
        unit="",
        above_is_bad=True,
        retraining_helps=False,  # the shop floor varies; no model changes that
    ),
)
WATCHED = tuple(threshold.metric for threshold in _THRESHOLDS)


def findings(overall: Mapping[str, Mapping[str, Any]], limits: QualityConfiguration) -> list[Finding]:
    """Return every crossed threshold of the `overall` figures (the JSON form), evident or not."""
    bounds = {
        "mae": limits.maximum_mae_minutes,
        "process_match": limits.minimum_process_match,
        "cv": limits.maximum_cv,
    }
    found = [_finding(threshold, overall[threshold.metric], bounds[threshold.metric]) for threshold in _THRESHOLDS]
    thin = _thin_data(overall, limits.minimum_samples)
    return [finding for finding in (*found, thin) if finding is not None]


def _thin_data(overall: Mapping[str, Mapping[str, Any]], minimum_samples: int) -> Finding | None:
    """Say when the actuals themselves are missing or few: a remark on the figures, never an alarm."""
    orders, per_operation = overall["mae"]["n"], overall["sample_count"]["value"]
    if orders and per_operation >= minimum_samples:
        return None
    missing = f"There are {per_operation or 0:.2g} booked orders per item and operation, fewer than {minimum_samples}."
    return Finding(
        issue="LOW_SAMPLES" if orders else "NO_ACTUAL_DATA",
        metric="sample_count",
        value=per_operation,
        threshold=float(minimum_samples),
        low=overall["sample_count"]["low"],
        high=overall["sample_count"]["high"],
        evident=False,
        retraining_helps=False,
        message=missing if orders else "No booked order could be compared with a predicted time.",
    )


def _finding(threshold: _Threshold, figure: Mapping[str, Any], bound: float) -> Finding | None:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or (value <= bound if threshold.above_is_bad else value >= bound):
        return None
    nearest = low if threshold.above_is_bad else high
    evident = nearest is not None and (nearest > bound if threshold.above_is_bad else nearest < bound)
    beyond = "above" if threshold.above_is_bad else "below"
    sure = "" if evident else "; its interval still includes the threshold, so this may be chance"
    return Finding(
        issue=threshold.issue,
        metric=threshold.metric,
        value=value,
        threshold=bound,
        low=low,
        high=high,
        evident=evident,
        retraining_helps=threshold.retraining_helps,
        message=(
            f"The {threshold.name} is {value:.3g}{threshold.unit}, {beyond} {bound:g}{threshold.unit} "
            f"(n = {figure['n']}{sure})."
        ),
    )
