"""When a new model may be registered: the rules of refits and challengers, both ways."""

import numpy as np
import pytest

from shared.quality.evaluate import Evaluation
from shared.quality.intervals import Resampling, trimmed_means
from shared.quality.observations import OrderObservation, RoutingObservation, Tally
from shared.training.compare import Latency, Rules, compare, worse_families
from shared.training.pairing import Change, PairedOrders, pair_orders, trimmed_change

RULES = Rules(refit_margin=0.02, challenger_gain=0.05, trim_share=0.1, maximum_slowdown=1.25)


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


def test_a_refit_is_refused_beyond_the_margin_unless_chance_shows_as_much_every_tenth_time() -> None:
    seen: dict[str, int] = {}
    for seed in range(60):
        few = evaluation(orders(1.0, items=40))
        outcome = compare("refit", few, evaluation(orders(1.03, noise_seed=seed, noise=0.6, items=40)), RULES)
        low, value, _ = measured(outcome.trim_mae_change)
        chance = outcome.trim_mae_change.chance_of_none
        assert chance is not None
        assert outcome.promoted == (value <= RULES.refit_margin or chance >= 0.1)
        assert ("may be chance" in outcome.reason) == (outcome.promoted and value > RULES.refit_margin)
        kind = "within" if value <= RULES.refit_margin else "by chance" if outcome.promoted else "worse"
        seen[kind if kind != "worse" or low > 0 else "probably worse"] = seed

    assert set(seen) == {"within", "by chance", "probably worse", "worse"}


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
    items, found = np.repeat(np.arange(240), 3), 0
    for _ in range(60):
        found += bool(
            worse_families(
                PairedOrders(
                    drawing=items,
                    family=items // 6,
                    families=tuple(f"F{number}" for number in range(40)),
                    weight=np.ones(720),
                    old=np.full(720, 10.0),
                    new=10.0 + own.normal(0, 2, 720),
                )
            )
        )

    assert found <= 8  # three are expected; more than eight come once in a hundred times


def test_a_worse_family_is_named_however_its_drawings_are_dealt() -> None:
    rows = [row for row in orders(1.0) if row.family == "F1"]
    worse = [row._replace(predicted_minutes=row.predicted_minutes * 1.4 + 3) for row in rows]
    both = [row for row in orders(1.0) if row.family != "F1"]
    drawings = {row.item_code: f"drawing {row.item_code[:-1]}" for row in rows}

    outcome = compare("challenger", STANDARD, evaluation(sorted(both + worse)), RULES, drawings=drawings)

    assert outcome.worse_families == ("F1",)


def test_a_challenger_that_is_too_slow_is_refused_with_the_figures() -> None:
    better, quick = evaluation(orders(0.8)), Latency(p50_ms=1.0, p95_ms=2.0, answers=200)
    slow = Latency(p50_ms=1.1, p95_ms=3.0, answers=200, slowdown=1.5)

    refused = compare("challenger", STANDARD, better, RULES, latency=(quick, slow))
    kept = compare("challenger", STANDARD, better, RULES, latency=(slow, quick))

    assert not refused.promoted
    assert "too slow" in refused.reason
    assert "1.50 times" in refused.reason
    assert refused.as_json()["latency"]["slowdown"] == pytest.approx(1.5)
    assert [check.name for check in refused.checks if not check.passed] == ["speed of an answer"]
    assert kept.promoted
    assert compare("refit", STANDARD, STANDARD, RULES, latency=(quick, slow)).promoted


def test_sisters_of_one_drawing_count_as_one() -> None:
    new = evaluation(orders(0.97, noise_seed=3, noise=0.5))
    alone = compare("challenger", STANDARD, new, RULES).trim_mae_change
    together = {f"item-{number:03}": f"drawing {number // 12}" for number in range(120)}
    sisters = compare("challenger", STANDARD, new, RULES, drawings=together).trim_mae_change

    assert sisters.value == alone.value
    single = compare("challenger", STANDARD, new, RULES, drawings=dict.fromkeys(together, "one")).trim_mae_change
    assert (single.low, single.high) == (None, None)


def test_the_interval_is_that_of_resampling_whole_items() -> None:
    """The closed form beside a bootstrap over items that sorts and trims anew in every draw."""
    noisy = evaluation(orders(0.95, noise_seed=9, noise=0.8, items=300))
    pairs = pair_orders(evaluation(orders(1.0, items=300)), noisy, {})
    change = trimmed_change(pairs, 0.1)
    draws = Resampling(pairs.drawing, seed=5, draws=1_000)
    old, new = (
        draws.of_sorted(errors, pairs.weight, lambda v, w: trimmed_means(v, w, 0.1))
        for errors in (pairs.old, pairs.new)
    )
    low, high = np.quantile(new / old - 1, [0.025, 0.975])

    assert change.low == pytest.approx(low, abs=0.1 * (high - low))
    assert change.high == pytest.approx(high, abs=0.1 * (high - low))


def test_a_challenger_that_knows_more_operations_wins_unless_its_minutes_are_worse() -> None:
    poor = evaluation(orders(1.0), hits=1)
    knowing = compare("challenger", poor, evaluation(orders(0.99)), RULES)
    slower = compare("challenger", poor, evaluation(orders(1.08)), RULES)
    little = compare("challenger", evaluation(orders(1.0)), evaluation(orders(0.99)), RULES)

    assert knowing.promoted
    assert "more of the actual operations" in knowing.reason
    assert not slower.promoted
    assert "worse beyond 2%" in slower.reason
    assert not little.promoted
