"""What the model answers on factories whose right answers are known."""

import math
from dataclasses import asdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.configuration import default_configuration
from shared.errors import InvalidInput, NotFound
from shared.prediction.answers import Candidate, ItemPrediction, ItemQuery, Source, Status, as_plain
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from tests.prediction.prediction_factories import Factory, assemble, make_factory, result_row, routing_row

NEW_RING = {"PART": "ring", "MATERIAL": "SUS316", "SIZE": 62.0, "NOTE": "ring for pump 3"}


def ask(model: RoutingModel, code: str, attributes: dict[str, Any] | None = None, **options: Any) -> ItemPrediction:
    [answer] = model.predict([ItemQuery(item_code=code, attributes=attributes)], **options)
    return answer


def first(model: RoutingModel, code: str, attributes: dict[str, Any] | None = None, **options: Any) -> Candidate:
    answer = ask(model, code, attributes, **options)
    assert answer.status is Status.OK, answer.message
    return answer.candidates[0]


def test_a_known_item_is_answered_with_its_own_routing_first(tiny_model: RoutingModel) -> None:
    best = first(tiny_model, "RING005")
    assert (best.source, best.probability, best.rank) == (Source.ERP, 1.0, 1)
    assert best.routing_signature == "SAW>TURN>WASH>GRIND>WASH>PACK"


def test_an_answer_stored_before_near_items_were_counted_is_read(tiny_model: RoutingModel) -> None:
    stored = as_plain(ask(tiny_model, "RING005"))
    for candidate in stored["candidates"]:
        for operation in candidate["operations"]:
            del operation["supporting"], operation["disagreeing"]
    read = TypeAdapter(ItemPrediction).validate_python(stored)
    assert as_plain(read)["candidates"][0]["totals"] == stored["candidates"][0]["totals"]
    assert read.candidates[0].operations[0].supporting is None


def test_a_new_item_gets_the_routing_of_its_kind_from_its_attributes(tiny_model: RoutingModel) -> None:
    best = first(tiny_model, "NEW-1", NEW_RING)
    assert (best.source, best.routing_signature) == (Source.PREDICTED, "SAW>TURN>WASH>GRIND>WASH>PACK")
    assert [operation.resource_code for operation in best.operations][:2] == ["SAW-1", "TURN-1"]
    assert best.probability > 0.8


def test_run_minutes_follow_the_size_and_setup_does_not(tiny_model: RoutingModel) -> None:
    small = first(tiny_model, "S", {**NEW_RING, "SIZE": 40.0})
    large = first(tiny_model, "L", {**NEW_RING, "SIZE": 120.0})
    assert small.operations[0].run_minutes_per_unit.value == pytest.approx(4.0, rel=0.15)
    assert large.operations[0].run_minutes_per_unit.value == pytest.approx(12.0, rel=0.15)
    assert small.operations[0].setup_minutes.value == pytest.approx(20.0, rel=0.1)


def test_the_same_operation_at_two_places_keeps_two_times(tiny_model: RoutingModel) -> None:
    washes = [op for op in first(tiny_model, "NEW", NEW_RING).operations if op.operation_code == "WASH"]
    assert [op.sequence for op in washes] == [30, 50]
    assert washes[1].run_minutes_per_unit.value == pytest.approx(2 * washes[0].run_minutes_per_unit.value, rel=0.1)


def test_every_interval_is_in_order_and_totals_add_up(tiny_model: RoutingModel) -> None:
    for quantity in (1.0, 250.0):
        for best in ask(tiny_model, "RING010", quantity=quantity, as_if_unknown=True).candidates:
            for op in best.operations:
                assert op.optimistic_minutes <= op.order_minutes.value <= op.safe_minutes
                for part in (op.setup_minutes, op.run_minutes_per_unit, op.order_minutes):
                    assert 0 <= part.low <= part.value <= part.high
                whole = op.setup_minutes.value + op.run_minutes_per_unit.value * quantity
                assert op.order_minutes.value == pytest.approx(whole)
            totals = best.totals
            assert totals.run_minutes == pytest.approx(
                sum(op.run_minutes_per_unit.value for op in best.operations) * quantity
            )
            parts = (totals.setup_minutes, totals.run_minutes, totals.wait_minutes, totals.move_minutes)
            assert totals.lead_minutes == pytest.approx(sum(parts) + totals.queue_minutes)


