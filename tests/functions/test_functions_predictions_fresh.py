"""This morning's item over the endpoint: entered into the ERP after the model was trained, and predicted at once."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import cli.predict as predict_command
from functions import http
from shared.bootstrap import Services
from shared.clock import utc_now
from shared.configuration import default_configuration
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import own_location
from shared.prediction.fit import fit_model
from shared.registry.build import build_package
from shared.registry.installation import Installer
from shared.settings import Settings
from tests.databases import set_up
from tests.functions.conftest import Ask, adopt_administrator
from tests.prediction.fresh_plant import NEW_RING, Plant, require_sqlite_driver
from tests.prediction.prediction_factories import STEPS, routing_row

NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=none;AccountKey=bm9uZQ==;"
    "BlobEndpoint=http://127.0.0.1:9/none;QueueEndpoint=http://127.0.0.1:9/none;"
)
VERSION = "yesterday"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of an installation that serves a model trained from the plant's files."""
    folder = tmp_path_factory.mktemp("trained")
    source = Plant(folder).settings(folder)
    snapshot = extract(load_profile(source.profile), own_location(source), folder / "snapshots", now=utc_now())
    settings = Settings(data_dir=folder / "data")
    set_up(settings.database)
    made = Services(settings)
    made.keys.ensure()
    package = folder / VERSION
    build_package(fit_model(snapshot, default_configuration()), package, version=VERSION, keys=made.keys)
    Installer(settings, made.engine, keys=made.keys).register_local(package, actor="test", reason="for a test")
    made.lifecycle.activate(VERSION, actor="test", reason="for a test")
    made.engine.dispose()
    return settings.data_dir


@pytest.fixture(params=["folder", "database"])
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Plant:
    if request.param == "database":
        require_sqlite_driver()
    return Plant(tmp_path, database=request.param == "database")


def serving(trained: Path, settings: Settings) -> Services:
    """Return the services of another installation like the trained one."""
    shutil.copytree(trained, settings.data_dir)
    return Services(settings)


