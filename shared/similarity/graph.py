"""HNSW search: a graph over shortened vectors gives a pool of entries, which are then scored in full.

Where the graph leads into a wrong region, the cells nearest to the vector hold what it missed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.similarity.cells import Cells
from shared.similarity.distinct import rising
from shared.similarity.projection import Projection
from shared.similarity.ranking import Floats, Ints, Vectors, last_of_nearest, roughly_similar, similarities

AXES = 95  # with the length of the rest 96 numbers, a multiple of what the processor handles at once
LINKS, BREADTH = 16, 150  # hnswlib's M and ef_construction
_SKELETON = 0.1  # share of the entries that is inserted first
_ROUNDING = 1e-5  # of scores in single precision
_NONE: Ints = np.zeros(0, dtype=np.int64)


def hnswlib_is_here() -> bool:
    """Tell whether the HNSW library can be imported."""
    try:
        import hnswlib  # noqa: F401
    except ImportError:
        return False
    return True


class GraphSearch:
    """A pool of entries near a vector, found by walking a graph."""

    def __init__(self, graph: Any, vectors: Vectors, projection: Projection, cells: Cells) -> None:
        """Join the parts; `build` and `load` make them."""
        self.scanned = 0  # nearest cells that are scanned beside the walk
        self._graph, self._vectors, self._projection, self._cells = graph, vectors, projection, cells

    @classmethod
    def build(
        cls, vectors: Vectors, short: Vectors, projection: Projection, cells: Cells, *, seed: int
    ) -> "GraphSearch":
        """Build the graph over shortened vectors in one thread, outside the interpreter's lock.

        First comes a random part, then the rest cell by cell. Inserted in the order of item codes, where whole families
        follow each other, the graph falls into regions that a walk seldom leaves; the random part ties them together.
        After it, entries that follow each other find their neighbours in the processor's cache.
        """
        graph = _new_graph(projection)
        graph.init_index(max_elements=len(vectors), M=LINKS, ef_construction=BREADTH, random_seed=seed)
        shuffled = np.random.default_rng(seed).permutation(len(vectors))
        skeleton, others = np.split(shuffled, [int(len(vectors) * _SKELETON)])
        order = np.concatenate([skeleton, np.sort(others)])
        graph.add_items(short[order], order, num_threads=1)  # several threads would build another graph each time
        return cls(graph, vectors, projection, cells)

    @staticmethod
    def parameters(projection: Projection) -> dict[str, int]:
        """Return what a graph is built with."""
        return {"axes": projection.axes.shape[1], "m": LINKS, "ef_construction": BREADTH}

    @classmethod
    def load(cls, path: Path, vectors: Vectors, projection: Projection, cells: Cells) -> "GraphSearch":
        """Read a graph that `save` wrote."""
        graph = _new_graph(projection)
        graph.load_index(str(path))
        if graph.get_current_count() != len(vectors):
            raise ValueError(f"The graph has {graph.get_current_count()} entries and there are {len(vectors)} vectors.")
        return cls(graph, vectors, projection, cells)

    def save(self, path: Path) -> None:
        """Write the graph to a file."""
        self._graph.save_index(str(path))

    def pools(self, asked: Vectors, wanted: Sequence[int], sizes: Sequence[int]) -> list[tuple[Ints, Floats]]:
        """Return, for each vector, a pool of entries near it, scored: the `wanted` nearest of them are what counts.

        A walk gives `sizes` entries, one walk for all of a size; the nearest cells give what is nearer than the last
        of those wanted.
        """
        found: list[tuple[Ints, Floats]] = [(_NONE, np.zeros(0))] * len(asked)
        short = self._projection.shortened(asked)
        near = self._cells.near(short, self.scanned).tolist()
        for size in sorted(set(sizes)):
            chosen = [place for place, one in enumerate(sizes) if one == size]
            for place, entries in zip(chosen, self._walk(short[chosen], size), strict=True):
                found[place] = self._completed(asked[place], entries, near[place], wanted[place])
        return found

    def _completed(self, asked: Vectors, entries: Ints, cells: list[int], wanted: int) -> tuple[Ints, Floats]:
        """Return the `wanted` nearest of a walk's entries and what the cells hold that is as near, scored."""
        rough = roughly_similar(self._vectors, entries, asked)
        least = last_of_nearest(rough, wanted) - _ROUNDING
        parts = [entries[rough >= least]]
        slices = map(self._cells.inside, cells)
        parts += [inside.start + (self._vectors[inside] @ asked >= least).nonzero()[0] for inside in slices]
        near = rising(np.concatenate(parts))
        return near, similarities(self._vectors, near, asked)

    def _walk(self, short: Vectors, size: int) -> Ints:
        while size > 0:
            try:
                labels, _ = self._graph.knn_query(short, k=size, num_threads=1)
            except RuntimeError:  # the graph reaches fewer than asked from this start
                size //= 2
                continue
            return np.asarray(labels.astype(np.int64))
        return np.zeros((len(short), 0), dtype=np.int64)


def _new_graph(projection: Projection) -> Any:
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=projection.axes.shape[1] + 1)
    graph.set_num_threads(1)
    return graph
