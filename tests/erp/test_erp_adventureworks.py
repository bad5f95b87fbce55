"""Real, public data that nobody here wrote; skipped, never passed, where it is not at hand."""

import os
from pathlib import Path

import polars as pl
import pytest

from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.settings import PROJECT_DIR
from tests.erp.erp_support import NOW

# Read at import: the suite clears the product's own variables before each test.
FOLDER = Path(os.environ.get("ROUTING_TEST_DATA") or PROJECT_DIR.parent / "shared" / "data") / "adventureworks"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    if not (FOLDER / "WorkOrderRouting.csv.gz").is_file():
        pytest.skip(f"needs the AdventureWorks files in {FOLDER} (ROUTING_TEST_DATA names the folder above)")
    return extract(
        load_profile("adventureworks"), FolderLocation(FOLDER), tmp_path_factory.mktemp("snapshots"), now=NOW
    )


def test_every_made_product_is_an_item(snapshot: Snapshot) -> None:
    assert snapshot.rows["items"] == 239
    assert snapshot.issues == {}


def test_routings_derived_from_orders_are_one_an_item_and_seven_in_all(snapshot: Snapshot) -> None:
    signatures = (
        snapshot.routings()
        .group_by("item_code", "routing_no")
        .agg(pl.col("operation_code").sort_by("sequence").str.join(">").alias("signature"))
    )
    assert signatures.height == 149
    assert signatures["item_code"].n_unique() == 149
    assert signatures["signature"].n_unique() == 7
    assert (signatures["signature"] == "60").sum() == 97


def test_hours_of_a_work_centre_become_minutes(snapshot: Snapshot) -> None:
    minutes = snapshot.work_results().group_by("operation_code").agg(pl.col("run_minutes").unique())
    assert dict(minutes.rows()) == {
        "10": [246.0],
        "20": [210.0],
        "30": [60.0],
        "40": [120.0],
        "45": [120.0],
        "50": [180.0],
        "60": [240.0],
    }
    assert snapshot.work_results()["setup_minutes"].null_count() == 67_131


def test_pounds_and_grams_are_never_mixed(snapshot: Snapshot) -> None:
    items = snapshot.items()
    raw = pl.read_csv(FOLDER / "Product.csv", infer_schema=False).filter(pl.col("MakeFlag") == "1")
    for unit, factor in (("LB", 453.59237), ("G", 1.0)):
        theirs = raw.filter(pl.col("WeightUnitMeasureCode") == unit).select(
            pl.col("ProductID").alias("item_code"), pl.col("Weight").cast(pl.Float64) * factor
        )
        joined = theirs.join(items, on="item_code", how="left")
        assert joined.height > 10
        assert joined.select(((pl.col("Weight") - pl.col("weight")).abs() < 1e-3).all()).item()


def test_every_result_belongs_to_a_planned_step(snapshot: Snapshot) -> None:
    key = ["item_code", "sequence", "operation_code"]
    assert snapshot.work_results().join(snapshot.routings(), on=key, how="anti").is_empty()
