"""The edge of HTTP functions: whatever is sent, the answer is the right one or a problem document naming the field."""

import json
from typing import Any

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.http import ENDPOINTS, MAX_BODY_BYTES
from functions.unknown import wrong_address
from shared.bootstrap import Services
from shared.operations.caches import Cache
from tests.functions.conftest import Ask


def problem(response: func.HttpResponse) -> dict[str, Any]:
    """Return the answer's problem document after checking its form."""
    assert response.mimetype == "application/problem+json"
    document: dict[str, Any] = json.loads(response.get_body())
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["code"]
    assert document["detail"]
    return document


def test_a_body_that_is_not_json_is_malformed(ask: Ask) -> None:
    response = ask("predict_routings", raw=b"{not json")
    assert response.status_code == 400
    assert problem(response)["code"] == "malformed-request"


def test_an_empty_body_is_malformed_and_a_chunked_one_is_told_why(ask: Ask) -> None:
    assert ask("predict_routings").status_code == 400
    chunked = ask("predict_routings", headers={"transfer-encoding": "chunked"})
    assert "Content-Length" in problem(chunked)["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": [{"item_code": ""}]}, "items[0].item_code"),
        ({"items": [{"item_code": 7}]}, "items[0].item_code"),
        ({"items": [{"item_code": "A"}], "quantity": 0}, "quantity"),
        ({"items": [{"item_code": "A"}], "quantity": "NaN"}, "quantity"),
        ({"items": [{"item_code": "A"}], "candidates": 99}, "candidates"),
        ({"items": [{"item_code": "A"}], "unheard_of": 1}, "unheard_of"),
        ({"items": [{"item_code": "A", "attributes": {"X": [1]}}]}, "items[0].attributes.X"),
        ({"items": [{"item_code": "A", "attributes": {"X": "y" * 3000}}]}, "items[0].attributes.X"),
        ({"items": [{"item_code": "A"}] * 1001}, "items"),
    ],
)
def test_a_value_that_breaks_a_rule_is_named(ask: Ask, body: dict[str, Any], field: str) -> None:
    response = ask("predict_routings", body=body)
    assert response.status_code == 422
    assert field in {entry["field"] for entry in problem(response)["errors"]}


def test_a_body_over_the_limit_is_refused_unread(ask: Ask) -> None:
    response = ask("predict_routings", raw=b" " * (MAX_BODY_BYTES + 1))
    assert response.status_code == 413
    assert problem(response)["code"] == "too-large"


def test_predictions_wait_for_a_model(ask: Ask) -> None:
    response = ask("predict_routings", body={"items": [{"item_code": "A"}]})
    assert response.status_code == 503
    assert problem(response)["code"] == "no-active-model"
    assert response.headers["retry-after"]


def test_a_sent_request_id_comes_back_unless_it_could_do_harm(ask: Ask) -> None:
    assert ask("get_liveness", headers={"x-request-id": "line-7.a"}).headers["x-request-id"] == "line-7.a"
    assert ask("get_liveness", headers={"x-request-id": "a\r\nb"}).headers["x-request-id"] != "a\r\nb"


def test_a_defect_is_a_problem_document_without_its_stack(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(services.configuration_store), "current", lambda _self: explode())
    response = ask("get_configuration")
    assert response.status_code == 500
    document = problem(response)
    assert document["code"] == "internal-error"
    assert "secret detail" not in json.dumps(document)


def test_a_query_parameter_nobody_knows_is_named(ask: Ask) -> None:
    response = ask("list_models", query={"limt": "5"})
    assert problem(response)["errors"][0]["field"] == "limt"
    assert ask("list_models", query={"limit": "0"}).status_code == 422


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("get_model", {"version": "no-such-version"}),
        ("get_quality_cycle", {"id": "no-such-cycle"}),
        ("get_training_job", {"id": "no-such-job"}),
        ("get_extract", {"id": "no-such-extract"}),
        ("get_active_model", {}),
    ],
)
def test_a_thing_that_does_not_exist_is_not_found(ask: Ask, name: str, params: dict[str, str]) -> None:
    response = ask(name, params=params)
    assert response.status_code == 404
    assert problem(response)["code"] == "not-found"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: json.dumps(text).encode())))
def test_no_body_makes_a_defect(ask: Ask, raw: bytes) -> None:
    """Every endpoint that reads a body answers a problem document, and never a 500."""
    for name, declared in ENDPOINTS.items():
        if declared.body is not None and declared.name != "change_configuration":
            response = ask(name, raw=raw, params={"id": "x", "version": "x"}, key="test-administrator-key")
            assert response.status_code != 500, (name, raw)


