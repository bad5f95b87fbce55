"""What the Functions host counts stands among the product's own metrics."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.identity.callers import Role
from tests.access.conftest import RunningApp


def _asked(app: RunningApp) -> dict[tuple[str, str, str], float]:
    answer = httpx.get(f"{app.url}/api/metrics", headers={"x-api-key": app.keys[Role.VIEWER]}, timeout=30)
    assert answer.status_code == 200
    return {
        (sample.name, sample.labels.get("function", ""), sample.labels.get("outcome", "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_hosts_counters_are_among_the_metrics(app: RunningApp) -> None:
    first, second = _asked(app), _asked(app)
    counted = ("functions_host_invocations_total", "get_metrics", "succeeded")
    assert second[counted] == first.get(counted, 0) + 1
    assert second["functions_host_invocation_seconds_total", "get_metrics", "succeeded"] > 0
    assert second["functions_host_under_way", "", ""] >= 0
    assert any(name == "routing_ml_requests_total" for name, _, _ in second)