def test_a_similarity_splits_exactly_into_its_attributes(tiny_model: RoutingModel) -> None:
    for near in tiny_model.similar("RING010", 10):
        assert sum(part["contribution"] for part in near.because) == pytest.approx(near.similarity, abs=2e-6)
        assert near.item_code != "RING010"


def test_as_if_unknown_hides_the_item_and_its_sisters(tiny_model: RoutingModel) -> None:
    best = first(tiny_model, "RING003", as_if_unknown=True)  # shares its drawing with RING002
    seen = {item.item_code for item in best.evidence}
    seen |= {support["item_code"] for op in best.operations for support in op.evidence}
    assert best.source is Source.PREDICTED
    assert seen
    assert not seen & {"RING002", "RING003"}


def test_changing_an_items_own_results_changes_nothing_as_if_unknown(
    tiny_factory: Factory, tiny_model: RoutingModel
) -> None:
    results = tiny_factory.work_results().with_columns(
        pl.when(pl.col("item_code") == "RING007")
        .then(pl.col("run_minutes") * 50)
        .otherwise("run_minutes")
        .alias("run_minutes")
    )
    other = fit_model(tiny_factory.changed(work_results=results), default_configuration())
    ours, theirs = (first(model, "RING007", as_if_unknown=True) for model in (tiny_model, other))
    for mine, its in zip(ours.operations, theirs.operations, strict=True):
        for name in ("setup_minutes", "run_minutes_per_unit", "order_minutes"):
            assert asdict(getattr(its, name)) == pytest.approx(asdict(getattr(mine, name)), rel=1e-6)
        assert its.confidence == pytest.approx(mine.confidence, rel=1e-6)
    known = [first(model, "RING007").totals.run_minutes for model in (tiny_model, other)]
    assert known[1] > 1.02 * known[0]  # where the item is known its own results do count, as far as they are believed


def test_changing_an_items_own_routing_changes_nothing_as_if_unknown(
    tiny_factory: Factory, tiny_model: RoutingModel
) -> None:
    mine = pl.col("item_code") == "RING008"
    routings = tiny_factory.routings().filter(~(mine & (pl.col("sequence") > 20)))
    other = fit_model(tiny_factory.changed(routings=routings), default_configuration())
    ours, theirs = (ask(model, "RING008", as_if_unknown=True) for model in (tiny_model, other))
    assert [c.routing_signature for c in theirs.candidates] == [c.routing_signature for c in ours.candidates]
    assert theirs.candidates[0].probability == pytest.approx(ours.candidates[0].probability, abs=2e-3)


def test_an_unknown_code_without_attributes_is_named_and_the_others_are_answered(tiny_model: RoutingModel) -> None:
    answers = tiny_model.predict([ItemQuery(item_code="NOBODY"), ItemQuery(item_code="KIT001")])
    assert [answer.status for answer in answers] == [Status.UNKNOWN_ITEM, Status.OK]
    assert answers[0].message


def test_attributes_beside_a_known_code_override_the_factorys(tiny_model: RoutingModel) -> None:
    best = first(
        tiny_model, "RING005", {"PART": "kit", "NOTE": "kit for pump 1", "MATERIAL": "SUS304"}, as_if_unknown=True
    )
    assert best.routing_signature == "PICK>PACK"


def test_nothing_near_abstains_and_names_the_unusual_attribute(tiny_model: RoutingModel) -> None:
    answer = ask(tiny_model, "ODD", {"PART": "spaceship", "MATERIAL": "UNOBTAINIUM", "SIZE": 9e9, "NOTE": "zzqqy"})
    assert answer.status is Status.ABSTAINED
    assert answer.message
    assert "PART" in answer.message


