"""The alarm's test: counted once, repeatable, exact for few and tied values, and true over simulated histories."""

from typing import Any

import numpy as np
import pytest
from sqlmodel import func, select

from benchmarks.alarms.lives import Life, alone, together
from benchmarks.alarms.worlds import EASY, RATE, World, simulate
from shared.database.engine import reading, writing
from shared.database.tables import QualityEvidence, TestedActual
from shared.quality.evidence.actuals import FreshItem, key_of, without
from shared.quality.evidence.rise import log_overshoot
from shared.quality.evidence.scores import BINS, bins_of, score_items, shift_of_rise
from shared.quality.evidence.shares import LEVEL_OF_ERRORS, RISE_OF_ERRORS, limit, share_of_stream, weight_of_cycle
from shared.quality.evidence.state import LevelState, RiseState
from shared.quality.evidence.store import EvidenceStore, StaleEvidence
from shared.quality.evidence.streams import Bounds, Evidence, advance, begin, readings
from shared.quality.options import CycleOptions

BOUNDS = Bounds(mae_minutes=10.0, missed=0.2, cv=0.5)


def items(seed: int, count: int, factor: float = 1.0, minutes: float = 5.0) -> list[FreshItem]:
    draw = np.random.default_rng(seed)
    return [
        FreshItem(
            item_code=f"{seed}-{n}",
            family="rings" if n % 3 else "seals",
            weight=1.0,
            relative_errors=((key_of([seed, n]), float(factor * draw.lognormal(-1.6, 0.5))),),
            absolute_error=float(factor * minutes * draw.lognormal(0, 0.5)),
            missed=float(draw.random() < 0.2),
            routing_key=key_of(["routing", seed, n]),
        )
        for n in range(count)
    ]


def after_cycles(factor: float, *, cycles: int = 6, reference: int = 40) -> Evidence:
    evidence = begin([items(1_000 + n, 50) for n in range(reference)], cycles=0)
    for number in range(cycles):
        evidence = advance(evidence, items(number, 50, factor), BOUNDS, f"cycle_{number}")
    return evidence


def reading_of(evidence: Evidence, test: str, family: str = "") -> Any:
    return next(r for r in readings(evidence, RATE) if (r.test, r.family) == (test, family))


# ---------------------------------------------------------------------------------------------- simulated histories


def test_few_histories_without_a_change_alarm_and_a_repeated_interval_would_alarm_in_most() -> None:
    world = World(name="wobble", variation=0.6, persistence=0.5, wobble=0.05, reference=1_000)
    quiet = simulate(world, histories=60, cycles=120, seed=11)
    least = limit(RATE, share_of_stream(RISE_OF_ERRORS))

    assert (quiet.evidence.max(axis=1) >= least).mean() <= 0.1
    assert (quiet.naive.max(axis=1) > 0).mean() > 0.5  # what "the whole interval lies beyond" leads to


def test_a_rise_of_a_fifth_is_caught_within_seven_cycles_where_items_are_alike() -> None:
    parts = np.concatenate([np.zeros(20), np.ones(7)])
    risen = simulate(EASY[0], histories=60, cycles=27, seed=12, rise=1.2, parts=parts)
    least = limit(RATE, share_of_stream(RISE_OF_ERRORS))

    assert (risen.evidence.max(axis=1) >= least).mean() >= 0.9


def test_lives_lived_together_have_the_evidence_of_a_life_lived_item_by_item() -> None:
    life = Life(name="small", variation=1.3, wobble=0.1, persistence=0.5, reference=300, activated_every=5)
    many = [logs for logs, _, _ in together(life, 3, 9, cycles=10)]
    one = list(alone(life, 3, 9, 1, cycles=10))

    for found, wanted in zip(many, one, strict=True):
        assert found.keys() == wanted.keys()
        assert {name: log[1] for name, log in found.items()} == {
            name: pytest.approx(log[0], abs=1e-6) for name, log in wanted.items()
        }


