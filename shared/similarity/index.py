"""Nearest items by the dot product of their vectors: HNSW where it pays, exact search otherwise, one ordering.

Items with identical vectors are one entry of the index (HNSW suffers from masses of duplicates). Whatever a back end
returns is scored again from the stored vectors and ordered by similarity, then item code, so the two back ends differ
only where HNSW missed an entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

EXACT_BELOW = 5_000  # distinct vectors; below it exact search is as fast and never misses
RECALL_AT = 10
RECALL_ITEMS = 1_000
RECALL_WANTED = 0.999
INDEX_FILE = "similarity_index.bin"
VECTORS_FILE = "item_vectors.npy"
_DIGITS = 6  # similarities this close are ties, whatever order the sums were made in
_M, _EF_CONSTRUCTION, _EF_STEPS = 24, 200, (64, 128, 256, 512, 1024)
_BATCH = 512


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Items near one vector, nearest first."""

    places: npt.NDArray[np.int64]  # the items' places in the order of `item_codes`
    similarities: npt.NDArray[np.float64]


def hnswlib_is_here() -> bool:
    """Tell whether the HNSW library can be imported."""
    try:
        import hnswlib  # noqa: F401
    except ImportError:
        return False
    return True


class NeighbourIndex:
    """An immutable index over items' vectors; `search` may be called from many threads at once."""

    def __init__(
        self, item_codes: Sequence[str], vectors: Vectors, entry_of: npt.NDArray[np.int64],
        parameters: dict[str, Any], graph: Any | None,
    ) -> None:  # fmt: skip
        """Join the parts; `build` and `load` make them."""
        self.item_codes = list(item_codes)
        self.vectors = vectors  # (entries, size), distinct
        self.entry_of = entry_of  # item place -> entry
        self.parameters = parameters
        self._graph = graph
        self._members = np.argsort(entry_of, kind="stable")  # places by entry; codes are sorted, so by code too
        self._starts = np.searchsorted(entry_of[self._members], np.arange(len(vectors) + 1))

    @property
    def backend(self) -> str:
        """Say which back end answers: `hnsw` or `exact`."""
        return "exact" if self._graph is None else "hnsw"

    @property
    def recall(self) -> float:
        """Return recall@10 against exact search as measured when the index was built, ties counted as found."""
        return float(self.parameters["recall_at_10"])

    @classmethod
    def build(cls, item_codes: Sequence[str], vectors: Vectors, *, seed: int, backend: str = "auto") -> Self:
        """Index items whose codes are sorted; `backend` is `auto`, `hnsw` or `exact`."""
        if list(item_codes) != sorted(set(item_codes)):
            raise ValueError("Item codes must be sorted and distinct.")
        distinct, entry_of = _collapse(vectors)
        wanted = backend == "hnsw" or (backend == "auto" and len(distinct) >= EXACT_BELOW and hnswlib_is_here())
        parameters: dict[str, Any] = {"seed": seed, "size": int(vectors.shape[1]), "entries": len(distinct)}
        if not wanted:
            return cls(item_codes, distinct, entry_of, {**parameters, "backend": "exact", "recall_at_10": 1.0}, None)
        graph = _build_graph(distinct, seed)
        parameters |= {"backend": "hnsw", "m": _M, "ef_construction": _EF_CONSTRUCTION}
        parameters |= _choose_ef(graph, distinct, seed)
        return cls(item_codes, distinct, entry_of, parameters, graph)

    def search(self, vector: Vectors, count: int, *, without: npt.NDArray[np.int64] | None = None) -> Neighbours:
        """Return the `count` nearest items to one vector, leaving out the places in `without`."""
        hidden = 0 if without is None else len(without)
        wanted = min(count + hidden, len(self.vectors))
        if self._graph is None:
            scores = self.vectors @ vector
            if wanted < len(scores):
                edge = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
                entries = np.flatnonzero(scores >= edge - 1e-6)
            else:
                entries = np.arange(len(scores))
            return self._ordered(entries, scores[entries], count, without)
        entries = self._graph_entries(vector, wanted)
        return self._ordered(entries, self.vectors[entries] @ vector, count, without)

    def search_many(self, vectors: Vectors, count: int) -> list[Neighbours]:
        """Return the `count` nearest items of each vector."""
        if self._graph is not None:
            return [self.search(vector, count) for vector in vectors]
        found: list[Neighbours] = []
        wanted = min(count, len(self.vectors))
        for start in range(0, len(vectors), _BATCH):
            scores = vectors[start : start + _BATCH] @ self.vectors.T
            edges = np.partition(scores, scores.shape[1] - wanted, axis=1)[:, scores.shape[1] - wanted]
            for row, edge in zip(scores, edges, strict=True):
                entries = np.flatnonzero(row >= edge - 1e-6)
                found.append(self._ordered(entries, row[entries], count, None))
        return found

    def _graph_entries(self, vector: Vectors, wanted: int) -> npt.NDArray[np.int64]:
        assert self._graph is not None
        while wanted > 0:
            try:
                labels, _ = self._graph.knn_query(vector[None, :], k=wanted, num_threads=1)
            except RuntimeError:  # the graph reaches fewer than asked from this start
                wanted //= 2
                continue
            return np.sort(labels[0].astype(np.int64))
        return np.zeros(0, dtype=np.int64)

    def _ordered(
        self,
        entries: npt.NDArray[np.int64],
        scores: npt.NDArray[Any],
        count: int,
        without: npt.NDArray[np.int64] | None,
    ) -> Neighbours:
        sizes = self._starts[entries + 1] - self._starts[entries]
        ends = np.cumsum(sizes)
        inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        places = self._members[np.repeat(self._starts[entries], sizes) + inside]
        similarities: npt.NDArray[np.float64] = np.repeat(np.round(scores.astype(np.float64), _DIGITS), sizes)
        if without is not None and len(without):
            kept = ~np.isin(places, without)
            places, similarities = places[kept], similarities[kept]
        order = np.lexsort((places, -similarities))[:count]
        return Neighbours(places=places[order], similarities=similarities[order])

    def vectors_of(self, places: npt.NDArray[np.int64]) -> Vectors:
        """Return the stored vectors of items."""
        return self.vectors[self.entry_of[places]]

    def state(self) -> dict[str, Any]:
        """Return what `similarity_engine.joblib` holds: parameters, item codes and which entry each has."""
        return {"parameters": dict(self.parameters), "item_codes": list(self.item_codes), "entry_of": self.entry_of}

    def save(self, folder: Path) -> None:
        """Write the vectors and the index file: the graph, or for exact search the table of entries."""
        np.save(folder / VECTORS_FILE, self.vectors, allow_pickle=False)
        if self._graph is not None:
            self._graph.save_index(str(folder / INDEX_FILE))
        else:
            with (folder / INDEX_FILE).open("wb") as file:
                np.save(file, self.entry_of, allow_pickle=False)

    @classmethod
    def load(cls, state: dict[str, Any], vectors_path: Path, index_path: Path) -> Self:
        """Rebuild an index from `state` and the files of `save`; without hnswlib exact search takes over."""
        parameters = dict(state["parameters"])
        vectors = np.load(vectors_path, mmap_mode="r", allow_pickle=False)
        graph = None
        if parameters["backend"] == "hnsw" and hnswlib_is_here():
            import hnswlib

            graph = hnswlib.Index(space="ip", dim=int(parameters["size"]))
            graph.load_index(str(index_path))
            graph.set_num_threads(1)
            graph.set_ef(int(parameters["ef"]))
        else:
            vectors = np.ascontiguousarray(vectors)
        return cls(state["item_codes"], vectors, np.asarray(state["entry_of"], dtype=np.int64), parameters, graph)