def test_the_configuration_changes_as_a_whole_or_not_at_all(ask: Ask, administrator: str) -> None:
    before = json.loads(ask("get_configuration").get_body())
    refused = ask("change_configuration", body={"quality": {"sample_size": 1}}, key=administrator)
    assert refused.status_code == 422
    assert any("sample_size" in entry["field"] for entry in problem(refused)["errors"])
    assert json.loads(ask("get_configuration").get_body()) == before
    changed = ask("change_configuration", body={"quality": {"sample_size": 60}}, key=administrator)
    assert json.loads(changed.get_body())["configuration"]["quality"]["sample_size"] == 60
    history = json.loads(ask("list_configuration_history").get_body())
    assert history["items"][0]["actor"] == "administrator"


def test_health_says_which_part_is_down_and_why(ask: Ask) -> None:
    response = ask("get_health")
    detail = json.loads(response.get_body())
    assert response.status_code == 503
    assert detail["parts"]["registry"]["status"] == "up"
    assert detail["parts"]["storage"]["status"] == "down"
    assert detail["parts"]["model"]["remedy"]


def test_metrics_count_what_was_answered(ask: Ask) -> None:
    ask("get_liveness")
    text = ask("get_metrics").get_body().decode()
    assert 'routing_ml_requests_total{function="get_liveness",status="200"}' in text
    assert 'routing_ml_part_up{part="storage"} 0.0' in text


@pytest.mark.parametrize("host", ["[::1", "[", "]", "[x]", "[v1.]"])
def test_a_host_header_that_cannot_be_read_is_refused_as_a_foreign_name(ask: Ask, host: str) -> None:
    assert problem(ask("list_models", host=host))["code"] == "wrong-host"
    assert ask("get_liveness", host=host).status_code == 200


@pytest.mark.parametrize("value", ["a\x00b", "\r\nX-Injected: 1", "\x7f", "x" * 201])
def test_a_path_parameter_that_nothing_can_be_called_is_named(ask: Ask, value: str) -> None:
    response = ask("get_model", params={"version": value})
    assert response.status_code == 422
    assert problem(response)["errors"][0]["field"] == "version"


@pytest.mark.parametrize("value", [True, "10"])
def test_a_number_is_neither_a_text_nor_a_truth_value(ask: Ask, value: object) -> None:
    response = ask("predict_routings", body={"items": [{"item_code": "A"}], "quantity": value})
    assert problem(response)["errors"][0]["field"] == "quantity"


def test_a_value_that_fits_no_kind_is_one_error_under_its_own_name(ask: Ask) -> None:
    response = ask("predict_routings", body={"items": [{"item_code": "A", "attributes": {"str": [1]}}]})
    assert [entry["field"] for entry in problem(response)["errors"]] == ["items[0].attributes.str"]


def test_an_answer_repeats_no_more_of_a_long_name_than_it_needs(ask: Ask) -> None:
    response = ask("predict_routings", body={"x" * 100_000: 1, "items": [{"item_code": "A"}]})
    assert response.status_code == 422
    assert len(response.get_body()) < 2_000


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_outside_the_calendar_is_named(ask: Ask, at: str) -> None:
    response = ask("get_active_model", query={"at": at})
    assert problem(response)["errors"][0]["field"] == "at"


