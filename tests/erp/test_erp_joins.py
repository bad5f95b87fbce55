"""Every result joins the planned step it belongs to, however the plan was renumbered or revised, or says why not."""

import random
from collections.abc import Sequence
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.erp.joins.plan import JOINED, Match, PlanJoin, join_plan
from tests.erp.join_oracle import Outcome, Result, Step, oracle, results_of, routings_of

SPRING, SUMMER, AUTUMN = date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1)
DAYS = st.sampled_from([None, SPRING, SUMMER, AUTUMN])
ITEMS, ROUTINGS, OPERATIONS = st.sampled_from("AB"), st.sampled_from(["01", "02", "03"]), st.sampled_from("TGC")
SEQUENCES = st.sampled_from([10, 15, 20, 30, 40])
STEPS = st.lists(
    st.builds(Step, ITEMS, ROUTINGS, SEQUENCES, OPERATIONS, DAYS, DAYS, DAYS),
    max_size=9,
    unique_by=lambda step: (step.item, step.routing, step.sequence),
)
RESULTS = st.lists(
    st.builds(
        Result, st.sampled_from("ABZ"), st.none() | ROUTINGS, st.none() | SEQUENCES, st.sampled_from("TGCX"), DAYS
    ),
    max_size=9,
)


def outcomes(steps: Sequence[Step], results: Sequence[Result]) -> list[Outcome]:
    joined = join_plan(routings_of(steps), results_of(results))
    return [
        Outcome(match, None if row is None else steps[row], ambiguous)
        for match, row, ambiguous in joined.results.select("match", "planned_row", "ambiguous").iter_rows()
    ]


def match_of(steps: Sequence[Step], *results: Result) -> list[tuple[str, int | None]]:
    """Return each result's match and the sequence of the step it was joined to."""
    return [(found.match, found.step and found.step.sequence) for found in outcomes(steps, results)]


# --------------------------------------------------------------------------------------------------------- the rules


def test_the_same_routing_sequence_and_operation_is_exact() -> None:
    steps = [Step("A", "01", 10, "T"), Step("A", "02", 10, "T")]
    assert outcomes(steps, [Result("A", "02", 10, "T")]) == [Outcome("exact", steps[1], ambiguous=False)]


def test_a_result_that_names_no_routing_means_the_items_only_one() -> None:
    assert match_of([Step("A", "01", 10, "T")], Result("A", None, 10, "T")) == [("exact", 10)]
    assert match_of([Step("A", "01", 10, "T")], Result("A", None, 15, "T")) == [("renumbered", 10)]


def test_a_renumbered_operation_is_found_at_its_new_sequence() -> None:
    steps = [Step("A", "01", 5, "T"), Step("A", "01", 15, "G")]
    assert match_of(steps, Result("A", "01", 10, "T"), Result("A", "01", 20, "G")) == [
        ("renumbered", 5),
        ("renumbered", 15),
    ]


def test_occurrences_of_one_operation_keep_their_order() -> None:
    steps = [Step("A", "01", 100, "G"), Step("A", "01", 200, "T"), Step("A", "01", 300, "G")]
    assert match_of(steps, Result("A", "01", 30, "G"), Result("A", "01", 10, "G")) == [
        ("renumbered", 300),
        ("renumbered", 100),
    ]


def test_old_and_new_numbers_of_repeated_operations_stand_side_by_side() -> None:
    steps = [Step("A", "01", 100, "G"), Step("A", "01", 300, "G")]
    results = [Result("A", "01", sequence, "G") for sequence in (10, 30, 100, 300)]
    assert match_of(steps, *results) == [("renumbered", 100), ("renumbered", 300), ("exact", 100), ("exact", 300)]


def test_with_fewer_reported_than_planned_the_nearest_sequence_is_meant_and_counted() -> None:
    steps = [Step("A", "01", 10, "G"), Step("A", "01", 40, "G")]
    assert outcomes(steps, [Result("A", "01", 30, "G")]) == [Outcome("renumbered", steps[1], ambiguous=True)]
    assert outcomes(steps, [Result("A", "01", 25, "G")]) == [Outcome("renumbered", steps[0], ambiguous=True)]


