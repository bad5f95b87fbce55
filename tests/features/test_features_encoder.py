"""Attributes become vectors: alike in training and service, near where values are near, and weights count."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.blocks import ScaleBlock
from shared.features.distinct import Distinct
from shared.features.encoder import VECTOR_ROOM, ItemEncoder
from shared.features.learned import learn_factors
from shared.features.statistics import feature_importance, feature_recommendations, feature_statistics
from shared.features.texts import code_beginnings
from tests.features.samples import ATTRIBUTES, make_columns


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    return make_columns()


@pytest.fixture(scope="module")
def encoder(columns: dict[str, list[Any]]) -> ItemEncoder:
    return ItemEncoder(ATTRIBUTES).fit(columns)


def one(**values: Any) -> dict[str, Any]:
    base = {"PART": "P3", "MATERIAL": "SUS316-02", "SIZE": 60.0, "NOTE": "shaft sleeve", "RELEASED": date(2022, 3, 1)}
    return {**base, **values}


def similarity(encoder: ItemEncoder, first: dict[str, Any], second: dict[str, Any]) -> float:
    return float(encoder.transform_one(first) @ encoder.transform_one(second))


def test_one_row_and_all_rows_give_the_same_bits(encoder: ItemEncoder, columns: dict[str, list[Any]]) -> None:
    together = encoder.transform(columns)
    assert together.shape == (300, encoder.size)
    assert together.dtype == np.float32
    for row in range(300):
        alone = encoder.transform_one({name: values[row] for name, values in columns.items()})
        assert np.array_equal(alone, together[row])


def test_a_restored_encoder_gives_the_same_bits(encoder: ItemEncoder, columns: dict[str, list[Any]]) -> None:
    again = ItemEncoder.from_state(encoder.state())
    assert np.array_equal(again.transform(columns), encoder.transform(columns))
    assert again.get_feature_names_out() == encoder.get_feature_names_out()


def test_every_number_has_a_name_and_there_are_not_too_many(encoder: ItemEncoder) -> None:
    names = encoder.get_feature_names_out()
    assert len(names) == encoder.size <= VECTOR_ROOM + len(ATTRIBUTES)
    assert len(set(names)) == len(names)


def test_an_item_is_entirely_like_itself(encoder: ItemEncoder, columns: dict[str, list[Any]]) -> None:
    vectors = encoder.transform(columns)
    assert np.einsum("nd,nd->n", vectors, vectors) == pytest.approx(np.ones(300), abs=1e-5)


def test_the_split_by_attribute_adds_up_to_the_similarity(encoder: ItemEncoder, columns: dict[str, list[Any]]) -> None:
    vectors = encoder.transform(columns)
    split = encoder.split(vectors[0], vectors[1:50])
    assert split.shape == (49, len(ATTRIBUTES))
    assert split.sum(axis=1) == pytest.approx(vectors[1:50] @ vectors[0], abs=1e-5)


def test_weights_count_after_scaling(columns: dict[str, list[Any]]) -> None:
    encoder = ItemEncoder(ATTRIBUTES).fit(columns)
    other_part = one(PART="P4")
    before = similarity(encoder, one(), other_part)
    assert before == pytest.approx(1 - 2.0 / 6.0, abs=0.12)
    encoder.set_weights({**encoder.weights, "PART": 0.0})
    assert similarity(encoder, one(), other_part) == pytest.approx(1.0, abs=1e-5)
    encoder.set_weights({**encoder.weights, "PART": 40.0})
    assert similarity(encoder, one(), other_part) < before - 0.2


def test_nearness_of_sizes_is_by_ratio(encoder: ItemEncoder) -> None:
    near, far, further = (similarity(encoder, one(), one(SIZE=size)) for size in (63.0, 90.0, 300.0))
    assert near > far > further
    doubled = similarity(encoder, one(SIZE=100.0), one(SIZE=105.0))
    assert doubled == pytest.approx(near, abs=0.02)


def test_codes_are_near_by_their_beginning_and_texts_by_their_pieces(encoder: ItemEncoder) -> None:
    assert code_beginnings("SUS316-02") == ["SUS", "SUS316", "SUS316-", "SUS316-02"]
    assert similarity(encoder, one(), one(MATERIAL="SUS316-05")) > similarity(encoder, one(), one(MATERIAL="SUS319-05"))
    assert similarity(encoder, one(), one(NOTE="sleeve shaft")) > similarity(encoder, one(), one(NOTE="mixer repair"))


def test_missing_is_a_value_of_its_own_and_unseen_is_near_to_nothing(encoder: ItemEncoder) -> None:
    assert similarity(encoder, one(PART=None), one(PART=None)) == pytest.approx(1.0, abs=1e-5)
    assert similarity(encoder, one(PART=None), one()) == pytest.approx(1 - 2 / 6, abs=1e-5)
    vector = encoder.transform_one(one(PART="never seen", SIZE=1e12))
    assert encoder.unseen(vector) == ["PART", "SIZE"]


def test_bins_of_a_single_size_still_work() -> None:
    block = ScaleBlock.fit("SIZE", Distinct.numbers([5.0, 5.0]), 12, logarithmic=True)
    assert float(block.vector(5.0) @ block.vector(5.0)) == pytest.approx(1.0)
    assert not block.vector(50.0).any()


def test_sizes_may_differ_by_every_order_of_magnitude() -> None:
    block = ScaleBlock.fit("SIZE", Distinct.numbers([1e308, 5e-324, 5e-324, 3.0]), 12, logarithmic=True)
    assert all(float(block.vector(size) @ block.vector(size)) == pytest.approx(1.0) for size in (1e308, 5e-324, 3.0))


@settings(max_examples=100, deadline=None)
@given(
    part=st.none() | st.text(max_size=40), size=st.none() | st.floats(), note=st.none() | st.text(max_size=200),
    released=st.none() | st.dates(),
)  # fmt: skip
def test_any_value_gives_finite_numbers_of_at_most_unit_length(
    part: str | None, size: float | None, note: str | None, released: date | None
) -> None:
    encoder = ItemEncoder(ATTRIBUTES).fit(make_columns(60)) if not _SHARED else _SHARED[0]
    _SHARED[:] = [encoder]
    vector = encoder.transform_one({"PART": part, "MATERIAL": note, "SIZE": size, "NOTE": note, "RELEASED": released})
    assert np.isfinite(vector).all()
    assert float(np.linalg.norm(vector)) <= 1.0001


_SHARED: list[ItemEncoder] = []


def test_learning_finds_the_attribute_that_decides_the_routing() -> None:
    rng = np.random.default_rng(5)
    decides, noise = rng.integers(0, 4, 240), rng.integers(0, 4, 240)
    blocks = [np.eye(4, dtype=np.float32)[decides], np.eye(4, dtype=np.float32)[noise]]
    routing = np.where(rng.random(240) < 0.6, decides, rng.integers(0, 4, 240)).astype(np.int64)
    learned = learn_factors(blocks, np.array([1.0, 1.0]), routing, np.arange(240))
    assert learned.factors[0] > 2 * learned.factors[1]
    assert learned.after > learned.before


def test_what_is_learned_hardly_depends_on_which_items_were_drawn() -> None:
    rng = np.random.default_rng(6)
    values = rng.integers(0, 4, (5, 2000))  # the first decides, the second helps
    blocks = [np.eye(4, dtype=np.float32)[each] for each in values]
    routing = np.where(rng.random(2000) < 0.8, 2 * values[0] + values[1] % 2, rng.integers(0, 8, 2000))
    halves = [
        learn_factors([block[half::2] for block in blocks], np.ones(5), routing[half::2], np.arange(1000)).factors
        for half in (0, 1)
    ]
    assert np.abs(np.log2(halves[0] / halves[1])).max() <= 0.5
    assert all(half[:2].min() > half[2:].max() for half in halves)


def test_an_item_alone_in_its_drawing_with_its_routing_teaches_nothing() -> None:
    blocks = [np.eye(3, dtype=np.float32)[np.arange(30) % 3]]
    learned = learn_factors(blocks, np.ones(1), np.arange(30) % 3, np.zeros(30, dtype=np.int64))
    assert learned.factors.tolist() == [1.0]


def test_the_figures_about_attributes_are_true(encoder: ItemEncoder, columns: dict[str, list[Any]]) -> None:
    statistics = feature_statistics(encoder, columns, encoder.blocks_of(columns))
    assert statistics["PART"]["missing_count"] == sum(value is None for value in columns["PART"])
    assert statistics["SIZE"]["most"] == max(value for value in columns["SIZE"] if value is not None)
    assert statistics["SIZE"]["unique_values"] == len({value for value in columns["SIZE"] if value is not None})
    assert statistics["RELEASED"]["least"] == min(columns["RELEASED"]).isoformat()
    assert sum(statistics["MATERIAL"]["top_values"].values()) <= 300
    importance = feature_importance(encoder.weights, statistics)
    assert max(importance.values()) == 1.0
    buckets = feature_recommendations(importance, encoder.weights)
    assert "PART" in buckets["essential"]
    assert sorted(name for names in buckets.values() for name in names) == sorted(a.name for a in ATTRIBUTES)


def test_the_figures_about_attributes_do_not_depend_on_the_order_of_items(
    encoder: ItemEncoder, columns: dict[str, list[Any]]
) -> None:
    order = np.random.default_rng(7).permutation(300)
    mixed = {name: [values[place] for place in order] for name, values in columns.items()}
    first = feature_statistics(encoder, columns, encoder.blocks_of(columns))
    second = feature_statistics(encoder, mixed, encoder.blocks_of(mixed))
    for name, figures in first.items():
        for key in ("variance", "independence", "uniformity"):
            assert second[name][key] == pytest.approx(figures[key], abs=1e-9)


def test_variance_and_independence_are_what_all_pairs_of_items_say() -> None:
    rng = np.random.default_rng(1)
    letters = [f"L{n}" for n in rng.integers(0, 5, 200)]
    columns = {
        "A": letters,
        "B": [f"same {letter}" for letter in letters],
        "C": [f"C{n}" for n in rng.permutation(200) % 8],
    }
    attributes = tuple(Attribute(name=name, kind=AttributeKind.CATEGORICAL) for name in columns)
    encoder = ItemEncoder(attributes).fit(columns)
    blocks = encoder.blocks_of(columns)
    statistics = feature_statistics(encoder, columns, blocks)
    likeness = [block.astype(np.float64) @ block.T for block in blocks]
    centred = [each - each.mean(axis=0) - each.mean(axis=1)[:, None] + each.mean() for each in likeness]
    for name, alike in zip(columns, likeness, strict=True):
        assert statistics[name]["variance"] == pytest.approx(1 - alike.mean())
    same, other = (float(np.corrcoef(centred[0].ravel(), centred[at].ravel())[0, 1]) for at in (1, 2))
    assert same == pytest.approx(1.0)
    assert statistics["A"]["independence"] == pytest.approx(1 - (same + other) / 2)
