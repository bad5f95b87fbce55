"""Working copies as files: what is exported comes back to the last digit, also through a spreadsheet program."""

import csv
import io
import json
import zipfile
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput, TooLarge
from shared.prediction.answers import ItemQuery
from shared.prediction.exports.csv_text import guarded, unguarded
from shared.prediction.exports.entries import Head, entries_of_copies, entry_of
from shared.prediction.exports.exporting import Form, export
from shared.prediction.exports.grids import MAX_COLUMNS, MAX_ROWS, MAX_UNPACKED_BYTES
from shared.prediction.exports.importing import MAX_FILE_BYTES, ImportedCopies, read_copies
from shared.prediction.exports.working import MAX_COPY_OPERATIONS, WorkingCopies, WorkingCopy
from shared.prediction.model import RoutingModel

READ_BACK = [form for form in Form if form is not Form.XML]
HEAD = Head(model_version="v1")
ODD = ["=1+1", "@SUM(A1)", "+82", "-12", "'=x", "''-y", "0012", "1E5", "_x0041_", "true", "품번", "a\u00a0b", "<&>",
       "1,5", "\uff1d1", "nan", "|x", "%s", '"q"', "a;b", "a,b"]  # fmt: skip

characters = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co"))
texts = (st.sampled_from(ODD) | st.text(characters, max_size=12)).filter(lambda text: len(text.strip()) > 0)
minutes = st.floats(0, 1e12) | st.sampled_from([0.1 + 0.2, 1 / 3, 5e-324, 1e-9 / 3, 12345678901.234567, 10.0])


def copies(*, erp: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return working copies; of the ERP's layout only what it has a place for."""
    time = minutes if erp else minutes | st.none()
    operation = st.fixed_dictionaries(
        {
            "operation_code": texts, "operation_name": texts | st.none(), "resource_code": texts | st.none(),
            "inside": st.sampled_from([True, False, None]), "setup_minutes": time, "run_minutes_per_unit": time,
            "wait_minutes": time, "move_minutes": time, "queue_minutes": time,
        }
    )  # fmt: skip
    return st.lists(
        st.fixed_dictionaries(
            {
                "item_code": texts,
                "quantity": st.just(1.0) if erp else st.floats(1e-6, 1e9),
                "operations": st.lists(operation, min_size=1, max_size=5),
            }
        ),
        min_size=1, max_size=3,
    )  # fmt: skip


def taken(items: list[dict[str, Any]]) -> list[WorkingCopy]:
    for item in items:
        for place, operation in enumerate(item["operations"], 1):
            operation["sequence"] = 10 * place
    return WorkingCopies.model_validate({"items": items}).items


def again(read: ImportedCopies) -> list[WorkingCopy]:
    """Return what was read as the next export's copies."""
    found = [copy.model_dump(exclude={"candidate"}) for copy in read.items]
    return [WorkingCopy.model_validate(copy | {"quantity": copy["quantity"] or 1.0}) for copy in found]


@pytest.mark.parametrize("form", READ_BACK)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_an_export_comes_back_to_the_last_digit_and_gives_the_same_bytes_again(form: Form, data: st.DataObject) -> None:
    edited = taken(data.draw(copies(erp=form.is_erp_layout)))
    written = export(entries_of_copies(edited), form, HEAD)
    read = read_copies(written)
    assert again(read) == edited
    assert [copy.quantity for copy in read.items] == [None if form.is_erp_layout else copy.quantity for copy in edited]
    assert export(entries_of_copies(again(read)), form, HEAD) == written


@given(texts)
def test_taking_the_guard_off_gives_the_text_that_was_guarded(text: str) -> None:
    assert unguarded(guarded(text)) == text


def test_a_predictions_export_is_read_candidate_by_candidate(tiny_model: RoutingModel) -> None:
    answers = tiny_model.predict([ItemQuery(item_code="RING001"), ItemQuery(item_code="KIT002")], as_if_unknown=True)
    entries = [entry_of(answer, 20.0) for answer in answers]
    expected = [
        (answer.item_code, candidate.rank, [step.setup_minutes.value for step in candidate.operations])
        for answer in answers for candidate in answer.candidates
    ]  # fmt: skip
    for form in READ_BACK:
        read = read_copies(export(entries, form, HEAD))
        found = [(copy.item_code, copy.candidate, [step.setup_minutes for step in copy.operations])
                 for copy in read.items]  # fmt: skip
        assert found == expected, form


EDITED = [
    {"item_code": "N-1", "quantity": 12.0, "operations": [
        {"operation_code": "SAW", "operation_name": "Saw", "resource_code": "0007", "inside": True,
         "setup_minutes": 0.1 + 0.2, "run_minutes_per_unit": 1 / 3,
         "wait_minutes": 0.0, "move_minutes": 1.5, "queue_minutes": 2.0},
        {"operation_code": "=WASH()", "operation_name": None, "resource_code": None, "inside": False,
         "setup_minutes": 1e-9, "run_minutes_per_unit": 7.25,
         "wait_minutes": 0.0, "move_minutes": 0.0, "queue_minutes": 0.0},
    ]}
]  # fmt: skip


def rewritten(*, numbers_as_text: bool, header: list[str]) -> bytes:
    """Return the copies as a spreadsheet program saves them: shared strings, another order, blanks and more columns."""
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"strings_to_formulas": False})
    book.add_worksheet("notes").write_string(0, 0, "see the other sheet")
    sheet = book.add_worksheet("Blatt 1")
    for place, title in enumerate(header):
        sheet.write_string(2, place + 1, title)
    at = 3
    for copy in taken(EDITED):
        for operation in copy.operations:
            at += 2  # a blank row before each
            cells: dict[str, Any] = {"item_code": copy.item_code, "quantity": copy.quantity, "remark": "typed"}
            cells |= operation.model_dump()
            for place, title in enumerate(header):
                value = cells[title.strip().lower()]
                if isinstance(value, float) and not numbers_as_text:
                    sheet.write_number(at, place + 1, float(f"{value:.15g}"))  # as a spreadsheet program keeps it
                elif isinstance(value, bool):
                    sheet.write_boolean(at, place + 1, value)
                elif value is not None:
                    sheet.write_string(at, place + 1, f" {value} " if numbers_as_text else str(value))
    book.close()
    return stream.getvalue()


