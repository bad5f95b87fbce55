"""Every changing endpoint leaves an audit event, its refusals too; only an auditor reads them; no secret is in one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from functions import triggers
from functions.access import Access
from functions.http import ENDPOINTS
from shared.bootstrap import Services
from shared.database.audit import REFUSALS_A_MINUTE, AuditQuery
from shared.database.tables import ModelVersion, TrainingJob
from shared.errors import Conflict
from shared.identity.callers import Role
from shared.prediction.model import RoutingModel
from shared.registry.build import build_package
from shared.registry.lifecycle import Lifecycle
from tests.functions.conftest import Ask

# Endpoints with a method that could change something, and why nothing is to be recorded of them.
CHANGE_NOTHING = {
    "export_routings": "a file of what was sent, kept nowhere",
    "import_routings": "what a file holds, kept nowhere",
    "predict_routings": "an answer is not a change; it is recorded in the table of predictions",
    "summarise_times": "an answer, kept nowhere",
    "verify_model": "runs checks and writes nothing; only refusals of it are recorded",
}
CHANGING = sorted(name for name, declared in ENDPOINTS.items() if declared.method != "GET")
WITH_A_SESSION = {"begin_session", "end_session"}  # they look at no key in a header: a test of their own is below
REASON = {"reason": "for a test"}


def events(services: Services, **wanted: Any) -> list[dict[str, Any]]:
    return services.audit.list(AuditQuery(**wanted), limit=500)[0]


class Installation:
    """What each endpoint needs to find so that it has something to change."""

    def __init__(self, services: Services, model: RoutingModel, folder: Path) -> None:
        self._services, self._model, self._folder = services, model, folder
        services.lifecycle = Lifecycle(services.settings, services.model_versions, keys=services.keys)

    def installed(self, version: str) -> str:
        build_package(self._model, self._folder / version, version=version, keys=self._services.keys)
        self._services.registrations.register_local(self._folder / version, actor="test", reason="for a test")
        return version

    def known(self, version: str) -> str:
        """A row without a folder: enough for what looks at no file."""
        row = ModelVersion(
            version=version, manifest_sha256="0" * 64, model_kind="k", schema_version="1",
            registered_at=self._services.clock(),
        )  # fmt: skip
        self._services.model_versions.insert(row)
        return version

    def alert(self) -> str:
        return self._services.alerts.raise_alert("quality", "mae", "bad").id

    def job(self) -> str:
        return self._services.training_jobs.enqueue("refit", reason="r", actor="test").id

    def buried(self) -> str:
        job = self.job()
        self._services.work.give_up(TrainingJob, job, "no")
        return self._services.poison_messages.bury(TrainingJob.QUEUE, json.dumps({"id": job}), "no")

    def key(self) -> str:
        return self._services.api_keys.make("kim", Role.PLANNER, by="test").key.id

    def rolled_over(self) -> dict[str, str]:
        for version in ("older", "newer"):
            self.installed(version)
            self._services.lifecycle.activate(version, actor="test", reason="for a test")
        return {}


# For each endpoint: what is there before, the body, and what the audit calls the change.
Case = tuple[Callable[[Installation], dict[str, str]], Any, str]
CASES: dict[str, Case] = {
    "acknowledge_alert": (lambda at: {"id": at.alert()}, None, "alert.acknowledged"),
    "activate_model": (lambda at: {"version": at.installed("fresh")}, REASON, "model.active"),
    "cancel_training_job": (lambda at: {"id": at.job()}, None, "training-job.cancelled"),
    "change_configuration": (lambda at: {}, {"training": {"queue_limit": 7}}, "configuration.changed"),
    "clear_caches": (lambda at: {}, REASON, "caches.cleared"),
    "close_alert": (lambda at: {"id": at.alert()}, {"note": "mended"}, "alert.closed"),
    "decide_prediction": (
        lambda at: {"id": "pred_" + "0" * 32}, {"item_code": "A", "outcome": "accepted"}, "prediction.decided",
    ),
    "make_api_key": (lambda at: {}, {"user": "kim", "role": "planner"}, "key.made"),
    "pin_model": (lambda at: {"version": at.known("pinned")}, REASON, "model.pinned"),
    "reject_model": (lambda at: {"version": at.known("bad")}, REASON, "model.rejected"),
    "remove_model": (lambda at: {"version": at.known("old")}, REASON, "model.removed"),
    "replay_poison": (lambda at: {"id": at.buried()}, None, "training-job.reopened"),
    "request_quality_cycle": (lambda at: {}, None, "quality-cycle.requested"),
    "request_snapshot": (lambda at: {}, None, "extract.requested"),
    "request_training": (lambda at: {}, None, "training-job.requested"),
    "revoke_api_key": (lambda at: {"id": at.key()}, None, "key.revoked"),
    "rollback_model": (lambda at: at.rolled_over(), REASON, "model.active"),
    "rotate_api_key": (lambda at: {"id": at.key()}, None, "key.rotated"),
    "unpin_model": (lambda at: {"version": at.known("pinned")}, REASON, "model.unpinned"),
}  # fmt: skip


def test_every_changing_endpoint_has_a_case_or_a_reason() -> None:
    assert sorted([*CASES, *CHANGE_NOTHING, *WITH_A_SESSION]) == CHANGING


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_change_leaves_an_event_with_its_caller(
    name: str, ask: Ask, services: Services, administrator: str, model: RoutingModel, tmp_path: Path
) -> None:
    prepare, body, action = CASES[name]
    params = prepare(Installation(services, model, tmp_path))
    if name == "unpin_model":
        services.model_versions.pin("pinned", pinned=True, actor="test", reason="for a test")
    before = services.audit.list(AuditQuery())[1]
    headers = {"x-request-id": "request-7", "x-forwarded-for": "10.0.0.9"}
    response = ask(name, body=body, params=params, key=administrator, headers=headers)
    if name != "replay_poison":  # no storage answers here: the row is reopened, and its bell left to the sweep
        assert response.status_code < 300, response.get_body()
    rows, _ = services.audit.list(AuditQuery(action=action, actor="administrator"), limit=1)
    assert rows, f"{name} left no {action}"
    assert rows[0]["sequence"] > before
    told = {name: rows[0][name] for name in ("role", "origin", "request_id", "outcome")}
    assert told == {
        "role": "administrator", "origin": "http 10.0.0.9", "request_id": "request-7", "outcome": "done"
    }  # fmt: skip
    assert services.audit.verify().ok


@pytest.mark.parametrize("name", sorted(set(CHANGING) - WITH_A_SESSION))
def test_a_refusal_leaves_an_event_with_its_reason(name: str, ask: Ask, services: Services) -> None:
    planner = services.api_keys.make("kim", Role.VIEWER, by="test").text
    ask(name, body={}, params={"id": "x", "version": "x"}, key="wrong", headers={"x-request-id": "r-1"})
    wrong = events(services, action=name)[0]
    assert (wrong["actor"], wrong["outcome"], wrong["request_id"]) == ("anonymous", "refused", "r-1")
    assert json.loads(wrong["after"]) == {"code": "not-authenticated"}
    if ENDPOINTS[name].access is not Access.READ:
        ask(name, body={}, params={"id": "x", "version": "x"}, key=planner)
        forbidden = events(services, action=name)[0]
        assert (forbidden["actor"], forbidden["role"]) == ("kim", "viewer")
        assert json.loads(forbidden["after"]) == {"code": "forbidden"}
    assert services.audit.verify().ok


def test_signing_in_and_out_is_recorded_under_the_users_name(ask: Ask, services: Services, administrator: str) -> None:
    services.session_secrets.ensure()  # as the first start does
    assert ask("begin_session", body={"key": "wrong"}).status_code == 401
    begun = ask("begin_session", body={"key": administrator}, headers={"x-forwarded-for": "10.0.0.9"})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    page = {"cookie": cookie, "x-requested-with": "1"}
    assert ask("change_configuration", body={"training": {"queue_limit": 7}}, headers=page).status_code == 200
    for _ in range(2):  # doing it twice is recorded once
        assert ask("end_session", headers=page).status_code == 204
    ended, changed, signed_in, refused = events(services)[:4]
    assert [event["action"] for event in (refused, signed_in, changed, ended)] == [
        "begin_session", "session.begun", "configuration.changed", "session.ended"
    ]  # fmt: skip
    assert {event["actor"] for event in (signed_in, changed, ended)} == {"administrator"}
    assert (signed_in["role"], signed_in["origin"], refused["actor"]) == (
        "administrator", "http 10.0.0.9", "anonymous",
    )  # fmt: skip
    assert cookie.partition("=")[2] not in str(events(services))


def test_what_a_state_forbids_is_recorded_as_the_callers(ask: Ask, services: Services, administrator: str) -> None:
    ask("activate_model", body=REASON, params={"version": "nothing"}, key=administrator)
    ask("rollback_model", body=REASON, key=administrator)
    rollback, activate = events(services, actor="administrator", outcome="refused")
    assert json.loads(activate["after"]) == {"code": "not-found"}
    assert json.loads(rollback["after"]) == {"code": "conflict"}
    assert activate["role"] == "administrator"


def test_doing_it_twice_is_recorded_once(ask: Ask, services: Services, administrator: str) -> None:
    alert = services.alerts.raise_alert("quality", "mae", "bad").id
    for _ in range(2):
        assert ask("acknowledge_alert", params={"id": alert}, key=administrator).status_code == 200
        assert ask("change_configuration", body={"training": {"queue_limit": 7}}, key=administrator).status_code == 200
    assert len(events(services, action="alert.acknowledged")) == 1
    assert len(events(services, action="configuration.changed")) == 1


def test_predictions_leave_no_event(ask: Ask, services: Services, predicting: None) -> None:
    before = services.audit.list(AuditQuery())[1]
    for _ in range(5):
        assert ask("predict_routings", body={"items": [{"item_code": "R-001"}]}).status_code == 200
    services.prediction_log.close()
    assert services.audit.list(AuditQuery())[1] == before


def test_a_flood_of_wrong_keys_is_counted_and_not_kept(ask: Ask, services: Services) -> None:
    for _ in range(REFUSALS_A_MINUTE + 15):
        ask("list_models", key="wrong")
    assert len(events(services, action="list_models")) == REFUSALS_A_MINUTE
    assert services.audit.verify().ok


def test_only_an_auditor_reads_it(ask: Ask, services: Services, administrator: str) -> None:
    keys = {role: services.api_keys.make(f"user of {role}", role, by="test").text for role in Role}
    answers = {role: ask("list_audit", key=key).status_code for role, key in keys.items()}
    assert answers == {role: 200 if role is Role.AUDITOR else 403 for role in Role}
    assert ask("list_audit").status_code == 401
    assert ask("list_audit", key=administrator).status_code == 403
    refused = events(services, action="list_audit", outcome="refused")
    assert len(refused) == len(Role) + 1


def test_it_is_filtered_and_paged(ask: Ask, services: Services) -> None:
    auditor = services.api_keys.make("audrey", Role.AUDITOR, by="test").text
    for number in range(5):
        services.alerts.raise_alert("quality", f"m{number}", "bad")
    moment = services.clock().isoformat()

    def read(**query: str) -> Any:
        return json.loads(ask("list_audit", query=query, key=auditor).get_body())

    page = read(action="alert.", limit="2", offset="1")
    assert (page["total"], [json_["after"]["subject"] for json_ in page["items"]]) == (5, ["m3", "m2"])
    assert read(action="alert")["total"] == 0
    assert read(action="alert.opened", until=moment)["total"] == 5
    assert read(since=moment)["total"] == 0
    assert read(actor="test", action="key.made")["total"] == 1
    assert read(object=page["items"][0]["object"])["total"] == 1
    assert ask("list_audit", query={"since": "yesterday"}, key=auditor).status_code == 422


def test_messages_and_timers_say_what_woke_them(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    message = func.QueueMessage(id="m-1", body=b"no doorbell")
    import function_app

    bury = next(f for f in function_app.app.get_functions() if f.get_function_name() == "bury_retraining")
    monkeypatch.setattr(triggers, "current_services", lambda: services)
    for _ in range(2):  # delivered twice
        bury.get_user_function()(message)
    (buried,) = events(services, action="message.buried")
    assert (buried["actor"], buried["origin"], buried["request_id"]) == ("system", "queue bury_retraining", "m-1")


def test_no_secret_reaches_it(ask: Ask, services: Services, administrator: str) -> None:
    """Secrets are put wherever a caller can put text, and into every kind of change."""
    made = services.api_keys.make("kim", Role.OPERATOR, by="test", label=f"like {administrator}").text
    secrets = [
        administrator, made, "s3cretAccountKey==", "hunter2hunter2", "MIIEvQIBADANBg",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefgh", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ]  # fmt: skip
    text = (
        f"{administrator} and {made}; AccountName=a;AccountKey={secrets[2]}; Driver=x;Pwd={secrets[3]};Server=y "
        f"https://u:{secrets[3]}@host/ -----BEGIN PRIVATE KEY-----\n{secrets[4]}\n-----END PRIVATE KEY----- "
        f"{secrets[5]} {secrets[6]} Bearer {made}"
    )
    alert = services.alerts.raise_alert("quality", text, text).id
    ask("close_alert", body={"note": text}, params={"id": alert}, key=administrator)
    decision = {"item_code": "A", "outcome": "rejected", "reason": text, "operations": [{"password": secrets[3]}]}
    ask("decide_prediction", body=decision, params={"id": "pred_" + "0" * 32}, key=administrator)
    ask("activate_model", body={"reason": text}, params={"version": text[:150]}, key=administrator)
    ask("request_snapshot", body={"reason": text[:400]}, key=administrator)
    ask("make_api_key", body={"user": "lee", "role": "viewer", "label": made}, key=administrator)
    ask("rotate_api_key", params={"id": made[:100]}, key=administrator)
    ask("list_models", key=made, headers={"x-request-id": made[:64]})
    ask("list_models", key="wrong", headers={"x-request-id": administrator})
    with pytest.raises(Conflict), services.audit.changing("thing", text, after={"token": made, "said": text}):
        raise Conflict(text)
    services.work.give_up(TrainingJob, services.training_jobs.enqueue("refit", reason=text, actor="a").id, text)
    services.poison_messages.bury("retraining", text, text)
    written = "\n".join(json.dumps(event) for event in services.audit.export())
    assert written.count("(left out)") > 20
    for secret in secrets:
        assert secret not in written
