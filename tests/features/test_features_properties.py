"""Whatever values come, the numbers are finite and bounded, and one item is its row among many."""

import math
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.erp.canonical import Attribute, AttributeKind
from shared.errors import InvalidInput
from shared.features.encoder import ItemEncoder
from shared.features.filling import Filling
from shared.features.table import FeatureTable
from tests.features.samples import ATTRIBUTES, make_columns

TEXTS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["P1", "SUS316-02", "shaft 5,5 x 3", "", "  ", "٣½²", "ßﬁ\x00\u2028"]),
)
SIZES = st.one_of(st.none(), st.floats(), st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0, math.inf, math.nan]))
VALUES = {
    AttributeKind.CATEGORICAL: TEXTS, AttributeKind.CODE: TEXTS, AttributeKind.TEXT: TEXTS,
    AttributeKind.NUMERIC: SIZES, AttributeKind.DATE: st.none() | st.dates(),
}  # fmt: skip
ROWS = st.fixed_dictionaries({a.name: VALUES[a.kind] for a in ATTRIBUTES})


@st.composite
def factories(draw: st.DrawFn) -> tuple[tuple[Attribute, ...], dict[str, list[Any]]]:
    kinds = draw(st.lists(st.sampled_from(list(AttributeKind)), min_size=1, max_size=4))
    items = draw(st.integers(1, 12))
    attributes = tuple(Attribute(name=f"A{place}", kind=kind) for place, kind in enumerate(kinds))
    columns = {a.name: draw(st.lists(VALUES[a.kind], min_size=items, max_size=items)) for a in attributes}
    return attributes, columns


def block_lengths(encoder: ItemEncoder, vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    squares = np.add.reduceat(vectors.astype(np.float64) ** 2, encoder.offsets[:-1], axis=1)
    return np.asarray(np.sqrt(squares) / encoder.scales)


@settings(max_examples=40, deadline=None)
@given(factories())
def test_any_attributes_and_values_are_encoded_alike_one_by_one(
    factory: tuple[tuple[Attribute, ...], dict[str, list[Any]]],
) -> None:
    attributes, columns = factory
    encoder, table = ItemEncoder(attributes).fit(columns), FeatureTable.fit(attributes, columns)
    vectors, rows = encoder.transform(columns), table.rows(columns)
    assert np.isfinite(vectors).all()
    assert not np.isinf(rows).any()
    assert (block_lengths(encoder, vectors) <= 1 + 1e-5).all()
    again, same = ItemEncoder.from_state(encoder.state()), FeatureTable.from_state(table.state())
    for place in range(len(vectors)):
        item = {name: values[place] for name, values in columns.items()}
        assert np.array_equal(again.transform_one(item), vectors[place])
        assert np.array_equal(same.row(item), rows[place], equal_nan=True)


@pytest.fixture(scope="module")
def fitted() -> tuple[ItemEncoder, FeatureTable]:
    columns = make_columns()
    return ItemEncoder(ATTRIBUTES).fit(columns), FeatureTable.fit(ATTRIBUTES, columns)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_values_never_seen_are_encoded_alike_one_by_one(
    fitted: tuple[ItemEncoder, FeatureTable], items: list[dict[str, Any]]
) -> None:
    encoder, table = fitted
    columns = {a.name: [item[a.name] for item in items] for a in ATTRIBUTES}
    vectors, rows = encoder.transform(columns), table.rows(columns)
    assert np.isfinite(vectors).all()
    assert (block_lengths(encoder, vectors) <= 1 + 1e-5).all()
    for place, item in enumerate(items):
        assert np.array_equal(encoder.transform_one(item), vectors[place])
        assert np.array_equal(table.row(item), rows[place], equal_nan=True)


def test_a_text_of_ten_megabytes_is_read_by_its_beginning(fitted: tuple[ItemEncoder, FeatureTable]) -> None:
    encoder, table = fitted
    long = {"NOTE": "shaft sleeve " * 800_000, "PART": "P" * 10_000_000, "RELEASED": date(2022, 1, 1)}
    short = {name: value[:2_000] if isinstance(value, str) else value for name, value in long.items()}
    assert np.array_equal(encoder.transform_one(long), encoder.transform_one(short))
    assert np.array_equal(table.row(long), table.row(short), equal_nan=True)


def test_other_weights_in_service_count_as_if_the_vectors_were_made_with_them() -> None:
    columns = make_columns()
    encoder = ItemEncoder(ATTRIBUTES).fit(columns)
    vectors = encoder.transform(columns)
    factors = encoder.factors_for({"PART": 0.5, "SIZE": 4.0})
    encoder.set_weights({**encoder.weights, "PART": 0.5, "SIZE": 4.0})
    made = encoder.transform(columns)
    assert (vectors[1:] * factors) @ vectors[0] == pytest.approx(made[1:] @ made[0], abs=1e-5)


def test_weights_that_cannot_count_in_service_are_refused_by_name() -> None:
    attributes = (*ATTRIBUTES, Attribute(name="REVISION", kind=AttributeKind.CODE, weight=0.0))
    encoder = ItemEncoder(attributes).fit({**make_columns(), "REVISION": ["A"] * 300})
    for wrong in ({"REVISION": 1.0}, {"NO_SUCH": 1.0}, {"PART": -1.0}, {"PART": math.nan}):
        with pytest.raises(InvalidInput) as caught:
            encoder.factors_for(wrong)
        assert [error["field"] for error in caught.value.facts["errors"]] == [f"weights.{next(iter(wrong))}"]
    with pytest.raises(InvalidInput):
        encoder.factors_for({a.name: 0.0 for a in ATTRIBUTES})


def test_what_other_values_tell_is_filled_in_and_what_most_items_lack_is_not() -> None:
    attributes = (
        Attribute(name="NAME", kind=AttributeKind.TEXT), Attribute(name="TYPE", kind=AttributeKind.CATEGORICAL),
        Attribute(name="EXTRA", kind=AttributeKind.CATEGORICAL), Attribute(name="WIDTH", kind=AttributeKind.NUMERIC),
    )  # fmt: skip
    kinds = ["SLEEVE", "GLAND", "SEAT", "RING"]
    columns: dict[str, list[Any]] = {
        "NAME": [f"{kinds[n % 4]} {20 + n % 90}" for n in range(400)],
        "TYPE": [None if n % 9 == 0 else f"T{n % 4}" for n in range(400)],
        "EXTRA": [f"E{n % 4}" if n % 12 < 4 else None for n in range(400)],
        "WIDTH": [None if n % 7 == 0 else 20.2 + n % 90 for n in range(400)],
    }
    filling = Filling.fit(attributes, columns)
    told = filling.fill_one({"NAME": "gland 999", "TYPE": None, "EXTRA": None, "WIDTH": None})
    assert (told["TYPE"], told["EXTRA"], told["WIDTH"]) == ("T1", None, 999.0)
    assert filling.fill_one({"NAME": "GLAND 5", "TYPE": "T9", "WIDTH": 3.0})["TYPE"] == "T9"
