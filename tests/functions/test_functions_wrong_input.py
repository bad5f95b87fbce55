"""Whatever is asked, the answer is an answer or a refusal that names the field; never a 500."""

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import azure.functions as func
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.http import MAX_BODY_BYTES
from shared.errors import InvalidInput
from shared.prediction.answers import ItemQuery, Status
from shared.prediction.model import RoutingModel
from tests.functions.conftest import Ask

pytestmark = pytest.mark.usefixtures("predicting")

NAMES = ("PART", "MATERIAL", "SIZE", "NOTE", "DRAWING", "RELEASED")
TEN_MEGABYTES = "x" * 10_000_000
EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

odd_texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\ufeff",
            "\u202eabc",
            "\ud800",
            "a/b",
            "../..",
            "%2e",
            "NaN",
            "-",
            "1e999",
            "가" * 200,
            "x" * 2001,
        ]
    ),
)
numbers = st.one_of(
    st.floats(), st.integers(), st.integers(min_value=10**20, max_value=10**330), st.booleans(),
    st.sampled_from([0, -0.0, -1, 1e-320, 1e15, 1e16, 1e308, 5e-324, 2**53 + 1]),
)  # fmt: skip
odd_days = st.sampled_from(
    ["2024-02-30", "0000-00-00", "2024-1-1", "20240101", "31.12.2024", "2024-01-01T25:00", "9999-12-31", "0001-01-01",
     "2024-W01-1", "1704067200", "2024-01-01T00:00:00+14:00", "tomorrow", "\u22122024-01-01"]
)  # fmt: skip
measures = st.fixed_dictionaries(
    {"value": numbers | odd_texts, "unit": st.sampled_from(["mm", "inch", "furlong", "", "kg"])}
)
scalars = st.one_of(st.none(), odd_texts, numbers, odd_days)
anything = st.recursive(
    scalars | measures,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(st.sampled_from(NAMES) | odd_texts, anything, max_size=6)
codes = st.sampled_from(["RING001", "ring001", " KIT002 ", "NEW/1", "A B"]) | odd_texts
items = st.fixed_dictionaries({"item_code": codes | anything}, optional={"attributes": attributes | anything})


def judged(response: func.HttpResponse, *, asked: int | None = None) -> dict[str, Any]:
    """Return an answer after checking that it is one, or that a refusal names what it refuses."""
    document: dict[str, Any] = json.loads(response.get_body(), parse_constant=_no_json)
    if response.status_code == 200:
        assert asked is None or len(document["predictions"]) == asked
        return document
    assert response.status_code in (400, 413, 422), (response.status_code, document)
    assert document["detail"]
    if response.status_code == 422:
        assert document["errors"]
        assert all(error["field"] and error["message"] for error in document["errors"])
    assert len(response.get_body()) < 100_000
    return document


def _no_json(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def refused_field(response: func.HttpResponse) -> str:
    assert response.status_code == 422
    field: str = judged(response)["errors"][0]["field"]
    return field


@EXAMPLES
@given(asked=st.lists(items, min_size=1, max_size=4), quantity=numbers | st.just(1.0), as_if_unknown=st.booleans())
def test_any_request_for_predictions_is_answered_or_refused_by_field(
    ask: Ask, asked: list[Any], quantity: Any, as_if_unknown: bool
) -> None:
    body = {"items": asked, "quantity": quantity, "as_if_unknown": as_if_unknown}
    judged(ask("predict_routings", body=body), asked=len(asked))


@EXAMPLES
@given(values=st.dictionaries(st.sampled_from(NAMES), scalars, max_size=6), code=codes)
def test_any_attributes_of_an_item_are_answered_or_refused_by_their_name(
    ask: Ask, values: dict[str, Any], code: str
) -> None:
    response = ask("predict_routings", body={"items": [{"item_code": code, "attributes": values}]})
    document = judged(response, asked=1)
    if response.status_code == 422:
        allowed = {"items[0].item_code", *(f"items[0].attributes.{name}" for name in values)}
        assert {error["field"] for error in document["errors"]} <= allowed


@EXAMPLES
@given(values=st.dictionaries(st.sampled_from(NAMES) | odd_texts, anything | st.dates() | st.datetimes(), max_size=6))
def test_the_model_itself_refuses_only_by_name(model: RoutingModel, values: dict[str, Any]) -> None:
    """Also what no JSON can hold, such as a day or NaN, and what no request validated before."""
    query = ItemQuery.model_construct(item_code="NEW", attributes=values)
    try:
        [answer] = model.predict([query])
    except InvalidInput as refused:
        named = {error["field"] for error in refused.facts["errors"]}
        assert named
        assert named <= {f"items[0].attributes.{name[:100]}" for name in values}
        return
    assert answer.status in set(Status)
    for candidate in answer.candidates:
        for operation in candidate.operations:
            assert 0 <= operation.order_minutes.low <= operation.order_minutes.high < math.inf


@pytest.mark.parametrize(
    "quantity", [0, -1, -1e-300, math.nan, math.inf, -math.inf, 1e308, 10**400, "1", None, True, [1]]
)
def test_a_quantity_that_no_order_has_is_refused(ask: Ask, quantity: Any) -> None:
    response = ask("predict_routings", body={"items": [{"item_code": "RING001"}], "quantity": quantity})
    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert judged(response)["errors"][0]["field"] == "quantity"


@pytest.mark.parametrize("quantity", [1e-9, 0.5, 1, 1e9])
def test_a_quantity_that_an_order_may_have_is_answered_with_finite_minutes(ask: Ask, quantity: float) -> None:
    document = judged(ask("predict_routings", body={"items": [{"item_code": "RING001"}], "quantity": quantity}))
    totals = document["predictions"][0]["candidates"][0]["totals"]
    assert all(0 <= minutes < math.inf for minutes in totals.values())


@pytest.mark.parametrize("quantity", [0, -1, math.nan, math.inf])
def test_the_model_itself_refuses_such_a_quantity(model: RoutingModel, quantity: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        model.predict([ItemQuery(item_code="RING001")], quantity=quantity)
    assert refused.value.facts["errors"][0]["field"] == "quantity"


def test_ten_megabytes_are_refused_wherever_they_stand(ask: Ask, model: RoutingModel) -> None:
    for body in (
        {"items": [{"item_code": TEN_MEGABYTES}]},
        {"items": [{"item_code": "A", "attributes": {"NOTE": TEN_MEGABYTES}}]},
        {"items": [{"item_code": "A", "attributes": {TEN_MEGABYTES: 1}}]},
    ):
        assert ask("predict_routings", body=body).status_code == 413
    for name in ("NOTE", "PART", "SIZE", "RELEASED", "MATERIAL"):
        query = ItemQuery.model_construct(item_code="A", attributes={name: TEN_MEGABYTES})
        with pytest.raises(InvalidInput) as refused:
            model.predict([query])
        assert refused.value.facts["errors"][0]["field"] == f"items[0].attributes.{name}"
        assert len(str(refused.value)) < 1_000


def test_a_text_as_long_as_a_body_may_be_is_refused_by_its_field(ask: Ask) -> None:
    long = "x" * (MAX_BODY_BYTES - 200)
    asked = {"item_code": "A", "attributes": {"NOTE": long}}
    assert refused_field(ask("predict_routings", body={"items": [asked]})) == "items[0].attributes.NOTE"
    assert refused_field(ask("predict_routings", body={"items": [{"item_code": long}]})) == "items[0].item_code"


def test_unknown_categories_and_missing_attributes_are_no_error(ask: Ask) -> None:
    asked = [
        {"item_code": "N1", "attributes": {"PART": "never heard of", "MATERIAL": "unobtainium"}},
        {"item_code": "N2", "attributes": dict.fromkeys(NAMES)},
        {"item_code": "N3", "attributes": {}},
        {"item_code": "N4", "attributes": {"NOTE": "   ", "SIZE": 0}},
        {"item_code": "RING001", "attributes": dict.fromkeys(NAMES)},
    ]
    answers = judged(ask("predict_routings", body={"items": asked}), asked=5)["predictions"]
    assert [answer["status"] for answer in answers[1:4]] == ["abstained"] * 3
    assert all(answer["message"] for answer in answers[1:4])
    assert answers[4]["candidates"][0]["source"] == "erp"


def test_codes_asked_twice_and_in_any_spelling_are_answered_alike(ask: Ask) -> None:
    asked = [{"item_code": code} for code in ("RING001", "ring001", " RING001 ", "RING001")]
    answers = judged(ask("predict_routings", body={"items": asked}), asked=4)["predictions"]
    assert [answer["candidates"] for answer in answers] == [answers[0]["candidates"]] * 4


@pytest.mark.parametrize(
    "day", ["2024-02-30", "2024-13-01", "31.12.2024", "tomorrow", "1", "0000-00-00", 20240101, True]
)
def test_a_day_that_is_none_is_refused_by_its_field(ask: Ask, day: Any) -> None:
    asked = {"item_code": "A", "attributes": {"PART": "ring", "RELEASED": day}}
    assert refused_field(ask("predict_routings", body={"items": [asked]})) == "items[0].attributes.RELEASED"


@pytest.mark.parametrize(
    "day", [date(2024, 1, 1), datetime(2024, 1, 1, 12, tzinfo=UTC), "2024-01-01", "2024-01-01T23:59", " 2024-01-01 "]
)
def test_a_day_in_any_plain_form_is_read(model: RoutingModel, day: Any) -> None:
    given_day = {"PART": "ring", "SIZE": 40.0, "RELEASED": day}
    iso = {**given_day, "RELEASED": "2024-01-01"}
    queries = [ItemQuery.model_construct(item_code="A", attributes=values) for values in (given_day, iso)]
    first, second = model.predict(queries)
    assert first == second


@pytest.mark.parametrize(
    "size", [{"value": 2.5, "unit": "furlong"}, {"value": 2.5, "unit": 7}, "2.5 furlong", {}, "wide"]
)
def test_a_size_in_a_unit_that_does_not_exist_is_refused_by_its_field(ask: Ask, size: Any) -> None:
    asked = {"item_code": "A", "attributes": {"PART": "ring", "SIZE": size}}
    field = refused_field(ask("predict_routings", body={"items": [asked]}))
    assert field.startswith("items[0].attributes.SIZE")


def test_a_size_in_another_unit_is_converted(ask: Ask) -> None:
    sizes = [{"value": 2.5, "unit": "inch"}, {"value": 6.35, "unit": "cm"}, 63.5]
    ring = {"PART": "ring", "MATERIAL": "SUS316", "NOTE": "ring for pump 3"}
    asked = [{"item_code": "A", "attributes": {**ring, "SIZE": size}} for size in sizes]
    answers = judged(ask("predict_routings", body={"items": asked}), asked=3)["predictions"]
    assert answers[0]["status"] == "ok"
    assert answers == [answers[2]] * 3


@pytest.mark.parametrize(
    ("name", "size", "field"),
    [
        ("SIZE", {"value": 2.5, "unit": "furlong"}, ".SIZE.unit"), ("SIZE", {"value": 2.5, "unit": "kg"}, ".SIZE.unit"),
        ("SIZE", {"value": 1e300, "unit": "inch"}, ".SIZE"), ("PART", {"value": 2.5, "unit": "inch"}, ".PART"),
    ],
)  # fmt: skip
def test_a_size_with_a_unit_is_refused_where_it_is_wrong(ask: Ask, name: str, size: Any, field: str) -> None:
    asked = {"item_code": "A", "attributes": {"PART": "ring", name: size}}
    assert refused_field(ask("predict_routings", body={"items": [asked]})) == f"items[0].attributes{field}"


def test_parts_of_a_size_with_a_unit_are_named(ask: Ask) -> None:
    asked = {"item_code": "A", "attributes": {"SIZE": {"value": "wide", "unit": "mm", "more": 1}}}
    errors = judged(ask("predict_routings", body={"items": [asked]}))["errors"]
    assert {error["field"] for error in errors} == {
        f"items[0].attributes.SIZE{part}" for part in ("", ".value", ".more")
    }


@pytest.mark.parametrize("nest", [b"[", b'{"items":', b'{"items":[{"item_code":"A","attributes":{"X":'])
@pytest.mark.parametrize("name", ["predict_routings", "summarise_times", "decide_prediction"])
def test_depth_without_end_is_malformed(ask: Ask, name: str, nest: bytes, administrator: str) -> None:
    response = ask(name, raw=nest * 50_000, params={"id": "pred_1"}, key=administrator)
    assert response.status_code in (400, 422)
    judged(response)


@pytest.mark.parametrize("name", ["get_item", "get_similar_items"])
@pytest.mark.parametrize("code", ["NEW/1", "../../etc", "%00", "' OR 1=1", "가나다", "a" * 200, "\u202e"])
def test_a_path_of_an_item_that_nobody_knows_is_not_found(ask: Ask, name: str, code: str) -> None:
    assert ask(name, params={"item_code": code}).status_code == 404


amounts = numbers | scalars
operations = st.fixed_dictionaries(
    {},
    optional={
        "sequence": numbers | scalars, "operation_code": scalars, "setup_minutes": amounts,
        "run_minutes_per_unit": amounts, "wait_minutes": amounts, "move_minutes": amounts, "queue_minutes": amounts,
        "unheard_of": scalars,
    },
)  # fmt: skip


@EXAMPLES
@given(
    asked=st.lists(operations | anything, max_size=4),
    quantity=numbers | st.just(1.0),
    breakdown=st.booleans() | scalars,
)
def test_any_request_for_a_time_summary_is_answered_or_refused_by_field(
    ask: Ask, asked: list[Any], quantity: Any, breakdown: Any
) -> None:
    body = {"operations": asked, "quantity": quantity, "include_breakdown": breakdown}
    document = judged(ask("summarise_times", body=body))
    if "lead_minutes" in document:
        assert 0 <= document["lead_minutes"] < math.inf
        assert document["operation_count"] == len(asked)


@pytest.mark.parametrize("minutes", [-1, math.nan, math.inf, 1e300, "5", True, [1], {"value": 1}])
def test_minutes_that_nothing_takes_are_refused_by_their_field(ask: Ask, minutes: Any) -> None:
    response = ask("summarise_times", body={"operations": [{"setup_minutes": 1}, {"wait_minutes": minutes}]})
    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert judged(response)["errors"][0]["field"].startswith("operations[1].wait_minutes")


@pytest.mark.parametrize("written", ["A%2FB", "A%2fB"])
def test_a_code_with_a_slash_arrives_encoded_and_is_asked_for_whole(ask: Ask, written: str) -> None:
    answer = ask("get_item", params={"item_code": written})
    assert answer.status_code == 404
    assert "A/B" in json.loads(answer.get_body())["detail"]
