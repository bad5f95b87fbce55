"""Samples repeat for a seed, whatever the order of the population, and their weights undo their bias."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.quality.sampling import STRATEGIES, allocate, draw_sample, inclusion_probabilities

TODAY = date(2026, 3, 1)


def population(count: int, strata: int = 5) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_code": [f"ITEM{n:05}" for n in range(count)],
            "stratum": [f"family {(n * n) % strata}" for n in range(count)],
            "last_reported_at": [TODAY - timedelta(days=(n * 37) % 900) for n in range(count)],
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
        assert "nothing to judge" in sample.message


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
