"""The diagnosis of changed items: silent where nothing changed, and naming what did, on the demo factory."""

import dataclasses
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shared.erp.canonical import AttributeKind
from shared.erp.snapshot import Snapshot
from shared.prediction.model import RoutingModel
from shared.quality.drift import LEAST_ITEMS, RECENT_DAYS, diagnose, stability
from shared.quality.population import Population

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def changed(demo_snapshot: Snapshot, tmp_path: Path) -> Callable[..., Snapshot]:
    """Return a function that gives the demo snapshot with tables of its own."""

    def make(**tables: Change) -> Snapshot:
        folder = Path(shutil.copytree(demo_snapshot.folder, tmp_path / "changed"))
        for name, change in tables.items():
            file = folder / f"{name}.parquet"
            change(pl.read_parquet(file)).write_parquet(file)
        return dataclasses.replace(demo_snapshot, folder=folder)

    return make


@pytest.fixture
def late_half(demo_model: RoutingModel) -> Change:
    """Every item has one order: every second one's lies in the last weeks, the others' half a year before."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        newest, codes = frame["reported_at"].max(), pl.Series("item_code", demo_model.knowledge.items.codes)
        late = pl.int_range(pl.len()) % 2 == 0
        orders = pl.concat([frame.head(1)] * len(codes)).with_columns(codes)
        day = pl.when(late).then(pl.lit(newest)).otherwise(pl.lit(newest) - timedelta(days=180))
        return orders.with_columns(day.cast(pl.Date).alias("reported_at"))

    return change


def test_items_that_did_not_change_are_said_so(
    demo_model: RoutingModel, changed: Callable[..., Snapshot], late_half: Change
) -> None:
    drift = diagnose(demo_model, Population(changed(work_results=late_half)), seed=1)

    assert min(drift["n"].values()) >= LEAST_ITEMS
    assert drift["shifted"] == []
    assert drift["message"].startswith("No attribute of the items has shifted notably")
    assert drift["unknown"]["items"] == 0
    assert all(entry["unseen"] in (None, 0.0) for entry in drift["attributes"])
    assert drift["similarity"]["recent"]["n"] > 0


def test_a_unit_that_changed_and_a_value_never_seen_are_named(
    demo_model: RoutingModel, changed: Callable[..., Snapshot], late_half: Change
) -> None:
    of_kind = {kind: [a.name for a in demo_model.attributes if a.kind is kind] for kind in AttributeKind}
    filled = demo_model.knowledge.items.frame
    size = max(of_kind[AttributeKind.NUMERIC], key=lambda name: filled[name].n_unique())
    category = min(of_kind[AttributeKind.CATEGORICAL], key=lambda name: filled[name].null_count())

    def in_inches(items: pl.DataFrame) -> pl.DataFrame:
        return items.with_columns(pl.col(size) / 25.4, pl.lit("NEW MATERIAL").alias(category))

    drift = diagnose(demo_model, Population(changed(work_results=late_half, items=in_inches)), seed=1)
    by_name = {entry["attribute"]: entry for entry in drift["shifted"]}

    assert {size, category} <= by_name.keys()
    assert by_name[size]["psi"] > 0.25
    assert by_name[category]["unseen"] == 1.0
    assert "The items have shifted in" in drift["message"]


def test_too_few_items_are_no_finding(demo_model: RoutingModel, changed: Callable[..., Snapshot]) -> None:
    def thin(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("item_code").is_in(frame["item_code"].unique().sort().head(20).implode()))

    drift = diagnose(demo_model, Population(changed(work_results=thin)), seed=1)

    assert drift["message"].startswith("Too little to tell whether the items have changed")
    assert f"the last {RECENT_DAYS} days" in drift["message"]
    assert drift["similarity"] is None


def test_a_factory_without_any_order_has_nothing_to_compare(
    demo_model: RoutingModel, changed: Callable[..., Snapshot]
) -> None:
    drift = diagnose(demo_model, Population(changed(work_results=lambda frame: frame.head(0))), seed=1)

    assert drift["n"] == {"recent": 0, "earlier": 0}
    assert drift["shifted"] == []


def test_the_index_and_the_test_agree_with_a_sum_written_out() -> None:
    recent, earlier = np.array([30.0, 70.0]), np.array([50.0, 50.0])
    psi, p = stability(recent, earlier)
    shares = [(30.5 / 101, 50.5 / 101), (70.5 / 101, 50.5 / 101)]

    assert psi == pytest.approx(sum((a - b) * np.log(a / b) for a, b in shares))
    assert p == pytest.approx(0.0038924, rel=1e-3)  # chi squared 8.333 with one degree of freedom
    assert stability(np.zeros(3), np.ones(3)) == (0.0, 1.0)


def test_equal_samples_are_rarely_called_different() -> None:
    """Draws of one distribution: the test's share of small p-values is its level."""
    generator = np.random.default_rng(3)
    shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    chances = [
        stability(generator.multinomial(300, shares).astype(float), generator.multinomial(900, shares).astype(float))[1]
        for _ in range(2_000)
    ]
    assert 0.035 < float(np.mean(np.array(chances) < 0.05)) < 0.065
