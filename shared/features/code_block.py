"""A structured code's share of an item's vector."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from shared.features.distinct import Distinct
from shared.features.parts import Vector, digests, empty, flag, signs_of
from shared.features.texts import canonical_text, code_beginnings

_CHUNK = 20_000  # distinct codes encoded at once


@dataclass(frozen=True, kw_only=True)
class CodeBlock:
    """Structured codes: near by the share of their beginnings that agree."""

    kind: ClassVar[str] = "code"
    name: str
    size: int
    known: npt.NDArray[np.uint64]  # the first 8 bytes of what is drawn from each known beginning, rising

    @classmethod
    def fit(cls, name: str, column: Distinct, room: int) -> Self:
        """Learn every beginning that exists."""
        texts = [text for text in column.texts_only() if text is not None]
        beginnings = set(itertools.chain.from_iterable(map(code_beginnings, texts)))
        drawn = b"".join(digests(f"{name}^{beginning}", room)[:8] for beginning in beginnings)
        return cls(name=name, size=1 + room, known=np.unique(np.frombuffer(drawn, dtype="<u8")))

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers; beginnings never seen only shorten it."""
        text = canonical_text(value)
        if text is None:
            return flag(self.size)
        beginnings = code_beginnings(text)
        drawn = b"".join([digests(f"{self.name}^{beginning}", self.size - 1) for beginning in beginnings])
        bytes_of = np.frombuffer(drawn, dtype=np.uint8).reshape(len(beginnings), -1)
        seen = self._seen(bytes_of.view("<u8")[:, 0])
        kept = int(np.count_nonzero(seen))
        out = empty(self.size)
        if kept:
            bits = np.unpackbits(bytes_of[seen], axis=1, count=self.size - 1)
            summed = np.add.reduce(bits, axis=0, dtype=np.int32) * np.int32(2) - np.int32(kept)
            length = math.sqrt(int(summed @ summed))
            out[1:] = summed * (math.sqrt(kept / len(beginnings)) / max(length, 1.0))
        return out

    def encode(self, column: Distinct) -> Vector:
        """Return the numbers of each distinct value of a column, (values, size)."""
        texts = column.texts_only()
        out = np.zeros((len(texts), self.size), dtype=np.float32)
        known = [place for place, text in enumerate(texts) if text is not None]
        for start in range(0, len(known), _CHUNK):
            places = known[start : start + _CHUNK]
            out[places] = self._numbers([code_beginnings(texts[place] or "") for place in places])
        out[[place for place, text in enumerate(texts) if text is None]] = flag(self.size)
        return out

    def _numbers(self, codes: Sequence[list[str]]) -> Vector:
        """Add up, as whole numbers, the signs of the beginnings that are known, and give the sum its length."""
        bounds = np.cumsum([0, *map(len, codes)])
        flat = list(itertools.chain.from_iterable(codes))
        place_of = {text: place for place, text in enumerate(dict.fromkeys(flat))}
        drawn = b"".join([digests(f"{self.name}^{beginning}", self.size - 1) for beginning in place_of])
        signs = signs_of(drawn, len(place_of), self.size - 1)
        prints = np.frombuffer(drawn, dtype="<u8").reshape(len(place_of), -1)[:, 0]
        seen = self._seen(prints).astype(np.int8)
        places = np.array([place_of[text] for text in flat], dtype=np.int64)
        summed = np.add.reduceat((signs * seen[:, None])[places], bounds[:-1], axis=0, dtype=np.int32)
        shares = np.add.reduceat(seen[places].astype(np.float64), bounds[:-1]) / np.diff(bounds)
        lengths = np.sqrt((summed * summed).sum(axis=1).astype(np.float64))
        out = np.zeros((len(codes), self.size), dtype=np.float32)
        out[:, 1:] = summed * (np.sqrt(shares) / np.maximum(lengths, 1.0))[:, None]
        return out

    def _seen(self, prints: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        if not len(self.known):
            return np.zeros(len(prints), dtype=np.bool_)
        return np.asarray(self.known[np.searchsorted(self.known[:-1], prints)] == prints)

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}^{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {"kind": self.kind, "name": self.name, "size": self.size, "known": self.known}
