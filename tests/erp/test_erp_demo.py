import hashlib
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from shared.erp.demo.check import measure_difficulty
from shared.erp.demo.dirt import DIRT
from shared.erp.demo.generate import generate_demo
from shared.erp.demo.truth import Truth, load_truth
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.errors import InvalidInput
from shared.prediction.memory import choose_current
from shared.settings import PROJECT_DIR
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
def truth(source: Path) -> Truth:
    return load_truth(source)


@pytest.fixture(scope="module")
def routing_view(source: Path) -> pl.DataFrame:
    return pl.read_csv(source / "BI_ROUTING_VIEW.csv", infer_schema=False)


@pytest.fixture(scope="module")
def result_view(source: Path) -> pl.DataFrame:
    return pl.read_csv(source / "BI_WORK_ORDER_RESULTS.csv", infer_schema=False)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_count_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        generate_demo(tmp_path / name, items=200, seed=seed)
    assert _digests(tmp_path / "first") == _digests(tmp_path / "second")
    assert _digests(tmp_path / "first") != _digests(tmp_path / "other")


def test_the_size_of_the_parts_changes_no_byte(tmp_path: Path) -> None:
    for part_rows in (7, 64, 100_000):
        generate_demo(tmp_path / str(part_rows), items=150, seed=3, part_rows=part_rows)
    assert _digests(tmp_path / "7") == _digests(tmp_path / "64") == _digests(tmp_path / "100000")


