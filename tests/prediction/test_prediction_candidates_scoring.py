"""From what speaks for candidates to probabilities that hold."""

import numpy as np
import pytest

from shared.prediction.candidates.scoring import (
    PLAIN,
    Alternatives,
    calibrate,
    first_ones,
    fit_weights,
    isotonic,
    least_trusted,
)


def _drawn(requests: int, weights: np.ndarray) -> tuple[Alternatives, np.ndarray]:
    """Alternatives of four candidates each, the right one drawn by the weights' own probabilities."""
    rng = np.random.default_rng(1)
    request = np.repeat(np.arange(requests), 4)
    none = np.stack([np.ones(requests), rng.normal(size=requests), rng.normal(size=requests)], axis=1)
    found = Alternatives(request=request, features=rng.normal(size=(4 * requests, 6)), none=none)
    chance = found.probabilities(np.tile(weights, (requests, 1))).reshape(requests, 4)
    drawn = (rng.random(requests)[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    right = np.zeros((requests, 4), dtype=bool)
    some = drawn < 4
    right[np.flatnonzero(some), drawn[some]] = True
    return found, right.ravel()


def test_weights_are_found_again() -> None:
    weights = np.array([1.2, 0.4, -0.3, 0.8, -0.5, 0.1, -0.7, 0.6, 0.2])
    alternatives, right = _drawn(6_000, weights)
    found = fit_weights(alternatives, right, np.ones(6_000, dtype=bool))
    np.testing.assert_allclose(found, weights, atol=0.15)


def test_without_cases_the_weights_stay_plain() -> None:
    alternatives, right = _drawn(5, PLAIN)
    np.testing.assert_array_equal(fit_weights(alternatives, right, np.zeros(5, dtype=bool)), PLAIN)


def test_probabilities_with_none_of_these_sum_to_less_than_one() -> None:
    alternatives, _ = _drawn(50, PLAIN)
    chance = alternatives.probabilities(np.tile(PLAIN, (50, 1)))
    assert (np.bincount(alternatives.request, chance) < 1).all()


def test_the_curve_rises_and_tells_how_often_candidates_were_right() -> None:
    rng = np.random.default_rng(2)
    said = rng.random(20_000)
    knots, curve = isotonic(said, rng.random(20_000) < said**2)
    assert (np.diff(curve) >= 0).all()
    np.testing.assert_allclose(np.interp([0.3, 0.6, 0.9], knots, curve), [0.09, 0.36, 0.81], atol=0.05)


def test_a_curve_without_cases_leaves_probabilities_as_they_are() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    knots, curve = calibrate(nothing, np.zeros(0), np.zeros(0, dtype=bool))
    np.testing.assert_allclose(np.interp([0.2, 0.8], knots, curve), [0.2, 0.8], atol=1e-6)


def test_first_ones_come_best_first_and_ties_are_broken() -> None:
    request = np.array([0, 0, 0, 1, 1])
    chance = np.array([0.2, 0.5, 0.5, 0.1, 0.9])
    longer = np.array([1, 4, 2, 1, 1])
    assert first_ones(request, chance, 2, (longer,)).tolist() == [2, 1, 4, 3]


def test_similarity_at_which_nobody_was_right_is_not_trusted() -> None:
    near = np.linspace(0.8, 0.99, 400)  # all answered right: twice as far is trusted, and no farther
    assert least_trusted(near, np.ones(400, dtype=bool)) == pytest.approx(0.6)
    similarity = np.linspace(0.3, 0.99, 400)
    lucky = similarity > 0.35
    lucky[0] = True
    assert least_trusted(similarity, lucky) == pytest.approx(similarity[7])  # the least similar fiftieth, mostly wrong
    assert np.isnan(least_trusted(similarity[:30], np.ones(30, dtype=bool)))
