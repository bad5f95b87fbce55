"""When figures are bad enough, and sure enough, to wake somebody.

A figure alarms when it lies beyond its threshold, or when the model has become worse than it was when it was activated,
*and* the evidence of `shared.quality.evidence` suffices. That evidence stays valid however often one looks: the chance
of any false alarm in a factory's life is at most the configured rate. Short of it, a finding says how many more items
it needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.configuration import QualityConfiguration
from shared.quality.evidence.shares import RISE_OF_ERRORS, RISE_OF_MISSES
from shared.quality.evidence.streams import Reading

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
    evident: bool  # the evidence suffices for an alarm
    retraining_helps: bool
    message: str
    family: str = ""  # empty: all items
    log_evidence: float | None = None  # None: nothing is tested
    limit: float | None = None  # of log_evidence, for an alarm
    needed: int | None = None  # items with unseen actuals that are still needed, where that can be told

    @property
    def subject(self) -> str:
        """What an alert is about: one alert is open for it at a time."""
        return _subject(self.metric, self.family)

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


_RISES = {
    RISE_OF_ERRORS: ("RISING_ERROR", "errors are {:.2f} times what they were when the model was activated"),
    RISE_OF_MISSES: ("FALLING_PROCESS_MATCH", "fewer operations are predicted than when the model was activated"),
}
_SUSPICION = 0.5  # of the limit: from here a rise is told, though it alarms nobody


def findings(
    overall: Mapping[str, Mapping[str, Any]], limits: QualityConfiguration, read: Sequence[Reading]
) -> list[Finding]:
    """Return every crossed threshold of the `overall` figures (the JSON form) and every rise, evident or not."""
    bounds = {
        "mae": limits.maximum_mae_minutes,
        "process_match": limits.minimum_process_match,
        "cv": limits.maximum_cv,
    }
    of_test = {reading.test: reading for reading in read if not reading.family}
    found = [
        _finding(
            threshold, overall[threshold.metric], bounds[threshold.metric], of_test.get(f"level.{threshold.metric}")
        )
        for threshold in _THRESHOLDS
    ]
    rises = [_rise(reading) for reading in read if reading.test in _RISES]
    thin = _thin_data(overall, limits.minimum_samples)
    return [finding for finding in (*found, *rises, thin) if finding is not None]


def quiet_subjects(
    overall: Mapping[str, Mapping[str, Any]], found: Sequence[Finding], read: Sequence[Reading]
) -> list[str]:
    """Return the subjects whose alerts may be closed: measured, and neither beyond a threshold nor suspected."""
    told = {finding.subject for finding in found}
    measured = [metric for metric in WATCHED if overall[metric]["value"] is not None]
    measured += [_subject(r.test, r.family) for r in read if r.test in _RISES and r.log_evidence <= 0]
    return [subject for subject in measured if subject not in told]


def _subject(metric: str, family: str) -> str:
    return f"{metric} | {family}" if family else metric


def _rise(reading: Reading) -> Finding | None:
    if reading.estimate is None or reading.log_evidence < _SUSPICION * reading.limit:
        return None
    issue, said = _RISES[reading.test]
    where = f"In the family {reading.family}, " if reading.family else ""
    message = where + said.format(reading.estimate)
    message = f"{message[0].upper()}{message[1:]} (n = {reading.items}{_sureness(reading)})."
    return Finding(
        issue=issue,
        metric=reading.test,
        value=reading.estimate,
        threshold=1.0,
        low=None,
        high=None,
        evident=reading.evident,
        retraining_helps=True,
        message=message,
        family=reading.family,
        log_evidence=reading.log_evidence,
        limit=reading.limit,
        needed=reading.needed,
    )


def _sureness(reading: Reading | None) -> str:
    if reading is not None and reading.evident:
        return ""
    if reading is None:
        return "; nothing is tested, so this may be chance"
    if reading.needed is None:
        return "; the actuals tested so far do not confirm it, so this may be chance"
    return (
        f"; this may be chance: about {reading.needed} more items with actuals that the model has not seen are needed"
    )


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


def _finding(threshold: _Threshold, figure: Mapping[str, Any], bound: float, reading: Reading | None) -> Finding | None:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or (value <= bound if threshold.above_is_bad else value >= bound):
        return None
    beyond = "above" if threshold.above_is_bad else "below"
    return Finding(
        issue=threshold.issue,
        metric=threshold.metric,
        value=value,
        threshold=bound,
        low=low,
        high=high,
        evident=reading is not None and reading.evident,
        retraining_helps=threshold.retraining_helps,
        message=(
            f"The {threshold.name} is {value:.3g}{threshold.unit}, {beyond} {bound:g}{threshold.unit} "
            f"(n = {figure['n']}{_sureness(reading)})."
        ),
        log_evidence=None if reading is None else reading.log_evidence,
        limit=None if reading is None else reading.limit,
        needed=None if reading is None else reading.needed,
    )
