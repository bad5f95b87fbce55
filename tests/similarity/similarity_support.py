"""Vectors to search in, and the plain way to search them."""

import numpy as np
import numpy.typing as npt
import pytest

from shared.similarity.graph import hnswlib_is_here

Vectors = npt.NDArray[np.float32]

needs_hnswlib = pytest.mark.skipif(not hnswlib_is_here(), reason="hnswlib is not installed")
each_backend = pytest.mark.parametrize("backend", ["exact", pytest.param("hnsw", marks=needs_hnswlib)])


def make_vectors(items: int, size: int = 24, *, copies: int = 1, seed: int = 1) -> Vectors:
    """Return unit vectors in groups, each of them `copies` times in a row."""
    centres = np.random.default_rng(seed).standard_normal((max(items // 20, 1), size))
    rng = np.random.default_rng(seed + 1)
    vectors = centres[rng.integers(0, len(centres), items)] + 0.4 * rng.standard_normal((items, size))
    vectors = np.repeat(vectors[: -(-items // copies)], copies, axis=0)[:items]
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return np.asarray(vectors / lengths, dtype=np.float32)


def codes(items: int) -> list[str]:
    """Return as many item codes, sorted."""
    return [f"I{number:06d}" for number in range(items)]


def brute_force(vectors: Vectors, vector: Vectors, count: int, hidden: set[int] | None = None) -> list[int]:
    """Return the places of the nearest, ties by place: every score computed, everything sorted."""
    scores = np.round([float(row @ vector.astype(np.float64)) for row in vectors.astype(np.float64)], 6)
    left = [place for place in range(len(vectors)) if place not in (hidden or set())]
    return sorted(left, key=lambda place: (-scores[place], place))[:count]
