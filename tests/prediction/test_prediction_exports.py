"""Exports: every form says the same, spreadsheets run nothing, and one item without a routing spoils no other."""

import csv
import io
import json
import zipfile
from copy import copy
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import fastexcel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python

from shared.prediction.answers import ItemPrediction, ItemQuery, Status
from shared.prediction.exports.carried import Carried, CarriedStep
from shared.prediction.exports.csv_text import guarded
from shared.prediction.exports.entries import Entry, Head, entry_of
from shared.prediction.exports.erp_layout import COLUMNS, LONGEST_SIGNATURE, short_signature
from shared.prediction.exports.exporting import Form, export, reference_items
from shared.prediction.model import RoutingModel
from tests.prediction.prediction_factories import STEPS, TODAY

Part = TypeVar("Part")
HEAD = Head(model_version="v1", data_as_of=TODAY, prediction_id="pred_1", created_at=TODAY)
FORMULAS = ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", " =1", "|x", "%x", "\uff1d1", '=HYPERLINK("http://x")']
SPREADSHEETS = (Form.XLSX, Form.ERP_XLSX)


@pytest.fixture(scope="module")
def entries(tiny_model: RoutingModel) -> list[Entry]:
    """Two items with routings, and between them one that nobody knows."""
    asked = [ItemQuery(item_code=code) for code in ("RING001", "NOBODY", "KIT002")]
    return [entry_of(answer, 20.0) for answer in tiny_model.predict(asked, quantity=20.0)]


