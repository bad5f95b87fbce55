"""`predict --input … --output …`: whole lists of items, wrong rows named, files written whole or not at all."""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastexcel
import pytest
import typer
import xlsxwriter

import cli.predict as predict_command
from shared.bootstrap import Services
from shared.configuration import default_configuration
from shared.errors import RoutingError
from shared.platform import open_atomically
from shared.prediction import fresh
from shared.prediction.batch import answering
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from shared.settings import Settings
from tests.databases import set_up
from tests.prediction.prediction_factories import STEPS, make_factory

Predict = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def model() -> RoutingModel:
    return fit_model(make_factory(), default_configuration())


@pytest.fixture
def predict(
    model: RoutingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Predict]:
    """Run the command on the tiny model and return its summary, its exit code and what it said."""
    services = Services(Settings(data_dir=tmp_path / "data", source=str(tmp_path / "nowhere")))
    set_up(services.settings.database)
    services.serving = SimpleNamespace(active=lambda: SimpleNamespace(version="v1", model=model))  # type: ignore[assignment]
    monkeypatch.setattr(predict_command, "current_services", lambda: services)

    def call(**options: Any) -> dict[str, Any]:
        code = 0
        try:
            predict_command.predict(**{"as_json": True, **options})
        except typer.Exit as ended:
            code = ended.exit_code
        said = capsys.readouterr()
        summary = json.loads(said.out[said.out.index("{\n") :]) if "{\n" in said.out else {}
        return {**summary, "exit_code": code, "out": said.out, "err": said.err}

    yield call
    services.item_lookup.close()
    services.engine.dispose()


