"""Four dead ends over HTTP, each with a reason in the answer and in the row.

No samples, every prediction fails, the queue is full, settings are invalid.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest

from functions import http, triggers
from shared.bootstrap import Services
from shared.errors import RoutingError
from shared.settings import Settings
from tests.functions.conftest import ADMINISTRATOR_KEY, Ask, adopt_administrator
from tests.training.training_plant import build_plant


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dead-ends") / "data"
    build_plant(folder)
    return folder


@pytest.fixture
def services(factory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A small factory with an active model, whose storage refuses connections at once."""
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;"
        "BlobEndpoint=http://127.0.0.1:9/none;QueueEndpoint=http://127.0.0.1:9/none;"
    )
    folder = Path(shutil.copytree(factory, tmp_path / "data"))
    made = Services(Settings(data_dir=folder, models_dir=folder / "models", ROUTING_STORAGE_CONNECTION=nowhere))
    adopt_administrator(made)
    monkeypatch.setattr(http, "running_services", lambda: made)
    monkeypatch.setattr(triggers, "current_services", lambda: made)
    yield made
    made.recognition.close()
    made.engine.dispose()


def body(response: func.HttpResponse) -> Any:
    return json.loads(response.get_body())


def asked_for(ask: Ask, name: str, **sent: Any) -> str:
    """Ask for work and return its row's id."""
    response = ask(name, body=sent or None, key=ADMINISTRATOR_KEY)
    assert response.status_code == 202, response.get_body()
    return str(body(response)["id"])


def emptied(services: Services, pattern: str) -> None:
    """Let the factory's tables of that name have no row any more."""
    found = sorted(services.settings.source_folder.glob(pattern))
    assert found
    for file in found:
        file.write_text(file.read_text(encoding="utf-8-sig").splitlines()[0] + "\n", encoding="utf-8")


def test_without_samples_a_cycle_is_skipped_and_says_so(ask: Ask, services: Services) -> None:
    emptied(services, "BI_WORK_ORDER_RESULTS*")
    services.snapshots.take_now(reason="a test")
    cycle_id = asked_for(ask, "request_quality_cycle")
    services.quality_cycles.run(cycle_id)
    told = body(ask("get_quality_cycle", params={"id": cycle_id}))

    assert told["state"] == "skipped"
    assert "No item has both a routing and a work result" in told["reason"]
    assert told["evaluated"] == 0
    assert told["metrics"]["quality"]["mae"] is None  # unknown, not 0


def test_without_anything_to_learn_a_job_fails_and_says_so_in_row_log_and_alert(ask: Ask, services: Services) -> None:
    emptied(services, "BI_ROUTING*")
    job_id = asked_for(ask, "request_training")
    services.training_jobs.run(job_id)
    told = body(ask("get_training_job", params={"id": job_id}))
    log = body(ask("get_training_log", params={"id": job_id}))

    assert (told["state"], told["attempt"], told["eta"]) == ("failed", 1, None)
    assert "routing" in told["error"]
    assert (log["items"][-1]["level"], log["items"][-1]["message"]) == ("error", told["error"])
    alerts = body(ask("list_alerts", query={"kind": "training-failed"}))["items"]
    assert [alert["details"] for alert in alerts] == [{"job_id": job_id}]
    assert told["error"] in alerts[0]["message"]


def test_a_job_is_told_what_it_will_do_before_it_begins(ask: Ask, services: Services) -> None:
    wanted = {"kind": "challenger", "label": "try-1", "priority": 7, "dry_run": True}
    job = body(ask("request_training", body=wanted, key=ADMINISTRATOR_KEY))

    assert {name: job[name] for name in wanted} == wanted
    plan = job["plan"]
    assert (plan["registers"], plan["jobs_ahead"], plan["usual_seconds"]) == (False, 0, None)
    assert plan["compared_with"] == services.serving.active().version
    assert plan["rows"]["items"] == services.snapshots.current().rows["items"]
    assert "mlp" in plan["learners"]


def test_when_every_prediction_fails_the_cycle_fails_with_the_reason(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = services.serving.active()

    class Broken:
        """The active model, its arrays gone."""

        def __getattr__(self, name: str) -> Any:
            return getattr(served.model, name)

        def predict_orders(self, _queries: Sequence[Any], _quantities: Any) -> Any:
            raise RoutingError("The model's arrays are gone.")

    broken = SimpleNamespace(version=served.version, model=Broken())
    monkeypatch.setattr(services.serving, "active", lambda: broken)
    cycle_id = asked_for(ask, "request_quality_cycle", sample_size=10)
    services.quality_cycles.run(cycle_id)
    told = body(ask("get_quality_cycle", params={"id": cycle_id}))

    assert told["state"] == "failed"
    assert "The model's arrays are gone" in told["error"]
    assert (told["evaluated"], told["failed"]) == (0, 10)


def test_a_full_queue_is_told_to_a_person_and_kept_for_the_schedule(ask: Ask, services: Services) -> None:
    for number in range(3):
        asked_for(ask, "request_training", label=f"label-{number}")
    refused = ask("request_training", body={"label": "one-too-many"}, key=ADMINISTRATOR_KEY)
    services.training_jobs.enqueue_scheduled("2026-03-01T03:00:00+00:00", "schedule")

    assert refused.status_code == 409
    assert body(refused)["reason"] == "queue full (3)"
    assert "3 jobs wait" in body(refused)["detail"]
    skipped = body(ask("list_training_jobs", query={"state": "skipped"}))["items"]
    assert [job["slot"] for job in skipped] == ["2026-03-01T03:00:00+00:00"]
    assert "The queue is full (3 jobs wait)" in skipped[0]["reason"]
    assert body(ask("list_training_jobs", query={"state": "queued", "kind": "refit"}))["total"] == 3


def test_invalid_settings_are_refused_by_field_or_end_the_job_with_the_reason(ask: Ask, services: Services) -> None:
    refused = ask("change_configuration", body={"training": {"keep_jobs": 0}}, key=ADMINISTRATOR_KEY)
    assert refused.status_code == 422
    assert [error["field"] for error in body(refused)["errors"]] == ["training.keep_jobs"]
    assert body(ask("list_configuration_history"))["total"] == 0

    job_id = asked_for(ask, "request_training")
    wrong = services.settings.model_copy(update={"profile": "no-such-profile"})
    mistaken = Services(wrong)
    mistaken.training_jobs.run(job_id)
    mistaken.engine.dispose()
    told = body(ask("get_training_job", params={"id": job_id}))
    assert told["state"] == "failed"
    assert "no-such-profile" in told["error"]


@pytest.mark.parametrize(
    ("query", "field"), [({"state": "asleep"}, "state"), ({"kind": "magic"}, "kind"), ({"limit": "0"}, "limit")]
)
def test_a_filter_that_cannot_be_is_refused_by_name(ask: Ask, query: dict[str, str], field: str) -> None:
    refused = ask("list_training_jobs", query=query)

    assert refused.status_code == 422
    assert [error["field"] for error in body(refused)["errors"]] == [field]
