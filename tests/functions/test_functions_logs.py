"""The log over HTTP: followed and downloaded by an operator, and by nobody of a lesser role."""

import io
import json
from typing import Any

import pytest
import structlog

from shared.bootstrap import Services
from shared.logs import configure_logging
from tests.functions.conftest import ADMINISTRATOR_KEY, Ask


@pytest.fixture
def logged(services: Services) -> None:
    """Three lines as the app itself writes them, in the file where the launcher puts them."""
    before, stream = structlog.get_config(), io.StringIO()
    configure_logging(stream=stream)
    log = structlog.get_logger()
    log.info("http.answered", function="get_health", status=200)
    log.warning("disk.low", free_bytes=17, api_key="very secret")
    log.error("training.failed", job_id="job_1")
    structlog.configure(**before)
    services.settings.logs.mkdir()
    (services.settings.logs / "host.log").write_text(stream.getvalue(), "utf-8")


def body(ask: Ask, **query: str) -> dict[str, Any]:
    answer = ask("list_log_lines", query=query, key=ADMINISTRATOR_KEY)
    assert answer.status_code == 200, answer.get_body()
    document: dict[str, Any] = json.loads(answer.get_body())
    return document


@pytest.mark.usefixtures("logged")
def test_an_operator_reads_and_follows_the_log(ask: Ask, services: Services) -> None:
    first = body(ask, limit="2")
    assert [(line["level"], line["event"]) for line in first["items"]] == [
        ("warning", "disk.low"), ("error", "training.failed"),
    ]  # fmt: skip
    assert first["items"][0]["fields"]["free_bytes"] == 17
    assert "very secret" not in json.dumps(first)
    older = body(ask, before=first["before"])
    assert [line["event"] for line in older["items"]] == ["http.answered"]
    assert body(ask, after=first["after"])["items"] == []
    with (services.settings.logs / "host.log").open("a") as log:
        log.write('{"event": "host.stopping", "level": "info", "process": "host"}\n')
    newer = body(ask, after=first["after"])
    assert [(line["event"], line["source"]) for line in newer["items"]] == [("host.stopping", "host")]
    assert [line["event"] for line in body(ask, level="error")["items"]] == ["training.failed"]


@pytest.mark.usefixtures("logged")
def test_the_log_is_downloaded_as_text(ask: Ask) -> None:
    answer = ask("download_log", query={"level": "warning"}, key=ADMINISTRATOR_KEY)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.headers["content-disposition"].startswith('attachment; filename="routing-ml-')
    first, second = answer.get_body().decode().splitlines()
    assert first.endswith("WARNING app disk.low free_bytes=17 api_key=(left out)")
    assert second.endswith("ERROR app training.failed job_id=job_1")


def test_a_host_without_a_log_file_says_so(ask: Ask) -> None:
    assert "standard output" in body(ask)["message"]
    answer = ask("download_log", key=ADMINISTRATOR_KEY)
    assert (answer.status_code, answer.get_body()[:1]) == (200, b"#")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "nonsense"}, "after"), ({"before": "../../etc/passwd"}, "before"), ({"limit": "1001"}, "limit"),
        ({"level": "loud"}, "level"), ({"after": "1-00000000.0", "before": "1-00000000.0"}, "after"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_by_its_field(ask: Ask, query: dict[str, str], field: str) -> None:
    answer = ask("list_log_lines", query=query, key=ADMINISTRATOR_KEY)
    assert (answer.status_code, json.loads(answer.get_body())["errors"][0]["field"]) == (422, field)


def test_nobody_reads_the_log_without_a_key(ask: Ask) -> None:
    assert {ask(name).status_code for name in ("list_log_lines", "download_log")} == {401}