def test_an_item_without_any_value_abstains(tiny_model: RoutingModel) -> None:
    assert ask(tiny_model, "EMPTY", {}).status is Status.ABSTAINED
    assert ask(tiny_model, "EMPTY", {"SIZE": 0}).status is Status.ABSTAINED


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"WIDTH": 3}, "WIDTH"),
        ({"SIZE": "wide"}, "SIZE"),
        ({"SIZE": True}, "SIZE"),
        ({"SIZE": math.nan}, "SIZE"),
        ({"SIZE": math.inf}, "SIZE"),
        ({"RELEASED": "soon"}, "RELEASED"),
        ({"RELEASED": 7}, "RELEASED"),
        ({"PART": math.nan}, "PART"),
    ],
)
def test_a_wrong_attribute_is_refused_by_its_field(
    tiny_model: RoutingModel, attributes: dict[str, Any], field: str
) -> None:
    queries = [ItemQuery(item_code="KIT001"), ItemQuery(item_code="X", attributes={"PART": "kit", **attributes})]
    with pytest.raises(InvalidInput) as refused:
        tiny_model.predict(queries)
    assert [error["field"] for error in refused.value.facts["errors"]] == [f"items[1].attributes.{field}"]


@pytest.mark.parametrize("quantity", [0.0, -1.0, math.nan, math.inf])
def test_a_quantity_that_is_no_quantity_is_refused(tiny_model: RoutingModel, quantity: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        tiny_model.predict([ItemQuery(item_code="KIT001")], quantity=quantity)
    assert refused.value.facts["errors"][0]["field"] == "quantity"


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80)


@settings(max_examples=150, deadline=None)
@given(
    attributes=st.dictionaries(
        st.sampled_from(["PART", "MATERIAL", "SIZE", "NOTE", "DRAWING", "RELEASED", "WIDTH"]), VALUES, max_size=7
    ),
    quantity=st.floats(min_value=1e-3, max_value=1e9),
    unknown=st.booleans(),
)
def test_any_attributes_give_an_answer_or_a_named_field(
    tiny_model: RoutingModel, attributes: dict[str, Any], quantity: float, unknown: bool
) -> None:
    query = ItemQuery.model_construct(item_code="ANY", attributes=attributes)
    try:
        [answer] = tiny_model.predict([query], quantity=quantity, as_if_unknown=unknown)
    except InvalidInput as refused:
        fields: list[str] = [error["field"] for error in refused.facts["errors"]]
    else:
        fields = []
    if fields:
        assert all(field.startswith("items[0].attributes.") for field in fields)
        return
    assert answer.status in (Status.OK, Status.ABSTAINED)
    for candidate in answer.candidates:
        assert 0 <= candidate.probability <= 1
        assert math.isfinite(candidate.totals.lead_minutes)


def test_in_house_is_preferred_where_two_work_centres_have_equal_votes() -> None:
    items = [
        {"item_code": f"A{n}", "PART": "ring", "MATERIAL": "SUS316", "SIZE": 50.0, "NOTE": None, "DRAWING": None,
         "RELEASED": None} for n in range(4)
    ] + [{"item_code": "B0", "PART": "kit", "MATERIAL": "SIC", "SIZE": 10.0, "NOTE": None, "DRAWING": None,
          "RELEASED": None}]  # fmt: skip
    routings = [
        routing_row(f"A{n}", 10, "TURN", resource_code="OUT" if n % 2 else "OWN", inside=n % 2 == 0) for n in range(4)
    ] + [routing_row("B0", 10, "PICK")]
    model = fit_model(assemble(items, routings, []), default_configuration())
    turn = first(model, "NEW", {"PART": "ring", "MATERIAL": "SUS316", "SIZE": 50.0}).operations[0]
    assert (turn.resource_code, turn.inside) == ("OWN", True)


