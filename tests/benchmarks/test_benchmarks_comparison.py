"""The simulation of comparisons, in small: promotions by chance are rare, true gains are seen, true losses refused."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.comparison.invented import ALIKE, invent
from benchmarks.comparison.report import as_data, as_text, chart
from benchmarks.comparison.simulating import CASES, Case, Outcome, simulate
from benchmarks.comparison.universe import Universe, evaluation

ITEMS, COMPARISONS = 300, 40
BETTER, REFIT, WORSE_REFIT = CASES[3], CASES[5], CASES[7]


@pytest.fixture(scope="module")
def universes() -> list[Universe]:
    return [invent(np.random.default_rng([3, 1]), items=1_500, models=6, scatter=ALIKE)]


def promoted(case: Case, universes: list[Universe]) -> Outcome:
    return simulate(case, universes, comparisons=COMPARISONS, items=ITEMS, seed=5)


def test_a_challenger_of_the_same_recipe_is_rarely_promoted_though_it_is_the_best_of_four(
    universes: list[Universe],
) -> None:
    outcome = promoted(CASES[1], universes)

    assert outcome.case.contenders == 4
    assert sum(outcome.promoted) <= 5  # of 40; with 5 % each, six or more come once in seventy times
    assert sum(outcome.covered) >= 33


def test_a_truly_better_challenger_is_found_among_four_and_promoted(universes: list[Universe]) -> None:
    outcome = promoted(BETTER, universes)

    assert sum(outcome.promoted) >= 32  # of 40; with 90 % each, fewer come once in twenty-five times
    assert np.mean(outcome.changes) == pytest.approx(-0.10, abs=0.02)


def test_a_worse_refit_is_refused_and_a_healthy_one_is_not(universes: list[Universe]) -> None:
    assert sum(promoted(WORSE_REFIT, universes).promoted) <= 4
    assert sum(promoted(REFIT, universes).promoted) >= 28


def test_samples_hold_whole_drawings_once(universes: list[Universe]) -> None:
    universe = universes[0]
    first, second = universe.samples(np.random.default_rng(1), 200, 300)

    assert not set(first.items) & set(second.items)
    assert not set(first.drawings.values()) & set(second.drawings.values())
    for item in first.items:
        assert set(universe.drawings[first.drawings[item]]) <= set(first.items)
    with pytest.raises(ValueError, match="1500"):
        universe.samples(np.random.default_rng(1), 5_000)


def test_scaled_answers_err_so_many_times_as_much(universes: list[Universe]) -> None:
    plain = universes[0].models[0]
    family = universes[0].largest_families[0]
    scaled = replace(plain, factor=0.5, of_family={family: 4.0})
    [sample] = universes[0].samples(np.random.default_rng(2), 100)
    before, after = evaluation(plain, sample).orders, evaluation(scaled, sample).orders

    times = {"of the family": 2.0, "others": 0.5}
    for old, new in zip(before, after, strict=True):
        wanted = times["of the family" if old.family == family else "others"]
        assert new.predicted_minutes - new.booked_minutes == pytest.approx(
            wanted * (old.predicted_minutes - old.booked_minutes)
        )
    errors = np.concatenate([scaled.errors[item] for item in sample.items])
    assert errors == pytest.approx([abs(row.predicted_minutes - row.booked_minutes) for row in after])


def test_the_findings_can_be_read(universes: list[Universe]) -> None:
    outcome = simulate(REFIT, universes, comparisons=5, items=50, seed=5)
    text = as_text("a title", [outcome])

    assert "refit of the same recipe" in text
    assert as_data(outcome)["promoted"]["n"] == 5
    drawing = chart({"one": [(-0.1, outcome.share), (0.1, outcome.share)]})
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