def test_another_routing_valid_on_the_day_is_preferred_to_a_newer_one() -> None:
    steps = [
        Step("A", "01", 10, "T", None, SPRING, SPRING),
        Step("A", "02", 10, "T", SUMMER, None, SUMMER),
        Step("A", "03", 20, "T", None, None, AUTUMN),
    ]
    assert outcomes(steps, [Result("A", "09", 10, "T", SPRING)])[0].step == steps[0]
    assert outcomes(steps, [Result("A", "09", 10, "T", AUTUMN)])[0].step == steps[1]
    found = outcomes(steps, [Result("A", "09", 15, "T", SPRING)])[0]
    assert found == Outcome("other routing, renumbered", steps[2], ambiguous=False)


def test_two_equally_good_routings_are_decided_by_number_and_counted() -> None:
    steps = [Step("A", "01", 10, "T"), Step("A", "02", 10, "T")]
    assert outcomes(steps, [Result("A", "09", 10, "T")]) == [Outcome("other routing", steps[1], ambiguous=True)]
    assert outcomes(steps, [Result("A", None, 10, "T")]) == [Outcome("by operation", steps[1], ambiguous=True)]


def test_a_result_without_a_sequence_is_joined_by_its_operation() -> None:
    steps = [Step("A", "01", 10, "T"), Step("A", "01", 20, "G"), Step("A", "01", 30, "G")]
    assert outcomes(steps, [Result("A", "01", None, "T"), Result("A", "01", None, "G")]) == [
        Outcome("by operation", steps[0], ambiguous=False),
        Outcome("by operation", steps[1], ambiguous=True),
    ]


def test_what_does_not_join_says_why() -> None:
    steps = [Step("A", "01", 10, "T"), Step("A", "02", 20, "G")]
    assert [match for match, _ in match_of(
        steps,
        Result("Z", "01", 10, "T"),
        Result("A", "01", 10, "X"),
        Result("A", "01", 20, "X"),
        Result("A", "09", 20, "X"),
        Result("A", "01", None, "X"),
    )] == [
        "the item has no routing",
        "another operation at this sequence",
        "no step at this sequence",
        "another operation at this sequence",
        "operation not planned",
    ]  # fmt: skip


def test_every_planned_step_has_actuals_or_a_reason() -> None:
    steps = [
        Step("A", "01", 10, "T", created_at=SPRING),
        Step("A", "02", 10, "T", created_at=SUMMER),
        Step("A", "02", 20, "G", created_at=SUMMER),
        Step("A", "02", 30, "C", created_at=SUMMER),
        Step("A", "02", 40, "C", created_at=SUMMER),
        Step("A", "03", 10, "T", created_at=AUTUMN),
        Step("B", "01", 10, "T"),
    ]
    results = [Result("A", "02", 10, "T"), Result("A", "02", 10, "T"), Result("A", "02", 30, "C")]
    told = join_plan(routings_of(steps), results_of(results)).steps
    assert told.rows() == [
        ("only in an old routing", 0),
        ("reported", 2),
        ("the operation was never reported", 0),
        ("reported", 1),
        ("reported on another step", 0),
        ("in a routing not used yet", 0),
        ("the item was never made", 0),
    ]


@pytest.mark.parametrize(("steps", "results"), [(0, 0), (1, 0), (0, 1)])
def test_empty_tables_are_no_error(steps: int, results: int) -> None:
    joined = join_plan(
        routings_of([Step("A", "01", 10, "T")] * steps), results_of([Result("A", "01", 10, "T")] * results)
    )
    assert (joined.results.height, joined.steps.height) == (results, steps)


def test_steps_that_are_equal_in_every_key_are_told_apart_by_their_rows_alone() -> None:
    steps = [Step("A", "01", 10, "T", created_at=day) for day in (SUMMER, SPRING)]
    for order in (steps, steps[::-1]):
        assert outcomes(order, [Result("A", "01", 10, "T")])[0].step == steps[1]


# ---------------------------------------------------------------------------------------------------- the properties


@settings(max_examples=40, deadline=None)
@given(STEPS, RESULTS)
def test_the_join_is_the_one_that_the_rules_say(steps: list[Step], results: list[Result]) -> None:
    assert outcomes(steps, results) == oracle(steps, results)


