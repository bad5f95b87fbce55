"""The index: exact and HNSW search order alike, identical vectors are one entry, recall is measured."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from shared.similarity import index as index_module
from shared.similarity.graph import hnswlib_is_here
from shared.similarity.index import INDEX_FILE, VECTORS_FILE, NeighbourIndex
from tests.similarity.similarity_support import brute_force, codes, each_backend, make_vectors, needs_hnswlib


def test_exact_search_finds_the_nearest_in_order_and_ties_go_by_code() -> None:
    vectors = make_vectors(400, copies=4)
    index = NeighbourIndex.build(codes(400), vectors, seed=1)
    assert (index.backend, index.recall, index.parameters["entries"]) == ("exact", 1.0, 100)
    for place in range(0, 400, 13):
        found = index.search(vectors[place], 10)
        assert found.places.tolist() == brute_force(vectors, vectors[place], 10)
        assert place in found.places[:4]
        assert found.similarities[0] == pytest.approx(1.0, abs=1e-5)


@each_backend
def test_many_at_once_are_answered_as_one_by_one(backend: str) -> None:
    vectors = make_vectors(300, copies=3)
    index = NeighbourIndex.build(codes(300), vectors, seed=1, backend=backend)
    without = [np.arange(place % 7, dtype=np.int64) + place for place in range(40)]
    many = index.search_many(vectors[:40], 7, without)
    for place, (start, end) in enumerate(itertools.pairwise(many.bounds.tolist())):
        alone = index.search(vectors[place], 7, without=without[place])
        assert many.places[start:end].tolist() == alone.places.tolist()
        assert many.similarities[start:end].tolist() == alone.similarities.tolist()
        assert len(alone.places) == 7
        assert not set(alone.places.tolist()) & set(without[place].tolist())


def test_withheld_items_are_replaced_by_the_next_nearest() -> None:
    vectors = make_vectors(200)
    index = NeighbourIndex.build(codes(200), vectors, seed=1)
    first = index.search(vectors[5], 6).places
    without = index.search(vectors[5], 5, without=first[:1]).places
    assert without.tolist() == first[1:].tolist()


def test_more_than_there_are_gives_all() -> None:
    index = NeighbourIndex.build(codes(5), make_vectors(5), seed=1)
    assert len(index.search(make_vectors(5)[0], 50).places) == 5


def test_unsorted_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="sorted"):
        NeighbourIndex.build(["B", "A"], make_vectors(2), seed=1)


@needs_hnswlib
def test_hnsw_orders_as_exact_search_does_and_measures_its_recall() -> None:
    vectors = make_vectors(3_000, copies=2)
    exact = NeighbourIndex.build(codes(3_000), vectors, seed=1, backend="exact")
    graph = NeighbourIndex.build(codes(3_000), vectors, seed=1, backend="hnsw")
    assert graph.backend == "hnsw"
    assert graph.recall >= 0.999
    missed = 0
    for place in range(0, 3_000, 29):
        wanted, found = exact.search(vectors[place], 10), graph.search(vectors[place], 10)
        assert place in found.places[:2]
        if wanted.places.tolist() != found.places.tolist():
            missed += 1
            assert set(wanted.places.tolist()) - set(found.places.tolist())  # it differs only by what it missed
        else:
            assert found.similarities == pytest.approx(wanted.similarities, abs=2e-6)
    assert missed <= 2


@needs_hnswlib
def test_a_graph_is_built_the_same_way_twice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        NeighbourIndex.build(codes(600), make_vectors(600), seed=9, backend="hnsw").save(tmp_path / name)
    for file in (INDEX_FILE, VECTORS_FILE):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@each_backend
def test_a_loaded_index_answers_as_the_saved_one(tmp_path: Path, backend: str) -> None:
    vectors = make_vectors(500)
    index = NeighbourIndex.build(codes(500), vectors, seed=2, backend=backend)
    index.save(tmp_path)
    loaded = NeighbourIndex.load(index.state(), tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE, codes(500))
    assert loaded.backend == backend
    for vector in vectors[::50]:
        assert loaded.search(vector, 8).places.tolist() == index.search(vector, 8).places.tolist()


@needs_hnswlib
def test_without_hnswlib_a_graphs_package_is_searched_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(500)
    index = NeighbourIndex.build(codes(500), vectors, seed=2, backend="hnsw")
    index.save(tmp_path)
    monkeypatch.setattr(index_module, "hnswlib_is_here", lambda: False)
    loaded = NeighbourIndex.load(index.state(), tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE, codes(500))
    assert loaded.backend == "exact"
    assert loaded.search(vectors[3], 8).places.tolist() == brute_force(vectors, vectors[3], 8)


def test_few_items_are_searched_exactly_and_many_by_a_graph_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "EXACT_BELOW", 100)
    assert NeighbourIndex.build(codes(99), make_vectors(99), seed=1).backend == "exact"
    wanted = "hnsw" if hnswlib_is_here() else "exact"
    assert NeighbourIndex.build(codes(150), make_vectors(150), seed=1).backend == wanted


@each_backend
def test_new_weights_count_in_every_similarity(backend: str) -> None:
    vectors = make_vectors(600)
    index = NeighbourIndex.build(codes(600), vectors, seed=1, backend=backend)
    factors = np.repeat(np.array([0.0, 3.0, 0.5], dtype=np.float32), 8)
    found = index.search_many(vectors[:30], 6, factors=factors)
    for number in range(30):
        asked = vectors[number] * factors
        places = found.places[found.bounds[number] : found.bounds[number + 1]]
        assert places.tolist() == brute_force(vectors, asked, 6)
        alike = vectors[places].astype(np.float64) @ asked.astype(np.float64)
        assert found.similarities[6 * number : 6 * number + 6] == pytest.approx(alike, abs=1e-6)


@each_backend
def test_to_a_vector_of_zeros_all_items_are_alike_and_come_by_code(backend: str) -> None:
    index = NeighbourIndex.build(codes(400), make_vectors(400, copies=2), seed=1, backend=backend)
    found = index.search(np.zeros(24, dtype=np.float32), 5, without=np.array([0, 3]))
    assert found.places.tolist() == [1, 2, 4, 5, 6]
    assert found.similarities.tolist() == [0.0] * 5


@each_backend
def test_withholding_all_the_nearest_leaves_as_many_neighbours_as_asked_for(backend: str) -> None:
    vectors = make_vectors(1_000)
    index = NeighbourIndex.build(codes(1_000), vectors, seed=1, backend=backend)
    hidden = np.sort(index.search(vectors[7], 300).places)
    found = index.search(vectors[7], 40, without=hidden).places
    assert found.tolist() == brute_force(vectors, vectors[7], 40, set(hidden.tolist()))


@each_backend
def test_only_the_items_that_an_index_was_built_from_are_taken(backend: str, tmp_path: Path) -> None:
    names = sorted(["", "A\nB", "Ä-7", "漢字", "I\u0000", "Z" * 40])
    index = NeighbourIndex.build(names, make_vectors(6), seed=1, backend=backend)
    index.save(tmp_path)
    files = tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE
    assert NeighbourIndex.load(index.state(), *files, names).item_codes == names
    for others in (names[:-1], [*names[:-1], "Z" * 39 + "Y"], [names[0], "A", "\nB" + names[2], *names[3:]]):
        with pytest.raises(ValueError, match="other items"):
            NeighbourIndex.load(index.state(), *files, others)


@each_backend
def test_files_that_do_not_belong_together_are_refused(backend: str, tmp_path: Path) -> None:
    index = NeighbourIndex.build(codes(50), make_vectors(50), seed=1, backend=backend)
    index.save(tmp_path)
    np.save(tmp_path / VECTORS_FILE, make_vectors(49))
    with pytest.raises(ValueError, match="item_vectors"):
        NeighbourIndex.load(index.state(), tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE, codes(50))


def test_places_to_leave_out_are_given_for_every_vector() -> None:
    index = NeighbourIndex.build(codes(5), make_vectors(5), seed=1)
    with pytest.raises(ValueError, match="leave out"):
        index.search_many(make_vectors(5), 2, [np.array([1])])


def test_no_vectors_find_nothing() -> None:
    index = NeighbourIndex.build(codes(5), make_vectors(5), seed=1)
    found = index.search_many(make_vectors(5)[:0], 2)
    assert (found.bounds.tolist(), found.places.tolist()) == ([0], [])