@pytest.mark.parametrize("numbers_as_text", [False, True])
def test_what_a_spreadsheet_program_saved_again_is_read(numbers_as_text: bool) -> None:
    header = ["queue_minutes", "Operation_Code ", "remark", "item_code", "sequence", "inside", "quantity",
              "setup_minutes", "run_minutes_per_unit", "operation_name", "resource_code",
              "wait_minutes", "move_minutes"]  # fmt: skip
    [copy] = again(read_copies(rewritten(numbers_as_text=numbers_as_text, header=header)))
    [expected] = taken(EDITED)
    assert copy.operations[0].resource_code == "0007"
    assert copy.operations[1].operation_code == "=WASH()"
    for read, meant in zip(copy.operations, expected.operations, strict=True):
        assert read.model_dump(exclude={"setup_minutes", "run_minutes_per_unit"}) == meant.model_dump(
            exclude={"setup_minutes", "run_minutes_per_unit"}
        )
        precision = 0 if numbers_as_text else 1e-14
        assert read.setup_minutes == pytest.approx(meant.setup_minutes, rel=precision)
        assert read.run_minutes_per_unit == pytest.approx(meant.run_minutes_per_unit, rel=precision)


@pytest.mark.parametrize(
    ("delimiter", "encoding", "comma"),
    [(",", "utf-8-sig", False), (";", "cp949", True), ("\t", "utf-16", False), (";", "utf-8", False)],
)
def test_a_csv_of_another_country_is_read(delimiter: str, encoding: str, comma: bool) -> None:
    stream = io.StringIO(newline="")
    rows = csv.writer(stream, delimiter=delimiter)
    rows.writerow(["operation_code", "item_code", "sequence", "setup_minutes", "operation_name"])
    rows.writerow(["SAW", "N-1", 10, "0,5" if comma else "0.5", "절단"])
    rows.writerow([])
    rows.writerow(["WASH", "N-1", 20, "1,250.5" if delimiter == "," else "1250.5", "세척"])
    [copy] = read_copies(stream.getvalue().encode(encoding)).items
    assert [(step.operation_name, step.setup_minutes) for step in copy.operations] == [("절단", 0.5), ("세척", 1250.5)]


def refused(content: bytes) -> list[dict[str, Any]]:
    with pytest.raises(InvalidInput) as caught:
        read_copies(content)
    errors: list[dict[str, Any]] = caught.value.facts["errors"]
    assert errors
    assert all(error["field"] and error["message"] for error in errors)
    return errors


def table(*rows: list[Any]) -> bytes:
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream)
    sheet = book.add_worksheet("operations")
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    return stream.getvalue()


def test_every_fault_names_its_sheet_row_and_column() -> None:
    head = ["item_code", "sequence", "operation_code", "setup_minutes", "inside", "quantity"]
    errors = refused(
        table(
            head, ["A", 10, "SAW", "quick", "true", 1], ["A", 20, "", 1, "", 1],
            ["A", "first", "MILL", -1, "perhaps", 1], ["A", 30, "WASH", 1, "", 2], ["", 40, "PACK", 1, "", 1],
        )
    )  # fmt: skip
    found = {(error["sheet"], error["row"], error["column"]) for error in errors}
    assert found == {
        ("operations", 2, "setup_minutes"), ("operations", 3, "operation_code"), ("operations", 4, "sequence"),
        ("operations", 4, "setup_minutes"), ("operations", 4, "inside"), ("operations", 5, "quantity"),
        ("operations", 6, "item_code"),
    }  # fmt: skip
    assert errors[0]["field"] == "operations, row 2, setup_minutes"


