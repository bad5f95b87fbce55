"""Items that the model's data lacks and the ERP has are predicted, and the answer says where they come from."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.configuration import default_configuration
from shared.erp.lookup.item_lookup import ItemLookup
from shared.errors import InvalidInput
from shared.prediction.answers import Candidate, ItemPrediction, ItemQuery, PredictionRequest, Source, Status
from shared.prediction.fit import fit_model
from shared.prediction.fresh import predict_asked
from shared.prediction.model import RoutingModel
from tests.prediction.fresh_plant import NEW_RING, PROFILE, Plant, before_the_files
from tests.prediction.prediction_factories import STEPS, Factory, assemble, routing_row

RING_STEPS = [routing_row("NEW1", 10 * place, step) for place, step in enumerate(STEPS["ring"], start=1)]
Ask = Callable[..., ItemPrediction]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


@pytest.fixture
def model(tiny_model: RoutingModel) -> RoutingModel:
    """The tiny model, made before the files of the ERP were touched."""
    older = copy.copy(tiny_model)
    older.origin = replace(older.origin, data_as_of=before_the_files())
    return older


@pytest.fixture
def ask(plant: Plant, model: RoutingModel, tmp_path: Path) -> Ask:
    """Ask for one item as the endpoint does."""

    def call(code: str, attributes: dict[str, Any] | None = None, **options: Any) -> ItemPrediction:
        lookup = ItemLookup(plant.settings(tmp_path, lookup_timeout_seconds=20.0))
        asked = PredictionRequest(items=[ItemQuery(item_code=code, attributes=attributes)], **options)
        [answer] = predict_asked(model, asked, lambda: lookup)
        return answer

    return call


def said(answer: ItemPrediction) -> str:
    assert answer.message is not None
    return answer.message


def own(answer: ItemPrediction) -> Candidate:
    assert answer.status is Status.OK, answer.message
    assert answer.candidates[0].source is Source.ERP
    return answer.candidates[0]


def test_this_mornings_item_is_predicted_from_its_attributes(plant: Plant, ask: Ask, model: RoutingModel) -> None:
    plant.add_item("NEW1")
    answer = ask("new1")
    assert answer.status is Status.OK
    assert answer.candidates[0].routing_signature == ">".join(STEPS["ring"])
    assert said(answer).startswith("Read from the ERP at ")
    [given] = model.predict([ItemQuery(item_code="NEW1", attributes=NEW_RING)])
    assert answer.candidates == given.candidates


def test_its_own_routing_is_offered_first_and_others_after_it(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    plant.add_steps(*RING_STEPS[:2], routing_row("NEW1", 30, "PACK"))
    answer = ask("NEW1")
    best = own(answer)
    assert (best.rank, best.probability, best.routing_signature) == (1, 1.0, "SAW>TURN>PACK")
    assert [op.run_minutes_per_unit.planned for op in best.operations] == [2.0, 2.0, 2.0]
    assert [(candidate.rank, candidate.source) for candidate in answer.candidates[1:]] == [(2, Source.PREDICTED)]
    assert answer.candidates[1].routing_signature == ">".join(STEPS["ring"])


def test_the_same_routing_is_not_offered_twice(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    plant.add_steps(*RING_STEPS)
    answer = ask("NEW1", candidates=10)
    signatures = [candidate.routing_signature for candidate in answer.candidates]
    assert own(answer).routing_signature == ">".join(STEPS["ring"])
    assert len(signatures) == len(set(signatures))
    assert own(answer).evidence


def test_it_is_answered_as_if_the_model_had_known_it(plant: Plant, ask: Ask, tiny_factory: Factory) -> None:
    """Beside the same model fitted with the item and its routing; only what 73 instead of 72 items teach may differ."""
    plant.add_item("NEW1")
    plant.add_steps(*RING_STEPS)
    wider = assemble(
        [*tiny_factory.items().to_dicts(), {"item_code": "NEW1", **NEW_RING, "RELEASED": None}],
        [*tiny_factory.routings().to_dicts(), *RING_STEPS],
        tiny_factory.work_results().to_dicts(),
    )
    [known] = fit_model(wider, default_configuration()).predict([ItemQuery(item_code="NEW1")])
    ours, theirs = own(ask("NEW1")), own(known)
    for mine, its in zip(ours.operations, theirs.operations, strict=True):
        assert mine.order_minutes.value == pytest.approx(its.order_minutes.value, rel=0.2)
        assert mine.order_minutes.planned == its.order_minutes.planned
        assert (mine.operation_name, mine.resource_code) == (its.operation_name, its.resource_code)


def test_an_operation_never_seen_has_its_planned_time_and_no_confidence(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    lasered = routing_row(
        "NEW1", 20, "LASER", setup_minutes=12.0, run_minutes_per_unit=3.5, resource_code="L-9", inside=False
    )
    plant.add_steps(RING_STEPS[0], lasered, RING_STEPS[5])
    answer = ask("NEW1", quantity=4.0)
    laser = own(answer).operations[1]
    assert (laser.operation_code, laser.operation_name, laser.resource_code) == ("LASER", "Laser", "L-9")
    assert laser.inside is False
    assert (laser.samples, laser.confidence) == (0, 0.0)
    assert laser.setup_minutes.value == pytest.approx(12.0)
    assert laser.run_minutes_per_unit.value == pytest.approx(3.5)
    assert laser.order_minutes.value == pytest.approx(12.0 + 4 * 3.5)
    # In this factory work takes half as much again as planned, or more: the interval has to know that plans err.
    assert laser.order_minutes.low < 26.0 / 1.4 < 26.0 * 1.4 < laser.order_minutes.high
    assert "LASER" in said(answer)


def test_an_operation_without_times_gets_what_operations_take(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    plant.add_steps(RING_STEPS[0], routing_row("NEW1", 20, "LASER", setup_minutes=None, run_minutes_per_unit=None))
    laser = own(ask("NEW1")).operations[1]
    assert laser.setup_minutes.planned is None
    assert 10 < laser.setup_minutes.value < 40  # every setup of this factory takes about 20 minutes
    assert laser.run_minutes_per_unit.low < laser.run_minutes_per_unit.value < laser.run_minutes_per_unit.high


def test_as_if_unknown_leaves_out_its_routing_and_its_sisters(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1", DRAWING="R-0002")  # the drawing of RING002 and RING003
    plant.add_steps(*RING_STEPS)
    answer = ask("NEW1", as_if_unknown=True)
    assert answer.status is Status.OK
    assert {candidate.source for candidate in answer.candidates} == {Source.PREDICTED}
    seen = {item.item_code for candidate in answer.candidates for item in candidate.evidence}
    assert seen
    assert not seen & {"RING002", "RING003"}


def test_a_callers_attributes_win_over_the_erps(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    kit = {"PART": "kit", "NOTE": "kit for pump 1", "MATERIAL": "SUS304"}
    assert ask("NEW1", kit).candidates[0].routing_signature == ">".join(STEPS["kit"])
    assert ask("NEW1", {"SIZE": 40}).candidates[0].routing_signature == ">".join(STEPS["ring"])


def test_a_routing_that_is_not_valid_any_more_is_not_offered(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    plant.add_steps(*(row | {"valid_to": "2021-01-01"} for row in RING_STEPS))
    assert ask("NEW1").candidates[0].source is Source.PREDICTED


def test_an_item_without_any_value_is_answered_with_its_own_routing_or_abstained(plant: Plant, ask: Ask) -> None:
    nothing = dict.fromkeys(NEW_RING)
    plant.add_item("BARE1", **nothing)
    plant.add_item("BARE2", **nothing)
    plant.add_steps(*(row | {"item_code": "BARE2"} for row in RING_STEPS))
    bare = ask("BARE1")
    assert bare.status is Status.ABSTAINED
    assert "Read from the ERP" in said(bare)
    assert "None of the item's attributes" in said(bare)
    assert own(ask("BARE2")).routing_signature == ">".join(STEPS["ring"])


def test_a_code_that_nobody_has_is_unknown_and_says_that_the_erp_was_asked(ask: Ask) -> None:
    answer = ask("NOBODY")
    assert answer.status is Status.UNKNOWN_ITEM
    assert said(answer).startswith("Neither the model's data of ")


def test_an_erp_that_is_away_is_said_and_costs_no_answer(plant: Plant, ask: Ask) -> None:
    (plant.folder / "parts.csv").unlink()
    unknown = ask("NEW1")
    assert unknown.status is Status.UNKNOWN_ITEM
    assert "cannot be read" in said(unknown)
    assert "asked again from" in said(unknown)
    given = ask("NEW1", NEW_RING)
    assert given.status is Status.OK
    assert said(given).startswith("Predicted from the given attributes alone: the ERP cannot be read")


def test_known_items_and_the_rest_of_a_request_keep_their_order(
    plant: Plant, model: RoutingModel, tmp_path: Path
) -> None:
    plant.add_item("NEW1")
    lookup = ItemLookup(plant.settings(tmp_path, lookup_timeout_seconds=20.0))
    codes = ["RING001", "NEW1", "NOBODY", "KIT002", "NEW1"]
    asked = PredictionRequest(items=[ItemQuery(item_code=code) for code in codes])
    answers = predict_asked(model, asked, lambda: lookup)
    assert [answer.item_code for answer in answers] == codes
    assert [str(answer.status) for answer in answers] == ["ok", "ok", "unknown_item", "ok", "ok"]
    assert answers[0].message is None
    assert answers[1] == answers[4]


def test_nothing_is_looked_up_where_every_code_is_known(model: RoutingModel) -> None:
    def lookup() -> ItemLookup:
        raise AssertionError("a known code was looked up")

    asked = PredictionRequest(items=[ItemQuery(item_code="RING001"), ItemQuery(item_code=" kit002 ")])
    assert predict_asked(model, asked, lookup) == model.predict(asked.items)


def test_what_the_model_does_not_know_of_an_item_is_left_out_and_said(plant: Plant, ask: Ask) -> None:
    """Since the model was made the profile has got another unit for the size, and another attribute."""
    changed = copy.deepcopy(PROFILE)
    changed["items"]["attributes"]["SIZE"]["unit"] = "inch"
    changed["items"]["attributes"]["COLOUR"] = {"kind": "categorical", "column": "PART"}
    plant.profile.write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    plant.add_item("NEW1")
    answer = ask("NEW1")
    assert "Left out, since the model does not know them so: SIZE, COLOUR." in said(answer)


def test_another_factorys_model_is_not_asked_about_this_ones_item(plant: Plant, ask: Ask) -> None:
    plant.profile.write_text(yaml.safe_dump({**PROFILE, "name": "elsewhere"}), encoding="utf-8")
    plant.add_item("NEW1")
    answer = ask("NEW1")
    assert answer.status is Status.UNKNOWN_ITEM
    assert "elsewhere" in said(answer)


def test_a_wrong_attribute_is_refused_for_a_new_item_too(plant: Plant, ask: Ask) -> None:
    plant.add_item("NEW1")
    with pytest.raises(InvalidInput, match="SIZE"):
        ask("NEW1", {"SIZE": "large"})
