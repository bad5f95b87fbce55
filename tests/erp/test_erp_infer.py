"""`profiles infer` on data that it has never seen: what it proposes must load, read, and mean the right thing."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
import yaml

from shared.erp.check.checking import check_profile
from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.infer.inferring import Proposal, propose_profile
from shared.erp.infer.names import likeness, looks_like, time_unit_of
from shared.erp.profiles.model import Profile, load_profile, parse_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation, OdbcLocation
from shared.erp.units import TimeUnit
from shared.errors import SourceError
from shared.settings import PROJECT_DIR
from tests.erp.erp_support import NOW
from tests.erp.foreign_data import (
    write_french_factory,
    write_german_factory,
    write_korean_factory,
    write_one_table,
    write_parts_and_plan_only,
    write_pump_maker,
    write_sap_tables,
)
from tests.erp.odbc_support import sqlite_location
from tests.erp.seal_shop import write_seal_shop

LATER = NOW.replace(year=2035)  # after the last day of all the data
# Read at import: the suite clears the product's own variables before each test.
PUBLIC_DATA = Path(os.environ.get("ROUTING_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data")


def _proposed(source: Path, folder: Path) -> tuple[Proposal, Profile, Snapshot]:
    """Propose a profile, load it from its file, and read the source by it."""
    proposal = propose_profile(FolderLocation(source), name="stranger")
    file = folder / "stranger.yaml"
    file.write_text(proposal.text, encoding="utf-8")
    profile = load_profile(file)
    return proposal, profile, extract(profile, FolderLocation(source), folder / "snapshots", now=LATER)


def _made(tmp_path: Path, write: Callable[[Path], None]) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    write(source)
    return source


def _booked_to_planned(snapshot: Snapshot) -> float:
    key = ["item_code", "sequence", "operation_code"]
    joined = snapshot.work_results().join(snapshot.routings(), on=key, suffix="_planned")
    assert joined.height == snapshot.rows["work_results"] > 0
    ratio = joined["run_minutes"] / joined["quantity"] / joined["run_minutes_per_unit"]
    return float(ratio.median())  # type: ignore[arg-type] # there are rows


def test_a_german_export_is_understood(tmp_path: Path) -> None:
    _, profile, snapshot = _proposed(_made(tmp_path, write_german_factory), tmp_path)
    assert profile.source.delimiter == ";"
    assert profile.source.decimal_comma
    assert "k.a." in profile.source.null_tokens
    attributes = {attribute.name: attribute for attribute in profile.attributes}
    assert attributes["Durchmesser_mm"].unit == "mm"
    assert [name for name, attribute in attributes.items() if attribute.family] == ["Warengruppe"]
    assert [name for name, attribute in attributes.items() if attribute.drawing] == ["Zeichnungsnr"]
    assert "Werk" not in attributes
    assert snapshot.rows["items"] == 150
    assert snapshot.issues == {}
    assert snapshot.items()["item_code"].str.starts_with("00").any()
    assert snapshot.items()["Durchmesser_mm"].null_count() == 15
    steps = snapshot.routings()
    assert steps.filter(pl.col("operation_code") == "HÄRTEN")["inside"].unique().to_list() == [False]
    assert steps.filter(pl.col("operation_code") == "DREHEN")["inside"].unique().to_list() == [True]
    assert 20 < steps["setup_minutes"].min() < 25  # type: ignore[operator] # minutes, as the plan has them
    assert 0.9 < _booked_to_planned(snapshot) < 1.2


def test_bookings_that_know_only_their_order_are_joined_with_it(tmp_path: Path) -> None:
    _, profile, snapshot = _proposed(_made(tmp_path, write_pump_maker), tmp_path)
    assert profile.source.delimiter == "\t"
    assert profile.routings.time_unit is TimeUnit.SECONDS
    assert profile.routings.run_time == "per_lot"
    assert profile.work_results.time_unit is TimeUnit.MINUTES
    assert snapshot.rows == {"items": 120, "routings": 320, "work_results": 960}
    assert set(snapshot.work_results()["operation_code"]) == set(snapshot.routings()["operation_code"])
    assert snapshot.work_results()["reported_at"].dt.month().n_unique() == 12
    sizes = snapshot.items().sort("item_code")["bore_diameter"]
    assert [round(size) for size in sizes] == [50 + number for number in range(120)]
    assert profile.items.attributes["weight_kg"].zero_is_unknown
    assert 0.9 < _booked_to_planned(snapshot) < 1.2
    assert 20 < snapshot.routings()["setup_minutes"].median() < 24  # type: ignore[operator] # there are rows


def test_korean_names_are_understood_and_the_times_settle_a_unit_that_no_name_says(tmp_path: Path) -> None:
    _, profile, snapshot = _proposed(_made(tmp_path, write_korean_factory), tmp_path)
    assert profile.routings.time_unit is TimeUnit.HOURS
    assert profile.work_results.time_unit is TimeUnit.MINUTES
    assert profile.routings.outside_values == ("외주",)
    assert profile.items.attributes["외경"].unit_column == ("외경단위",)
    assert [attribute.name for attribute in profile.attributes if attribute.family] == ["분류"]
    assert snapshot.rows["items"] == 100
    assert 0.9 < _booked_to_planned(snapshot) < 1.2


def test_a_source_without_reported_work_is_said_and_still_read(tmp_path: Path) -> None:
    proposal, profile, snapshot = _proposed(_made(tmp_path, write_parts_and_plan_only), tmp_path)
    assert any("No table looks like reported work" in note for note in proposal.notes)
    assert snapshot.rows == {"items": 60, "routings": 150, "work_results": 0}
    assert profile.items.attributes["category"].family


def test_parts_of_one_table_units_of_two_kinds_and_codes_that_repeat_are_understood(tmp_path: Path) -> None:
    proposal, profile, snapshot = _proposed(_made(tmp_path, write_french_factory), tmp_path)
    assert profile.items.table == ("Nomenclature",)
    assert profile.routings.time_unit is TimeUnit.SECONDS
    assert profile.routings.setup_time_unit is TimeUnit.MINUTES
    assert profile.work_results.time_unit is TimeUnit.HOURS
    assert snapshot.rows == {"items": 80, "routings": 160, "work_results": 480}  # both tables of reports
    assert {day.year for day in snapshot.work_results()["reported_at"]} == {2023, 2024}
    assert snapshot.routings()["setup_minutes"].unique().to_list() == [15.0]
    assert 0.9 < _booked_to_planned(snapshot) < 1.2
    assert any("looked up in the plan" in note for note in proposal.notes)
    assert any(note.startswith("Not read: Clients") for note in proposal.notes)


def test_the_names_of_an_old_german_erp_are_known(tmp_path: Path) -> None:
    _, profile, snapshot = _proposed(_made(tmp_path, write_sap_tables), tmp_path)
    assert profile.source.delimiter == "|"
    assert profile.routings.lot_quantity == ("BMSCH",)
    assert profile.routings.time_unit_column == ("VGE01",)
    assert snapshot.rows == {"items": 90, "routings": 225, "work_results": 450}
    assert snapshot.items().sort("item_code")["LAENG"].to_list()[:2] == [500.0, 51.0]
    assert 0.9 < _booked_to_planned(snapshot) < 1.2


def test_one_table_alone_gives_items_routings_and_work(tmp_path: Path) -> None:
    proposal, profile, snapshot = _proposed(_made(tmp_path, write_one_table), tmp_path)
    assert any("No table holds the items" in note for note in proposal.notes)
    assert snapshot.rows == {"items": 60, "routings": 150, "work_results": 300}
    assert snapshot.issues == {}
    assert [(attribute.name, attribute.unit) for attribute in profile.attributes] == [
        ("product_type", None),
        ("diameter_mm", "mm"),
    ]
    assert snapshot.work_results()["run_minutes"].sum() == pytest.approx(snapshot.work_results()["quantity"].sum() * 3)


def test_the_seal_shop_is_found_under_other_names(tmp_path: Path) -> None:
    """The shape of the seal maker's views, with every table and column renamed to plain English."""
    source = _made(tmp_path, write_seal_shop)
    names = {
        "ITEM_CD": "PartCode", "PROC_SEQ": "StepNumber", "JOB_CD": "OperationCode", "JOB_NM": "OperationName",
        "CD_NM": "OperationName", "RES_CD": "MachineCode", "RES_DIS": "MachineName", "INSIDE_FLAG": "InHouse",
        "SETUP_TIME": "SetupMinutes", "RUN_TIME": "RunMinutes", "RUN_TIME_QTY": "PiecesPerRun", "ROUT_NO": "RoutingNo",
        "TIME_UNIT": "Unit of time", "REPORT_DT": "FinishedOn", "ORDER_QTY": "Quantity", "BAD_QTY": "Scrap",
        "SETUP_HOURS": "SetupHours", "MACH_WORKED_HOURS": "WorkedHours", "DRAW_NO": "Drawing", "PART_TYPE": "PartType",
        "OUTDIAMETER": "OuterDiameter", "INDIAMETER": "InnerDiameter", "OUTTHICKNESS": "Thickness",
        "OUTDIAMETER_UNIT": "SizeUnit", "IN_SEALSIZE": "SealSize", "IN_SEALSIZE_UOM": "SealSizeUnit",
    }  # fmt: skip
    tables = {"BI_ITEM_INFO_VIEW": "Parts", "BI_ROUTING_VIEW": "Steps", "BI_WORK_ORDER_RESULTS": "Reports"}
    for old, new in tables.items():
        file = source / f"{old}.csv"
        frame = pl.read_csv(file, infer_schema=False)
        frame.rename({name: names[name] for name in frame.columns if name in names}).write_csv(source / f"{new}.csv")
        file.unlink()
    _, profile, snapshot = _proposed(source, tmp_path)
    expected = extract(load_profile("fksm"), FolderLocation(_made_again(tmp_path)), tmp_path / "expected", now=LATER)
    columns = [
        "item_code",
        "routing_no",
        "sequence",
        "operation_code",
        "resource_code",
        "inside",
        "setup_minutes",
        "run_minutes_per_unit",
    ]
    assert snapshot.routings().select(columns).equals(expected.routings().select(columns))
    columns = [
        "item_code",
        "sequence",
        "operation_code",
        "resource_code",
        "reported_at",
        "quantity",
        "bad_quantity",
        "setup_minutes",
        "run_minutes",
    ]
    assert (
        snapshot.work_results()
        .select(columns)
        .sort(columns)
        .equals(expected.work_results().select(columns).sort(columns))
    )
    assert snapshot.items()["OuterDiameter"].equals(expected.items()["OUTDIAMETER"], check_names=False)
    assert snapshot.items()["SealSize"].equals(expected.items()["IN_SEALSIZE"], check_names=False)
    assert profile.items.attributes["Drawing"].drawing


