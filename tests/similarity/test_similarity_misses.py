"""The graph differs from exact search only by what it missed, and what it missed is listed."""

import itertools

import numpy as np
import pytest

from shared.errors import PackageRejected
from shared.similarity import graph as graph_module
from shared.similarity import index as index_module
from shared.similarity import recall as recall_module
from shared.similarity.index import INDEX_FILE, VECTORS_FILE, NeighbourIndex
from shared.similarity.misses import misses
from tests.similarity.similarity_support import codes, make_vectors, needs_hnswlib

pytestmark = needs_hnswlib


def careless_index(monkeypatch: pytest.MonkeyPatch, items: int, backend: str) -> NeighbourIndex:
    """Return an index whose graph has too few links to be walked well."""
    monkeypatch.setattr(graph_module, "LINKS", 2)
    monkeypatch.setattr(graph_module, "BREADTH", 2)
    monkeypatch.setattr(recall_module, "_STEPS", ((10, 1),))
    monkeypatch.setattr(index_module, "_POOL_FOR_ONE", 1)
    monkeypatch.setattr(index_module, "EXACT_BELOW", 1_000)
    return NeighbourIndex.build(codes(items), make_vectors(items), seed=1, backend=backend)


def test_what_a_graph_missed_is_listed_and_nothing_else_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    index = careless_index(monkeypatch, 2_000, "hnsw")
    asked = make_vectors(2_000)[::50]
    listed, found = misses(index, asked, 8), index.search_many(asked, 8)
    exact = index.searched_exactly()
    assert len(listed.places)
    bounds = zip(itertools.pairwise(listed.bounds.tolist()), itertools.pairwise(found.bounds.tolist()), strict=True)
    for vector, ((start, end), (first, last)) in zip(asked, bounds, strict=True):
        mine = dict(zip(found.places[first:last].tolist(), found.similarities[first:last].tolist(), strict=True))
        wanted = exact.search(vector, 8)
        theirs = dict(zip(wanted.places.tolist(), wanted.similarities.tolist(), strict=True))
        assert set(theirs) - set(mine) == set(listed.places[start:end].tolist())
        both = [place for place in mine if place in theirs]
        assert both == [place for place in theirs if place in mine]
        assert all(mine[place] == theirs[place] for place in both)


def test_a_graph_that_misses_nothing_has_an_empty_list() -> None:
    index = NeighbourIndex.build(codes(300), make_vectors(300, copies=2), seed=1, backend="hnsw")
    listed = misses(index, make_vectors(300, copies=2)[:20], 5, [np.arange(3, dtype=np.int64)] * 20)
    assert listed.places.tolist() == []
    assert listed.bounds.tolist() == [0] * 21


def test_a_walk_that_ends_in_a_wrong_region_loses_no_item_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(1_000)
    index = NeighbourIndex.build(codes(1_000), vectors, seed=1, backend="hnsw")
    monkeypatch.setattr(
        graph_module.GraphSearch, "_walk", lambda _, short, size: np.tile(np.arange(size), (len(short), 1))
    )
    found = index.search_many(vectors, 1)
    assert found.places.tolist() == list(range(1_000))


def test_exact_search_takes_the_place_of_a_graph_that_misses_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    index = careless_index(monkeypatch, 2_000, "auto")
    assert (index.backend, index.recall) == ("exact", 1.0)
    assert index.parameters["graph_recall_at_10"] < recall_module.RECALL_WANTED


def test_an_index_that_misses_too_much_is_refused_at_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("index")
    index = careless_index(monkeypatch, 2_000, "hnsw")
    index.save(folder)
    with pytest.raises(PackageRejected, match=r"0\.999") as caught:
        NeighbourIndex.load(index.state(), folder / VECTORS_FILE, folder / INDEX_FILE, index.item_codes)
    assert caught.value.facts["check"] == "load"
