"""How well the graph finds what exact search finds: measured when an index is built, and listed on demand."""

from typing import Any

import numpy as np

from shared.similarity.exact import ExactSearch
from shared.similarity.graph import GraphSearch
from shared.similarity.ranking import Vectors, last_of_nearest

RECALL_AT = 10
RECALL_ITEMS = 1_000
RECALL_WANTED = 0.999
# Entries that a walk keeps, and cells scanned beside it: where a walk is lost, more cells help sooner than more steps.
_STEPS = ((64, 3), (96, 4), (128, 6), (128, 12), (192, 24), (256, 48), (1_024, 48))


def choose_pool(graph: GraphSearch, exact: ExactSearch, vectors: Vectors, seed: int) -> dict[str, Any]:
    """Measure recall@10, ties counted as found, and take the least work that reaches what is wanted.

    The graph is left scanning as many cells as were chosen.

    Asked are the vectors of a seeded sample of entries, which must find themselves too.
    """
    asked = vectors[np.sort(np.random.default_rng(seed).permutation(len(vectors))[:RECALL_ITEMS])]
    count = min(RECALL_AT, len(vectors))
    wanted = [count] * len(asked)
    edges = [last_of_nearest(scores, count) for _, scores in exact.pools(asked, wanted)]
    recall = 0.0
    for size, graph.scanned in _STEPS:
        pool = min(size, len(vectors))
        found = [scores for _, scores in graph.pools(asked, wanted, [pool] * len(asked))]
        hits = [min(count, int((scores >= edge).sum())) for scores, edge in zip(found, edges, strict=True)]
        recall = sum(hits) / (count * len(asked))
        if recall >= RECALL_WANTED:
            break
    return {"pool": pool, "cells": graph.scanned, "recall_at_10": recall}
