"""Candidate routings: ranked, probable, in order, also where nobody has them yet."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from shared.prediction.candidates.model import CandidateModel, Choice, fit_candidates
from shared.prediction.candidates.votes import nearest
from tests.prediction.candidates_factory import CATEGORICAL, Plant, make_plant, operations_for, plant_of


def _fit(plant: Plant, withheld: int = 150) -> CandidateModel:
    asked = plant.withheld(min(withheld, len(plant.rows)))
    return fit_candidates(plant.rows, CATEGORICAL, plant.routings, plant.items, plant.routed, asked, seed=3)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return make_plant(260)


@pytest.fixture(scope="module")
def model(plant: Plant) -> CandidateModel:
    return _fit(plant)


def _ask(plant: Plant, model: CandidateModel, rows: Sequence[Sequence[float]], count: int = 3) -> list[list[Choice]]:
    asked = np.array(rows, dtype=np.float32)
    return model.choose(plant.near(asked, 12), asked, np.full(len(rows), plant.items.fold_count), count)


def test_routings_follow_the_attributes(plant: Plant, model: CandidateModel) -> None:
    rows = np.random.default_rng(9).random((80, 2)).astype(np.float32)
    firsts = [found[0].tasks for found in _ask(plant, model, rows.tolist())]
    right = [plant.tasks(*operations_for(*row)) for row in rows.tolist()]
    assert np.mean([first == true for first, true in zip(firsts, right, strict=True)]) > 0.9


def test_probabilities_fall_and_sum_to_no_more_than_one(plant: Plant, model: CandidateModel) -> None:
    for found in _ask(plant, model, np.random.default_rng(8).random((30, 2)).tolist(), count=50):
        chances = [choice.probability for choice in found]
        assert chances == sorted(chances, reverse=True)
        assert all(chance >= 0 for chance in chances)
        assert sum(chances) <= 1 + 1e-9
        assert len({choice.tasks for choice in found}) == len(found)


def test_members_are_the_near_items_that_have_exactly_the_routing(plant: Plant, model: CandidateModel) -> None:
    near = plant.near(np.array([[0.9, 0.5]], dtype=np.float32), 12)
    [found] = model.choose(near, np.array([[0.9, 0.5]], dtype=np.float32), np.array([plant.items.fold_count]), 3)
    for choice in found:
        expected = np.flatnonzero(near.routings.signature[near.places] == choice.signature)
        np.testing.assert_array_equal(choice.members, expected)
        if len(expected):
            assert choice.similarity == near.similarities[expected[0]]
        else:
            assert 0 <= choice.similarity < near.similarities[0]


def test_one_item_is_answered_like_a_batch(plant: Plant, model: CandidateModel) -> None:
    rows = np.random.default_rng(7).random((9, 2)).tolist()
    together = _ask(plant, model, rows)
    alone = [_ask(plant, model, [row])[0] for row in rows]
    assert [[(c.tasks, c.probability) for c in found] for found in together] == [
        [(c.tasks, c.probability) for c in found] for found in alone
    ]


def test_the_same_data_make_the_same_model(plant: Plant, model: CandidateModel) -> None:
    rows = np.random.default_rng(6).random((20, 2)).tolist()
    again = _fit(plant)
    back = CandidateModel.from_state(model.state())
    answers = [
        [
            [(c.tasks, c.signature, c.share, c.probability, c.similarity) for c in found]
            for found in _ask(plant, m, rows)
        ]
        for m in (model, again, back)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_a_routing_that_nobody_has_is_composed_in_order() -> None:
    plant = make_plant(260, without_both=True)
    both = plant.tasks("CUT", "DRILL", "PAINT", "PACK")
    found = _ask(plant, _fit(plant), [[0.95, 0.95]], count=6)[0]
    [new] = [choice for choice in found if choice.tasks == both or choice.tasks == (both[0], both[2], both[1], both[3])]
    assert new.signature == -1
    assert not len(new.members)
    assert new.share == 0
    assert 0 < new.similarity < 1


def test_tasks_come_in_the_near_items_order_where_orders_differ() -> None:
    rows = np.random.default_rng(5).random((240, 2)).astype(np.float32)
    middle = [["WASH", "DRILL"] if row[0] > 0.8 else ["DRILL", "WASH"] for row in rows.tolist()]
    routings = [["CUT", *steps] if row[1] > 0.5 else [*steps, "PACK"] for row, steps in zip(rows, middle, strict=True)]
    plant = plant_of(rows, routings)
    model = _fit(plant)
    wide, narrow = _ask(plant, model, [[0.95, 0.9], [0.2, 0.9]])
    assert wide[0].tasks == plant.tasks("CUT", "WASH", "DRILL")
    assert narrow[0].tasks == plant.tasks("CUT", "DRILL", "WASH")


def test_a_repeated_operation_is_never_proposed_without_its_first_time() -> None:
    rows = np.random.default_rng(3).random((240, 2)).astype(np.float32)
    routings = [["CUT", *(["WASH"] * (1 + (row[0] > 0.5))), "PACK"] for row in rows.tolist()]
    plant = plant_of(rows, routings)
    first, second = plant.routings.task_of("WASH", 0), plant.routings.task_of("WASH", 1)
    for found in _ask(plant, _fit(plant), [[0.9, 0.5], [0.1, 0.5], [0.5, 0.5]], count=40):
        assert all(first in choice.tasks for choice in found if second in choice.tasks)


@pytest.mark.parametrize("count", [2, 3, 30])
def test_few_items_are_enough(count: int) -> None:
    plant = make_plant(count)
    model = _fit(plant)
    for place in range(count):
        row = plant.rows[[place]]
        [found] = model.choose(plant.near(row, 12), row, np.array([plant.items.fold_count]), 3)
        truth = plant.routings.signature[place]
        assert truth in [choice.signature for choice in found]


def test_one_operation_for_all_is_certain() -> None:
    rows = np.random.default_rng(2).random((116, 2)).astype(np.float32)
    plant = plant_of(rows, [["MOULD"]] * 116)
    [[only, *others]] = _ask(plant, _fit(plant), [[0.5, 0.5]])
    assert only.tasks == plant.tasks("MOULD")
    assert only.probability > 0.9
    assert all(choice.probability < 0.05 for choice in others)


def test_nothing_near_still_answers_from_what_is_known(plant: Plant, model: CandidateModel) -> None:
    rows = np.array([[0.9, 0.1]], dtype=np.float32)
    near = plant.near(rows, 0)
    [found] = model.choose(near, rows, np.array([plant.items.fold_count]), 3)
    assert found[0].tasks == plant.tasks("CUT", "DRILL", "PACK")
    assert found[0].similarity == 0


def test_in_house_is_preferred_where_votes_are_equal() -> None:
    rows = np.array([[0.25, 0.5], [0.75, 0.5]], dtype=np.float32)
    for names in (["GALVANISE", "PAINT"], ["PAINT", "GALVANISE"]):
        plant = plant_of(rows, [[name] for name in names], outsourced=("GALVANISE",))
        [found] = _ask(plant, _fit(plant), [[0.5, 0.5]])
        assert found[0].tasks == plant.tasks("PAINT")


def test_far_items_are_abstained_from(plant: Plant, model: CandidateModel) -> None:
    rows = np.array([[0.5, 0.4], [9.0, -9.0]], dtype=np.float32)
    near, views = plant.near(rows, 12), np.full(2, plant.items.fold_count)
    least = model.least_similarity(views, 0.3)
    assert (nearest(near) < least).tolist() == [False, True]
    assert 0.3 < least[0] < 1
    few = _fit(make_plant(30))
    np.testing.assert_array_equal(few.least_similarity(views, 0.3), [0.3, 0.3])


def test_work_centres_follow_the_attributes(plant: Plant, model: CandidateModel) -> None:
    rows = np.random.default_rng(1).random((60, 2)).astype(np.float32)
    cut = np.full(60, plant.routings.task_of("CUT", 0))
    views, asked = np.full(60, plant.items.fold_count), np.arange(60)
    resource, inside = model.work_centres(plant.near(rows, 12), rows, views, asked, cut)
    right = [f"CUT-{'BIG' if row[0] > 0.7 else 'SMALL'}" for row in rows.tolist()]
    assert np.mean([plant.routings.resources[r] == name for r, name in zip(resource, right, strict=True)]) > 0.93
    assert (inside == 1).all()


def test_work_centres_of_unknown_and_far_operations(plant: Plant, model: CandidateModel) -> None:
    rows = np.array([[0.1, 0.1]], dtype=np.float32)
    tasks = np.array([-1, plant.routings.task_of("PAINT", 0)])
    views = np.array([plant.items.fold_count])
    resource, inside = model.work_centres(plant.near(rows, 3), rows, views, np.zeros(2, dtype=np.int64), tasks)
    assert resource[0] == -1
    assert inside[0] == -1
    assert plant.routings.resources[resource[1]] == "PAINT-SMALL"


def test_an_empty_batch_has_no_answers(plant: Plant, model: CandidateModel) -> None:
    near = plant.near(plant.rows[:1], 3)
    nobody = type(near)(
        routings=plant.routings, bounds=np.zeros(1, dtype=np.int64), places=near.places[:0],
        similarities=near.similarities[:0], own=near.own[:0],
    )  # fmt: skip
    nothing = np.zeros(0, dtype=np.int64)
    assert model.choose(nobody, plant.rows[:0], nothing, 3) == []
    assert len(model.work_centres(nobody, plant.rows[:0], nothing, nothing, nothing)[0]) == 0


def test_what_only_the_withheld_item_has_is_not_known_to_exist() -> None:
    rows = make_plant(240).rows
    routings = [operations_for(*row) for row in rows.tolist()]
    routings[17] = ["CUT", "PACK", "GILD"]
    plant = plant_of(rows, routings)
    model, asked = _fit(plant), plant.rows[[17]]
    gild = plant.routings.task_of("GILD", 0)
    views = plant.items.folds[[17]].astype(np.int64)
    [hidden] = model.choose(plant.near(asked, 12, [17]), asked, views, 8)
    [shown] = model.choose(plant.near(asked, 12), asked, np.array([plant.items.fold_count]), 40)
    assert all(gild not in choice.tasks for choice in hidden)
    assert any(choice.tasks == plant.tasks("CUT", "PACK", "GILD") for choice in shown)


def test_what_nobody_has_comes_last_where_rare_routings_are_preferred(plant: Plant, model: CandidateModel) -> None:
    weights = model.weights.copy()
    weights[:, 3] = -0.2
    shares = replace(model, weights=weights)._log_shares
    counts = model.known.counts.copy()
    counts[:, 0] = 0
    hidden = replace(model, weights=weights, known=replace(model.known, counts=counts))._log_shares
    place = np.flatnonzero(model.known.common == 0)
    assert len(place) == 1
    assert (hidden[:, place[0]] < np.delete(hidden, place, axis=1).min(axis=1)).all()
    assert (shares[:, place[0]] > hidden[:, place[0]]).all()


def test_a_view_without_any_item_composes() -> None:
    plant = make_plant(2)
    model = _fit(plant)
    nothing_near = plant.near(plant.rows, 0)
    for found in model.choose(nothing_near, plant.rows, plant.items.folds[:2].astype(np.int64), 3):
        assert sum(choice.probability for choice in found) <= 1 + 1e-9


def test_the_only_two_work_centres_of_an_operation_share_trees(plant: Plant, model: CandidateModel) -> None:
    options, output = model.centres.options, model.centres.output
    cut = np.flatnonzero(options.task == plant.routings.task_of("CUT", 0))
    assert [plant.routings.resources[place] for place in options.resource[cut]] == ["CUT-BIG", "CUT-SMALL"]
    assert output[cut[0]] == output[cut[1]] >= 0
    assert sorted(model.centres.sign[cut].tolist()) == [-1, 1]
