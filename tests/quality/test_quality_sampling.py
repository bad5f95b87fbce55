"""Samples repeat for a seed, whatever the order of the population, and their weights undo their bias."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.quality.error_seeking import ErrorHistory, learn_history, with_favour
from shared.quality.sampling import STRATEGIES, allocate, draw_sample, inclusion_probabilities
from tests.quality.quality_factory import factory_of, step
from tests.quality.quality_factory import report as report_of

TODAY = date(2026, 3, 1)


def population(count: int, strata: int = 5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_code": [f"ITEM{n:05}" for n in range(count)],
            "stratum": [f"family {(n * n) % strata}" for n in range(count)],
            "last_reported_at": [TODAY - timedelta(days=(n * 37) % 900) for n in range(count)],
            "favour": [0.2 + (n * n) % strata for n in range(count)],
        }
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shuffled_by", [1, 2])
def test_the_same_seed_draws_the_same_items_from_any_order(strategy: str, shuffled_by: int) -> None:
    items = population(400)
    shuffled = items.sample(fraction=1.0, shuffle=True, seed=shuffled_by)

    first = draw_sample(items, strategy=strategy, size=50, seed=9)
    assert draw_sample(shuffled, strategy=strategy, size=50, seed=9) == first
    assert draw_sample(items, strategy=strategy, size=50, seed=10).item_codes != first.item_codes
    assert len(set(first.item_codes)) == 50
    assert np.mean(first.weights) == pytest.approx(1.0)


def test_every_stratum_is_there_in_proportion() -> None:
    items = pl.DataFrame(
        {
            "item_code": [f"I{n:04}" for n in range(1000)],
            "stratum": ["big"] * 900 + ["small"] * 95 + ["tiny"] * 5,
            "last_reported_at": [TODAY] * 1000,
        }
    )
    sample = draw_sample(items, strategy="stratified", size=100, seed=3)

    assert sample.strata == {"big": 90, "small": 9, "tiny": 1}
    by_stratum = dict(zip(sample.item_codes, sample.weights, strict=True))
    tiny = next(weight for code, weight in by_stratum.items() if code >= "I0995")
    assert tiny == pytest.approx(5 / 1 / (1000 / 100))  # stands for five items where others stand for ten


def test_more_strata_than_items_are_pooled() -> None:
    sample = draw_sample(population(60, strata=59), strategy="stratified", size=10, seed=3)

    assert len(sample.item_codes) == 10


def test_the_recent_strategy_favours_recent_items_and_its_weights_undo_that() -> None:
    items = population(3000)
    ages = dict(items.select("item_code", (pl.lit(TODAY) - pl.col("last_reported_at")).dt.total_days()).iter_rows())
    truth = float(np.mean(list(ages.values())))
    plain, weighted = [], []
    for seed in range(30):
        sample = draw_sample(items, strategy="recent", size=300, seed=seed)
        drawn = [ages[code] for code in sample.item_codes]
        plain.append(float(np.mean(drawn)))
        weighted.append(float(np.average(drawn, weights=sample.weights)))

    assert np.mean(plain) < 0.6 * truth
    assert np.mean(weighted) == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weighted_estimates_are_unbiased_for_every_strategy(strategy: str) -> None:
    """What is estimated depends on the very things that the strategies prefer, so that only the weights undo it."""
    items = population(500)
    ages = (pl.lit(TODAY) - pl.col("last_reported_at")).dt.total_days()
    errors = items.select((pl.col("favour") * 10 + ages / 50 + (pl.col("favour") > 4) * 40).alias("error"))["error"]
    of_item = dict(zip(items["item_code"], errors, strict=True))
    totals = []
    for seed in range(400):
        sample = draw_sample(items, strategy=strategy, size=40, seed=seed)
        drawn = np.array([of_item[code] for code in sample.item_codes])
        totals.append(float((drawn / np.array(sample.chances)).sum()))
        assert all(0 < chance <= 1 for chance in sample.chances)

    truth, error_of_mean = float(errors.sum()), float(np.std(totals, ddof=1)) / len(totals) ** 0.5
    assert abs(np.mean(totals) - truth) < 4 * error_of_mean
    assert error_of_mean < 0.02 * truth  # a test that could see a bias of a few per cent


def test_the_error_seeking_strategy_looks_where_errors_are_but_everywhere_sometimes() -> None:
    items = population(500)
    favour = dict(items.select("item_code", "favour").iter_rows())
    drawn = [draw_sample(items, strategy="error_seeking", size=40, seed=seed) for seed in range(2000)]
    seen = [favour[code] for sample in drawn for code in sample.item_codes]

    assert np.mean(seen) > 1.3 * np.mean(list(favour.values()))
    assert {code for sample in drawn for code in sample.item_codes} == set(favour)


def test_expected_errors_come_from_families_operations_and_the_items_themselves() -> None:
    def group(mae: float, orders: int) -> dict[str, Any]:
        return {"mae": {"value": mae, "n": orders}}

    metrics = {
        "overall": group(10.0, 900),
        "by_family": {"seal": group(30.0, 300), "ring": group(5.0, 300)},
        "by_operation": {"GRIND": group(40.0, 300), "PACK": group(1.0, 300), "RARE": group(1000.0, 1)},
    }
    report = {"items": [{"item_code": "C", "mae": 90.0, "orders": 50}]}
    history = learn_history([(metrics, report), ({}, {})])
    factory = factory_of(
        [
            step(10, "GRIND", item_code="A"), step(10, "PACK", item_code="B"), step(10, "PACK", item_code="C"),
            step(10, "NEW", item_code="D"),
        ],
        [report_of("TURN", 1.0, item_code=code) for code in "ABCD"],
    )  # fmt: skip
    items = pl.DataFrame({"item_code": list("ABCD"), "stratum": ["seal", "ring", "ring", "new"]})
    favour = dict(with_favour(items, factory, history).select("item_code", "favour").iter_rows())

    assert history.families["seal"] == pytest.approx((300 * 3 + 30) / 330)
    assert history.operations["RARE"] < 5  # one order says little
    assert favour["A"] > 2.5
    assert favour["B"] < 0.8
    assert favour["B"] < favour["C"]  # of a good family and operation, but bad itself
    assert favour["D"] == 1.0
    assert with_favour(items, factory, ErrorHistory())["favour"].to_list() == [1.0] * 4


def test_a_small_population_is_taken_whole_and_the_message_says_so() -> None:
    sample = draw_sample(population(7), strategy="recent", size=50, seed=1)

    assert len(sample.item_codes) == 7
    assert set(sample.weights) == {1.0}
    assert sample.message is not None
    assert "only 7" in sample.message


def test_an_empty_population_gives_an_empty_sample_that_says_why() -> None:
    for strategy in STRATEGIES:
        sample = draw_sample(population(10).head(0), strategy=strategy, size=10, seed=1)
        assert sample.item_codes == ()
        assert sample.message is not None
        assert "both a routing and a work result" in sample.message


def test_an_unknown_strategy_or_size_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="no sampling strategy") as refused:
        draw_sample(population(10), strategy="guess", size=5, seed=1)
    assert refused.value.facts["errors"][0]["field"] == "strategy"
    with pytest.raises(InvalidInput, match="0 items"):
        draw_sample(population(10), strategy="random", size=0, seed=1)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 500), min_size=1, max_size=20), st.data())
@settings(max_examples=60, deadline=None)
def test_any_allocation_sums_up_and_respects_every_stratum(sizes: dict[str, int], data: st.DataObject) -> None:
    total = data.draw(st.integers(len(sizes), sum(sizes.values())))
    quota = allocate(sizes, total)

    assert sum(quota.values()) == total
    assert all(1 <= quota[name] <= sizes[name] for name in sizes)


@given(st.lists(st.floats(0.01, 1000), min_size=2, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_any_inclusion_probabilities_sum_to_the_size(favour: list[float], data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(favour) - 1))
    chance = inclusion_probabilities(np.array(favour), size)

    assert chance.sum() == pytest.approx(size)
    assert chance.max() <= 1.0 + 1e-12
    assert chance.min() > 0
