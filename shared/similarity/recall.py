"""How well the graph finds what exact search finds: measured when an index is built, and listed on demand."""

from typing import Any

import numpy as np

from shared.similarity.exact import ExactSearch
from shared.similarity.graph import GraphSearch
from shared.similarity.ranking import Vectors, last_of_nearest

RECALL_AT = 10
RECALL_ITEMS = 1_000
RECALL_WANTED = 0.999
_POOLS = (64, 96, 128, 192, 256, 384, 512, 768, 1_024)  # entries that a walk keeps and that are scored in full


def choose_pool(graph: GraphSearch, exact: ExactSearch, vectors: Vectors, seed: int) -> dict[str, Any]:
    """Measure recall@10, ties counted as found, and take the smallest pool that reaches what is wanted.

    Asked are the vectors of a seeded sample of entries, which must find themselves too.
    """
    asked = vectors[np.sort(np.random.default_rng(seed).permutation(len(vectors))[:RECALL_ITEMS])]
    count = min(RECALL_AT, len(vectors))
    wanted = np.full(len(asked), count)
    edges = [last_of_nearest(scores, count) for _, scores in exact.pools(asked, wanted)]
    recall = 0.0
    for pool in sorted({min(pool, len(vectors)) for pool in _POOLS}):
        found = [scores for _, scores in graph.pools(asked, wanted, np.full(len(asked), pool))]
        hits = [min(count, int((scores >= edge).sum())) for scores, edge in zip(found, edges, strict=True)]
        recall = sum(hits) / (count * len(asked))
        if recall >= RECALL_WANTED:
            break
    return {"pool": pool, "recall_at_10": recall}
