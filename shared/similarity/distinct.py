"""Which of many vectors are identical: each distinct one is kept once, as an entry."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_BLOCK = 4_096  # rows hashed at once, so that the intermediate numbers stay in the processor's cache
_LANES = 2  # 32-bit hashes of each row


def collapse(vectors: Vectors) -> tuple[Vectors, npt.NDArray[np.int32]]:
    """Return the distinct rows in the order of their first appearance, and which of them each row is.

    Rows are equal when all their numbers are; 0 and -0 are the same number.
    """
    rows = np.ascontiguousarray(vectors + np.float32(0))  # -0 + 0 = 0
    keys = _hashes(rows.view(np.uint32))
    _, first, entry_of = np.unique(keys, return_index=True, return_inverse=True)
    if not _all_equal(rows, first, entry_of):  # two different rows had one hash
        whole = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()
        _, first, entry_of = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rows[first[order]], rank[entry_of.ravel()]


def _hashes(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return one 64-bit multiply-and-add hash a row."""
    factors = np.random.default_rng(0).integers(0, 2**31, size=(_LANES, words.shape[1]), dtype=np.uint32) * 2 + 1
    hashes = np.zeros(len(words), dtype=np.uint64)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        for lane in factors:
            mixed = block * lane
            mixed ^= mixed >> 15  # numbers of few binary digits leave the low bits of a product zero
            mixed *= lane
            part = hashes[start : start + _BLOCK]
            part <<= np.uint64(32)
            part |= mixed.sum(axis=1, dtype=np.uint32)
    return hashes


def _all_equal(rows: Vectors, first: npt.NDArray[np.intp], entry_of: npt.NDArray[np.intp]) -> bool:
    leader = first[entry_of.ravel()]
    others = np.flatnonzero(leader != np.arange(len(rows)))
    return all(
        np.array_equal(rows[part], rows[leader[part]]) for part in np.array_split(others, max(1, len(others) // _BLOCK))
    )


def rising(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the distinct values, rising; `numpy.unique` takes several times as long for a few."""
    ordered = values.copy()
    ordered.sort()
    new = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]
