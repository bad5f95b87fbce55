"""A batch is answered as its items are one by one, and what only some items have stays theirs."""

import numpy as np
import pytest

from shared.configuration import PredictionConfiguration, default_configuration
from shared.prediction.answers import Candidate, ItemQuery, Source
from shared.prediction.fit import fit_model
from shared.prediction.item_search import ItemSearch
from shared.prediction.memory import build_items, build_routings, choose_current
from shared.prediction.model import RoutingModel
from shared.prediction.nearby import Nearby
from shared.prediction.plans import usual_numbers
from shared.prediction.reweighting import reweight
from tests.prediction.prediction_factories import ATTRIBUTES, TODAY, Factory, assemble, make_factory, routing_row


@pytest.mark.parametrize("as_if_unknown", [False, True])
def test_a_batch_is_answered_as_its_items_are_one_by_one(tiny_model: RoutingModel, *, as_if_unknown: bool) -> None:
    queries = [
        ItemQuery(item_code="RING003"), ItemQuery(item_code="NOBODY"), ItemQuery(item_code="KIT007"),
        ItemQuery(item_code="NEW", attributes={"PART": "gland", "SIZE": 44.0, "DRAWING": "G-0002"}),
        ItemQuery(item_code="RING004", attributes={"SIZE": None}), ItemQuery(item_code="EMPTY", attributes={}),
        ItemQuery(item_code="RING003"),
    ]  # fmt: skip
    together = tiny_model.predict(queries, quantity=7.0, as_if_unknown=as_if_unknown)
    alone = [tiny_model.predict([one], quantity=7.0, as_if_unknown=as_if_unknown)[0] for one in queries]
    assert together == alone


def test_an_item_is_answered_alike_by_its_stored_vector_and_by_its_attributes(tiny_model: RoutingModel) -> None:
    codes = ["RING003", "KIT007", "GLAND002"]
    stored = tiny_model.predict([ItemQuery(item_code=code) for code in codes], as_if_unknown=True)
    encoded = tiny_model.predict([ItemQuery(item_code=code, attributes={}) for code in codes], as_if_unknown=True)
    assert stored == encoded


def test_a_given_drawing_withholds_its_items(tiny_model: RoutingModel) -> None:
    values = {"PART": "ring", "MATERIAL": "SUS316", "SIZE": 38.0, "NOTE": "ring for pump 3", "RELEASED": "2024-01-01"}
    queries = [ItemQuery(item_code="NEW", attributes={**values, "DRAWING": name}) for name in (" r-0002 ", "R-NEW")]
    withheld, shown = [
        {item.item_code for candidate in answer.candidates for item in candidate.evidence}
        | {support["item_code"] for c in answer.candidates for o in c.operations for support in o.evidence}
        for answer in tiny_model.predict(queries, as_if_unknown=True, candidates=5)
    ]
    assert shown & {"RING002", "RING003"}
    assert withheld
    assert not withheld & {"RING002", "RING003"}


def test_every_operation_tells_how_many_near_items_hold_it(tiny_model: RoutingModel) -> None:
    [answer] = tiny_model.predict([ItemQuery(item_code="RING003")], as_if_unknown=True)
    first = answer.candidates[0]
    assert len({(operation.supporting or 0) + (operation.disagreeing or 0) for operation in first.operations}) == 1
    for operation in first.operations:
        assert (operation.supporting or 0) >= sum(support["supports"] for support in operation.evidence) > 0


def _wide(model: RoutingModel, **settings: object) -> RoutingModel:
    return model.under(PredictionConfiguration.model_validate({**model.fitted.model_dump(), **settings}))


def _candidate(model: RoutingModel) -> Candidate:
    return model.predict([ItemQuery(item_code="RING003")], as_if_unknown=True, quantity=10.0)[0].candidates[0]


@pytest.mark.parametrize("profile", ["z_score", "trimmed", "sigma"])
def test_a_time_profile_changes_the_outer_times_and_keeps_their_order(tiny_model: RoutingModel, profile: str) -> None:
    usual, other = _candidate(tiny_model), _candidate(_wide(tiny_model, time_profile=profile))
    pairs = list(zip(usual.operations, other.operations, strict=True))
    assert any(mine.safe_minutes != its.safe_minutes for mine, its in pairs)
    for mine, its in pairs:
        assert its.order_minutes == mine.order_minutes
        assert its.optimistic_minutes <= its.order_minutes.value <= its.safe_minutes


def test_weights_as_fitted_change_nothing_and_a_doubled_one_counts_twice(tiny_model: RoutingModel) -> None:
    encoder = tiny_model.knowledge.encoder
    assert reweight(encoder, {}, {"PART": 2.0}) is None
    found = reweight(encoder, {}, {"PART": 4.0})
    assert found is not None
    by_number = dict(zip(np.repeat([a.name for a in ATTRIBUTES], np.diff(encoder.offsets)), found.factors, strict=True))
    assert by_number["PART"] == pytest.approx(2 * by_number["SIZE"])
    assert "PART 4 instead of 2" in found.sentence
    assert reweight(encoder, {}, {a.name: 0.0 for a in ATTRIBUTES}) is None


def test_items_are_found_by_a_part_of_their_code_or_a_text_in_any_case(tiny_factory: Factory) -> None:
    frame = build_items(tiny_factory.items(), ATTRIBUTES).frame
    codes = np.array(frame["item_code"].to_list())
    search = ItemSearch(frame)
    assert codes[search.places(" kit00 ")].tolist() == [f"KIT{number:03d}" for number in range(10)]
    assert all(code.startswith("RING") for code in codes[search.places("Ring For PUMP 3")])
    assert len(search.places("Ring For PUMP 3")) == 5
    assert len(search.places("")) == len(codes)
    assert not len(search.places("nothing like it"))


def test_operations_are_numbered_as_the_near_items_number_theirs() -> None:
    items = [{"item_code": code, "PART": "ring"} for code in ("A", "B", "C")]
    rows = [routing_row(code, 5 + 5 * place, step) for code in "ABC" for place, step in enumerate(("X", "Y", "Z"))]
    factory = assemble(items, rows, [])
    known = build_items(factory.items(), ATTRIBUTES)
    routings = build_routings(choose_current(factory.routings(), TODAY.date()), known)
    near = Nearby(
        routings=routings, bounds=np.array([0, 2, 2]), places=np.array([0, 2]), similarities=np.array([0.9, 0.8]),
        own=np.array([-1, -1]),
    )  # fmt: skip
    assert usual_numbers(near, 0) == (5, 5)
    assert usual_numbers(near, 1) == (10, 10)


def test_an_items_own_routing_is_asked_for_where_it_is_not_among_the_near() -> None:
    """With three neighbours looked at, an item whose attributes are overridden is far from itself."""
    settings = default_configuration()
    prediction = settings.prediction.model_copy(update={"neighbours": 3})
    model = fit_model(make_factory(), settings.model_copy(update={"prediction": prediction}))
    asked = [
        ItemQuery(item_code="RING001"),
        ItemQuery(item_code="KIT002", attributes={"PART": "ring", "SIZE": 90.0, "NOTE": "ring for pump 1"}),
        ItemQuery(item_code="GLAND003"),
    ]
    answers = model.predict(asked)
    assert [answer.candidates[0].source for answer in answers] == [Source.ERP] * 3
    assert answers[1].candidates[0].routing_signature == "PICK>PACK"
    assert [item.item_code for item in answers[1].candidates[0].evidence] == ["KIT002"]
    assert answers[1].candidates[0].operations[0].samples > 0
