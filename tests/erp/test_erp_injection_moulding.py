"""Real, public data of an injection-moulding plant; what is expected is computed here from the files themselves."""

import csv
import os
from collections import Counter
from pathlib import Path
from statistics import median

import polars as pl
import pytest

from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.settings import PROJECT_DIR
from tests.erp.erp_support import NOW

# Read at import: the suite clears the product's own variables before each test.
FOLDER = Path(os.environ.get("ROUTING_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data") / "injection_moulding"
Rows = list[dict[str, str]]


def _rows(name: str) -> Rows:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    if not (FOLDER / "productRecords.csv").is_file():
        pytest.skip(f"needs the injection-moulding files in {FOLDER} (ROUTING_TEST_DATA names the folder above)")
    folder = tmp_path_factory.mktemp("snapshots")
    return extract(load_profile("injection_moulding"), FolderLocation(FOLDER), folder, now=NOW)


def _productive() -> Rows:
    known = {row["itemCode"] for row in _rows("moldSpecificationSummary")}
    return [row for row in _rows("productRecords") if row["itemCode"] in known and float(row["itemTotalQuantity"]) > 0]


def test_every_specified_item_arrives_with_its_resin(snapshot: Snapshot) -> None:
    resins: dict[str, set[str]] = {}
    for row in _rows("itemCompositionSummary"):
        resins.setdefault(row["itemCode"], set()).add(row["plasticResin"])
    specified = {row["itemCode"]: row["itemType"] for row in _rows("moldSpecificationSummary")}
    read = {row["item_code"]: row for row in snapshot.items().iter_rows(named=True)}
    assert {code: row["item_type"] for code, row in read.items()} == specified
    assert all(row["resin"] in resins[code] for code, row in read.items() if code in resins)
    assert [code for code in read if code not in resins] == [code for code, row in read.items() if row["resin"] is None]


def test_an_item_has_one_operation_for_each_mould_that_can_make_it(snapshot: Snapshot) -> None:
    moulds = {row["moldNo"]: row for row in _rows("moldInfo")}
    expected = {
        (row["itemCode"], mould): (
            moulds[mould]["machineTonnage"],
            float(moulds[mould]["moldSettingCycle"]) / 60 / float(moulds[mould]["moldCavityStandard"]),
        )
        for row in _rows("moldSpecificationSummary")
        for mould in row["moldList"].split("/")
        if mould in moulds
    }
    read = {(row["item_code"], row["routing_no"]): row for row in snapshot.routings().iter_rows(named=True)}
    assert read.keys() == expected.keys()
    for key, (tonnage, minutes) in expected.items():
        assert read[key]["resource_code"] == tonnage
        assert read[key]["run_minutes_per_unit"] == pytest.approx(minutes, rel=1e-4)
    assert {row["operation_code"] for row in read.values()} == {"MOULD"}


def test_every_productive_record_of_a_known_item_is_a_result(snapshot: Snapshot) -> None:
    def summed(rows: Rows, field: str) -> dict[tuple[str, str], float]:
        total: dict[tuple[str, str], float] = {}
        for row in rows:
            key = (row["itemCode"], row["poNote"])
            total[key] = total.get(key, 0.0) + float(row[field])
        return total

    results = snapshot.work_results()
    productive = _productive()
    assert results.height == len(productive)
    read = results.group_by("item_code", "order_no").agg(pl.col("quantity", "bad_quantity").sum())
    quantities = {(row["item_code"], row["order_no"]): row for row in read.iter_rows(named=True)}
    made, good = summed(productive, "itemTotalQuantity"), summed(productive, "itemGoodQuantity")
    assert {key: row["quantity"] for key, row in quantities.items()} == made
    scrap = {key: row["bad_quantity"] for key, row in quantities.items()}
    assert scrap == {key: pytest.approx(made[key] - good[key]) for key in made}


def _minutes(rows: Rows) -> list[float]:
    """Return each row's share of its machine's shift of eight hours."""
    running = [row for row in _rows("productRecords") if float(row["itemTotalQuantity"] or 0) > 0]
    shared = Counter((row["recordDate"], row["workingShift"], row["machineNo"]) for row in running)
    return [480 / shared[row["recordDate"], row["workingShift"], row["machineNo"]] for row in rows]


def test_a_machine_works_no_more_than_its_shifts(snapshot: Snapshot) -> None:
    expected: dict[str, float] = {}
    for row, minutes in zip(_productive(), _minutes(_productive()), strict=True):
        expected[row["machineNo"]] = expected.get(row["machineNo"], 0.0) + minutes
    booked = snapshot.work_results().group_by("resource_code").agg(pl.col("run_minutes").sum())
    assert dict(booked.iter_rows()) == pytest.approx(expected)
    assert set(_minutes(_productive())) == {480.0, 240.0}


def test_booked_rates_are_near_the_planned_ones(snapshot: Snapshot) -> None:
    """A wrong unit, or a cycle read as the time of one piece, would put them far apart."""
    moulds = {row["moldNo"]: row for row in _rows("moldInfo")}
    allowed = {row["itemCode"]: row["moldList"].split("/") for row in _rows("moldSpecificationSummary")}
    implied = []
    for row, minutes in zip(_productive(), _minutes(_productive()), strict=True):
        if row["moldNo"] in moulds and row["moldNo"] in allowed[row["itemCode"]]:
            mould = moulds[row["moldNo"]]
            planned = float(mould["moldSettingCycle"]) / float(mould["moldCavityStandard"])
            implied.append(minutes * 60 / float(row["itemTotalQuantity"]) / planned)
    results = snapshot.work_results().join(snapshot.routings(), on=["item_code", "routing_no"])
    ratio = results["run_minutes"] / results["quantity"] / results["run_minutes_per_unit"]
    assert ratio.median() == pytest.approx(median(implied), rel=1e-3)
    assert 0.8 < median(implied) < 1.25