def _made_again(tmp_path: Path) -> Path:
    folder = tmp_path / "again"
    folder.mkdir()
    write_seal_shop(folder)
    return folder


def test_the_demo_factory_is_understood_through_its_dirt(tmp_path: Path) -> None:
    source = tmp_path / "source"
    generate_demo(source, items=600, seed=11)
    _, profile, snapshot = _proposed(source, tmp_path)
    expected = extract(load_profile("demo"), FolderLocation(source), tmp_path / "expected", now=LATER)
    assert snapshot.routings().equals(expected.routings())
    assert expected.rows["work_results"] <= snapshot.rows["work_results"] <= expected.rows["work_results"] * 1.01
    shared = snapshot.work_results().join(expected.work_results(), on=snapshot.work_results().columns, nulls_equal=True)
    assert shared.unique().height == expected.work_results().unique().height
    assert [attribute.name for attribute in profile.attributes if attribute.family] == ["PART_TYPE"]
    assert [attribute.name for attribute in profile.attributes if attribute.drawing] == ["DRAW_NO"]
    stated = pl.read_csv(source / "BI_ITEM_INFO_VIEW.csv", infer_schema=False).select(
        pl.col("ITEM_CD").str.strip_chars().alias("item_code"), pl.col("OUTDIAMETER_UNIT").alias("unit")
    )
    for size in ("OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS"):  # what has no unit stays unknown without a person's word
        known = stated.drop_nulls().unique("item_code").select("item_code")
        ours, theirs = (
            s.items().join(known, on="item_code").filter(pl.col(size) < 9000)[size] for s in (snapshot, expected)
        )
        assert ours.equals(theirs)
        assert ours.len() > 200


