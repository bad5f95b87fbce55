"""The index: exact and HNSW search order alike, identical vectors are one entry, recall is measured."""

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from shared.similarity import index as index_module
from shared.similarity.index import INDEX_FILE, VECTORS_FILE, NeighbourIndex, hnswlib_is_here

needs_hnswlib = pytest.mark.skipif(not hnswlib_is_here(), reason="hnswlib is not installed")


def make_vectors(items: int, size: int = 24, *, copies: int = 1, seed: int = 1) -> npt.NDArray[np.float32]:
    centres = np.random.default_rng(seed).standard_normal((max(items // 20, 1), size))
    rng = np.random.default_rng(seed + 1)
    vectors = centres[rng.integers(0, len(centres), items)] + 0.4 * rng.standard_normal((items, size))
    vectors = np.repeat(vectors[: -(-items // copies)], copies, axis=0)[:items]
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.asarray(vectors / lengths, dtype=np.float32)


def codes(items: int) -> list[str]:
    return [f"I{number:06d}" for number in range(items)]


def brute_force(vectors: npt.NDArray[np.float32], vector: npt.NDArray[np.float32], count: int) -> list[int]:
    scores = np.round((vectors.astype(np.float64) @ vector.astype(np.float64)), 6)
    return sorted(range(len(vectors)), key=lambda place: (-scores[place], place))[:count]


def test_exact_search_finds_the_nearest_in_order_and_ties_go_by_code() -> None:
    vectors = make_vectors(400, copies=4)
    index = NeighbourIndex.build(codes(400), vectors, seed=1)
    assert (index.backend, index.recall, index.parameters["entries"]) == ("exact", 1.0, 100)
    for place in range(0, 400, 13):
        found = index.search(vectors[place], 10)
        assert found.places.tolist() == brute_force(vectors, vectors[place], 10)
        assert place in found.places[:4]
        assert found.similarities[0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("backend", ["exact", pytest.param("hnsw", marks=needs_hnswlib)])
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


@pytest.mark.parametrize("backend", ["exact", pytest.param("hnsw", marks=needs_hnswlib)])
def test_a_loaded_index_answers_as_the_saved_one(tmp_path: Path, backend: str) -> None:
    vectors = make_vectors(500)
    index = NeighbourIndex.build(codes(500), vectors, seed=2, backend=backend)
    index.save(tmp_path)
    loaded = NeighbourIndex.load(index.state(), tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE)
    assert loaded.backend == backend
    for vector in vectors[::50]:
        assert loaded.search(vector, 8).places.tolist() == index.search(vector, 8).places.tolist()


@needs_hnswlib
def test_without_hnswlib_a_graphs_package_is_searched_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(500)
    index = NeighbourIndex.build(codes(500), vectors, seed=2, backend="hnsw")
    index.save(tmp_path)
    monkeypatch.setattr(index_module, "hnswlib_is_here", lambda: False)
    loaded = NeighbourIndex.load(index.state(), tmp_path / VECTORS_FILE, tmp_path / INDEX_FILE)
    assert loaded.backend == "exact"
    assert loaded.search(vectors[3], 8).places.tolist() == brute_force(vectors, vectors[3], 8)


def test_few_items_are_searched_exactly_and_many_by_a_graph_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "EXACT_BELOW", 100)
    assert NeighbourIndex.build(codes(99), make_vectors(99), seed=1).backend == "exact"
    wanted = "hnsw" if hnswlib_is_here() else "exact"
    assert NeighbourIndex.build(codes(150), make_vectors(150), seed=1).backend == wanted
