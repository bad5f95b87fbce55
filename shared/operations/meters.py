"""Counters and gauges for Prometheus: what this process counted, and what the database and storage say right now."""

from collections import Counter as Tally
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from shared.operations.health import Health

REGISTRY = CollectorRegistry()

_REQUESTS = Counter("routing_ml_requests", "Answered HTTP requests", ["function", "status"], registry=REGISTRY)
_LATENCY = Histogram(
    "routing_ml_request_seconds",
    "Time to answer an HTTP request",
    ["function"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.06, 0.25, 1, 4),
    registry=REGISTRY,
)
_PREDICTIONS = Counter("routing_ml_predictions", "Predicted items", ["status"], registry=REGISTRY)
_LOOKUPS = Counter("routing_ml_item_lookups", "Codes looked up in the ERP", ["outcome"], registry=REGISTRY)
_PART_UP = Gauge("routing_ml_part_up", "1 where a part is up", ["part"], registry=REGISTRY)
_ACTIVE = Gauge("routing_ml_active_model", "1 for the served version", ["version"], registry=REGISTRY)
_QUEUE_DEPTH = Gauge("routing_ml_queue_messages", "Messages that wait in a queue", ["queue"], registry=REGISTRY)
_OPEN_ALERTS = Gauge("routing_ml_open_alerts", "Alerts that nobody has closed", registry=REGISTRY)
_DATA_AGE = Gauge("routing_ml_data_age_seconds", "Age of the served model's data", registry=REGISTRY)
_SNAPSHOT_AGE = Gauge("routing_ml_snapshot_age_seconds", "Age of the newest snapshot of the ERP", registry=REGISTRY)
_RECORDS_DROPPED = Gauge("routing_ml_prediction_records_dropped", "Predictions not recorded", registry=REGISTRY)


def observe_request(function: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    answered, latency = _of_requests(function, status)
    answered.inc()
    latency.observe(seconds)


@cache
def _of_requests(function: str, status: int) -> tuple[Counter, Histogram]:
    """Return one function's metrics: finding them by their labels takes longer than counting."""
    return _REQUESTS.labels(function, str(status)), _LATENCY.labels(function)


def observe_predictions(statuses: Iterable[str]) -> None:
    """Count predicted items."""
    for status, items in Tally(statuses).items():
        _PREDICTIONS.labels(status).inc(items)


def observe_lookup(outcome: str, codes: int) -> None:
    """Count codes that the model lacks: found or missing in the ERP, failed, or skipped without asking it."""
    _LOOKUPS.labels(outcome).inc(codes)


def exposition(health: "Health") -> tuple[str, str]:
    """Return the metrics' text and its media type, with the gauges taken afresh from `health`."""
    detail = health.detail()
    for part, state in detail["parts"].items():
        _PART_UP.labels(part).set(1 if state["status"] == "up" else 0)
    _ACTIVE.clear()
    if detail["active_version"]:
        _ACTIVE.labels(detail["active_version"]).set(1)
    for queue, depth in detail["queues"].items():
        _QUEUE_DEPTH.labels(queue).set(-1 if depth is None else depth)
    if detail["open_alerts"] is not None:
        _OPEN_ALERTS.set(detail["open_alerts"])
    _RECORDS_DROPPED.set(detail["prediction_log"]["dropped"])
    if detail["data_age_seconds"] is not None:
        _DATA_AGE.set(detail["data_age_seconds"])
    snapshot_age = detail["parts"]["data"].get("data_age_seconds")
    if snapshot_age is not None:
        _SNAPSHOT_AGE.set(snapshot_age)
    return generate_latest(REGISTRY).decode(), CONTENT_TYPE_LATEST