# ---------------------------------------------------------------------------------------------- scores and shares


@pytest.mark.parametrize("tied", [0.0, 0.7])
def test_ranks_are_standard_normal_however_small_the_reference_and_however_many_ties(tied: float) -> None:
    draw = np.random.default_rng(3)
    values = draw.pareto(1.1, (400, 40, 1)) * (draw.random((400, 40, 1)) >= tied)
    chances, present = draw.random(values.shape), np.ones(values.shape, dtype=bool)
    scores = score_items(np.zeros((400, BINS)), bins_of(values), np.ones((400, 40)), chances, present)

    assert abs(scores.mean()) < 0.03
    assert abs(scores.std() - 1) < 0.03
    assert abs(np.corrcoef(scores[:, 10], scores[:, 11])[0, 1]) < 0.15


def test_the_shift_of_a_rise_is_what_the_scores_really_move_by() -> None:
    draw = np.random.default_rng(4)
    pool = np.bincount(bins_of(draw.lognormal(-1, 0.5, 20_000)), minlength=BINS).astype(float)

    assert shift_of_rise(pool, 1.2) == pytest.approx(np.log(1.2) / 0.5, rel=0.05)
    assert shift_of_rise(np.zeros(BINS), 1.2) == 0


def test_all_weights_and_shares_together_stay_below_one() -> None:
    assert sum(weight_of_cycle(number) for number in range(1, 20_000)) < 1
    known, later = ["a", "b"], ["c", "d", "e"]
    tests = (RISE_OF_ERRORS, "rise.process_match")
    shares = [share_of_stream(test) for test in (*tests, LEVEL_OF_ERRORS, "level.process_match", "level.cv")]
    shares += [share_of_stream(test, name, known, later) for test in tests for name in (*known, *later)]
    assert sum(shares) < 1


def test_the_overshoot_is_that_of_a_gaussian_walk() -> None:
    draw = np.random.default_rng(5)
    drift, least = 0.8, 6.0
    walks = np.cumsum(draw.normal(drift**2 / 2, drift, (4_000, 120)), axis=1)  # log likelihood ratios where true
    over = [walk[np.argmax(walk >= least)] - least for walk in walks if walk.max() >= least]

    assert np.mean(np.exp(-np.array(over))) == pytest.approx(np.exp(-log_overshoot(np.array([drift]))[0]), abs=0.02)
    assert log_overshoot(np.array([0.001]))[0] == pytest.approx(0, abs=0.01)


# ---------------------------------------------------------------------------------------------- streams


def test_a_rise_is_found_and_estimated_and_an_unchanged_model_left_alone() -> None:
    risen, same = reading_of(after_cycles(1.8), RISE_OF_ERRORS), reading_of(after_cycles(1.0), RISE_OF_ERRORS)

    assert risen.evident
    assert risen.needed == 0
    assert risen.estimate == pytest.approx(1.8, rel=0.15)
    assert not same.evident
    assert same.needed > 50
    assert len(same.history) == 6


def test_without_any_reference_the_stream_itself_becomes_the_reference() -> None:
    evidence = begin([], cycles=0)
    for number in range(12):
        evidence = advance(evidence, items(number, 50, 1.0 if number < 8 else 3.0), BOUNDS, f"cycle_{number}")

    assert reading_of(evidence, RISE_OF_ERRORS).evident


def test_a_mean_beyond_its_threshold_becomes_evident_and_one_below_it_never_does() -> None:
    def level(minutes: float) -> Any:
        evidence = begin([], cycles=0)
        for number in range(8):
            evidence = advance(evidence, items(number, 50, minutes=minutes), BOUNDS, f"cycle_{number}")
        return reading_of(evidence, LEVEL_OF_ERRORS)

    assert level(40.0).evident
    assert not level(5.0).evident
    assert level(5.0).needed is None


