"""What this host leaves out of Microsoft's is refused in so many words, or ignored with one line of its log."""

import pytest

from tests.conformance.hosts import eventually
from tests.conformance.workshop import Workshop

pytestmark = [pytest.mark.azurite, pytest.mark.embedded("what it leaves out, Microsoft's has")]

APP = """
    @app.route(route="ping")
    @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
    def ping(req: func.HttpRequest) -> func.HttpResponse:
        record(what="ping")
        raise RuntimeError("once")

    @app.blob_trigger(arg_name="blob", path="drop/{name}", connection="AzureWebJobsStorage", source="EventGrid")
    def grid(blob: func.InputStream) -> None:
        pass

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="Managed")
    def managed(msg: func.QueueMessage) -> None:
        pass

    @app.queue_trigger(arg_name="msg", queue_name="in-TAG", connection="AzureWebJobsStorage")
    @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
    def again(msg: func.QueueMessage) -> None:
        pass

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    @app.retry(strategy="fixed_delay", max_retry_count="1", delay_interval="00:01:00")
    def yearly(timer: func.TimerRequest) -> None:
        raise RuntimeError("this year not")
"""
WITHOUT_EFFECT = ("healthMonitor", "concurrency", "extensions.http.dynamicThrottlesEnabled", "extensions.http.hsts")


def test_what_is_left_out_is_said(workshop: Workshop) -> None:
    host_json = {
        "healthMonitor": {"enabled": True},
        "concurrency": {"dynamicConcurrencyEnabled": True},
        "extensions": {"http": {"dynamicThrottlesEnabled": True, "hsts": {"isEnabled": True}}},
    }
    host = workshop.run(APP, host_json=host_json, Managed__queueServiceUri="https://nowhere.example")
    for function, reason in (
        ("grid", "EventGrid needs Azure"),
        ("managed", "by identity"),
        ("again", "dequeue count"),
    ):
        assert reason in host.errors_of(function)[0]
    warned = [line["reason"] for line in host.events("configuration.warning")]
    for key in WITHOUT_EFFECT:
        assert len([reason for reason in warned if f'"{key}" has no effect here' in reason]) == 1
    assert host.get("/api/ping").status_code == 500
    assert len(host.records("ping")) == 1
    assert [line["function"] for line in host.events("function.no_retry")] == ["ping"]
    for path in ("warmup", "host/keys", "functions/ping/keys", "vfs/x", "zip"):
        refused = host.admin("GET", path)
        assert (refused.status_code, "this host has no" in refused.json()["error"]) == (501, True), path
    assert host.admin("POST", "functions/yearly", json={}).status_code == 202
    assert eventually(lambda: host.events("function.failed", function="yearly"))
    assert host.admin("POST", "host/drain").status_code == 202
    status = eventually(
        lambda: (found := host.admin("GET", "host/drain/status").json())["outstandingRetries"] and found
    )
    assert (status["state"], status["outstandingInvocations"], status["outstandingRetries"]) == ("InProgress", 0, 1)
    assert host.stop() == 0
