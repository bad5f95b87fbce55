"""GET /api/data/quality: the stored document where there is one, measured once where there is none, and the trend."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, update

from functions import http
from shared.bootstrap import Services
from shared.database.data_quality import DataQualityRows
from shared.database.engine import writing
from shared.database.tables import DataQuality
from shared.settings import Settings
from tests.database.database_support import MovableClock
from tests.databases import set_up
from tests.functions.conftest import Ask

PROFILE = """
name: tiny
items:
  table: items
  columns: {item_code: CODE}
  attributes:
    KIND: {kind: categorical}
routings:
  table: routings
  time_unit: minutes
  columns: {item_code: CODE, sequence: SEQ, operation_code: OP, run_minutes_per_unit: RUN}
work_results:
  table: results
  time_unit: minutes
  columns: {item_code: CODE, operation_code: OP, reported_at: DAY, quantity: QTY, run_minutes: RUN}
"""


class Plant:
    """A factory of two items whose files a test changes between snapshots."""

    def __init__(self, services: Services, source: Path, clock: MovableClock) -> None:
        self.services = services
        self.source = source
        self.clock = clock
        self.rows = DataQualityRows(services.engine, clock)

    def snapshot(self, kinds: str = "ring seal") -> str:
        """Read the factory, a day later, with these kinds of its items."""
        self.clock.advance(timedelta(days=1).total_seconds())
        first, _, second = kinds.partition(" ")
        (self.source / "items.csv").write_text(f"CODE,KIND\nA,{first}\nB,{second}\n")
        return self.services.snapshots.take_now(reason="test").id

    def forget(self, snapshot_id: str) -> None:
        """Lose what was measured of a snapshot, as when it was taken by an older release."""
        with writing(self.services.engine) as session:
            of_snapshot = col(DataQuality.snapshot_id) == snapshot_id
            session.exec(update(DataQuality).where(of_snapshot).values(schema_version="old@0", document={"old": True}))


@pytest.fixture
def plant(tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    source = tmp_path / "erp"
    source.mkdir()
    (source / "routings.csv").write_text("CODE,SEQ,OP,RUN\nA,10,CUT,1\nB,10,TURN,2\n")
    (source / "results.csv").write_text("CODE,OP,DAY,QTY,RUN\nA,CUT,2026-01-05,10,11\n")
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    settings = Settings(
        data_dir=tmp_path / "tiny", profile=str(tmp_path / "tiny.yaml"), source=str(source),
        ROUTING_STORAGE_CONNECTION="AccountName=none;AccountKey=bm9uZQ==;BlobEndpoint=http://127.0.0.1:9/none;"
        "QueueEndpoint=http://127.0.0.1:9/none;",
    )  # fmt: skip
    set_up(settings.database)
    clock = MovableClock()
    services = Services(settings, clock=clock)
    monkeypatch.setattr(http, "running_services", lambda: services)
    yield Plant(services, source, clock)
    services.engine.dispose()


def told(ask: Ask, **query: str) -> dict[str, Any]:
    response = ask("get_data_quality", query=query)
    assert response.status_code == 200, response.get_body()
    document: dict[str, Any] = json.loads(response.get_body())
    return document


def test_without_a_snapshot_it_says_how_to_take_one(plant: Plant, ask: Ask) -> None:
    response = ask("get_data_quality")
    assert response.status_code == 404
    assert "POST /api/data/snapshots" in json.loads(response.get_body())["remedy"]


def test_the_newest_snapshots_document_is_told(plant: Plant, ask: Ask) -> None:
    newest = plant.snapshot()
    document = told(ask)
    assert (document["snapshot_id"], document["snapshot"]) == (newest, newest)
    assert document["attributes"][0]["completeness"] == 1.0
    assert document["join"]["joined_share"] == 1.0
    assert document["trend"] == {"against": None, "worse": [], "better": []}
    assert "history" not in document


def test_what_got_worse_since_the_snapshot_before_is_told_by_column(plant: Plant, ask: Ask) -> None:
    first, _second = plant.snapshot(), plant.snapshot("ring")
    trend = told(ask)["trend"]
    assert trend["against"]["snapshot_id"] == first
    assert trend["worse"] == [{"figure": "completeness of KIND", "before": 1.0, "now": 0.5, "change": -0.5}]
    third = plant.snapshot()
    assert told(ask)["trend"]["better"][0]["change"] == 0.5
    history = told(ask, history="2")["history"]
    assert [entry["snapshot_id"] for entry in history] == [third, _second]
    assert [entry["figures"]["shares"]["completeness of KIND"] for entry in history] == [1.0, 0.5]


def test_an_older_snapshot_is_told_against_the_one_before_it(plant: Plant, ask: Ask) -> None:
    first, second, _third = plant.snapshot(), plant.snapshot("ring"), plant.snapshot()
    document = told(ask, snapshot=second, history="9")
    assert document["trend"]["against"]["snapshot_id"] == first
    assert [entry["snapshot_id"] for entry in document["history"]] == [second, first]


def test_a_document_of_an_older_release_is_measured_again(plant: Plant, ask: Ask) -> None:
    newest = plant.snapshot()
    plant.forget(newest)
    assert told(ask)["attributes"]
    stored = plant.rows.find(newest)
    assert stored is not None
    assert stored.document["attributes"]


def test_a_snapshot_that_was_tidied_away_is_still_told_of(plant: Plant, ask: Ask) -> None:
    first = plant.snapshot()
    plant.snapshot()
    row = plant.services.snapshot_rows.find(first)
    assert row is not None
    shutil.rmtree(plant.services.settings.data_dir / row.folder)
    assert told(ask, snapshot=first)["snapshot"] == first
    plant.services.snapshot_rows.delete(first)
    assert told(ask, snapshot=first)["snapshot"] == first


def test_a_snapshot_that_never_was_is_not_found(plant: Plant, ask: Ask) -> None:
    response = ask("get_data_quality", query={"snapshot": "snap_never"})
    assert response.status_code == 404
    assert json.loads(response.get_body())["code"] == "not-found"


@pytest.mark.parametrize("query", [{"history": "-1"}, {"history": "many"}, {"snapshot": "x" * 65}])
def test_a_question_that_breaks_a_rule_names_its_field(plant: Plant, ask: Ask, query: dict[str, str]) -> None:
    response = ask("get_data_quality", query=query)
    assert response.status_code == 422
    assert {entry["field"] for entry in json.loads(response.get_body())["errors"]} == set(query)


def test_an_items_orders_are_those_of_the_newest_snapshot(plant: Plant, ask: Ask) -> None:
    assert ask("list_item_orders", params={"item_code": "A"}).status_code == 404
    snapshot_id = plant.snapshot()
    told = json.loads(ask("list_item_orders", params={"item_code": "A"}).get_body())
    assert (told["snapshot_id"], told["total"]) == (snapshot_id, 1)
    [order] = told["items"]
    assert (order["operation_code"], order["quantity"], order["run_minutes"]) == ("CUT", 10.0, 11.0)
    assert (order["run_minutes_per_unit"], order["counted"], order["left_out"]) == (1.1, True, None)
    other = json.loads(ask("list_item_orders", params={"item_code": "A"}, query={"operation": "TURN"}).get_body())
    assert other["items"] == []
