"""Asking for an extract over HTTP: how the ERP is to be read, and why."""

import json
from collections.abc import Callable

import azure.functions as func

from shared.bootstrap import Services
from shared.database.tables import Extract

Ask = Callable[..., func.HttpResponse]


def test_request_for_an_extract_says_how_and_why(ask: Ask, services: Services, administrator: str) -> None:
    """Both stand in the row that the worker runs, and in the answer."""
    response = ask("request_snapshot", body={"full": True, "reason": "the view was changed"}, key=administrator)
    assert response.status_code == 202
    answer = json.loads(response.get_body())
    row = services.work.get(Extract, answer["id"])
    assert row.full_reading is answer["full_reading"] is True
    assert row.reason.endswith(": the view was changed")


def test_request_without_a_body_reads_what_changed(ask: Ask, services: Services, administrator: str) -> None:
    """As every client did before there was one."""
    response = ask("request_snapshot", key=administrator)
    assert response.status_code == 202
    assert services.work.get(Extract, json.loads(response.get_body())["id"]).full_reading is False


def test_request_that_says_something_else_is_refused(ask: Ask, services: Services, administrator: str) -> None:
    """An unknown field, or a text where a yes is meant, asks for nothing."""
    for body in ({"ful": True}, {"full": "true"}):
        response = ask("request_snapshot", body=body, key=administrator)
        assert response.status_code == 422
        assert json.loads(response.get_body())["errors"][0]["field"] == next(iter(body))
    assert services.work.list(Extract)[1] == 0
