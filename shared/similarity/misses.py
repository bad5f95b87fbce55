"""What an index did not find: each item that exact search has in its answer and the index has not."""

from collections.abc import Sequence

import numpy as np

from shared.similarity.index import NeighbourIndex
from shared.similarity.ranking import Found, Ints, Vectors


def misses(index: NeighbourIndex, vectors: Vectors, count: int, without: Sequence[Ints] | None = None) -> Found:
    """Return the items that `index.search_many` should have found for each vector and did not, flat as its answer."""
    found = index.search_many(vectors, count, without)
    exact = index.searched_exactly().search_many(vectors, count, without)
    items = len(index.entry_of)
    keys = exact.asked * items + exact.places
    missed = ~np.isin(keys, found.asked * items + found.places)
    bounds = np.concatenate([[0], np.cumsum(missed)])[exact.bounds]
    return Found(bounds=bounds, places=exact.places[missed], similarities=exact.similarities[missed])


def misses_of_sample(index: NeighbourIndex, items: int, count: int, seed: int) -> tuple[Ints, Found]:
    """Return a seeded sample of at most `items` indexed items, rising, and what `count` near each of them misses."""
    indexed = len(index.entry_of)
    sample = np.sort(np.random.default_rng(seed).permutation(indexed)[:items])
    return sample, misses(index, index.vectors_of(sample), min(count, indexed))
