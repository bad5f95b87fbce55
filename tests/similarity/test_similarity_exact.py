"""Exact search leaves most entries unscored and still answers as brute force does."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.similarity import exact as exact_module
from shared.similarity import ranking
from shared.similarity.index import NeighbourIndex
from tests.similarity.similarity_support import brute_force, codes, make_vectors


@st.composite
def coarse_vectors(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    """Return vectors of few different numbers, of any length: full of ties, duplicates and zeros."""
    items, size = draw(st.integers(1, 60)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([1, 2, 50]))
    return np.asarray(rng.integers(-steps, steps + 1, (items, size)) / steps, dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(vectors=coarse_vectors(), data=st.data())
def test_exact_search_answers_as_brute_force(vectors: npt.NDArray[np.float32], data: st.DataObject) -> None:
    items, size = vectors.shape
    axes, count = data.draw(st.integers(1, size)), data.draw(st.integers(1, 12))
    hidden = data.draw(st.sets(st.integers(0, items - 1), max_size=5))
    asked = [*vectors[:3], np.zeros(size, dtype=np.float32), np.full(size, 0.3, dtype=np.float32)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_module, "AXES", axes)
        patch.setattr(exact_module, "_BATCH", 2)
        patch.setattr(ranking, "_BLOCK", 7)
        index = NeighbourIndex.build(codes(items), vectors, seed=1, backend="exact")
        found = index.search_many(np.stack(asked), count, [np.array(sorted(hidden), dtype=np.int64)] * len(asked))
    for number, vector in enumerate(asked):
        places = found.places[found.bounds[number] : found.bounds[number + 1]]
        assert places.tolist() == brute_force(vectors, vector, count, hidden)


def test_few_entries_are_scored_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(4_000, 120)
    vectors[:, 40:] *= 0.2  # most of a vector's length lies in few directions, as with encoded items
    index = NeighbourIndex.build(codes(4_000), vectors, seed=1, backend="exact")
    scored = []

    def counted(*given: Any) -> Any:
        scored.append(len(given[1]))
        return ranking.similarities(*given)

    monkeypatch.setattr(exact_module, "similarities", counted)
    for place in range(0, 4_000, 100):
        assert index.search(vectors[place], 10).places.tolist() == brute_force(vectors, vectors[place], 10)
    assert np.median(scored) < 400


def test_vectors_longer_than_one_lose_no_neighbour() -> None:
    vectors = make_vectors(500, 60) * np.linspace(0.1, 30, 500, dtype=np.float32)[:, None]
    index = NeighbourIndex.build(codes(500), vectors, seed=1, backend="exact")
    for place in range(0, 500, 50):
        assert index.search(vectors[place], 12).places.tolist() == brute_force(vectors, vectors[place], 12)
