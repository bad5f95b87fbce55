"""Stored predictions over HTTP: shown as they were answered, and exported in every form."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import azure.functions as func
import fastexcel
import pytest

from functions import exports
from shared.bootstrap import Services
from shared.database.engine import writing
from shared.database.tables import Prediction
from tests.functions.conftest import Ask
from tests.functions.predicting import VERSION

pytestmark = pytest.mark.usefixtures("predicting")


@pytest.fixture
def answered(ask: Ask) -> dict[str, Any]:
    """An answer on two known items and one that nobody knows."""
    items = [{"item_code": code} for code in ("RING005", "NOBODY", "KIT002")]
    response = ask("predict_routings", body={"items": items, "quantity": 20, "as_if_unknown": True})
    document: dict[str, Any] = json.loads(response.get_body())
    return document


def exported(ask: Ask, prediction_id: str, name: str) -> func.HttpResponse:
    return ask("get_prediction_export", params={"id": prediction_id, "export": name})


def test_an_answer_is_shown_again_as_it_was_given(ask: Ask, answered: dict[str, Any]) -> None:
    response = ask("get_prediction", params={"id": answered["prediction_id"]})
    stored = json.loads(response.get_body())
    assert response.status_code == 200
    assert response.headers["x-model-version"] == stored["model_version"] == VERSION
    assert (stored["prediction_id"], stored["as_if_unknown"]) == (answered["prediction_id"], True)
    assert {item.pop("quantity") for item in stored["predictions"]} == {20}
    assert stored["predictions"] == answered["predictions"]
    exports.StoredPrediction.model_validate(json.loads(response.get_body()))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("export.csv", "text/csv"),
        ("export.erp.csv", "text/csv"),
        ("export.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("export.erp.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("export.json", "application/json"),
        ("export.xml", "application/xml"),
    ],
)
def test_every_export_is_a_file_of_its_type(ask: Ask, answered: dict[str, Any], name: str, media_type: str) -> None:
    response = exported(ask, answered["prediction_id"], name)
    assert (response.status_code, response.mimetype) == (200, media_type)
    file_name = f"{answered['prediction_id']}.{name.removeprefix('export.')}"
    assert response.headers["content-disposition"] == f'attachment; filename="{file_name}"'
    body = response.get_body()
    if name.endswith("csv"):
        rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))
        assert {row.get("item_code") or row["ITEM_CD"] for row in rows} >= {"RING005", "KIT002"}
    elif name.endswith("xlsx"):
        assert fastexcel.read_excel(body).load_sheet(0).height > 0
    elif name.endswith("xml"):
        assert len(ElementTree.fromstring(body).findall("predictions/prediction")) == 3
    else:
        assert len(json.loads(body)["predictions"]) == 3


def test_a_wrong_ending_is_told_the_right_ones(ask: Ask, answered: dict[str, Any]) -> None:
    for name in ("export", "export.pdf", "report.csv", "export.csv.gz", "decisions"):
        response = exported(ask, answered["prediction_id"], name)
        assert response.status_code == 404
        assert "export.erp.csv" in json.loads(response.get_body())["remedy"]


@pytest.mark.parametrize("prediction_id", ["x", "pred_" + "0" * 32, "..", "%", "' OR 1=1 --", "가"])
def test_what_was_never_stored_is_not_found(ask: Ask, monkeypatch: pytest.MonkeyPatch, prediction_id: str) -> None:
    monkeypatch.setattr(exports, "WAIT_SECONDS", 0.1)
    for name, params in (("get_prediction", {}), ("get_prediction_export", {"export": "export.csv"})):
        response = ask(name, params={"id": prediction_id, **params})
        assert response.status_code == 404
        assert "ask again" in json.loads(response.get_body())["remedy"]


def test_an_answer_that_another_release_stored_is_said_to_be_so(ask: Ask, services: Services) -> None:
    with writing(services.engine) as session:
        session.add(
            Prediction(
                prediction_id="pred_old", item_code="A", model_version="v0", status="ok", quantity=1.0,
                as_if_unknown=False, answer={"operations": "elsewhere"}, created_at=datetime(2025, 1, 1, tzinfo=UTC),
            )
        )  # fmt: skip
    response = ask("get_prediction", params={"id": "pred_old"})
    assert response.status_code == 404
    assert "another release" in json.loads(response.get_body())["detail"]
