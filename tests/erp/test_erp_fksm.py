"""The shipped profile of the seal maker's views: all of their item columns, and the same values as the demo profile."""

from pathlib import Path

import polars as pl
import pytest

from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import Profile, load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from tests.erp.erp_support import NOW

LATER = NOW.replace(year=2035)  # after the demo factory's last day
# The view's active columns, as the factory documents them.
ITEM_COLUMNS = """
    ITEM_CD PART_TYPE PartNm ITEM_SUFFIX ITEM_SPEC ITEM_NM ADDITIONAL_SPEC ITEM_MATERIAL MATERIAL_DESC ITEM_ACCT
    ITEM_TYPE ITEM_UNIT ITEM_GRP1 ITEM_GRP1NM STANDARD_YN GROUP1 GROUP2 DRAW_NO DRAW_REV DRAW_SHEET_NO OUTDIAMETER
    INDIAMETER OUTTHICKNESS OUTDIAMETER_UNIT ROTATE_CLOCKWISE ROTATE_CTRCLOCKWISE SealTypeGrup IN_SEALTYPE_CD
    IN_SEALSIZE IN_SEALSIZE_UOM MID_SEALTYPE_CD MID_SEALSIZE MID_SEALSIZE_UOM OUT_SEALTYPE_CD OUT_SEALSIZE
    OUT_SEALSIZE_UOM RAW_MATL_KIND RAW_MATL_KINDNM
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate_demo(folder, items=600, seed=11)
    return folder


def _read(profile: Profile, source: Path, folder: Path) -> Snapshot:
    return extract(profile, FolderLocation(source), folder, now=LATER)


def test_all_38_item_columns_are_used() -> None:
    items = load_profile("fksm").items
    used = set(items.columns.item_code)
    for name, mapping in items.attributes.items():
        used |= set(mapping.column or (name,)) | set(mapping.unit_column or ())
    assert len(ITEM_COLUMNS.split()) == 38
    assert used == set(ITEM_COLUMNS.split())


def test_it_reads_the_demo_factory_like_the_demo_profile(source: Path, tmp_path: Path) -> None:
    fksm = _read(load_profile("fksm"), source, tmp_path)
    demo = _read(load_profile("demo"), source, tmp_path)
    assert fksm.items().equals(demo.items())
    carried = list(load_profile("fksm").routings.carry)
    assert fksm.routings().drop(carried).equals(demo.routings().drop(carried, strict=False))
    order = fksm.work_results().drop("order_no").columns  # the real view names no order
    assert fksm.work_results().select(order).sort(order).equals(demo.work_results().select(order).sort(order))
    assert fksm.work_results()["order_no"].null_count() == fksm.rows["work_results"] > 0


def test_access_names_and_the_old_column_names_are_read_too(source: Path, tmp_path: Path) -> None:
    access = tmp_path / "access"
    access.mkdir()
    for table in ("BI_ITEM_INFO_VIEW", "BI_ROUTING_VIEW", "BI_WORK_ORDER_RESULTS"):
        file = next(path for path in source.iterdir() if path.name.startswith(f"{table}."))
        frame = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file, infer_schema=False)
        old = {"JOB_CD": "OPERATION_CD", "RES_CD": "WORK_CENTER", "MACH_WORKED_HOURS": "ACT_RUN_TIME"}
        old |= {"SETUP_HOURS": "ACT_SETUP_TIME"}
        if table == "BI_WORK_ORDER_RESULTS":
            frame = frame.rename(old)
        frame.write_csv(access / f"dbo_{table}.csv")
    assert (
        _read(load_profile("fksm"), access, tmp_path).fingerprint
        == _read(load_profile("fksm"), source, tmp_path).fingerprint
    )
