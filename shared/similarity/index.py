"""Nearest items by the dot product of their vectors: HNSW where it pays, exact search otherwise, one ordering.

Items with identical vectors are one entry of the index (HNSW suffers from masses of duplicates). Whatever a back end
returns is scored from the stored vectors and ordered by similarity, then item code, so the two back ends differ only
where HNSW missed an entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import structlog

from shared.errors import PackageRejected
from shared.similarity import graph as graph_module
from shared.similarity.cells import Cells
from shared.similarity.distinct import collapse
from shared.similarity.exact import ExactSearch
from shared.similarity.files import check_graph_file, mapped_vectors, refuse_unsound_state
from shared.similarity.graph import LINKS, GraphSearch, hnswlib_is_here
from shared.similarity.projection import Projection
from shared.similarity.ranking import Floats, Found, Ints, Members, Vectors
from shared.similarity.recall import RECALL_WANTED, choose_pool

log = structlog.get_logger()

EXACT_BELOW = 5_000  # distinct vectors; below it exact search is as fast and never misses
INDEX_FILE = "similarity_index.bin"
VECTORS_FILE = "item_vectors.npy"
_POOL_FOR_ONE = 3  # entries scored in full for each item asked for, at least
_POOL_REWEIGHTED = 10  # the same where other weights than the fitted ones count


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Items near one vector, nearest first."""

    places: Ints  # the items' places in the order of `item_codes`
    similarities: Floats