def written(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def workbook(path: Path, rows: list[list[Any]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("list")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return path


def test_a_list_of_codes_gives_a_row_for_each_operation(predict: Predict, tmp_path: Path) -> None:
    source, output = tmp_path / "items.csv", tmp_path / "out.csv"
    source.write_text("ITEM_CD,qty\nRING001,20\nNOBODY,\nKIT002,5\nRING001,1\n", encoding="utf-8")
    done = predict(source=source, output=output, candidates=1, quantity=7.0)
    assert (done["exit_code"], done["items"], done["problems"]) == (0, 4, [])
    assert done["statuses"] == {"ok": 3, "unknown_item": 1}
    rows = written(output)
    assert [row["operation_code"] for row in rows[: len(STEPS["ring"])]] == list(STEPS["ring"])
    assert list(dict.fromkeys((row["item_code"], row["quantity"]) for row in rows)) == [
        ("RING001", "20.0"), ("NOBODY", "7.0"), ("KIT002", "5.0"), ("RING001", "1.0"),
    ]  # fmt: skip


def test_a_batch_answers_as_single_questions_do(
    predict: Predict, model: RoutingModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "PART_ROWS", 5)
    codes = [f"{part}{number:03d}" for number in range(6) for part in ("RING", "KIT", "GLAND")]
    source, output = tmp_path / "items.json", tmp_path / "out.json"
    items = [{"item_code": code, "quantity": float(1 + place % 3)} for place, code in enumerate(codes)]
    source.write_text(json.dumps({"items": items}), encoding="utf-8")
    assert predict(source=source, output=output, as_if_unknown=True)["statuses"] == {"ok": 18}
    answers = json.loads(output.read_bytes())["predictions"]
    assert [answer["item_code"] for answer in answers] == codes
    for answer in answers[:4]:
        alone = tmp_path / "alone.json"
        predict(codes=[answer["item_code"]], quantity=answer["quantity"], as_if_unknown=True, output=alone)
        assert json.loads(alone.read_bytes())["predictions"] == [answer]


def test_new_items_come_with_attributes_in_any_case_and_unit(predict: Predict, tmp_path: Path) -> None:
    source, output = tmp_path / "new.xlsx", tmp_path / "out.json"
    header = ["item_code", "part", "MATERIAL", "Size", "SIZE_UNIT", "RELEASED", "customer"]
    rows: list[list[Any]] = [
        ["NEW-1", "ring", "SUS316", 50.0, "mm", "2024-03-01", "x"],
        ["NEW-2", "ring", "SUS316", 5, "cm", "2024/03/01", None],
        [None, "ring", "SUS316", "50 mm", None, None, "y"],
        [None, None, None, None, None, None, None],
    ]
    workbook(source, [header, *rows])
    done = predict(source=source, output=output)
    assert (done["exit_code"], done["statuses"]) == (0, {"ok": 3})
    assert "customer" in done["err"]
    first, second, third = json.loads(output.read_bytes())["predictions"]
    assert [each["item_code"] for each in (first, second, third)] == ["NEW-1", "NEW-2", "(row 4)"]
    assert first["candidates"] == second["candidates"]


def test_wrong_rows_are_named_and_cost_no_other_its_answer(predict: Predict, tmp_path: Path) -> None:
    source, output = tmp_path / "items.csv", tmp_path / "out.csv"
    lines = [
        "item_code,SIZE,RELEASED,quantity", "RING001,,,1", "A,wide,,1", "B,5 furlong,,1", "C,,soon,1", "D,,,0",
        "E,,,many",
        "F" * 300 + ",,,1", "RING002,3 inch,,1", ",,,4",
    ]  # fmt: skip
    source.write_text("\n".join(lines), encoding="utf-8")
    done = predict(source=source, output=output, candidates=1)
    assert done["exit_code"] == 0
    assert done["statuses"] == {"ok": 2, "invalid": 7}
    said = {problem["row"]: problem["message"] for problem in done["problems"]}
    expected = {3: "SIZE", 4: "SIZE", 5: "RELEASED", 6: "quantity", 7: "quantity", 8: "item_code", 10: "item_code"}
    assert {row: field for row, field in expected.items() if field in said[row]} == expected
    assert "furlong" in said[4]
    by_code = {row["item_code"]: row["status"] for row in written(output)}
    assert (by_code["RING001"], by_code["A"], by_code["RING002"]) == ("ok", "invalid", "ok")


def test_what_only_the_model_refuses_is_a_wrong_row_too(predict: Predict, tmp_path: Path) -> None:
    source, output = tmp_path / "items.json", tmp_path / "out.json"
    items = [
        {"item_code": "RING001"},
        {"item_code": "A", "attributes": {"NO_SUCH": 1}},
        {"item_code": "B", "attributes": {"SIZE": "wide"}},
        {"item_code": 7},
        "RING002",
        {"item_code": "C", "colour": "red"},
        {"attributes": {"PART": "ring", "SIZE": 40.0}},
    ]
    source.write_text(json.dumps(items), encoding="utf-8")
    done = predict(source=source, output=output)
    assert done["statuses"] == {"ok": 2, "invalid": 5}
    said = {problem["row"]: problem["message"] for problem in done["problems"]}
    assert "NO_SUCH" in said[2]
    assert "SIZE" in said[3]
    assert "colour" in said[6]


def test_a_column_that_is_nearly_an_attribute_is_a_slip(predict: Predict, tmp_path: Path) -> None:
    source, output = tmp_path / "items.csv", tmp_path / "out.csv"
    source.write_text("item_code,MATERIALL\nRING001,x\n", encoding="utf-8")
    done = predict(source=source, output=output)
    assert done["exit_code"] == 2
    assert "'MATERIAL'" in done["err"]
    assert not output.exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_as_offices_write_them(predict: Predict, tmp_path: Path, encoding: str, delimiter: str) -> None:
    source, output = tmp_path / "items.csv", tmp_path / "out.csv"
    lines = [("품번", "NOTE", "수량"), ("RING001", "링 펌프용", "3"), ("새품목", "기어 펌프용", "4")]
    source.write_bytes("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    assert predict(source=source, output=output, candidates=1)["items"] == 2
    assert {(row["item_code"], row["quantity"]) for row in written(output)} == {("RING001", "3.0"), ("새품목", "4.0")}


def test_a_packed_table_is_read_too(predict: Predict, tmp_path: Path) -> None:
    source = tmp_path / "items.csv.gz"
    source.write_bytes(gzip.compress(b"item_code\nRING001\n"))
    assert predict(source=source, output=tmp_path / "out.xml")["statuses"] == {"ok": 1}


def test_the_layout_of_the_erp_is_written_as_table_only(predict: Predict, tmp_path: Path) -> None:
    source = workbook(tmp_path / "items.xlsx", [["item_code"], ["RING001"], ["NOBODY"]])
    table, book = tmp_path / "out.csv", tmp_path / "out.xlsx"
    for output in (table, book):
        assert predict(source=source, output=output, layout="erp")["exit_code"] == 0
    assert len(written(table)[0]) == 52
    assert len(fastexcel.read_excel(book).load_sheet("routing").to_polars().columns) == 52
    refused = predict(source=source, output=tmp_path / "out.json", layout="erp")
    assert (refused["exit_code"], refused["code"]) == (2, "invalid-input")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "items.csv"}, "--output"),
        ({"source": "items.csv", "codes": ["A"], "output": "out.csv"}, "--input"),
        ({"source": "items.csv", "output": "items.csv"}, "is the input"),
        ({"source": "items.csv", "output": "gone/out.csv"}, "gone does not exist"),
        ({"source": "items.csv", "output": "out.txt"}, "no form of an export"),
        ({"source": "items.csv", "output": "out.csv", "layout": "sap"}, "no layout"),
        ({"source": "gone.csv", "output": "out.csv"}, "gone.csv"),
        ({"source": "items.txt", "output": "out.csv"}, "no file of items"),
        ({"source": "empty.csv", "output": "out.csv"}, "empty"),
        ({"source": "header.csv", "output": "out.csv"}, "holds no item"),
        ({"source": "foreign.csv", "output": "out.csv"}, "item_code"),
        ({"source": "broken.json", "output": "out.csv"}, "not JSON"),
        ({"source": "options.json", "output": "out.csv"}, "candidates"),
        ({"source": "broken.xlsx", "output": "out.csv"}, "broken.xlsx"),
        ({"source": "wrong.csv", "output": "out.csv"}, "No row can be asked"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    predict: Predict, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    files = {
        "items.csv": "item_code\nRING001\n", "empty.csv": "", "header.csv": "item_code\n", "foreign.csv": "a,b\n1,2\n",
        "broken.json": "{", "options.json": '{"items": [], "candidates": 2}', "broken.xlsx": "PK",
        "items.txt": "RING001",
        "wrong.csv": "item_code,quantity\nA,0\n",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    paths = {name: tmp_path / value if name in ("source", "output") else value for name, value in options.items()}
    done = predict(**paths)
    assert done["exit_code"] in (2, 8)
    assert said in done["err"]
    assert [path for path in sorted(tmp_path.iterdir()) if path not in before and path.name != "data"] == []


def test_an_output_that_breaks_off_leaves_the_old_file(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = tmp_path / "items.csv", tmp_path / "out.csv"
    source.write_text("item_code\nRING001\nKIT002\n", encoding="utf-8")
    output.write_text("old", encoding="utf-8")
    monkeypatch.setattr(answering, "PART_ROWS", 1)
    answered: list[object] = []

    def breaks(*arguments: Any) -> Any:
        if answered:
            raise RoutingError("The second part breaks.")
        answered.append(arguments)
        return original(*arguments)

    original = fresh.predict_asked
    monkeypatch.setattr(answering, "predict_asked", breaks)
    assert predict(source=source, output=output)["exit_code"] == 1
    assert output.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["items.csv", "out.csv"]


def test_a_person_reads_how_it_went(predict: Predict, tmp_path: Path) -> None:
    source = tmp_path / "items.csv"
    source.write_text("item_code,quantity\nRING001,2\nNOBODY,2\nX,none of it\n", encoding="utf-8")
    done = predict(source=source, output=tmp_path / "out.xlsx", as_json=False)
    assert "3 item(s)" in done["out"]
    assert "1 ok" in done["out"]
    assert "1 unknown item" in done["out"]
    assert "row 4" in done["err"]


def test_a_file_that_is_opened_to_replace_another_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with open_atomically(target) as stream:
        stream.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    with contextlib.suppress(ZeroDivisionError), open_atomically(target) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_bytes() == b"whole"