def test_a_family_that_appears_later_has_a_stream_of_its_own() -> None:
    strangers = [FreshItem(**{**item.__dict__, "family": "new"}) for item in items(77, 10)]
    evidence = advance(after_cycles(1.0), strangers, BOUNDS, "cycle_x")

    assert evidence.later == ("new",)
    assert reading_of(evidence, RISE_OF_ERRORS, "new").items == 10
    assert reading_of(evidence, RISE_OF_ERRORS, "new").limit > reading_of(evidence, RISE_OF_ERRORS, "rings").limit


def test_stored_states_go_on_bit_for_bit() -> None:
    evidence = after_cycles(1.1)
    stored = Evidence(
        cycles=evidence.cycles,
        families=evidence.families,
        later=evidence.later,
        rises={name: RiseState.from_json(state.as_json()) for name, state in evidence.rises.items()},
        levels={name: LevelState.from_json(state.as_json()) for name, state in evidence.levels.items()},
    )
    more = items(500, 50)

    one, other = advance(evidence, more, BOUNDS, "next"), advance(stored, more, BOUNDS, "next")
    assert [r.as_json() for r in readings(one, RATE)] == [r.as_json() for r in readings(other, RATE)]
    assert advance(evidence, [], BOUNDS, "nothing") is evidence


def test_a_tested_actual_is_left_out_and_the_rest_of_its_item_kept() -> None:
    item = FreshItem(
        item_code="a", family="", weight=1.0, relative_errors=(("k1", 0.1), ("k2", 0.2)), absolute_error=3.0
    )

    assert [i.relative_errors for i in without([item], {"k1"})] == [(("k2", 0.2),)]
    assert next(iter(without([item], {"k1"}))).absolute_error is None
    assert list(without([item], {"k1", "k2"})) == []


# ---------------------------------------------------------------------------------------------- in cycles


def test_two_cycles_over_the_same_actuals_count_them_once(unseen: Any) -> None:
    first = unseen.cycles.run_now("a test", CycleOptions(sample_size=40, seed=5)).metrics["evidence"]
    again = unseen.cycles.run_now("a test", CycleOptions(sample_size=40, seed=5)).metrics["evidence"]
    with reading(unseen.engine) as session:
        stored = session.exec(select(func.count()).select_from(TestedActual)).one()

    assert first["new_actuals"] == stored > 0
    assert again["new_actuals"] == 0
    assert again["tested_before"] == first["new_actuals"]
    assert again["cycles"] == first["cycles"] == 1
    assert [s["log_evidence"] for s in again["streams"]] == [s["log_evidence"] for s in first["streams"]]


def test_a_model_that_was_never_activated_is_not_tested(ward: Any) -> None:
    told = ward.cycles.run_now("a test", CycleOptions(sample_size=10)).metrics["evidence"]

    assert "never activated" in told["message"]


def test_evidence_that_another_cycle_stored_meanwhile_is_not_overwritten(unseen: Any) -> None:
    store = EvidenceStore(unseen.engine)
    before = store.read(7)
    mine, other = after_cycles(1.0, cycles=1), after_cycles(1.2, cycles=1)
    with writing(unseen.engine) as session:
        store.writer(7, "v", "other", before, other, {"k"})(session)
    with pytest.raises(StaleEvidence), writing(unseen.engine) as session:
        store.writer(7, "v", "mine", before, mine, {"k"})(session)
    seen = store.read(7)
    with writing(unseen.engine) as session:
        store.writer(7, "v", "next", seen, mine, {"k2"})(session)
    with pytest.raises(StaleEvidence), writing(unseen.engine) as session:
        store.writer(7, "v", "late", seen, other, {"k3"})(session)
    with reading(unseen.engine) as session:
        cycles = set(session.exec(select(QualityEvidence.cycle_id)).all())

    assert cycles == {"next"}
    assert store.tested(7, {"k", "k2", "k3"}) == {"k", "k2"}
    assert store.cycles() == 1
