"""Reads are open on loopback, every change wants a key, and no endpoint is without a rule."""

import json
from pathlib import Path

import pytest

from functions.access import Access
from functions.credentials import client_address
from functions.http import ENDPOINTS
from shared.bootstrap import Services
from shared.database.engine import make_engine
from tests.functions.conftest import Ask

CHANGES = sorted(name for name, declared in ENDPOINTS.items() if declared.access not in (Access.OPEN, Access.READ))
READS = sorted(name for name, declared in ENDPOINTS.items() if declared.access is Access.READ)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_without_a_key_is_refused(ask: Ask, name: str) -> None:
    for key in (None, "wrong", " "):
        response = ask(name, body={}, params={"id": "x", "version": "x"}, key=key)
        assert response.status_code == 401
        assert json.loads(response.get_body())["code"] == "not-authenticated"


def test_only_reads_and_predictions_are_open() -> None:
    open_posts = {name for name in READS if ENDPOINTS[name].method != "GET"}
    assert open_posts == {"predict_routings", "summarise_times", "export_routings", "import_routings"}
    closed_gets = {name for name in CHANGES if ENDPOINTS[name].method == "GET"}
    assert closed_gets == {"list_api_keys", "list_audit", "list_log_lines", "download_log"}


@pytest.mark.parametrize("name", READS)
def test_reads_want_a_key_beyond_loopback(ask: Ask, services: Services, name: str) -> None:
    beyond = services.settings.model_copy(update={"bind_address": "0.0.0.0"})
    services.settings = beyond
    assert ask(name, body={}, params={"id": "x", "version": "x", "item_code": "x"}).status_code == 401


def test_a_rebound_name_is_not_answered_on_loopback(ask: Ask, administrator: str) -> None:
    assert ask("list_models", host="evil.example:7071").status_code == 421
    assert ask("list_models", host="localhost:7071").status_code == 200
    assert ask("list_models", host="evil.example:7071", key=administrator).status_code == 200


def test_a_bearer_token_is_a_key_too(ask: Ask, administrator: str) -> None:
    assert ask("list_models", headers={"authorization": f"Bearer {administrator}"}, host="x.y").status_code == 200


def test_commands_read_the_administrators_file_and_requests_do_not(
    ask: Ask, services: Services, administrator: str
) -> None:
    services.settings.administrator_key.write_text("whatever")
    assert ask("rollback_model", body={"reason": "x"}, key="whatever").status_code == 401
    assert ask("rollback_model", body={"reason": "x"}, key=administrator).status_code == 409
    services.api_keys.adopt_file(by="test")  # as the next start does
    assert ask("rollback_model", body={"reason": "x"}, key="whatever").status_code == 409
    assert ask("rollback_model", body={"reason": "x"}, key=administrator).status_code == 401


def test_a_database_that_is_away_is_named_where_a_key_must_be_looked_up(
    ask: Ask, services: Services, administrator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.db").mkdir()
    away = make_engine(f"sqlite:///{(tmp_path / 'folder.db').as_posix()}")
    monkeypatch.setattr(services.api_keys, "_engine", away)
    refused = ask("rollback_model", body={"reason": "x"}, key=administrator)
    assert (refused.status_code, json.loads(refused.get_body())["code"]) == (503, "database-unavailable")
    assert ask("get_liveness", key=administrator).status_code == 200, "who asks whether it lives is not asked who it is"
    away.dispose()


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("1.2.3.4, 10.0.0.7", "10.0.0.7"),  # what the client wrote stands first and counts for nothing
        ("10.0.0.7:50123", "10.0.0.7"),
        ("::1", "::1"),
        ("[2001:db8::7]:50123", "2001:db8::7"),
        ("", "unknown"),
        ("<script>", "unknown"),
    ],
)
def test_a_callers_address_is_the_one_that_the_host_saw(forwarded: str, address: str) -> None:
    assert client_address({"x-forwarded-for": forwarded}) == address
