"""`profiles check`: a sound profile raises nothing, and each planted mistake is found and named by its field."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from shared.erp.check.checking import check_profile
from shared.erp.findings import CheckReport, Finding, Severity
from shared.erp.profiles.model import PROFILES_DIR, load_profile, parse_profile
from shared.erp.sources.location import FolderLocation
from shared.errors import SourceError
from shared.settings import PROJECT_DIR
from tests.erp.erp_support import NOW, TinyFactory
from tests.erp.seal_shop import write_seal_shop

Document = dict[str, Any]
# Read at import: the suite clears the product's own variables before each test.
PUBLIC_DATA = Path(os.environ.get("ROUTING_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data")
PUBLIC = {
    "adventureworks": "WorkOrderRouting.csv.gz",
    "injection_moulding": "productRecords.csv",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_seal_shop(folder)
    return folder


@pytest.fixture
def document() -> Document:
    text = (PROFILES_DIR / "fksm.yaml").read_text(encoding="utf-8")
    loaded: Document = yaml.safe_load(text)
    return loaded


def _check(document: Document, source: Path, rows: int | None = None) -> CheckReport:
    return check_profile(parse_profile(document, source="test.yaml"), FolderLocation(source), now=NOW, rows=rows)


def _errors(report: CheckReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity is Severity.ERROR]


def test_a_sound_profile_raises_no_error_and_no_warning(document: Document, source: Path) -> None:
    report = _check(document, source)
    assert [finding for finding in report.findings if finding.severity is not Severity.HINT] == []
    assert not report.has_errors
    assert report.joins["work_results_joined"] == 1.0
    assert 0.7 < report.times["booked_to_planned_run"] < 1.4
    assert report.tables["items"].rows_read == report.tables["items"].rows_kept > 0
    unused = {entry["column"]: entry for entry in report.tables["routings"].unused}
    assert unused["RUN_TIME_UNIT"] == {"column": "RUN_TIME_UNIT", "filled": 1.0, "distinct": 1}
    assert "RUN_TIME_QTY" not in unused


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_data_raises_no_error(name: str) -> None:
    if not (PUBLIC_DATA / name / PUBLIC[name]).is_file():
        pytest.skip(f"needs the public data in {PUBLIC_DATA} (ROUTING_TEST_DATA names the folder)")
    report = check_profile(load_profile(name), FolderLocation(PUBLIC_DATA / name), now=NOW)
    assert [finding for finding in report.findings if finding.severity is not Severity.HINT] == []


def _hours_as_minutes(document: Document) -> None:
    document["work_results"]["time_unit"] = "minutes"


def _minutes_as_hours(document: Document) -> None:
    document["routings"]["time_unit"] = "hours"
    del document["routings"]["time_unit_column"]


def _minutes_as_seconds(document: Document) -> None:
    document["routings"]["time_unit"] = "seconds"
    del document["routings"]["time_unit_column"]


def _lot_as_piece(document: Document) -> None:
    document["routings"]["run_time"] = "per_unit"
    del document["routings"]["lot_quantity"]


def _order_as_piece(document: Document) -> None:
    document["work_results"]["run_time"] = "per_unit"


def _inches_as_millimetres(document: Document) -> None:
    del document["items"]["attributes"]["OUTDIAMETER"]["unit_column"]


def _no_unit_at_all(document: Document) -> None:
    document["items"]["attributes"]["IN_SEALSIZE"] = {"kind": "numeric"}


def _renamed_column(document: Document) -> None:
    document["work_results"]["columns"]["run_minutes"] = "MACH_WORKED_HRS"


def _item_key_not_unique(document: Document) -> None:
    document["items"]["columns"]["item_code"] = "DRAW_NO"


def _wrong_item_code(document: Document) -> None:
    document["work_results"]["columns"]["item_code"] = "RES_CD"


def _wrong_operation(document: Document) -> None:
    document["work_results"]["columns"]["operation_code"] = "CD_NM"


def _no_routing_number(document: Document) -> None:
    del document["routings"]["columns"]["routing_no"]


def _wrong_table(document: Document) -> None:
    document["routings"]["table"] = "BI_ROUTING_VEIW"


def _filter_leaves_nothing(document: Document) -> None:
    document["routings"]["filters"] = [{"column": "VALIDITY", "one_of": ["valid"]}]


@pytest.mark.parametrize(
    ("plant", "field", "said"),
    [
        (_hours_as_minutes, "work_results.time_unit", "1/60"),
        (_minutes_as_hours, "work_results.time_unit", "1/60"),
        (_minutes_as_seconds, "work_results.time_unit", "60"),
        (_lot_as_piece, "routings.run_time", "RUN_TIME_QTY"),
        (_order_as_piece, "work_results.run_time", "whole order"),
        (_inches_as_millimetres, "items.attributes.OUTDIAMETER", "OUTDIAMETER_UNIT says INCH"),
        (_no_unit_at_all, "items.attributes.IN_SEALSIZE", "IN_SEALSIZE_UOM names several"),
        (_renamed_column, "work_results.columns.run_minutes", "did you mean 'MACH_WORKED_HOURS'"),
        (_item_key_not_unique, "items.columns.item_code", "repeated"),
        (_wrong_item_code, "work_results.columns.item_code", "in no row of the items"),
        (_wrong_operation, "work_results.columns.operation_code", "name an operation"),
        (_no_routing_number, "routings.columns.routing_no", "the step is repeated"),
        (_wrong_table, "routings", "did you mean 'BI_ROUTING_VIEW'"),
        (_filter_leaves_nothing, "routings.filters", "none is left"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_planted_mistake_is_an_error_that_names_its_field(
    document: Document, source: Path, plant: Callable[[Document], None], field: str, said: str
) -> None:
    plant(document)
    report = _check(document, source)
    assert report.has_errors
    found = [finding for finding in _errors(report) if finding.field == field]
    assert found, report.findings
    assert said in found[0].message
    assert found[0].remedy


@pytest.mark.parametrize(
    ("plant", "remedy"), [(_lot_as_piece, "lot_quantity: RUN_TIME_QTY"), (_wrong_operation, "JOB_CD")]
)
def test_the_remedy_names_the_column_that_would_do(
    document: Document, source: Path, plant: Callable[[Document], None], remedy: str
) -> None:
    plant(document)
    assert remedy in " ".join(finding.remedy for finding in _errors(_check(document, source)))


def test_all_renamed_columns_are_told_at_once(document: Document, source: Path) -> None:
    document["routings"]["columns"] |= {"setup_minutes": "RUST", "sequence": "STEP"}
    fields = {finding.field for finding in _errors(_check(document, source))}
    assert {"routings.columns.setup_minutes", "routings.columns.sequence"} <= fields


def test_inches_without_a_unit_column_show_within_drawings(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path, item_columns={"OUTDIAMETER_UNIT": None})
    for name in ("OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS"):
        document["items"]["attributes"][name] = {"kind": "numeric", "unit": "mm"}
    found = {finding.field for finding in _errors(_check(document, tmp_path))}
    assert "items.attributes.OUTDIAMETER" in found


def test_a_unit_column_that_is_not_kept_is_a_warning(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path, all_sizes_in_mm=True)
    found = [finding for finding in _check(document, tmp_path).findings if finding.severity is Severity.WARNING]
    assert "items.attributes.OUTDIAMETER" in {finding.field for finding in found}


def test_days_and_decimals_of_another_form_name_the_setting(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    file = tmp_path / "BI_WORK_ORDER_RESULTS.csv"
    frame = pl.read_csv(file, infer_schema=False).with_columns(
        pl.col("REPORT_DT").str.to_date().dt.strftime("%d.%m.%Y"),
        pl.col("MACH_WORKED_HOURS", "SETUP_HOURS").str.replace(".", ",", literal=True),
    )
    frame.write_csv(file)
    remedies = " ".join(finding.remedy for finding in _errors(_check(document, tmp_path)))
    assert "'%d.%m.%Y'" in remedies
    frame.with_columns(pl.lit("2025-01-02").alias("REPORT_DT")).write_csv(file)
    assert "source.decimal_comma: true" in " ".join(f.remedy for f in _check(document, tmp_path).findings)


def test_hints_tell_zeros_spellings_and_constants(document: Document, source: Path) -> None:
    attributes = document["items"]["attributes"]
    attributes["OUT_SEALSIZE"]["zero_is_unknown"] = False
    attributes["STANDARD_YN"] = {"kind": "categorical"}
    hints = {f.field: f.message for f in _check(document, source).findings if f.severity is Severity.HINT}
    assert "is 0 in" in hints["items.attributes.OUT_SEALSIZE.zero_is_unknown"]
    assert "'N' = 'n'" in hints["items.attributes.STANDARD_YN"]
    assert "same value" in hints["items.attributes.RAW_MATL_KIND"]


def test_an_alias_that_the_source_has_too_is_a_hint(document: Document, source: Path) -> None:
    document["work_results"]["columns"]["operation_code"] = ["JOB_CD", "CD_NM"]
    fields = {finding.field for finding in _check(document, source).findings}
    assert "work_results.columns.operation_code" in fields


def test_only_the_first_rows_are_read_where_asked(document: Document, source: Path) -> None:
    report = _check(document, source, rows=50)
    assert {name: facts.rows_read for name, facts in report.tables.items() if name != "items"} == {
        "routings": 50,
        "work_results": 50,
    }
    assert report.tables["items"].rows_read > 50  # their codes are what the other rows are compared with
    assert not report.has_errors


def test_an_unread_table_that_looks_like_a_used_one_is_a_warning(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    (tmp_path / "BI_WORK_ORDER_RESULTS_2019-20.csv").write_text("ARTIKEL,DATUM\n1,2\n", encoding="utf-8")
    routings = (tmp_path / "BI_ROUTING_VIEW.csv").read_text(encoding="utf-8").splitlines()[:2]
    (tmp_path / "older steps.csv").write_text("\n".join(routings), encoding="utf-8")
    (tmp_path / "customers.csv").write_text("NAME,ITEM_CD\nA,1\n", encoding="utf-8")
    report = _check(document, tmp_path)
    assert report.unread_tables == ["BI_WORK_ORDER_RESULTS_2019-20", "customers", "older steps"]
    warnings = {f.message: f.field for f in report.findings if f.severity is Severity.WARNING}
    assert warnings == {
        "BI_WORK_ORDER_RESULTS_2019-20 looks like BI_WORK_ORDER_RESULTS and is not read.": "work_results",
        "older steps looks like BI_ROUTING_VIEW and is not read.": "routings",
    }


def test_tables_that_are_listed_are_read(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    shutil.copy(tmp_path / "BI_WORK_ORDER_RESULTS.csv", tmp_path / "BI_WORK_ORDER_RESULTS_2.csv")
    results = document["work_results"]
    del results["table"]
    results["tables"] = ["BI_WORK_ORDER_RESULTS", "bi_work_order_results_2"]
    report = _check(document, tmp_path)
    assert report.unread_tables == []
    assert report.tables["work_results"].origin == "BI_WORK_ORDER_RESULTS and bi_work_order_results_2"


def _bend(folder: Path, table: str, **columns: pl.Expr) -> None:
    """Change columns of one of the shop's tables."""
    file = folder / f"{table}.csv"
    pl.read_csv(file, infer_schema=False).with_columns(**columns).write_csv(file)


