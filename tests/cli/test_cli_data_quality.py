"""`data quality` for a person: sentences first, the worst columns on top; and as a spreadsheet."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import data
from shared.bootstrap import Services
from shared.errors import NotFound
from shared.settings import Settings
from tests.databases import set_up

PROFILE = """
name: tiny
items:
  table: items
  columns: {item_code: CODE}
  attributes:
    KIND: {kind: categorical, weight: 3, family: true}
    NOTE: {kind: text, weight: 0.1}
    SIZE: {kind: numeric, weight: 2, unit: mm, unit_column: UNIT}
routings:
  table: routings
  time_unit: minutes
  columns: {item_code: CODE, sequence: SEQ, operation_code: OP, run_minutes_per_unit: RUN}
work_results:
  table: results
  time_unit: minutes
  columns: {item_code: CODE, operation_code: OP, reported_at: DAY, quantity: QTY, run_minutes: RUN}
"""


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Services:
    (tmp_path / "tiny.yaml").write_text(PROFILE)
    (tmp_path / "items.csv").write_text("CODE,KIND,NOTE,SIZE,UNIT\nA,ring,,3,mm\nB,seal,,4,ell\nC,,x,,\n")
    (tmp_path / "routings.csv").write_text("CODE,SEQ,OP,RUN\nA,10,CUT,1\nB,10,TURN,2\n")
    (tmp_path / "results.csv").write_text("CODE,OP,DAY,QTY,RUN\nA,CUT,2026-01-05,10,11\nB,XX,2026-01-05,1,1\n")
    settings = Settings(data_dir=tmp_path / "data", profile=str(tmp_path / "tiny.yaml"), source=str(tmp_path))
    set_up(settings.database)
    services = Services(settings)
    monkeypatch.setattr(data, "current_services", lambda: services)
    services.snapshots.take_now(reason="test")
    return services


def run(*words: str) -> str:
    done = CliRunner().invoke(data.app, ["quality", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_report_speaks_in_sentences_and_sorts_columns_by_trouble(services: Services) -> None:
    said = run("--history", "3")
    assert "the unit of SIZE is unknown (B: ell)" in said
    assert "50 % of the work results belong to no planned step" in said
    columns = said[said.index("Columns of the items") :]
    assert columns.index("SIZE") < columns.index("KIND") < columns.index("NOTE")
    assert "not joined: operation not planned" in said
    assert "History" in said
    services.engine.dispose()


def test_the_columns_are_written_as_a_spreadsheet_reads_them(services: Services, tmp_path: Path) -> None:
    target = tmp_path / "columns.csv"
    run("--csv", str(target))
    with target.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["column"] for row in rows if row["table"] == "items"] == ["SIZE", "KIND", "NOTE"]
    assert (rows[0]["completeness"], rows[0]["unusable"], rows[0]["unit"]) == ("0.3333", "1", "mm")
    assert {row["table"] for row in rows} == {"items", "routings", "work_results"}
    services.engine.dispose()


def test_the_json_is_the_document_of_the_api(services: Services) -> None:
    document = json.loads(run("--json", "--history", "1"))
    assert document["profile"] == "tiny"
    assert len(document["history"]) == 1
    services.engine.dispose()


def test_another_profile_is_told_of_by_name_or_path_and_named_where_the_own_has_nothing(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = Services(Settings(data_dir=tmp_path / "data", profile="demo"))
    monkeypatch.setattr(data, "current_services", lambda: foreign)
    missed = CliRunner().invoke(data.app, ["quality", "--json"])
    assert missed.exit_code == NotFound.exit_code
    assert "demo, this instance's own profile, but of tiny" in json.loads(missed.stdout)["detail"]
    assert "--profile tiny" in json.loads(missed.stdout)["remedy"]
    for named in ("tiny", str(tmp_path / "tiny.yaml")):
        assert json.loads(run("--profile", named, "--json"))["profile"] == "tiny"
    listed = CliRunner().invoke(data.app, ["snapshots"])
    assert "None is of this instance's own profile, demo" in listed.output
    for made in (services, foreign):
        made.engine.dispose()