def test_the_newest_valid_routing_of_an_item_counts_and_an_expired_one_does_not() -> None:
    items = [
        {"item_code": f"A{n}", "PART": "ring" if n < 4 else "kit", "MATERIAL": "SUS316", "SIZE": 50.0, "NOTE": None,
         "DRAWING": None, "RELEASED": None} for n in range(8)
    ]  # fmt: skip
    days = pl.Series(["2021-01-01", "2023-01-01", "2025-01-01"]).str.to_date().to_list()
    routings = [routing_row(f"A{n}", 10, "PICK") for n in range(8)]
    routings += [routing_row("A0", 10, "OLD", routing_no="00", created_at=days[0])]
    routings += [routing_row("A0", 10, "NEW", routing_no="02", created_at=days[2])]
    routings += [routing_row("A0", 10, "GONE", routing_no="03", created_at=days[2], valid_to=days[2])]
    model = fit_model(assemble(items, routings, []), default_configuration())
    assert first(model, "A0").routing_signature == "NEW"


def test_without_any_result_planned_times_answer() -> None:
    factory = make_factory(12)
    model = fit_model(factory.changed(work_results=factory.work_results().clear()), default_configuration())
    saw = first(model, "NEW", {**NEW_RING, "SIZE": 60.0}).operations[0]
    assert saw.run_minutes_per_unit.value == pytest.approx(6.0 * 0.8, rel=0.25)
    assert (saw.samples, saw.trimmed_mean) == (0, None)


def test_an_undivided_time_is_split_into_setup_and_run_by_the_quantity() -> None:
    factory = make_factory(16, orders=1)
    whole = [
        result_row(
            row["item_code"],
            row["sequence"],
            row["operation_code"],
            order_no=f"W{n}",
            quantity=float(quantity),
            setup_minutes=None,
            run_minutes=30.0 + 2.0 * quantity,
        )
        for row in factory.routings().to_dicts()
        for n, quantity in enumerate((4, 8, 12, 20, 40, 80))
    ]
    model = fit_model(
        assemble(factory.items().to_dicts(), factory.routings().to_dicts(), whole), default_configuration()
    )
    for quantity in (8.0, 40.0):
        saw = first(model, "RING004", as_if_unknown=True, quantity=quantity).operations[0]
        assert saw.order_minutes.value == pytest.approx(30.0 + 2.0 * quantity, rel=0.3)
        assert saw.setup_minutes.value > 10


def test_a_disturbed_order_is_left_out_and_counted(tiny_factory: Factory, tiny_model: RoutingModel) -> None:
    mine = (pl.col("item_code") == "KIT005") & (pl.col("order_no") == "W1")
    results = tiny_factory.work_results().with_columns(
        pl.when(mine).then(pl.col("run_minutes") * 100).otherwise("run_minutes").alias("run_minutes")
    )
    model = fit_model(tiny_factory.changed(work_results=results), default_configuration())
    before, after = first(tiny_model, "KIT005"), first(model, "KIT005")
    assert after.operations[0].trimmed >= 1 + before.operations[0].trimmed
    assert after.totals.run_minutes < 1.5 * before.totals.run_minutes


def test_items_can_be_looked_up_and_searched(tiny_model: RoutingModel) -> None:
    record = tiny_model.item("GLAND002")
    assert record.attributes["PART"] == "gland"
    assert [row["operation_code"] for row in record.routings] == ["SAW", "MILL", "WASH", "PACK"]
    assert record.work_orders == 12
    rows, total = tiny_model.search_items("gland0", limit=5, offset=2)
    assert (total, rows[0]["item_code"], len(rows)) == (24, "GLAND002", 5)
    assert tiny_model.search_items("PUMP 4", limit=1, offset=0)[1] == 12
    with pytest.raises(NotFound):
        tiny_model.item("NOBODY")
    with pytest.raises(NotFound):
        tiny_model.similar("NOBODY", 3)
    with pytest.raises(InvalidInput):
        tiny_model.similar("GLAND002", 0)