class NeighbourIndex:
    """An immutable index over items' vectors; it may be searched from many threads at once."""

    def __init__(
        self, item_codes: Sequence[str], vectors: Vectors, entry_of: npt.NDArray[np.int32], projection: Projection,
        cells: Cells, parameters: dict[str, Any], search: GraphSearch | ExactSearch,
    ) -> None:  # fmt: skip
        """Join the parts; `build` and `load` make them."""
        self.item_codes = list(item_codes)
        self.vectors = vectors  # (entries, size), distinct
        self.entry_of = entry_of  # item place -> entry
        self.parameters = parameters
        self._projection = projection
        self._cells = cells
        self._search = search
        self._members = Members(entry_of, len(vectors))

    @property
    def backend(self) -> str:
        """Say which back end answers: `hnsw` or `exact`."""
        return "hnsw" if isinstance(self._search, GraphSearch) else "exact"

    @property
    def recall(self) -> float:
        """Return recall@10 against exact search as measured when the index was built, ties counted as found."""
        return float(self.parameters["recall_at_10"])

    @classmethod
    def build(cls, item_codes: Sequence[str], vectors: Vectors, *, seed: int, backend: str = "auto") -> Self:
        """Index items whose codes are sorted; `backend` is `auto`, `hnsw` or `exact`.

        `auto` takes the graph only where it finds what is wanted of it, and exact search otherwise.
        Nearly all of it runs outside the interpreter's lock: in a thread it leaves a second core to other work.
        """
        if list(item_codes) != sorted(set(item_codes)):
            raise ValueError("Item codes must be sorted and distinct.")
        distinct, entry_of = collapse(vectors)
        projection = Projection.fit(distinct, graph_module.AXES, seed=seed)
        short = projection.shortened(distinct)
        cells, order = Cells.fit(short, seed=seed)
        distinct, short, entry_of = distinct[order], short[order], _inverse(order)[entry_of]
        parameters: dict[str, Any] = {"seed": seed, "size": int(vectors.shape[1]), "entries": len(distinct)}
        exact = ExactSearch(distinct, projection, cells)
        if backend == "hnsw" or (backend == "auto" and len(distinct) >= EXACT_BELOW and hnswlib_is_here()):
            graph = GraphSearch.build(distinct, short, projection, cells, seed=seed)
            parameters |= GraphSearch.parameters(projection) | choose_pool(graph, exact, distinct, seed)
            if backend == "hnsw" or parameters["recall_at_10"] >= RECALL_WANTED:
                return cls(item_codes, distinct, entry_of, projection, cells, parameters | {"backend": "hnsw"}, graph)
            log.warning("similarity.graph_misses_too_much", **parameters)
            parameters["graph_recall_at_10"] = parameters["recall_at_10"]
        parameters |= {"backend": "exact", "recall_at_10": 1.0}
        return cls(item_codes, distinct, entry_of, projection, cells, parameters, exact)

    def search_many(
        self, vectors: Vectors, count: int, without: Sequence[Ints] | None = None, factors: Vectors | None = None
    ) -> Found:
        """Return the `count` nearest items of each vector, leaving out the places in its part of `without`.

        Args:
            vectors: (batch, size), encoded as the indexed ones.
            count: Items wanted for each; fewer are found only where there are no more.
            without: Distinct places to leave out, one array for each vector.
            factors: (size,) new weight over fitted weight, by number of the vector; they act on every similarity.
        """
        if without is not None and len(without) != len(vectors):
            raise ValueError(f"There are {len(vectors)} vectors, and places to leave out for {len(without)}.")
        asked = np.ascontiguousarray(vectors if factors is None else vectors * factors, dtype=np.float32)
        hidden = [len(places) for places in without] if without else [0] * len(asked)
        most = len(self.vectors)
        wanted = [min(count + number, most) for number in hidden]
        if isinstance(self._search, GraphSearch):
            pool = max(self.parameters["pool"], count * (_POOL_FOR_ONE if factors is None else _POOL_REWEIGHTED))
            sizes = [min(pool + _next_power_of_two(number), most) for number in hidden]
            pools = self._search.pools(asked, wanted, sizes)
        else:
            pools = self._search.pools(asked, wanted)
        for place in np.flatnonzero(~asked.any(axis=1)).tolist():  # all are alike: the first by code come first
            entries = np.unique(self.entry_of[: count + hidden[place]]).astype(np.int64)
            pools[place] = (entries, np.zeros(len(entries)))
        return self._members.rank(pools, count, without)

    def search(self, vector: Vectors, count: int, *, without: Ints | None = None) -> Neighbours:
        """Return the `count` nearest items to one vector, leaving out the places in `without`."""
        found = self.search_many(vector[None, :], count, None if without is None else [without])
        return Neighbours(places=found.places, similarities=found.similarities)

    def searched_exactly(self) -> Self:
        """Return this index with exact search in place of its own; all vectors are read for it."""
        if isinstance(self._search, ExactSearch):
            return self
        parameters = {**self.parameters, "backend": "exact", "recall_at_10": 1.0}
        search = ExactSearch(self.vectors, self._projection, self._cells)
        return type(self)(
            self.item_codes, self.vectors, self.entry_of, self._projection, self._cells, parameters, search
        )

    def vectors_of(self, places: Ints) -> Vectors:
        """Return the stored vectors of items."""
        return self.vectors.take(self.entry_of.take(places), axis=0)

    def state(self) -> dict[str, Any]:
        """Return what `similarity_engine.joblib` holds: parameters, item codes, which entry each has, axes, cells."""
        return {
            "parameters": dict(self.parameters), "item_codes": "".join(self.item_codes),
            "code_lengths": np.array([len(code) for code in self.item_codes], dtype=np.int32),
            "entry_of": self.entry_of, "axes": self._projection.axes, "cell_centres": self._cells.centres,
            "cell_starts": self._cells.starts,
        }  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write the vectors and the index file: the graph, or for exact search the axes."""
        np.save(folder / VECTORS_FILE, self.vectors, allow_pickle=False)
        if isinstance(self._search, GraphSearch):
            self._search.save(folder / INDEX_FILE)
        else:
            with (folder / INDEX_FILE).open("wb") as file:
                np.save(file, self._projection.axes, allow_pickle=False)

    @classmethod
    def load(cls, state: dict[str, Any], vectors_path: Path, index_path: Path, item_codes: Sequence[str]) -> Self:
        """Rebuild an index from `state` and the files of `save`; without hnswlib exact search takes over.

        The vectors stay in their file and are read where they are needed. The codes are given by who has them anyway:
        a second text for each would take time and memory.

        Raises:
            ValueError: the codes are not those that the index was built from, or the files do not belong to `state`.
        """
        if "".join(item_codes) != state["item_codes"] or [*map(len, item_codes)] != state["code_lengths"].tolist():
            raise ValueError("The index was built from other items.")
        parameters = dict(state["parameters"])
        if not parameters["recall_at_10"] >= RECALL_WANTED:  # so not a number either
            raise PackageRejected(
                f"The similarity index finds {parameters['recall_at_10']:.4f} of the nearest items, and "
                f"{RECALL_WANTED} are wanted.",
                remedy="Train again: a graph that misses too much is then left out for exact search.",
                check="load",
            )
        vectors = mapped_vectors(vectors_path, parameters["entries"], parameters["size"])
        projection = Projection(axes=state["axes"])
        cells = Cells(centres=state["cell_centres"], starts=state["cell_starts"])
        refuse_unsound_state(state, len(item_codes), *vectors.shape)
        if parameters["backend"] not in ("exact", "hnsw"):
            raise ValueError(f"There is no index of the kind {parameters['backend']!r:.80}.")
        search: GraphSearch | ExactSearch
        if parameters["backend"] == "hnsw":
            check_graph_file(index_path, len(vectors), projection.axes.shape[1] + 1, LINKS)
        if parameters["backend"] == "hnsw" and hnswlib_is_here():
            search = GraphSearch.load(index_path, vectors, projection, cells)
            search.scanned = int(parameters["cells"])
        else:
            search = ExactSearch(vectors, projection, cells)
        return cls(item_codes, vectors, state["entry_of"], projection, cells, parameters, search)


def _inverse(order: Ints) -> npt.NDArray[np.int32]:
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def _next_power_of_two(number: int) -> int:
    """Return 0 for 0, else the least power of two that is not smaller: so that pools have few different sizes."""
    return 1 << (number - 1).bit_length() if number else 0