def test_other_versions_and_an_old_export_are_told_with_counts(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    older = pl.col("ROUT_NO") == "01"
    _bend(
        tmp_path,
        "BI_ROUTING_VIEW",
        VALID_TO_DT=pl.when(older).then(pl.lit("2025-05-31")).otherwise(pl.lit("2999-12-31")),
        VALID_FROM_DT=pl.when(older).then(pl.lit("2020-01-01")).otherwise(pl.lit("2025-06-01")),
    )
    _bend(tmp_path, "BI_WORK_ORDER_RESULTS", REPORT_DT=pl.lit("2024-12-31"))
    found = {(f.severity, f.field): f.message for f in _check(document, tmp_path).findings}
    assert "360 of 720 steps are not valid on 2025-06-01; 120 items" in found[Severity.HINT, "routings.filters"]
    assert "120 of 120 items have other valid steps" in found[Severity.WARNING, "source.as_of"]
    assert "152 days before 2025-06-01." in found[Severity.HINT, "source.as_of"]

    document["routings"]["filters"] = [{"valid_from": "VALID_FROM_DT", "valid_to": "VALID_TO_DT"}]
    found = {(f.severity, f.field): f.message for f in _check(document, tmp_path).findings}
    assert "and routings.filters count from 2025-06-01" in found[Severity.WARNING, "source.as_of"]
    assert (Severity.HINT, "routings.filters") not in found


def test_several_valid_routings_that_nothing_tells_apart_are_a_warning(document: Document, source: Path) -> None:
    del document["routings"]["columns"]["created_at"]
    found = {f.field: f for f in _check(document, source).findings if f.severity is Severity.WARNING}
    assert "120 of 120 items have several routings" in found["routings.filters"].message
    assert "created_at" in found["routings.filters"].remedy


def test_total_times_reports_exported_twice_and_idle_ones_are_told(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    file = tmp_path / "BI_WORK_ORDER_RESULTS.csv"
    frame = pl.read_csv(file, infer_schema=False)
    hours = pl.col("MACH_WORKED_HOURS").cast(pl.Float64)
    idle = pl.int_range(pl.len()) < 4
    frame = frame.with_columns(
        pl.when(idle).then(0.0).otherwise(hours + pl.col("SETUP_HOURS").cast(pl.Float64)).alias("TOTAL").round(2)
    )
    pl.concat([frame, frame.tail(3)]).write_csv(file)
    document["work_results"]["columns"]["run_minutes"] = "TOTAL"
    found = {f.field: f for f in _check(document, tmp_path).findings}
    total = found["work_results.columns.run_minutes"]
    assert total.severity is Severity.WARNING
    assert "setup and run together" in total.message
    assert total.remedy == "Set work_results.columns.run_minutes: MACH_WORKED_HOURS."
    again, no_run = found["work_results"], found["work_results.believable.minimum_run_minutes"]
    assert again.message.startswith("3 of ")
    assert no_run.message.startswith("4 of ")
    assert again.severity is no_run.severity is Severity.HINT


def test_a_setup_time_in_a_unit_of_its_own_is_named(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    file = tmp_path / "BI_ROUTING_VIEW.csv"
    pl.read_csv(file, infer_schema=False).rename({"SETUP_TIME": "SETUP_SEC", "RUN_TIME": "RUN_MIN"}).write_csv(file)
    routings = document["routings"]
    routings["columns"] |= {"setup_minutes": "SETUP_SEC", "run_minutes_per_unit": "RUN_MIN"}
    del routings["time_unit_column"]
    found = {f.field: f for f in _check(document, tmp_path).findings}
    assert found["routings.setup_time_unit"].remedy.startswith("Set routings.setup_time_unit: seconds")
    routings["setup_time_unit"] = "seconds"
    found = {f.field: f for f in _check(document, tmp_path).findings}  # the numbers are minutes all the same
    assert found["routings.setup_time_unit"].severity is Severity.ERROR


def test_units_that_only_their_place_gives_away_are_a_warning(factory: TinyFactory) -> None:
    rows = ["code,kind,zolk,brim,holes,fex,remark"]
    for number in range(60):
        inch, millimetres = number % 3 == 0, 50 + number
        size = f"{millimetres / 25.4:.2f}" if inch else str(millimetres)
        rows.append(f"I{number},ring,{size},{size},{number % 5},{'INCH' if inch else 'mm'},new")
    factory.write("parts.csv", "\n".join(rows))
    attributes = factory.document["items"]["attributes"] = {
        "zolk": {"kind": "numeric", "unit": "mm", "source_unit": "mm"},
        "brim": {"kind": "numeric"},
        "holes": {"kind": "numeric"},
    }
    found = {f.field: f for f in _check(factory.document, factory.source).findings if "attributes" in f.field}
    assert "fex says INCH in 33.3% of its rows" in found["items.attributes.zolk"].message
    assert "fex names several" in found["items.attributes.brim"].message
    assert found["items.attributes.zolk"].severity is found["items.attributes.brim"].severity is Severity.WARNING
    assert "items.attributes.holes" not in found  # a count is not smaller in a larger unit

    for name in ("zolk", "brim"):
        attributes[name] = {"kind": "numeric", "unit": "mm", "unit_column": "fex"}
    found = {f.field: f for f in _check(factory.document, factory.source).findings if "attributes" in f.field}
    assert set(found) <= {"items.attributes.holes.zero_is_unknown"}


def test_values_of_another_form_come_before_filters_that_leave_nothing(factory: TinyFactory) -> None:
    header, rows = "code,seq,job,day,pieces,setup_hours,run_hours\n", "007,10,TURN,5/28/2025,4,0.1,0.2\n" * 20
    factory.write("reports.csv", header + rows + "007,10,TURN,5/28/2025,9,0.1,0.2\n")
    factory.document["work_results"]["filters"] = [{"column": "pieces", "at_most": 8}]
    fields = [finding.field for finding in _errors(_check(factory.document, factory.source))]
    assert fields == ["source.date_formats"]
    factory.document["work_results"]["filters"] = [{"column": "job", "one_of": ["GRIND"]}]
    fields = [finding.field for finding in _errors(_check(factory.document, factory.source))]
    assert fields == ["work_results.filters"]


def test_items_that_are_only_exported_twice_are_no_mistake(factory: TinyFactory) -> None:
    rows = [f"I{number},ring,10,MM" for number in range(50)]
    factory.write("parts.csv", "\n".join(["code,kind,diameter,diameter_unit", *rows, *rows[:10]]))
    field = "items.columns.item_code"
    assert field not in {finding.field for finding in _check(factory.document, factory.source).findings}
    other = [row.replace("10,MM", "11,MM") for row in rows[:10]]
    factory.write("parts.csv", "\n".join(["code,kind,diameter,diameter_unit", *rows, *other]))
    assert field in {finding.field for finding in _errors(_check(factory.document, factory.source))}


def test_a_filter_that_cannot_read_its_days_names_their_form(factory: TinyFactory) -> None:
    rows = "".join(f"007,{number},TURN,사내,5,2,31.12.2030\n" for number in range(30))
    factory.write("steps.csv", "code,seq,job,where,setup,run,until\n" + rows)
    factory.document["routings"]["filters"] = [{"column": "until", "at_least": "today"}]
    found = _errors(_check(factory.document, factory.source))
    assert [finding.field for finding in found] == ["source.date_formats"]
    assert "'%d.%m.%Y'" in found[0].remedy


def test_lines_that_do_not_fit_are_counted_once_and_name_their_setting(document: Document, tmp_path: Path) -> None:
    write_seal_shop(tmp_path)
    for name, spoiled in (("BI_WORK_ORDER_RESULTS", b"\xff\xfe"), ("BI_ROUTING_VIEW", b"," * 99)):
        file = tmp_path / f"{name}.csv"
        lines = file.read_bytes().splitlines()
        file.write_bytes(b"\n".join([*lines[:3], lines[3] + spoiled, lines[4]]))
    document["source"] = {"encoding": "utf-8"}
    found = {f.field: f.message for f in _check(document, tmp_path).findings if f.field.startswith("source.")}
    assert "1 line(s) with bytes that are not utf-8" in found["source.encoding"]
    assert "1 line(s) with more fields" in found["source.delimiter"]


def test_a_folder_that_is_not_there_is_an_error_of_its_own(document: Document, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        _check(document, tmp_path / "nowhere")


def test_a_common_word_that_is_read_as_nothing_is_a_hint(factory: TinyFactory) -> None:
    rows = [f"{code},{'NONE' if code % 2 else 'ring'},10,MM" for code in range(40)]
    factory.write("parts.csv", "\n".join(["code,kind,diameter,diameter_unit", *rows]))
    report = _check(factory.document, factory.source)
    (hint,) = (finding for finding in report.findings if finding.field == "source.null_tokens")
    assert hint.message == "kind: 20 cells (50.0%) say 'NONE', which is read as nothing."
    assert "without 'none'" in hint.remedy