def _in_sqlite(source: Path, file: Path) -> OdbcLocation:
    """Return a folder's tab-separated files as the tables of a SQLite database, with whole numbers as numbers."""
    location = sqlite_location(file)
    with sqlite3.connect(file) as database:
        for path in sorted(source.iterdir()):
            frame = pl.read_csv(
                path, separator="\t", infer_schema_length=None, schema_overrides={"work_order": pl.String}
            )
            columns = ", ".join(
                f'"{name}" {"NUMERIC" if dtype.is_numeric() else "TEXT"}' for name, dtype in frame.schema.items()
            )
            database.execute(f'CREATE TABLE "{path.stem}" ({columns})')
            marks = ", ".join("?" * frame.width)
            database.executemany(f'INSERT INTO "{path.stem}" VALUES ({marks})', frame.iter_rows())
    database.close()
    return location


def test_a_database_is_understood_like_its_files(tmp_path: Path) -> None:
    source = _made(tmp_path, write_pump_maker)
    location = _in_sqlite(source, tmp_path / "pumps.db")
    _, _, of_files = _proposed(source, tmp_path)
    proposal = propose_profile(location, name="stranger")
    profile = parse_profile(yaml.safe_load(proposal.text), source="stranger")
    of_database = extract(profile, location, tmp_path / "database", now=LATER)
    assert of_database.routings().equals(of_files.routings())
    assert of_database.work_results().equals(of_files.work_results())
    assert of_database.items()["bore_diameter"].equals(of_files.items()["bore_diameter"])
    report = check_profile(profile, location, now=LATER, rows=500)
    assert not report.has_errors
    assert report.tables["work_results"].rows_read == 500


