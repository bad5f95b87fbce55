"""Counters and gauges for Prometheus: what this process counted, and what the database and storage say right now."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

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


class _OfHost(Collector):
    """What the Functions host has counted, in its own names."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def collect(self) -> Iterator[Metric]:
        """Yield the host's counters, and what runs in it now."""
        invocations = CounterMetricFamily(
            "functions_host_invocations", "Invocations by their outcome", labels=["function", "outcome"]
        )
        seconds = CounterMetricFamily(
            "functions_host_invocation_seconds", "Time spent in invocations", labels=["function", "outcome"]
        )
        for row in self._document["invocations"]:
            labels = [row["function"], row["outcome"]]
            invocations.add_metric(labels, row["count"])
            seconds.add_metric(labels, row["seconds"])
        events = CounterMetricFamily("functions_host_events", "What else the host counts", labels=["event"])
        for name, count in self._document["counters"].items():
            events.add_metric([name], count)
        under_way = self._document["underWay"]
        yield from (invocations, seconds, events)
        yield GaugeMetricFamily("functions_host_under_way", "Queue, blob and timer invocations now", value=under_way)


def exposition(health: "Health", host: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Return the metrics' text and its media type, with the gauges taken afresh from `health`.

    `host` is what the Functions host has counted, where it offers that.
    """
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
    text = generate_latest(REGISTRY).decode()
    if host is not None:
        of_host = CollectorRegistry()
        of_host.register(_OfHost(host))
        text += generate_latest(of_host).decode()
    return text, CONTENT_TYPE_LATEST
