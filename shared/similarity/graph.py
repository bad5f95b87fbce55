"""HNSW search: a graph over shortened vectors gives a pool of entries, which are then scored in full."""

from pathlib import Path
from typing import Any

import numpy as np

from shared.similarity.projection import Projection
from shared.similarity.ranking import Floats, Ints, Vectors, similarities

AXES = 95  # with the length of the rest 96 numbers, a multiple of what the processor handles at once
LINKS, BREADTH = 16, 100  # hnswlib's M and ef_construction


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
        """Build the graph in one thread, which leaves the interpreter free for others meanwhile.

        Entries are inserted in a seeded random order: in the order of their codes whole families come one after
        another, and the graph falls into regions that no walk leaves.
        """
        graph = _new_graph(projection)
        graph.init_index(max_elements=len(vectors), M=LINKS, ef_construction=BREADTH, random_seed=seed)
        order = np.random.default_rng(seed).permutation(len(vectors))
        graph.add_items(projection.shortened(vectors)[order], order, num_threads=1)  # more threads: another graph
        return cls(graph, vectors, projection)

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
                found[place] = (entries, similarities(self._vectors, entries, asked[place]))
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