def test_the_sheets_of_a_workbook_are_understood_like_files(tmp_path: Path) -> None:
    source = _made(tmp_path, write_pump_maker)
    _, _, of_files = _proposed(source, tmp_path)
    book = tmp_path / "book"
    book.mkdir()
    with xlsxwriter.Workbook(book / "export.xlsx") as workbook:
        for path in sorted(source.iterdir()):
            pl.read_csv(path, separator="\t", infer_schema_length=None).write_excel(workbook, worksheet=path.stem)
    _, _, of_book = _proposed(book, tmp_path / "book")
    assert of_book.routings().equals(of_files.routings())
    assert of_book.work_results().equals(of_files.work_results())


@pytest.mark.parametrize("name", ["adventureworks", "injection_moulding"])
def test_public_data_gets_what_can_be_had_from_it(name: str, tmp_path: Path) -> None:
    if not (PUBLIC_DATA / name).is_dir():
        pytest.skip(f"needs the public data in {PUBLIC_DATA} (ROUTING_TEST_DATA names the folder)")
    proposal, _, snapshot = _proposed(PUBLIC_DATA / name, tmp_path)
    by_hand = extract(load_profile(name), FolderLocation(PUBLIC_DATA / name), tmp_path / "by_hand", now=LATER)
    assert any("No table looks like planned steps" in note for note in proposal.notes)
    assert set(by_hand.items()["item_code"]) <= set(snapshot.items()["item_code"])
    if name == "injection_moulding":  # its records hold no time at all
        assert any("run_minutes" in note for note in proposal.notes)
        assert snapshot.rows["work_results"] == 0
        return
    columns = ["item_code", "sequence", "operation_code"]
    assert snapshot.routings().select(columns).equals(by_hand.routings().select(columns))
    columns = [*columns, "reported_at", "quantity", "run_minutes"]
    assert (
        snapshot.work_results()
        .select(columns)
        .sort(columns)
        .equals(by_hand.work_results().select(columns).sort(columns))
    )


def test_every_guess_says_what_it_rests_on(tmp_path: Path) -> None:
    proposal, _, _ = _proposed(_made(tmp_path, write_german_factory), tmp_path)
    lines = [line for line in proposal.text.splitlines() if line.startswith("    ") and ":" in line]
    silent = [line for line in lines if "#" not in line]
    assert [line.split(":")[0].strip() for line in silent] == ["item_code"]  # the table's own comment speaks of it


def test_a_source_without_items_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("at,level,said\n1,INFO,a\n2,INFO,a\n2,INFO,b\n", encoding="utf-8")
    with pytest.raises(SourceError, match="looks like items") as caught:
        propose_profile(FolderLocation(tmp_path), name="log")
    assert "log" in str(caught.value.remedy)


def test_a_table_that_cannot_be_read_is_noted_and_the_others_serve(tmp_path: Path) -> None:
    source = _made(tmp_path, write_parts_and_plan_only)
    (source / "empty.csv").write_bytes(b"")
    proposal, _, snapshot = _proposed(source, tmp_path)
    assert any(note.startswith("empty was left out") for note in proposal.notes)
    assert snapshot.rows["items"] == 60


def test_a_proposal_is_the_same_every_time(tmp_path: Path) -> None:
    source = _made(tmp_path, write_pump_maker)
    first, second = (propose_profile(FolderLocation(source), name="pumps").text for _ in range(2))
    assert first == second
    assert parse_profile(yaml.safe_load(first), source="pumps").name == "pumps"