@pytest.mark.parametrize("seed", range(3))
def test_the_join_is_the_one_that_the_rules_say_in_many_crowded_routings(seed: int) -> None:
    """Hundreds of items at once, each with few operations, sequences and routings, so that they meet."""
    chance = random.Random(seed)
    steps, results = {}, []
    for number in range(400):
        item = f"I{number}"
        for _ in range(chance.randint(1, 5)):
            key = (item, chance.choice(["01", "02", "03"]), chance.choice([10, 15, 20, 30]))
            steps[key] = Step(*key, chance.choice("TG"), *(chance.choice([None, SPRING, SUMMER]) for _ in range(3)))
        for _ in range(chance.randint(1, 5)):
            routing, sequence = chance.choice([None, "01", "02"]), chance.choice([None, 10, 20, 25, 30])
            results.append(
                Result(item, routing, sequence, chance.choice("TTGGX"), chance.choice([None, SPRING, SUMMER]))
            )
    planned = list(steps.values())
    expected = []
    for number in range(400):
        of_item = [step for step in planned if step.item == f"I{number}"]
        expected += oracle(of_item, [result for result in results if result.item == f"I{number}"])
    assert outcomes(planned, results) == expected


@settings(max_examples=25, deadline=None)
@given(STEPS, RESULTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(steps: list[Step], results: list[Result], chance: object) -> None:
    shuffled_steps, places = list(steps), list(range(len(results)))
    chance.shuffle(shuffled_steps)  # type: ignore[attr-defined]
    chance.shuffle(places)  # type: ignore[attr-defined]
    before = outcomes(steps, results)
    assert outcomes(shuffled_steps, [results[place] for place in places]) == [before[place] for place in places]


@settings(max_examples=25, deadline=None)
@given(STEPS, RESULTS)
def test_exact_matches_win_and_no_result_is_lost_or_doubled(steps: list[Step], results: list[Result]) -> None:
    joined = join_plan(routings_of(steps), results_of(results))
    keys = {(step.item, step.routing, step.sequence, step.operation) for step in steps}
    named = joined.results["match"].to_list()
    assert len(named) == len(results)
    for result, match in zip(results, named, strict=True):
        if result[:4] in keys:
            assert match == Match.EXACT
    is_joined = joined.results["match"].cast(pl.String).is_in([kind.value for kind in JOINED])
    assert is_joined.to_list() == joined.results["planned_row"].is_not_null().to_list()
    assert joined.steps["results"].sum() == is_joined.sum()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from("TGC"), min_size=1, max_size=7),
    st.lists(st.integers(1, 400), min_size=7, max_size=7, unique=True),
)
def test_renumbering_a_routing_keeps_every_match(operations: list[str], numbers: list[int]) -> None:
    """As long as no new number is an old one of the same operation: then the old number would name the wrong step."""
    old = [Step("A", "01", 1000 + 10 * place, operation) for place, operation in enumerate(operations)]
    new = [step._replace(sequence=number) for step, number in zip(old, sorted(numbers)[: len(old)], strict=True)]
    results = [Result("A", "01", step.sequence, step.operation) for step in old for _ in range(2)]
    assert [found.step for found in outcomes(new, results)] == [step for step in new for _ in range(2)]


@settings(max_examples=25, deadline=None)
@given(
    st.permutations("TGCXYZ"),
    st.integers(1, 6),
    st.lists(st.integers(0, 60), min_size=6, max_size=6, unique=True),
    st.sets(st.integers(0, 5)),
)
def test_renumbering_keeps_every_match_of_operations_that_occur_once(
    operations: list[str], length: int, numbers: list[int], reported: set[int]
) -> None:
    """Whatever the new numbers are, and however few steps were reported."""
    old = [Step("A", "01", 10 * place, operation) for place, operation in enumerate(operations[:length])]
    new = [step._replace(sequence=number) for step, number in zip(old, sorted(numbers)[:length], strict=True)]
    places = sorted(place for place in reported if place < length)
    results = [Result("A", "01", old[place].sequence, old[place].operation) for place in places]
    assert [found.step for found in outcomes(new, results)] == [new[place] for place in places]


def test_the_outcome_stands_beside_the_rows_of_both_tables() -> None:
    steps = [Step("A", "01", 10, "T"), Step("B", "01", 10, "G")]
    results = [Result("B", "01", 10, "G"), Result("A", "01", 10, "T")]
    joined = join_plan(routings_of(steps), results_of(results))
    assert isinstance(joined, PlanJoin)
    assert joined.results["planned_row"].to_list() == [1, 0]
