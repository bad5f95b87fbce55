"""When a new model may be registered: the rules of refits and challengers, both ways."""

import numpy as np
import pytest

from shared.quality.evaluate import Evaluation
from shared.quality.observations import OrderObservation, RoutingObservation, Tally
from shared.training.compare import Change, Rules, compare, worse_families

RULES = Rules(refit_margin=0.02, challenger_gain=0.05, trim_share=0.1, minimum_samples=3, seed=11)


def orders(
    factor: float, noise_seed: int = 0, noise: float = 0.0, items: int = 120, **families: float
) -> list[OrderObservation]:
    """Predictions of the same booked orders whose errors are `factor` times as great as the standard ones."""
    truth = np.random.default_rng(1)
    own = np.random.default_rng(noise_seed)
    rows = []
    for item in range(items):
        family = f"F{item % 4}"
        for number in range(5):
            booked = float(truth.lognormal(3, 0.5))
            error = float(truth.lognormal(1.5, 0.5)) * factor * families.get(family, 1.0)
            error *= float(np.exp(own.normal(0, noise)))
            rows.append(
                OrderObservation(
                    f"item-{item:03}", family, "TURN", 10, number, 1.0, 1.0, booked + error, booked, booked + 9, booked
                )
            )
    return rows


def evaluation(rows: list[OrderObservation], hits: int = 3, missing: int = 0) -> Evaluation:
    codes = sorted({row.item_code for row in rows})
    kept = set(codes[missing:])
    routings = tuple(
        RoutingObservation(
            item_code=code, family="F", weight=1.0, actual_codes=("A", "B", "C"), predicted_codes=("A",),
            matched=Tally(hits if number % 3 == 0 else 3, 3), exact_first=False, exact_among_three=False,
            edit_distance=0.2, precedence=Tally(1, 1), work_centres=Tally(1, 1), in_house=Tally(1, 1),
            outsourced=Tally(0, 0), unpredicted_orders=0, matched_by_operation=(),
        )
        for number, code in enumerate(codes)
        if code in kept
    )  # fmt: skip
    return Evaluation(
        orders=tuple(row for row in rows if row.item_code in kept), routings=routings, asked=len(codes),
        abstained=tuple(codes[:missing]), incomparable=(), failed={}, failed_count=0,
    )  # fmt: skip


def measured(change: Change) -> tuple[float, float, float]:
    """The low bound, the value and the high bound of a change that could be measured."""
    assert change.low is not None
    assert change.value is not None
    assert change.high is not None
    return change.low, change.value, change.high


STANDARD = evaluation(orders(1.0))


def test_a_refit_that_changes_nothing_is_registered() -> None:
    outcome = compare("refit", STANDARD, STANDARD, RULES)

    assert outcome.promoted
    assert (outcome.trim_mae_change.value, outcome.trim_mae_change.low, outcome.trim_mae_change.high) == (0, 0, 0)
    assert (outcome.items, outcome.orders) == (120, 600)


def test_a_refit_slightly_worse_within_the_margin_is_registered_and_a_clearly_worse_one_is_not() -> None:
    assert compare("refit", STANDARD, evaluation(orders(1.01)), RULES).promoted
    outcome = compare("refit", STANDARD, evaluation(orders(1.10)), RULES)

    assert not outcome.promoted
    assert outcome.decision == "keep the active model"
    assert outcome.trim_mae_change.value == pytest.approx(0.10)
    assert "not by chance" in outcome.reason


def test_a_refit_worse_only_by_chance_is_registered_and_says_so() -> None:
    few = evaluation(orders(1.0, items=12))
    outcome = compare("refit", few, evaluation(orders(1.05, noise_seed=5, noise=1.0, items=12)), RULES)

    low, _, high = measured(outcome.trim_mae_change)
    assert low < 0 < high
    assert outcome.promoted


def test_a_challenger_proves_itself_only_beyond_the_gain_and_beyond_chance() -> None:
    assert compare("challenger", STANDARD, evaluation(orders(0.85)), RULES).promoted
    small = compare("challenger", STANDARD, evaluation(orders(0.97)), RULES)
    noisy = compare(
        "challenger",
        evaluation(orders(1.0, noise_seed=4, noise=1.0, items=12)),
        evaluation(orders(0.9, noise_seed=5, noise=1.0, items=12)),
        RULES,
    )

    assert not small.promoted
    assert "not 5% better" in small.reason
    assert not noisy.promoted
    assert measured(noisy.trim_mae_change)[1] < -0.05
    assert "may be chance" in noisy.reason


def test_a_challenger_that_ruins_one_family_is_kept_out() -> None:
    outcome = compare("challenger", STANDARD, evaluation(orders(0.8, F2=1.6)), RULES)

    assert measured(outcome.trim_mae_change)[2] < 0
    assert outcome.worse_families == ("F2",)
    assert not outcome.promoted
    assert "F2" in outcome.reason


def test_neither_may_lose_operations_or_answers_for_better_times() -> None:
    better = orders(0.7)
    for kind in ("refit", "challenger"):
        lost = compare(kind, STANDARD, evaluation(better, hits=1), RULES)
        assert not lost.promoted
        assert "fewer of the actual operations" in lost.reason
        silent = compare(kind, STANDARD, evaluation(better, missing=30), RULES)
        assert not silent.promoted
        assert "answers fewer items: 75.0%" in silent.reason


def test_too_few_items_let_a_refit_through_to_a_person_and_no_challenger() -> None:
    few, fewer = evaluation(orders(1.0, items=6)), evaluation(orders(0.5, items=6))

    assert compare("refit", few, fewer, RULES).promoted
    outcome = compare("challenger", few, fewer, RULES)
    assert not outcome.promoted
    assert "only 6 items" in outcome.reason


def test_without_any_order_nothing_is_claimed() -> None:
    nothing = Evaluation(orders=(), routings=(), asked=50, abstained=(), incomparable=(), failed={}, failed_count=0)
    outcome = compare("challenger", nothing, nothing, RULES)

    assert not outcome.promoted
    assert outcome.trim_mae_change.value is None
    assert outcome.new["mae"]["value"] is None


def test_a_challenger_of_the_same_recipe_is_rarely_promoted() -> None:
    promoted = sum(
        compare(
            "challenger",
            evaluation(orders(1.0, noise_seed=2 * seed + 1, noise=0.3, items=60)),
            evaluation(orders(1.0, noise_seed=2 * seed + 2, noise=0.3, items=60)),
            RULES,
        ).promoted
        for seed in range(30)
    )

    assert promoted <= 3


def test_families_are_corrected_for_how_many_there_are() -> None:
    """With 40 families and no difference, some single tests come out significant; the corrected ones must not."""
    own = np.random.default_rng(4)
    found = 0
    for _ in range(20):
        pairs = []
        for family in range(40):
            for item in range(6):
                before = OrderObservation(f"i{family}-{item}", f"F{family}", "T", 1, 0, 1, 1, 10.0, 0, 0, 0.0)
                pairs.append((before, before._replace(predicted_minutes=10.0 + float(own.normal(0, 2)))))
        found += bool(worse_families(pairs))

    assert found <= 4  # five in a hundred are expected
