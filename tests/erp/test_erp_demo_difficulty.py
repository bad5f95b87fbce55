"""The frozen difficulty of the demo factory, and the truth that predictions are scored against."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from cli.demo import app
from shared.erp.demo import frozen as demo_frozen
from shared.erp.demo.dirt import DIRT
from shared.erp.demo.frozen import (
    FrozenDifficulty,
    FrozenFactory,
    check_folder,
    hashes_of,
    load_frozen,
    measure_folder,
    parameters_hash,
)
from shared.erp.demo.generate import VERSION, generate_demo
from shared.erp.demo.shop import RATES
from shared.erp.demo.truth import load_truth
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import FolderLocation
from shared.errors import Conflict, SourceError

FROZEN_ITEMS, FROZEN_SEED = 2000, 42


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest factory that is frozen, generated afresh."""
    folder = tmp_path_factory.mktemp("factory")
    generate_demo(folder, items=FROZEN_ITEMS, seed=FROZEN_SEED)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    generate_demo(folder, items=700, seed=3)
    return folder


@pytest.fixture(scope="module")
def frozen_small(small: Path, tmp_path_factory: pytest.TempPathFactory) -> FrozenDifficulty:
    """The small factory frozen as it is, for tests that bend it."""
    figures = measure_folder(small, tmp_path_factory.mktemp("extract"))
    factory = FrozenFactory(items=700, seed=3, sha256=hashes_of(small), figures=figures)
    bands = dict.fromkeys(figures, (0.0, 1.0))
    return load_frozen().model_copy(update={"bands": bands, "factories": (factory,)})


def test_the_file_is_of_this_version_and_its_rates() -> None:
    frozen = load_frozen()
    assert frozen.generator_version == VERSION
    assert frozen.parameters_sha256 == parameters_hash()
    assert {(each.items, each.seed) for each in frozen.factories} == {(2000, 42), (5000, 42), (321_000, 42)}


def test_a_factory_made_today_has_the_frozen_bytes_and_figures(source: Path, tmp_path: Path) -> None:
    verdict = check_folder(source, tmp_path, load_frozen())
    assert verdict.same_bytes is True
    assert [each.figure for each in verdict.findings if not each.ok] == []
    assert verdict.ok


def test_frozen_figures_lie_in_their_bands_at_every_size() -> None:
    frozen = load_frozen()
    for factory in frozen.factories:
        assert set(factory.figures) == set(frozen.bands)
        for name, (low, high) in frozen.bands.items():
            assert low <= factory.figures[name] <= high, (factory.items, name)


def test_the_bands_are_those_that_were_agreed() -> None:
    bands = load_frozen().bands
    assert bands["copy_of_nearest_top1"] == (0.45, 0.75)
    assert bands["best_possible_top1"][1] == 0.95
    assert bands["unlike_anything_before"][0] == 0.10
    assert {bands[f"time_cv_{which}"] for which in ("lowest", "median", "highest")} == {(0.15, 0.40)}


@pytest.mark.parametrize("rates", [RATES, DIRT])
def test_a_changed_rate_needs_a_new_version(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: dict[str, float]
) -> None:
    rarest = min(rates, key=lambda name: rates[name])
    monkeypatch.setitem(rates, rarest, rates[rarest] * 1.01)
    with pytest.raises(Conflict, match="rates"):
        check_folder(source, tmp_path, load_frozen())


def test_other_bytes_are_no_frozen_factory(small: Path, tmp_path: Path, frozen_small: FrozenDifficulty) -> None:
    assert check_folder(small, tmp_path / "a", frozen_small).ok
    [factory] = frozen_small.factories
    other = factory.model_copy(update={"sha256": factory.sha256 | {"BI_ROUTING_VIEW": "0" * 64}})
    verdict = check_folder(small, tmp_path / "b", frozen_small.model_copy(update={"factories": (other,)}))
    assert (verdict.same_bytes, verdict.ok) == (False, False)


@pytest.mark.parametrize("which", ["figure", "band"])
def test_the_command_fails_outside_a_band_or_off_a_frozen_figure(
    small: Path, frozen_small: FrozenDifficulty, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    [factory] = frozen_small.factories
    name = "copy_of_nearest_top1"
    if which == "figure":
        figures = factory.figures | {name: factory.figures[name] + 0.01}
        bent = frozen_small.model_copy(update={"factories": (factory.model_copy(update={"figures": figures}),)})
    else:
        bent = frozen_small.model_copy(update={"bands": frozen_small.bands | {name: (0.0, 0.1)}})
    runner = CliRunner()
    for frozen, code in ((frozen_small, 0), (bent, 1)):
        monkeypatch.setattr(demo_frozen, "load_frozen", lambda frozen=frozen: frozen)
        done = runner.invoke(app, ["check", "--folder", str(small)])
        assert done.exit_code == code, done.output
        assert ("NO" in done.output) == bool(code)


def test_the_factory_of_another_generator_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="version 1"):
        check_folder(small, tmp_path, load_frozen().model_copy(update={"generator_version": 1}))


def test_a_folder_without_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="truth"):
        load_truth(tmp_path)


def test_best_possible_signatures_are_right_as_often_as_is_said(source: Path) -> None:
    truth = load_truth(source)
    true, best = truth.true_signatures(), truth.best_possible_signatures()
    right = np.mean([best[code] == operations for code, operations in true.items()])
    assert truth.best_possible_top1() == pytest.approx(right)
    assert right == pytest.approx(truth.document["rules_are_right"], abs=1e-4)
    read = {
        code: list(operations)
        for code, operations in truth.steps.group_by("item_code").agg("operation_code").iter_rows()
    }
    assert all(list(true[code]) == operations for code, operations in read.items())


def test_booked_orders_scatter_about_the_expected_minutes_of_their_learning(source: Path, tmp_path: Path) -> None:
    truth = load_truth(source)
    now = datetime(2026, 7, 1, tzinfo=UTC)
    booked = extract(load_profile("demo"), FolderLocation(source), tmp_path, now=now).work_results()
    orders = booked.group_by("item_code", "order_no").agg(pl.col("reported_at").min().alias("begun"))
    firsts = orders.filter(pl.col("begun") == pl.col("begun").min().over("item_code"))
    later = orders.filter(pl.col("begun").rank("ordinal").over("item_code") > 5)
    ratios = {}
    for name, wanted, before in (("first", firsts, 0), ("later", later, 7)):
        rows = booked.join(wanted, on=["item_code", "order_no"], how="semi").filter(pl.col("quantity") == 3)
        expected = truth.expected_order_minutes(3, orders_before=before)
        joined = rows.join(expected, on=["item_code", "operation_code"])
        minutes = (joined["run_minutes"] + joined["setup_minutes"]).to_numpy()
        ratios[name] = [float(np.median(minutes / joined[column].to_numpy())) for column in ("known", "unseen")]
        assert joined.height > 50
    for known, unseen in ratios.values():
        assert 0.9 < known < 1.08
        assert 0.85 < unseen < 1.12
