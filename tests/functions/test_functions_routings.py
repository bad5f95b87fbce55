"""Working copies over HTTP: exported, imported, and nothing of them stored."""

import io
import json
from typing import Any

import fastexcel
import pytest

from shared.bootstrap import Services
from tests.functions.conftest import Ask

COPIES: dict[str, Any] = {
    "model_version": "v7",
    "items": [
        {"item_code": "N-1", "quantity": 12.0, "operations": [
            {"sequence": 10, "operation_code": "SAW", "operation_name": "Saw", "resource_code": "R1", "inside": True,
             "setup_minutes": 0.30000000000000004, "run_minutes_per_unit": 2.5, "wait_minutes": 0.0,
             "move_minutes": 1.0, "queue_minutes": 0.0},
        ]},
    ],
}  # fmt: skip
FORMS = ("csv", "xlsx", "json", "erp.csv", "erp.xlsx")


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("form", FORMS)
def test_an_exported_file_is_imported_as_it_was(ask: Ask, form: str) -> None:
    exported = ask("export_routings", params={"form": form}, body=COPIES)
    assert exported.status_code == 200, exported.get_body()
    assert exported.headers["content-disposition"] == f'attachment; filename="routings.{form}"'
    imported = ask("import_routings", raw=exported.get_body())
    assert imported.status_code == 200, imported.get_body()
    [copy] = json.loads(imported.get_body())["items"]
    [sent] = COPIES["items"]
    assert copy["operations"] == sent["operations"]
    assert (copy["item_code"], copy["quantity"]) == ("N-1", None if form.startswith("erp") else 12.0)


@pytest.mark.usefixtures("services")
def test_what_only_a_model_can_say_stays_empty(ask: Ask) -> None:
    book = fastexcel.read_excel(ask("export_routings", params={"form": "xlsx"}, body=COPIES).get_body())
    [row] = book.load_sheet("candidates").to_polars().to_dicts()
    assert (row["status"], row["source"], row["probability"], row["tier"]) == ("working_copy", "planner", None, None)
    assert (row["setup_minutes"], row["run_minutes"], row["lead_minutes"]) == pytest.approx((0.3, 30.0, 31.3))
    [layout] = (
        fastexcel.read_excel(ask("export_routings", params={"form": "erp.xlsx"}, body=COPIES).get_body())
        .load_sheet(0).to_polars().to_dicts()
    )  # fmt: skip
    assert (layout["SIMILARITY_SCORE"], layout["REFERENCE_ITEM_CD"], layout["CANDIDATE_ID"]) == (None, None, "N-1_C01")
    assert b"<source>planner</source>" in ask("export_routings", params={"form": "xml"}, body=COPIES).get_body()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"), ({"items": COPIES["items"] * 1_001}, "items"),
        ({"items": [{"item_code": "A", "operations": []}]}, "items[0].operations"),
        ({"items": [{"item_code": "A", "operations": [{"sequence": 1, "operation_code": " "}]}]},
         "items[0].operations[0].operation_code"),
        ({"items": [{"item_code": "A", "operations": [{"sequence": 1, "operation_code": "A\x00"}]}]},
         "items[0].operations[0].operation_code"),
        ({"items": [{"item_code": "A", "operations": [{"sequence": 1, "operation_code": "A", "setup_minutes": -1}]}]},
         "items[0].operations[0].setup_minutes"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("services")
def test_copies_that_no_file_can_hold_are_refused_by_field(ask: Ask, change: dict[str, Any], field: str) -> None:
    refused = ask("export_routings", params={"form": "csv"}, body=COPIES | change)
    errors = json.loads(refused.get_body())["errors"]
    assert (refused.status_code, [error["field"] for error in errors]) == (422, [field])


@pytest.mark.usefixtures("services")
def test_another_form_is_told_those_that_are(ask: Ask) -> None:
    refused = ask("export_routings", params={"form": "pdf"}, body=COPIES)
    assert refused.status_code == 404
    assert "erp.xlsx" in json.loads(refused.get_body())["remedy"]


def test_a_bad_file_is_refused_by_its_cell_and_nothing_is_stored(ask: Ask, services: Services) -> None:
    refused = ask("import_routings", raw=b"item_code,sequence,operation_code,setup_minutes\r\nA,10,SAW,quick\r\n")
    assert refused.status_code == 422
    [error] = json.loads(refused.get_body())["errors"]
    assert (error["row"], error["column"]) == (2, "setup_minutes")
    assert ask("import_routings", raw=b"x" * 5_300_000).status_code == 413
    assert ask("import_routings", raw=b"").status_code == 422
    ask("export_routings", params={"form": "csv"}, body=COPIES)
    assert services.decisions.list() == ([], 0)
    assert list((services.settings.data_dir / "keys").parent.glob("*.csv")) == []


@pytest.mark.usefixtures("services")
def test_a_large_file_is_read_within_its_bounds(ask: Ask) -> None:
    lines = io.StringIO()
    lines.write("item_code,candidate,sequence,operation_code\r\n")
    for row in range(19_999):
        lines.write(f"ITEM{row // 90},1,{row % 90},OP\r\n")
    taken = json.loads(ask("import_routings", raw=lines.getvalue().encode()).get_body())["items"]
    assert sum(len(copy["operations"]) for copy in taken) == 19_999
    lines.write("ONE,1,1,MORE\r\n")
    assert ask("import_routings", raw=lines.getvalue().encode()).status_code == 422