@pytest.mark.parametrize(
    "surroundings",
    [
        {"POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "1"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
    ],
)
def test_threads_hash_seeds_and_the_processor_s_width_change_no_byte(
    tmp_path: Path, surroundings: dict[str, str]
) -> None:
    generate_demo(tmp_path / "here", items=400, seed=9)
    code = (
        "import pathlib, sys; from shared.erp.demo.generate import generate_demo;"
        "generate_demo(pathlib.Path(sys.argv[1]), items=400, seed=9)"
    )
    there = tmp_path / "there"
    words = [sys.executable, "-W", "ignore", "-c", code, str(there)]
    subprocess.run(words, env=os.environ | surroundings, cwd=PROJECT_DIR, check=True, timeout=60)
    assert _digests(there) == _digests(tmp_path / "here")


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


def test_every_item_arrives_and_every_bad_row_is_counted(snapshot: Snapshot, truth: Truth) -> None:
    dirt, rows = truth.document["dirt_applied"], truth.document["rows"]
    items, routings, results = (snapshot.issues[table] for table in ("items", "routings", "work_results"))
    assert snapshot.rows["items"] == ITEMS
    assert items["item_code is empty"] == dirt["BI_ITEM_INFO_VIEW"]["item_row_without_code"]
    assert items["item_code is repeated, rows equal"] == dirt["BI_ITEM_INFO_VIEW"]["item_row_repeated"]
    planned = dirt["BI_ROUTING_VIEW"]
    assert routings["item_code is unknown"] == planned["planned_step_of_unknown_item"]
    assert routings["the step is repeated, rows equal"] == planned["planned_step_repeated"]
    spoilt = planned["planned_step_of_unknown_item"] + planned["planned_step_repeated"]
    assert snapshot.rows["routings"] == rows["BI_ROUTING_VIEW"] - spoilt
    assert snapshot.rows["work_results"] + sum(results.values()) == rows["BI_WORK_ORDER_RESULTS"]


def test_sizes_are_the_true_millimetres_or_unknown(snapshot: Snapshot, truth: Truth) -> None:
    joined = truth.items.join(snapshot.items(), on="item_code").drop_nulls("OUTDIAMETER")
    assert joined.height > ITEMS / 2
    near = (joined["OUTDIAMETER"] - joined["outer_mm"]).abs() < 0.05
    in_inches = (joined["OUTDIAMETER"] * 25.4 - joined["outer_mm"]).abs() < 0.05
    assert (near | in_inches).all()
    # The unit says millimetres and the number is inches: not every such row keeps a size that can be read.
    contradict = truth.document["dirt_applied"]["BI_ITEM_INFO_VIEW"]["size_unit_contradicts"]
    assert 0 < (~near).sum() <= contradict


def test_the_newest_routing_is_the_true_one(snapshot: Snapshot, truth: Truth) -> None:
    read = (
        snapshot.routings()
        .filter(pl.col("routing_no") == pl.col("routing_no").max().over("item_code"))
        .group_by("item_code")
        .agg(pl.col("operation_code").sort_by("sequence").str.join(">").alias("read"))
    )
    routed = truth.items.filter("has_routing").join(read, on="item_code", how="left")
    assert routed.filter(pl.col("read").is_null() | (pl.col("read") != pl.col("true_signature"))).is_empty()
    assert truth.items.filter(~pl.col("has_routing")).join(read, on="item_code", how="semi").is_empty()


def test_the_routing_that_is_chosen_today_is_the_true_one(snapshot: Snapshot, truth: Truth) -> None:
    chosen = choose_current(snapshot.routings(), snapshot.data_as_of.date()).filter("chosen")
    read = chosen.group_by("item_code").agg(pl.col("operation_code").sort_by("sequence").str.join(">").alias("read"))
    joined = truth.items.filter("has_routing").join(read, on="item_code")
    assert joined.height == truth.document["items_with_routing"]
    assert (joined["read"] == joined["true_signature"]).all()


def test_alternates_are_valid_and_differ_in_where_one_step_is_made(snapshot: Snapshot, truth: Truth) -> None:
    valid = snapshot.routings().filter(pl.col("valid_to") >= snapshot.data_as_of.date())
    numbers = valid.group_by("item_code").agg(pl.col("routing_no").n_unique())
    assert (numbers["routing_no"] <= 2).all()
    two = valid.join(numbers.filter(pl.col("routing_no") == 2), on="item_code", how="semi")
    assert two["item_code"].n_unique() == truth.document["items_with_alternate"] > ITEMS / 25
    made = two.group_by("item_code", "sequence", "operation_code").agg(
        pl.len(), pl.col("resource_code").n_unique().alias("centres"), pl.col("inside").n_unique().alias("ways")
    )
    assert (made["len"] == 2).all()
    assert (made.group_by("item_code").agg((pl.col("centres") - 1).sum())["centres"] == 1).all()
    assert 0.2 < (made.filter(pl.col("centres") == 2)["ways"] == 2).mean() < 0.9  # type: ignore[operator]


def test_booked_minutes_centre_on_the_true_times(snapshot: Snapshot, truth: Truth) -> None:
    joined = snapshot.work_results().join(truth.steps, on=["item_code", "operation_code"], suffix="_true")
    ratio = joined.select(
        run=(pl.col("run_minutes") / pl.col("quantity") / pl.col("run_minutes_per_unit")).median(),
        setup=(pl.col("setup_minutes") / pl.col("setup_minutes_true")).median(),
    )
    assert joined.height == snapshot.rows["work_results"]
    assert 0.85 < ratio["run"].item() < 1.05
    assert 0.9 < ratio["setup"].item() < 1.05


def test_some_work_is_reported_by_the_numbers_of_an_older_routing(snapshot: Snapshot, truth: Truth) -> None:
    numbered = snapshot.work_results().join(truth.steps, on=["item_code", "operation_code"], suffix="_true")
    astray = numbered.filter(pl.col("sequence") != pl.col("sequence_true"))
    revised = truth.items.filter("revised")
    assert 0.005 < astray.height / numbered.height < 0.1
    assert astray.join(revised, on="item_code", how="anti").is_empty()
    # Neither does the routing's number save all of them: some say the current one.
    older = snapshot.routings().filter(pl.col("valid_to") < snapshot.data_as_of.date())
    own = astray.join(older, on=["item_code", "routing_no", "sequence", "operation_code"], how="semi")
    assert 0.3 < own.height / astray.height < 0.9


def test_planned_times_are_minutes_a_piece_in_every_spelling(snapshot: Snapshot, truth: Truth) -> None:
    joined = snapshot.routings().join(truth.steps, on=["item_code", "operation_code"], suffix="_true")
    ratio = (joined["run_minutes_per_unit"] / joined["run_minutes_per_unit_true"]).drop_nulls()
    assert ratio.is_between(0.2, 5).mean() == pytest.approx(1, abs=0.002)


def test_reports_are_numbered_in_the_order_in_which_they_were_posted(result_view: pl.DataFrame) -> None:
    assert result_view["IDX"].to_list() == [str(number) for number in range(1, result_view.height + 1)]
    days = result_view["REPORT_DT"].str.to_date("%Y-%m-%d", strict=False).drop_nulls()
    back = (days.cum_max() - days).dt.total_days()
    assert back.max() == 10  # somebody reports ten days late, nobody later
    assert 0.005 < (back > 0).mean() < 0.05  # type: ignore[operator]


def test_every_kind_of_dirt_is_applied_at_its_rate(truth: Truth) -> None:
    document = truth.document
    applied: dict[str, int] = {}
    for counts in document["dirt_applied"].values():
        applied |= counts
    assert set(applied) == set(DIRT)
    rare = {kind for kind, count in applied.items() if count == 0}
    assert all(DIRT[kind] * document["rows"]["BI_WORK_ORDER_RESULTS"] < 20 for kind in rare), rare


def test_columns_are_those_of_the_factory_that_this_one_resembles(
    source: Path, routing_view: pl.DataFrame, result_view: pl.DataFrame
) -> None:
    items = pl.read_csv(source / "BI_ITEM_INFO_VIEW.csv", infer_schema=False)
    assert (items.width, routing_view.width, result_view.width) == (38, 52, 14)
    assert "MODI_DT" not in items.columns + routing_view.columns


def test_sisters_share_a_drawing(snapshot: Snapshot) -> None:
    shared = snapshot.items().drop_nulls("DRAW_NO").group_by("DRAW_NO").len().filter(pl.col("len") > 1)
    assert shared.height > ITEMS / 20


def test_the_factory_is_neither_trivial_nor_hopeless(snapshot: Snapshot, truth: Truth) -> None:
    found = measure_difficulty(snapshot, truth, sample=800)
    assert 0.45 <= found["copy_of_nearest_top1"] <= 0.75
    assert found["copy_of_nearest_top1"] < found["best_possible_top1"] <= 0.95
    assert found["unlike_anything_before"] >= 0.10
    assert found["routing_never_made_before"] >= 0.05
    assert 0.15 <= found["time_cv_lowest"] < found["time_cv_highest"] <= 0.40


def test_there_are_about_seven_results_for_a_routed_item(snapshot: Snapshot, truth: Truth) -> None:
    assert 5.5 < snapshot.rows["work_results"] / truth.document["items_with_routing"] < 8.5
