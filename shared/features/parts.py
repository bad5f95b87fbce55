"""What the blocks of an item's vector share."""

import hashlib
import math
from collections.abc import Sized
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]

_DIGEST = 64
_KEPT_TEXTS = 512  # of an attribute, once they were read: most attributes have few
_KEPT_CHARACTERS = 100


def empty(size: int) -> Vector:
    """Return the numbers of a value that is near to nothing."""
    return np.zeros(size, dtype=np.float32)


def flag(size: int) -> Vector:
    """Return the numbers of a missing value."""
    missing = empty(size)
    missing[0] = 1
    return missing


def is_kept(value: Any, kept: Sized) -> bool:
    """Tell whether what was made of a value is kept beside that of others: of the first short texts and of nothing."""
    if value is None:
        return True
    return type(value) is str and len(value) <= _KEPT_CHARACTERS and len(kept) < _KEPT_TEXTS


def digests(name: str, size: int) -> bytes:
    """Return bytes drawn from a name, alike everywhere and always: at least one bit for each of `size` numbers."""
    if size <= 8 * _DIGEST:
        return hashlib.blake2b(f"0|{name}".encode(), digest_size=_DIGEST).digest()
    parts = range(-(-size // (8 * _DIGEST)))
    return b"".join(hashlib.blake2b(f"{part}|{name}".encode(), digest_size=_DIGEST).digest() for part in parts)


def signs_of(drawn: bytes, names: int, size: int) -> npt.NDArray[np.int8]:
    """Return +1 or -1 by the bits of the names' digests: (names, size)."""
    bits = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8)).reshape(names, -1)[:, :size]
    return bits.view(np.int8) * np.int8(2) - np.int8(1)


def sign_vector(name: str, size: int) -> Vector:
    """Return a unit vector of equal-sized parts whose signs are drawn from the name."""
    signs = signs_of(digests(name, size), 1, size)[0]
    return np.asarray(signs.astype(np.float32) / np.float32(math.sqrt(size)))