@pytest.fixture
def services(trained: Path, plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """An installation whose ERP is the plant's."""
    settings = plant.settings(tmp_path / "data", ROUTING_STORAGE_CONNECTION=NOWHERE, lookup_timeout_seconds=20.0)
    made = serving(trained, settings)
    adopt_administrator(made)
    monkeypatch.setattr(http, "running_services", lambda: made)
    yield made
    made.recognition.close()
    made.item_lookup.close()
    made.prediction_log.close()
    made.engine.dispose()


def predictions(ask: Ask, *codes: str, **options: Any) -> list[dict[str, Any]]:
    response = ask("predict_routings", body={"items": [{"item_code": code} for code in codes], **options})
    assert response.status_code == 200, response.get_body()
    answers: list[dict[str, Any]] = json.loads(response.get_body())["predictions"]
    return answers


def test_an_item_entered_after_the_training_is_predicted_with_a_routing(ask: Ask, plant: Plant) -> None:
    assert [answer["status"] for answer in predictions(ask, "BEFORE", "RING001")] == ["unknown_item", "ok"]
    plant.add_item("NEW1")
    plant.add_item("new2")
    plant.add_steps(routing_row("NEW2", 10, "SAW"), routing_row("NEW2", 20, "PACK"))
    alone, routed, known, nobody = predictions(ask, "new1", "NEW2", "RING001", "NOBODY")
    assert (alone["status"], routed["status"], known["status"]) == ("ok", "ok", "ok")
    assert alone["candidates"][0]["routing_signature"] == ">".join(STEPS["ring"])
    assert (routed["candidates"][0]["source"], routed["candidates"][0]["routing_signature"]) == ("erp", "SAW>PACK")
    assert "Read from the ERP at" in alone["message"]
    assert known["message"] is None
    assert nobody["status"] == "unknown_item"
    assert "nor the ERP" in nobody["message"]


def test_what_was_read_from_the_erp_is_recorded_and_counted_like_any_other(
    ask: Ask, plant: Plant, services: Services, administrator: str
) -> None:
    plant.add_item("NEW1")
    predictions(ask, "NEW1", "NOBODY")
    services.prediction_log.close()
    assert (services.prediction_log.written, services.prediction_log.dropped) == (2, 0)
    text = ask("get_metrics", key=administrator).get_body().decode()
    counts = {line.split("{")[1].split("}")[0] for line in text.splitlines() if "item_lookups_total{" in line}
    assert {'outcome="found"', 'outcome="missing"'} <= counts


def test_a_hundred_unknown_codes_are_one_question(
    ask: Ask, plant: Plant, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.add_item("NEW1")
    asked: list[list[str]] = []
    find = services.item_lookup.find

    def listening(codes: list[str], **rest: Any) -> Any:
        asked.append(codes)
        return find(codes, **rest)

    monkeypatch.setattr(services.item_lookup, "find", listening)
    answers = predictions(ask, *(f"NEW{number}" for number in range(100)))
    assert [answer["item_code"] for answer in answers if answer["status"] == "ok"] == ["NEW1"]
    assert [len(codes) for codes in asked] == [100]


def test_codes_that_mean_harm_are_unknown_items(ask: Ask, plant: Plant) -> None:
    plant.add_item("NEW1")
    harmful = ["'; DROP TABLE parts; --", "%", "_EW1", "NEW1\u0000", "NEW1' OR '1'='1", "x" * 200]
    assert {answer["status"] for answer in predictions(ask, *harmful)} == {"unknown_item"}
    assert predictions(ask, "NEW1")[0]["status"] == "ok"


@pytest.mark.parametrize("plant", ["folder"], indirect=True)
def test_a_database_server_that_never_answers_delays_one_answer_and_fails_none(
    ask: Ask, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyodbc = pytest.importorskip("pyodbc", reason="needs the machine's ODBC library")
    driver = next((name for name in pyodbc.drivers() if name.startswith("PostgreSQL")), None)
    if driver is None:
        pytest.skip("needs the ODBC driver of PostgreSQL (Debian: odbc-postgresql)")
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        where = f"Driver={{{driver}}};Server=127.0.0.1;Port={silent.getsockname()[1]};Database=erp;Uid=u;Pwd=secret"
        settings = Settings(
            data_dir=tmp_path / "silent", profile=str(Plant(tmp_path / "files").profile), lookup_timeout_seconds=0.5,
            erp_connection=SecretStr(where), ROUTING_STORAGE_CONNECTION=NOWHERE,
        )  # fmt: skip
        made = serving(trained, settings)
        monkeypatch.setattr(http, "running_services", lambda: made)
        given = {"item_code": "NEW1", "attributes": {k: v for k, v in NEW_RING.items() if k != "DRAWING"}}
        response = ask("predict_routings", body={"items": [{"item_code": "NEW2"}, given, {"item_code": "RING001"}]})
        unknown, ours, known = json.loads(response.get_body())["predictions"]
        hanging = [thread for thread in threading.enumerate() if thread.name == "erp-lookup"]
        assert made.item_lookup.status()["state"] == "open"
    for thread in hanging:
        thread.join(30)
    made.prediction_log.close()
    made.engine.dispose()
    assert (unknown["status"], ours["status"], known["status"]) == ("unknown_item", "ok", "ok")
    assert "the ERP did not answer within 0.5 s; it is asked again from" in unknown["message"]
    assert "given attributes alone" in ours["message"]
    assert known["message"] is None
    assert "secret" not in response.get_body().decode()


def test_the_command_line_answers_as_the_endpoint_does(
    ask: Ask, plant: Plant, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.add_item("NEW1")
    [over_http] = predictions(ask, "new1")
    monkeypatch.setattr(predict_command, "current_services", lambda: services)
    capsys.readouterr()
    predict_command.predict(codes=["new1"], as_json=True)
    printed = capsys.readouterr().out
    [on_the_line] = json.loads(printed[printed.index("{") :])["predictions"]
    assert on_the_line == over_http
