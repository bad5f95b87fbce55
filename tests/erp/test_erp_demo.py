import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shared.erp.demo import generate_demo
from shared.erp.demo_check import measure_difficulty
from shared.erp.extract import extract
from shared.erp.location import FolderLocation
from shared.erp.profiles import load_profile
from shared.erp.snapshot import Snapshot
from shared.errors import InvalidInput
from tests.erp.erp_support import NOW

ITEMS = 3000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate_demo(folder, items=ITEMS, seed=5)
    return folder


@pytest.fixture(scope="module")
def snapshot(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    now = NOW.replace(year=2027)  # after the factory's last day
    return extract(load_profile("demo"), FolderLocation(source), tmp_path_factory.mktemp("snapshots"), now=now)


@pytest.fixture(scope="module")
def truth(source: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((source / "truth" / "demo.json").read_text(encoding="utf-8"))
    return document


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_count_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        generate_demo(tmp_path / name, items=200, seed=seed)
    assert _digests(tmp_path / "first") == _digests(tmp_path / "second")
    assert _digests(tmp_path / "first") != _digests(tmp_path / "other")


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    generate_demo(tmp_path, items=60, progress=lambda share, _step: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0


@pytest.mark.parametrize(("items", "seed"), [(0, 1), (100, -1)])
def test_an_impossible_factory_is_refused(tmp_path: Path, items: int, seed: int) -> None:
    with pytest.raises(InvalidInput):
        generate_demo(tmp_path, items=items, seed=seed)
    assert list(tmp_path.iterdir()) == []


def test_every_item_arrives_and_every_bad_row_is_counted(snapshot: Snapshot, truth: dict[str, Any]) -> None:
    dirt = truth["dirt_applied"]
    assert snapshot.rows["items"] == ITEMS
    issues = snapshot.issues
    assert issues["items"]["item_code is empty"] == dirt["BI_ITEM_INFO_VIEW"]["item_row_without_code"]
    assert issues["items"]["item_code is repeated"] == dirt["BI_ITEM_INFO_VIEW"]["item_row_repeated"]
    strays = dirt["BI_ROUTING_VIEW"]["planned_step_of_unknown_item"]
    assert snapshot.rows["routings"] == truth["rows"]["BI_ROUTING_VIEW"] - strays
    assert (
        snapshot.rows["work_results"] + sum(issues["work_results"].values()) == truth["rows"]["BI_WORK_ORDER_RESULTS"]
    )


def test_sizes_are_the_true_millimetres_or_unknown(snapshot: Snapshot, source: Path) -> None:
    true = pl.read_csv(source / "truth" / "items.csv", schema_overrides={"item_code": pl.String})
    joined = true.join(snapshot.items(), on="item_code").drop_nulls("OUTDIAMETER")
    assert joined.height > ITEMS / 2
    assert joined.select(((pl.col("OUTDIAMETER") - pl.col("outer_mm")).abs() < 0.05).all()).item()


def test_the_newest_routing_is_the_true_one(snapshot: Snapshot, source: Path) -> None:
    true = pl.read_csv(source / "truth" / "items.csv", schema_overrides={"item_code": pl.String})
    read = (
        snapshot.routings()
        .filter(pl.col("routing_no") == pl.col("routing_no").max().over("item_code"))
        .group_by("item_code")
        .agg(pl.col("operation_code").sort_by("sequence").str.join(">").alias("read"))
    )
    routed = true.filter("has_routing").join(read, on="item_code", how="left")
    assert routed.filter(pl.col("read").is_null() | (pl.col("read") != pl.col("true_signature"))).is_empty()
    assert true.filter(~pl.col("has_routing")).join(read, on="item_code", how="semi").is_empty()


def test_booked_minutes_centre_on_the_true_times(snapshot: Snapshot, source: Path) -> None:
    true = pl.read_csv(source / "truth" / "routings.csv", schema_overrides={"item_code": pl.String})
    joined = snapshot.work_results().join(true, on=["item_code", "sequence", "operation_code"], suffix="_true")
    ratio = joined.select(
        run=(pl.col("run_minutes") / pl.col("quantity") / pl.col("run_minutes_per_unit")).median(),
        setup=(pl.col("setup_minutes") / pl.col("setup_minutes_true")).median(),
    )
    assert joined.height > 0.98 * snapshot.rows["work_results"]
    assert 0.85 < ratio["run"].item() < 1.05
    assert 0.9 < ratio["setup"].item() < 1.05


def test_planned_times_are_minutes_a_piece_in_every_spelling(snapshot: Snapshot, source: Path) -> None:
    true = pl.read_csv(source / "truth" / "routings.csv", schema_overrides={"item_code": pl.String})
    joined = snapshot.routings().join(true, on=["item_code", "sequence", "operation_code"], suffix="_true")
    ratio = (joined["run_minutes_per_unit"] / joined["run_minutes_per_unit_true"]).drop_nulls()
    assert ratio.is_between(0.2, 5).mean() == pytest.approx(1, abs=0.002)


def test_sisters_share_a_drawing(snapshot: Snapshot) -> None:
    shared = snapshot.items().drop_nulls("DRAW_NO").group_by("DRAW_NO").len().filter(pl.col("len") > 1)
    assert shared.height > ITEMS / 20


def test_the_factory_is_neither_trivial_nor_hopeless(snapshot: Snapshot, source: Path) -> None:
    found = measure_difficulty(snapshot, source / "truth", sample=800)
    assert 0.45 <= found["copy_of_nearest_top1"] <= 0.75
    assert found["copy_of_nearest_top1"] < found["best_possible_top1"] <= 0.95
    assert found["unlike_anything_before"] >= 0.10
    assert found["routing_never_made_before"] >= 0.05
    assert 0.15 <= found["lowest_time_cv"] < found["highest_time_cv"] <= 0.40


def test_there_are_about_ten_results_for_a_routed_item(snapshot: Snapshot, truth: dict[str, Any]) -> None:
    assert 7 < snapshot.rows["work_results"] / truth["items_with_routing"] < 14