@pytest.mark.parametrize(
    ("role", "names"),
    {
        "item_code": ["ITEM_CD", "PartNo", "Artikelnummer", "MATNR", "품번", "product_id", "item code", "SKU"],
        "sequence": ["PROC_SEQ", "op_no", "OperationSequence", "AG-Nr", "Vorgangsnummer", "공정순서", "step"],
        "operation_code": ["JOB_CD", "operation", "Arbeitsgang", "공정코드", "OperationCode", "process"],
        "resource_code": ["RES_CD", "work_center", "WorkCentre", "Arbeitsplatz", "설비코드", "MachineNo", "Location"],
        "setup_minutes": ["SETUP_TIME", "Rüstzeit", "ruestzeit", "setup_hrs", "준비시간"],
        "run_minutes": ["RUN_TIME", "Stückzeit", "cycle_time", "MACH_WORKED_HOURS", "가공시간", "run_sec"],
        "quantity": ["ORDER_QTY", "Gutmenge", "quantity", "qty", "실적수량", "Pieces"],
        "bad_quantity": ["BAD_QTY", "ScrappedQty", "Ausschuss", "불량수량"],
        "lot_quantity": ["RUN_TIME_QTY", "lot_size", "Losgröße", "base_quantity", "PiecesPerRun"],
        "drawing": ["DRAW_NO", "Zeichnungsnr", "drawing_number", "도면번호"],
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_usual_names_are_known_in_three_languages(role: str, names: list[str]) -> None:
    assert [name for name in names if not looks_like(role, name)] == []
    assert likeness(role, "Farbe") == 0


@pytest.mark.parametrize(
    ("role", "names"),
    {
        "item_code": ["Cod.Art", "Cod. articolo", "Código artículo", "Réf. article", "Indeks", "Artikelcode"],
        "sequence": ["Fase", "N° phase", "Nr operacji", "Bewerking nr", "Operación", "Nr. fase", "Volgnummer"],
        "operation_name": ["Descr. fase", "Libellé opération", "Opis operacji", "Omschrijving bewerking"],
        "resource_code": ["CdL", "Centro di lavoro", "Poste de charge", "Puesto de trabajo", "Stanowisko", "Werkplek"],
        "setup_minutes": ["T.attr. (min)", "Ore attrezzaggio", "Temps réglage", "Tpz", "Insteltijd", "Preparación (h)"],
        "run_minutes": ["T.ciclo (sec/pz)", "Ore lav.", "Temps usinage", "Tj", "Cyclustijd", "Tiempo mecanizado"],
        "quantity": ["Pz buoni", "Q.tà buona", "Quantité", "Cantidad", "Ilość", "Aantal goed", "Qtd boas"],
        "bad_quantity": ["Pz scarto", "Rebuts", "Cant. rechazada", "Braki", "Afkeur", "Refugo"],
        "order_no": ["Nr. ordine", "Ordine prod.", "Ordre de fabrication", "Orden", "Nr zlecenia", "Productieorder"],
        "reported_at": ["Data", "Data vers.", "Date pointage", "Fecha fin", "Data zakończenia", "Datum gereed"],
        "valid_from": ["Valido dal", "Valable du", "Válido desde", "Ważny od", "Geldig vanaf"],
        "valid_to": ["Valido al", "Valable au", "Válido hasta", "Ważny do", "Geldig tot"],
        "drawing": ["Nr.Disegno", "Plano", "Rysunek", "Tekeningnr", "Desenho"],
        "family": ["Gr.Merc.", "Famille", "Familia", "Artikelgroep", "Rodzina"],
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_usual_names_are_known_in_six_more_languages(role: str, names: list[str]) -> None:
    assert [name for name in names if not looks_like(role, name)] == []


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("SETUP_HOURS", TimeUnit.HOURS),
        ("run_sec", TimeUnit.SECONDS),
        ("RuestMin", TimeUnit.MINUTES),
        ("작업시간(분)", TimeUnit.MINUTES),
        ("RUN_TIME", None),
        ("T.ciclo (sec/pz)", TimeUnit.SECONDS),
        ("Ore lav.", TimeUnit.HOURS),
        ("Czas (godz.)", TimeUnit.HOURS),
        ("Size", None),
    ],
)
def test_a_name_states_a_unit_of_time_only_by_a_word_of_its_own(name: str, unit: TimeUnit | None) -> None:
    assert time_unit_of(name) is unit
