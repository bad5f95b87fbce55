"""The demo factory going on after its export, and the changes that break it."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shared.clock import utc_now
from shared.erp.demo.changes import VIEWS, change_demo
from shared.erp.demo.generate import generate_demo
from shared.erp.demo.later import MACHINES, OTHER_UNIT
from shared.erp.demo.new_family import CODE
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.errors import InvalidInput, SourceError

LAST = date(2026, 6, 30)
RESULTS = "BI_WORK_ORDER_RESULTS.csv"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    generate_demo(folder, items=400, seed=42)
    return folder


@pytest.fixture
def factory(export: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(export, tmp_path / "factory"))


def views(folder: Path) -> dict[str, bytes]:
    return {view: (folder / f"{view}.csv").read_bytes() for view in VIEWS.values()}


def snapshot_of(folder: Path) -> Snapshot:
    return extract(load_profile("demo"), FolderLocation(folder), folder / "snapshots", now=utc_now())


def minutes_a_piece(results: pl.DataFrame, *, since: date) -> dict[str, float]:
    rows = results.filter(pl.col("reported_at") >= since, pl.col("quantity") > 0, pl.col("run_minutes") > 0)
    middle = rows.group_by("operation_code").agg((pl.col("run_minutes") / pl.col("quantity")).median().alias("middle"))
    return dict(middle.iter_rows())


def test_days_are_added_behind_the_export_and_the_same_in_any_number_of_calls(factory: Path, tmp_path: Path) -> None:
    before = views(factory)
    apart = Path(shutil.copytree(factory, tmp_path / "apart"))
    once = change_demo(factory, kind="machines", start=date(2026, 7, 3), days=5)
    change_demo(apart, days=2)
    change_demo(apart, kind="machines", days=1)
    twice = change_demo(apart, days=2)

    assert views(factory) == views(apart)
    assert once == twice
    assert once["last_day"] == "2026-07-05"
    for view in ("items", "results"):
        assert views(factory)[VIEWS[view]].startswith(before[VIEWS[view]])
    added = views(factory)[VIEWS["results"]][len(before[VIEWS["results"]]) :].decode().splitlines()
    first = int(added[0].split(",")[0])
    assert [int(line.split(",")[0]) for line in added] == list(range(first, first + len(added)))
    assert once["reports"] == first + len(added) - 1


def test_what_a_killed_call_left_behind_is_cut_off(factory: Path, tmp_path: Path) -> None:
    whole = Path(shutil.copytree(factory, tmp_path / "whole"))
    change_demo(whole, days=2)
    with (factory / RESULTS).open("ab") as file:
        file.write(b"half a ro")
    change_demo(factory, days=2)

    assert views(factory) == views(whole)
    (factory / RESULTS).write_bytes(b"short")
    with pytest.raises(SourceError, match="5 bytes"):
        change_demo(factory)


def test_new_machines_take_other_times_at_a_work_centre_of_their_own(factory: Path, tmp_path: Path) -> None:
    usual = Path(shutil.copytree(factory, tmp_path / "usual"))
    change_demo(usual, days=12, orders_a_day=150)
    change_demo(factory, kind="machines", days=12, orders_a_day=150)
    after = snapshot_of(factory).work_results().filter(pl.col("reported_at") > LAST)
    old = minutes_a_piece(snapshot_of(usual).work_results(), since=date(2026, 7, 1))
    new = minutes_a_piece(after, since=date(2026, 7, 1))

    for code, (run, _setup) in MACHINES.items():
        if code in old:  # some are rare
            assert new[code] / old[code] == pytest.approx(run, rel=0.15), code
    assert new["IN80"] == old["IN80"]
    centres = after.filter(pl.col("operation_code").is_in(list(MACHINES)))["resource_code"].unique().to_list()
    assert all(centre.endswith("-09") for centre in centres)
    plans = {which: snapshot_of(folder).routings() for which, folder in (("old", usual), ("new", factory))}
    moved = plans["new"].filter(pl.col("operation_code").is_in(list(MACHINES)), "inside")
    assert set(moved["resource_code"].str.slice(-3)) == {"-09"}
    assert (
        plans["new"]
        .drop("resource_code", "resource_name")
        .equals(plans["old"].drop("resource_code", "resource_name"), null_equal=True)
    )


def test_a_new_family_brings_items_routings_and_orders(factory: Path) -> None:
    known = change_demo(factory, kind="family", start=date(2026, 7, 2), days=3, orders_a_day=100)
    snapshot = snapshot_of(factory)
    members = snapshot.items().filter(pl.col("PART_TYPE") == CODE)["item_code"]
    routings = snapshot.routings().filter(pl.col("item_code").is_in(members.implode()))
    results = snapshot.work_results().filter(pl.col("item_code").is_in(members.implode()))

    assert known["new_items"] == members.len() == 50
    assert routings["item_code"].n_unique() == 50
    assert results["reported_at"].min() == date(2026, 7, 2)
    assert 20 <= results["order_no"].n_unique() <= 130
    assert not snapshot.items().filter(pl.col("PART_TYPE") != CODE, pl.col("item_code").is_in(members.implode())).height


def test_another_unit_multiplies_what_one_operation_books(factory: Path, tmp_path: Path) -> None:
    usual = Path(shutil.copytree(factory, tmp_path / "usual"))
    change_demo(usual, days=3, orders_a_day=100)
    change_demo(factory, kind="units", days=3, orders_a_day=100)
    old, new = (
        pl.read_csv(folder / RESULTS, infer_schema=False).filter(pl.col("JOB_CD") == OTHER_UNIT).tail(20)
        for folder in (usual, factory)
    )
    times = new["MACH_WORKED_HOURS"].cast(pl.Float64) / old["MACH_WORKED_HOURS"].cast(pl.Float64)

    assert times.median() == pytest.approx(60, rel=0.01)


def test_what_cannot_be_is_refused_and_changes_nothing(factory: Path, tmp_path: Path) -> None:
    change_demo(factory, kind="machines", days=2)
    before = views(factory)
    for wrong, said in (
        ({"kind": "magic"}, "no change 'magic'"),
        ({"kind": "machines"}, "holds since 2026-07-01"),
        ({"kind": "family", "start": date(2026, 7, 2)}, "cannot begin on 2026-07-02"),
        ({"kind": "family", "start": date(2026, 7, 9), "days": 2}, "cannot begin on 2026-07-09"),
        ({"days": 400}, "365 days"),
        ({"orders_a_day": 7.0}, "40 orders a day"),
    ):
        with pytest.raises(InvalidInput, match=said):
            change_demo(factory, **wrong)
    assert views(factory) == before
    with pytest.raises(SourceError):
        change_demo(tmp_path)
