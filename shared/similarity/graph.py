"""HNSW search: a graph over shortened vectors gives a pool of entries, which are then scored in full."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from shared.similarity.projection import Projection
from shared.similarity.ranking import Floats, Ints, Vectors, similarities

AXES = 95  # with the length of the rest 96 numbers, a multiple of what the processor handles at once
LINKS, BREADTH = 16, 150  # hnswlib's M and ef_construction
_SKELETON = 0.1  # share of the entries that is inserted first
_CELL_SAMPLE, _CELL_ROUNDS = 20_000, 4
_BLOCK = 8_192


def hnswlib_is_here() -> bool:
    """Tell whether the HNSW library can be imported."""
    try:
        import hnswlib  # noqa: F401
    except ImportError:
        return False
    return True


class GraphSearch:
    """A pool of entries near a vector, found by walking a graph."""

    def __init__(self, graph: Any, vectors: Vectors, projection: Projection) -> None:
        """Join the parts; `build` and `load` make them."""
        self._graph, self._vectors, self._projection = graph, vectors, projection

    @classmethod
    def build(cls, vectors: Vectors, projection: Projection, *, seed: int) -> "GraphSearch":
        """Build the graph in one thread, outside the interpreter's lock."""
        graph = _new_graph(projection)
        graph.init_index(max_elements=len(vectors), M=LINKS, ef_construction=BREADTH, random_seed=seed)
        short = projection.shortened(vectors)
        order = _insertion_order(short, seed)
        graph.add_items(short[order], order, num_threads=1)  # several threads would build another graph each time
        return cls(graph, vectors, projection)

    @staticmethod
    def parameters(projection: Projection) -> dict[str, int]:
        """Return what a graph is built with."""
        return {"axes": projection.axes.shape[1], "m": LINKS, "ef_construction": BREADTH}

    @classmethod
    def load(cls, path: Path, vectors: Vectors, projection: Projection) -> "GraphSearch":
        """Read a graph that `save` wrote."""
        graph = _new_graph(projection)
        graph.load_index(str(path))
        if graph.get_current_count() != len(vectors):
            raise ValueError(f"The graph has {graph.get_current_count()} entries and there are {len(vectors)} vectors.")
        return cls(graph, vectors, projection)

    def save(self, path: Path) -> None:
        """Write the graph to a file."""
        self._graph.save_index(str(path))

    def pools(self, asked: Vectors, sizes: Ints) -> list[tuple[Ints, Floats]]:
        """Return, for each vector, a pool of `sizes` entries near it, scored; one walk for all of a size."""
        found: list[tuple[Ints, Floats]] = [(np.zeros(0, dtype=np.int64), np.zeros(0))] * len(asked)
        short = self._projection.shortened(asked)
        for size in np.unique(sizes).tolist():
            chosen = np.flatnonzero(sizes == size)
            for place, entries in zip(chosen.tolist(), self._walk(short[chosen], size), strict=True):
                chosen_entries = entries if asked[place].any() else np.arange(size)  # to a zero vector all are alike
                found[place] = (chosen_entries, similarities(self._vectors, chosen_entries, asked[place]))
        return found

    def _walk(self, short: Vectors, size: int) -> Ints:
        while size > 0:
            try:
                labels, _ = self._graph.knn_query(short, k=size, num_threads=1)
            except RuntimeError:  # the graph reaches fewer than asked from this start
                size //= 2
                continue
            return np.asarray(labels, dtype=np.int64)
        return np.zeros((len(short), 0), dtype=np.int64)


def _new_graph(projection: Projection) -> Any:
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=projection.axes.shape[1] + 1)
    graph.set_num_threads(1)
    return graph


def _insertion_order(short: Vectors, seed: int) -> Ints:
    """Return entries in the order of their insertion: a random tenth, then the others cell by cell.

    Inserted in the order of item codes, where whole families follow each other, the graph falls into regions that a
    walk seldom leaves. The random tenth ties the regions together; after it, neighbours inserted one after the other
    find memory that is still in the processor's cache, which makes building and searching faster.
    """
    shuffled = np.random.default_rng(seed).permutation(len(short))
    skeleton, others = np.split(shuffled, [int(len(short) * _SKELETON)])
    centres = _cell_centres(short[np.sort(shuffled[:_CELL_SAMPLE])], max(1, math.isqrt(len(short))))
    return np.concatenate([skeleton, others[np.argsort(_cells(short, centres)[others], kind="stable")]])


def _cell_centres(sample: Vectors, cells: int) -> Vectors:
    """Return unit vectors in the middle of groups of similar ones (spherical k-means)."""
    centres = sample[np.linspace(0, len(sample) - 1, cells).astype(np.int64)]
    for _ in range(_CELL_ROUNDS):
        sums = np.zeros(centres.shape, dtype=np.float64)
        np.add.at(sums, _cells(sample, centres), sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, np.finfo(np.float64).tiny), centres).astype(
            np.float32
        )
    return centres


def _cells(short: Vectors, centres: Vectors) -> Ints:
    """Return the nearest centre of each vector."""
    blocks = [short[start : start + _BLOCK] for start in range(0, len(short), _BLOCK)]
    return np.concatenate([(block @ centres.T).argmax(axis=1) for block in blocks])