def test_what_is_no_file_of_routings_is_refused_with_what_is_missing() -> None:
    cell = "not a table"
    for content in (
        b" ", b"<export/>", b"\x00\x01\x02", b"PK\x03\x04 and nothing more", cell.encode(),
        b"item_code,sequence\r\nA,1\r\n", b'item_code,sequence,operation_code\r\nA,1,"B" C\r\n', b"{", b"[]", b"[[1]]",
        b'{"predictions": 3}', b'{"items": [{"item_code": "A", "operations": [{"sequence": "x"}]}]}',
        table(["item_code", "sequence", "operation_code", "operation_code"], ["A", 1, "B", "C"]),
        table(["item_code", "sequence", "operation_code"]), table([cell]),
        b"TIME_UNIT,ITEM_CD,PROC_SEQ,dbo_BI_ROUTING_VIEW_JOB_CD\r\nhours,A,1,B\r\n",
        b"RUN_TIME_QTY,ITEM_CD,PROC_SEQ,dbo_BI_ROUTING_VIEW_JOB_CD\r\n100,A,1,B\r\n",
    ):  # fmt: skip
        refused(content)
    with pytest.raises(TooLarge):
        read_copies(b"x" * (MAX_FILE_BYTES + 1))
    many = [["A", number, "SAW"] for number in range(MAX_COPY_OPERATIONS + 1)]
    assert refused(table(["item_code", "sequence", "operation_code"], *many))[0]["row"] == MAX_COPY_OPERATIONS + 2


def repacked(changes: dict[str, bytes]) -> bytes:
    """Return a good workbook with members changed or added, compressed as well as can be."""
    good, out = table(["item_code", "sequence", "operation_code"], ["A", 10, "SAW"]), io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(good)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as to,
    ):
        members = {name: source.read(name) for name in source.namelist()} | changes
        for name, content in members.items():
            to.writestr(name, content)
    return out.getvalue()


def sheet_of(*cells: str) -> bytes:
    inner = "".join(cells)
    return (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f"<row>{inner}</row></sheetData></worksheet>"
    ).encode()


SHEET = "xl/worksheets/sheet1.xml"


def test_a_workbook_that_unpacks_to_gigabytes_or_reaches_across_a_continent_is_refused() -> None:
    assert read_copies(repacked({})).items[0].item_code == "A"
    bomb = repacked({"xl/media/image1.bin": b"0" * (MAX_UNPACKED_BYTES + 1)})
    assert len(bomb) < MAX_FILE_BYTES
    far_down, far_right = f'<c r="A{MAX_ROWS + 1}"><v>1</v></c>', '<c r="XFD1"><v>1</v></c>'
    unnumbered = "<c><v>1</v></c>" * (MAX_COLUMNS + 1)
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + sheet_of('<c r="A1"><v>1</v></c>')
    for content in (
        bomb, repacked({SHEET: sheet_of(far_down)}), repacked({SHEET: sheet_of('<c r="A1"/>', far_right)}),
        repacked({SHEET: sheet_of(unnumbered)}), repacked({SHEET: entities}), repacked({SHEET: b"<worksheet>"}),
        repacked({f"xl/{number}.xml": b"" for number in range(600)}), bomb[: len(bomb) // 2],
    ):  # fmt: skip
        refused(content)


def test_the_error_of_a_formula_is_no_empty_cell() -> None:
    [error] = refused(repacked({SHEET: sheet_of('<c r="A1" t="e"><v>#REF!</v></c>')}))
    assert error["field"] == "sheet1, A1"


@settings(max_examples=40, deadline=None)
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.binary(max_size=60).map(lambda rest: b"PK\x03\x04" + rest)
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read = read_copies(content)
    except InvalidInput as refusal:
        errors = refusal.facts["errors"]
    else:
        errors = read.items
    assert errors


def test_json_in_the_answers_own_form_is_read_too() -> None:
    read = read_copies(export(entries_of_copies(taken(EDITED)), Form.CSV, HEAD))
    assert read_copies(read.model_dump_json().encode()) == read
    assert read_copies(json.dumps([read.model_dump()["items"][0]]).encode()).items == read.items
    assert read_copies(export(entries_of_copies(taken(EDITED)), Form.JSON, HEAD)).model_version == "v1"