def csv_rows(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def sheet_rows(written: bytes, sheet: str) -> list[dict[str, Any]]:
    return fastexcel.read_excel(written).load_sheet(sheet).to_polars().to_dicts()


def changed(answer: Part, **members: Any) -> Part:
    """Return a copy of a part of an answer, which cannot be changed itself, with other members."""
    copied = copy(answer)
    for name, value in members.items():
        object.__setattr__(copied, name, value)
    return copied


def renamed(entry: Entry, text: str) -> Entry:
    """Return an entry in which every name is the given text."""
    operations = [
        changed(operation, operation_name=text, resource_code=text, resource_name=text)
        for operation in entry.candidates[0].operations
    ]
    candidate = changed(entry.candidates[0], operations=operations)
    return replace(entry, item_code=text, message=text, candidates=(candidate,))


def test_csv_has_a_row_for_each_operation_and_one_for_an_item_without(entries: list[Entry]) -> None:
    rows = csv_rows(export(entries, Form.CSV, HEAD))
    first = [row for row in rows if row["item_code"] == "RING001" and row["candidate"] == "1"]
    assert [row["operation_code"] for row in first] == list(STEPS["ring"])
    answered = entries[0].candidates[0].operations[0]
    assert float(first[0]["setup_minutes"]) == answered.setup_minutes.value
    assert float(first[0]["order_high"]) == answered.order_minutes.high
    assert (first[0]["inside"], first[0]["quantity"]) == ("true", "20.0")
    [nobody] = [row for row in rows if row["item_code"] == "NOBODY"]
    assert (nobody["status"], nobody["candidate"]) == ("unknown_item", "")
    assert nobody["message"]
    assert rows[-1]["item_code"] == "KIT002"


def test_a_workbook_holds_numbers_as_numbers_and_shows_its_headers(entries: list[Entry]) -> None:
    written = export(entries, Form.XLSX, HEAD)
    assert fastexcel.read_excel(written).sheet_names == ["operations", "candidates"]
    operations, candidates = sheet_rows(written, "operations"), sheet_rows(written, "candidates")
    answered = entries[0].candidates[0].operations[0]
    assert operations[0]["run_minutes_per_unit"] == answered.run_minutes_per_unit.value
    assert operations[0]["inside"] is True
    assert [row["status"] for row in candidates if row["item_code"] == "NOBODY"] == ["unknown_item"]
    assert candidates[0]["lead_minutes"] == entries[0].candidates[0].totals.lead_minutes
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert 'state="frozen"' in sheet
    assert "<f>" not in sheet


def test_json_and_xml_say_what_was_answered(entries: list[Entry]) -> None:
    document = json.loads(export(entries, Form.JSON, HEAD))
    assert document["model_version"] == "v1"
    assert datetime.fromisoformat(document["data_as_of"]) == TODAY
    for entry, written in zip(entries, document["predictions"], strict=True):
        assert written["candidates"] == to_jsonable_python(list(entry.candidates))
    tree = ElementTree.fromstring(export(entries, Form.XML, HEAD))
    said = tree.findall("predictions/prediction")
    assert [each.findtext("status") for each in said] == [entry.status for entry in entries]
    codes = [each.text for each in said[0].findall("candidates/candidate[1]/operations/operation/operation_code")]
    assert codes == list(STEPS["ring"])


def test_the_layout_of_the_erp_has_its_52_columns_and_no_time_is_missing(entries: list[Entry]) -> None:
    written = export(entries, Form.ERP_CSV, HEAD)
    rows = csv_rows(written)
    assert tuple(rows[0]) == COLUMNS
    assert len(set(COLUMNS)) == 52
    first = [row for row in rows if row["CANDIDATE_ID"] == "RING001_C01"]
    assert [row["dbo_BI_ROUTING_VIEW_JOB_CD"] for row in first] == list(STEPS["ring"])
    assert {row["ROUTING_SIGNATURE"] for row in first} == {"+".join(STEPS["ring"])}
    assert {(row["PRIORITY"], row["SIMILARITY_TIER"], row["REFERENCE_ITEM_CD"]) for row in first} == {
        ("primary", "HIGH", "RING001")
    }
    assert [row["PROC_SEQ"] for row in first] == ["10", "20", "30", "40", "50", "60"]
    assert {(row["INSIDE_FLAG"], row["TIME_UNIT"], row["RUN_TIME_QTY"]) for row in first} == {("사내", "분(Min.)", "1")}
    times = [name for name in COLUMNS if name.endswith("_TIME") or name in {"MFG_LT", "MACH_WORKED_HOURS"}]
    assert len(times) == 8
    assert all(float(row[name]) >= 0 for row in rows for name in times)
    assert {row["ITEM_CD"] for row in rows} == {"RING001", "KIT002"}


def test_times_without_a_booked_order_are_no_actual_times(entries: list[Entry]) -> None:
    first = entries[0].candidates[0].operations[0]
    operation = changed(first, samples=0, inside=None, wait_minutes=float("nan"))
    candidate = changed(entries[0].candidates[0], operations=[operation], similarity=0.79999)
    [row] = csv_rows(export([replace(entries[0], candidates=(candidate,))], Form.ERP_CSV, HEAD))
    assert float(row["SETUP_TIME"]) == operation.setup_minutes.value
    assert [float(row[name]) for name in ("ACT_SETUP_TIME", "ACT_RUN_TIME", "WAIT_TIME")] == [0, 0, 0]
    assert (row["INSIDE_FLAG"], row["SIMILARITY_SCORE"], row["SIMILARITY_TIER"]) == ("", "0.8", "HIGH")


def test_steps_whose_numbers_do_not_rise_are_numbered_anew(entries: list[Entry]) -> None:
    steps = [changed(operation, sequence=0) for operation in entries[0].candidates[0].operations]
    candidate = changed(entries[0].candidates[0], operations=steps)
    rows = csv_rows(export([replace(entries[0], candidates=(candidate,))], Form.ERP_CSV, HEAD))
    assert [row["PROC_SEQ"] for row in rows] == ["10", "20", "30", "40", "50", "60"]


def test_an_item_asked_twice_keeps_its_candidates_apart(entries: list[Entry]) -> None:
    rows = csv_rows(export([entries[0], entries[0]], Form.ERP_CSV, HEAD))
    keys = [(row["CANDIDATE_ID"], row["PROC_SEQ"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert {row["CANDIDATE_ID"] for row in rows if row["PRIORITY"] == "primary"} == {"RING001_C01"}


class _Known(Carried):
    """Steps that a test says."""

    def step(self, item_code: str | None, operation_code: str, occurrence: int) -> CarriedStep | None:
        if (item_code, operation_code, occurrence) != ("RING001", "WASH", 1):
            return None
        texts = {"BP_CD": "B7", "REMARK": "warm", "MFG_LT": "3.5", "RUN_TIME_QTY": "100", "SETUP_TIME": "999"}
        return CarriedStep(texts=texts, valid_from=date(2020, 1, 1), valid_to=None)


def test_columns_that_the_profile_carries_come_from_the_reference_items_own_step(entries: list[Entry]) -> None:
    rows = csv_rows(export(entries[:1], Form.ERP_CSV, HEAD, carried=_Known()))
    washes = [row for row in rows if row["CANDIDATE_ID"] == "RING001_C01" and row["JOB_NM"] == "Wash"]
    first, second = washes
    assert (first["BP_CD"], first["MFG_LT"], first["VALID_FROM_DT"]) == ("", "0.0", "2001-01-01")
    assert (second["BP_CD"], second["MFG_LT"], second["dbo_BI_ROUTING_VIEW_REMARK"]) == ("B7", "3.5", "warm")
    assert (second["VALID_FROM_DT"], second["VALID_TO_DT"]) == ("2020-01-01", "2999-12-31")
    assert second["RUN_TIME_QTY"] == "1"
    assert second["SETUP_TIME"] != "999"
    assert reference_items(entries) >= {"RING001", "KIT002"}


@given(st.lists(st.text("AB0", min_size=1, max_size=12), min_size=1, max_size=60), st.integers(0, 59))
def test_two_routings_never_share_a_signature(codes: list[str], place: int) -> None:
    other = [*codes]
    other[place % len(codes)] += "Z"
    signatures = [short_signature(">".join(each)) for each in (codes, other)]
    assert signatures[0] != signatures[1]
    assert max(map(len, signatures)) <= LONGEST_SIGNATURE


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("form", [Form.CSV, Form.ERP_CSV])
def test_text_in_a_csv_is_never_a_formula(entries: list[Entry], form: Form, text: str) -> None:
    for row in csv.reader(io.StringIO(export([renamed(entries[0], text)], form, HEAD).decode("utf-8-sig"), newline="")):
        assert not [
            cell for cell in row if cell.strip()[:1] in ("=", "+", "-", "@", "|", "%", "\uff1d") and cell != "-"
        ]


@pytest.mark.parametrize("text", ["-12", "+4.5", "1,234.5", "A=B", "", "가나다"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize("form", SPREADSHEETS)
def test_text_in_a_workbook_stays_text(entries: list[Entry], form: Form) -> None:
    for text in (*FORMULAS, "0012", "http://x.example", "1E5"):
        written = export([renamed(entries[0], text)], form, HEAD)
        with zipfile.ZipFile(io.BytesIO(written)) as archive:
            xml = b"".join(archive.read(name) for name in archive.namelist())
        assert b"<f>" not in xml
        assert b"<hyperlink " not in xml.lower()
        sheet = fastexcel.read_excel(written).load_sheet(0, dtypes="string").to_polars()
        assert sheet[0, 0].strip() == text.strip()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), max_size=30))  # all that any input of the product can hold
def test_any_text_gives_files_that_can_be_read(entries: list[Entry], text: str) -> None:
    entry = renamed(entries[0], text)
    tree = ElementTree.fromstring(export([entry, entries[2]], Form.XML, HEAD))
    assert len(tree.findall("predictions/prediction")) == 2
    assert len(csv_rows(export([entry], Form.CSV, HEAD))) == len(entry.candidates[0].operations)
    assert fastexcel.read_excel(export([entry], Form.XLSX, HEAD)).load_sheet("operations").height > 0
    assert json.loads(export([entry], Form.JSON, HEAD))["predictions"][0]["status"] == "ok"


@pytest.mark.parametrize("form", list(Form))
def test_the_same_predictions_give_the_same_bytes(entries: list[Entry], form: Form) -> None:
    assert export(entries, form, HEAD) == export(list(entries), form, HEAD)


@pytest.mark.parametrize("form", list(Form))
def test_predictions_without_any_routing_are_an_export_too(form: Form) -> None:
    answer = ItemPrediction(item_code="X", status=Status.ABSTAINED, message="nothing near")
    assert export([entry_of(answer, 1.0)], form, HEAD)
    assert export([], form, HEAD)


def test_the_carried_steps_of_a_snapshot_are_those_of_the_current_routing(tmp_path: Path) -> None:
    import polars as pl

    from tests.prediction.prediction_factories import routing_row

    rows = [
        routing_row("A", 10, "SAW", valid_to=date(2021, 1, 1), routing_no="00"),
        routing_row("A", 10, "SAW"),
        routing_row("A", 20, "SAW"),
        routing_row("B", 10, "SAW"),
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.Series("BP_CD", ["old", "first", "second", None]), pl.col("sequence").cast(pl.Int32)
    )
    frame.write_parquet(tmp_path / "routings.parquet")

    class Data:
        folder = tmp_path
        data_as_of = TODAY

    carried = Carried(Data())  # type: ignore[arg-type]
    carried.read(["A"])
    found = [carried.step("A", "SAW", occurrence) for occurrence in (0, 1)]
    assert [step.texts["BP_CD"] for step in found if step] == ["first", "second"]
    assert carried.step("B", "SAW", 0) is None
    assert carried.step(None, "SAW", 0) is None