@pytest.mark.usefixtures("predicting")
def test_every_page_of_health_says_where_unsigned_packages_are_accepted(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("get_liveness", "get_readiness"):
        assert "unsigned_packages_allowed" not in json.loads(ask(name).get_body())
    monkeypatch.setattr(services, "settings", services.settings.model_copy(update={"allow_unsigned": True}))
    for name in ("get_liveness", "get_readiness"):
        assert json.loads(ask(name).get_body())["unsigned_packages_allowed"] is True, name


@pytest.mark.parametrize("allowed", [True, False])
def test_the_page_of_all_parts_says_it_either_way(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(services, "settings", services.settings.model_copy(update={"allow_unsigned": allowed}))
    assert json.loads(ask("get_health").get_body())["unsigned_packages_allowed"] is allowed


def test_caches_are_cleared_as_a_whole_or_by_kind_and_health_tells(ask: Ask, administrator: str) -> None:
    wanted = {"reason": "the ERP was restored", "caches": ["items"]}
    assert ask("clear_caches", body=wanted).status_code == 401
    cleared = json.loads(ask("clear_caches", body=wanted, key=administrator).get_body())
    assert (cleared["caches"], cleared["actor"]) == (["items"], "administrator")
    assert json.loads(ask("get_health").get_body())["caches"]["last_clearing"] == cleared
    everything = json.loads(ask("clear_caches", body={"reason": "all"}, key=administrator).get_body())
    assert set(everything["caches"]) == set(Cache)
    wrong = ask("clear_caches", body={"reason": "all", "caches": ["everything"]}, key=administrator)
    assert wrong.status_code == 422
    assert ask("clear_caches", body={"reason": "none", "caches": []}, key=administrator).status_code == 422


def test_times_are_added_up_over_http(ask: Ask) -> None:
    operation = {"sequence": 10, "operation_code": "CUT", "setup_minutes": 12, "run_minutes_per_unit": 0.5}
    response = ask("summarise_times", body={"operations": [operation], "quantity": 8, "include_breakdown": True})
    answer = json.loads(response.get_body())
    assert response.status_code == 200
    assert (answer["run_minutes"], answer["lead_minutes"], len(answer["breakdown"])) == (4.0, 16.0, 1)
    too_large = ask("summarise_times", body={"operations": [{"sequence": 10**30}]})
    assert problem(too_large)["errors"][0]["field"] == "operations[0].sequence"


@pytest.mark.parametrize("operation", ['{"a": 99999999999999999999}', '{"a": [NaN]}', '{"a": "%s"}' % ("x" * 10_001)])
def test_a_decision_that_could_not_be_read_back_is_refused(ask: Ask, administrator: str, operation: str) -> None:
    raw = b'{"item_code": "A", "outcome": "edited", "operations": [%s]}' % operation.encode()
    response = ask("decide_prediction", raw=raw, params={"id": "pred_1"}, key=administrator)
    assert problem(response)["errors"][0]["field"] == "operations"


def test_a_decision_names_a_prediction(ask: Ask, administrator: str) -> None:
    body = {"item_code": "A", "outcome": "accepted"}
    assert ask("decide_prediction", body=body, params={"id": "pred_1"}, key=administrator).status_code == 201
    refused = ask("decide_prediction", body=body, params={"id": "../x"}, key=administrator)
    assert problem(refused)["errors"][0]["field"] == "id"


@pytest.mark.parametrize("value", ["Infinity", "NaN", "1e308", '"60"', "-1"])
def test_no_configuration_is_stored_that_could_not_be_read_again(ask: Ask, administrator: str, value: str) -> None:
    raw = b'{"training": {"cooldown_minutes": %s}}' % value.encode()
    refused = ask("change_configuration", raw=raw, key=administrator)
    assert problem(refused)["errors"][0]["field"] == "training.cooldown_minutes"
    assert json.loads(ask("get_configuration").get_body())["version"] == 0


def test_a_database_without_tables_is_a_503_everywhere_and_health_still_answers(ask: Ask, services: Services) -> None:
    with services.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE model_versions")
        connection.exec_driver_sql("DROP TABLE alerts")
    for name in ("list_models", "get_readiness", "list_alerts"):
        response = ask(name)
        assert response.status_code == 503
        assert problem(response)["code"] == "database-unavailable"
        assert "SELECT" not in response.get_body().decode()
    assert ask("get_liveness").status_code == 200
    health = ask("get_health")
    assert health.status_code == 503
    assert json.loads(health.get_body())["parts"]["registry"]["status"] == "down"
    assert "SELECT" not in health.get_body().decode()
    assert ask("get_metrics").status_code == 200


def test_an_answer_that_cannot_be_written_is_a_problem_document(
    ask: Ask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(services.health), "detail", lambda _self: {"status": "up", "figure": 10**30})
    response = ask("get_health")
    assert response.status_code == 500
    assert problem(response)["code"] == "internal-error"


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "predictions", "It answers POST."),
        ("DELETE", "models/some-version", "It answers GET."),
        ("POST", "no/such/address", "GET /api/openapi.json lists every one."),
        ("GET", "", "GET /api/openapi.json lists every one."),
    ],
)
def test_an_address_or_method_that_nothing_serves_is_told_so(
    services: Services, method: str, path: str, said: str
) -> None:
    assert services  # which count the request
    request = func.HttpRequest(
        method=method, url=f"http://127.0.0.1/api/{path}", headers={}, params={}, route_params={"path": path}, body=b""
    )
    user_function = wrong_address.build().get_user_function()
    response = user_function(request)
    assert response.status_code == 404
    assert problem(response)["remedy"] == said


def test_the_function_for_wrong_addresses_is_tried_last() -> None:
    assert max(ENDPOINTS) < "wrong_address"