def _collapse(vectors: Vectors) -> tuple[Vectors, npt.NDArray[np.int64]]:
    rows = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors.shape[1] * 4))).ravel()
    _, first, entry_of = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # entries in the order of their first item
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return np.ascontiguousarray(vectors[first[order]]), rank[entry_of.ravel()]


def _build_graph(vectors: Vectors, seed: int) -> Any:
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.init_index(max_elements=len(vectors), M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=seed)
    graph.set_num_threads(1)  # several threads would insert in a different order each time
    graph.add_items(vectors, np.arange(len(vectors)), num_threads=1)
    return graph


def _choose_ef(graph: Any, vectors: Vectors, seed: int) -> dict[str, Any]:
    """Measure recall@10, ties counted as found, and take the smallest `ef` that reaches what is wanted."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:RECALL_ITEMS])
    count = min(RECALL_AT, len(vectors))
    edges = np.empty(len(chosen), dtype=np.float64)
    for start in range(0, len(chosen), 64):
        scores = vectors[chosen[start : start + 64]] @ vectors.T
        edges[start : start + 64] = np.partition(scores, scores.shape[1] - count, axis=1)[:, scores.shape[1] - count]
    recall = 0.0
    for ef in _EF_STEPS:
        graph.set_ef(ef)
        labels, _ = graph.knn_query(vectors[chosen], k=count, num_threads=1)
        found = np.einsum("nkd,nd->nk", vectors[labels.astype(np.int64)], vectors[chosen])
        recall = float((found >= edges[:, None] - 1e-5).mean())
        if recall >= RECALL_WANTED:
            return {"ef": ef, "recall_at_10": recall}
    return {"ef": _EF_STEPS[-1], "recall_at_10": recall}
