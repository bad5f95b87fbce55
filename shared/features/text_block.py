"""A free text's share of an item's vector."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from shared.features.distinct import Distinct, sample_places
from shared.features.parts import Vector, empty, flag
from shared.features.texts import canonical_text, text_pieces

MAX_PIECES = 20_000  # distinct text pieces that a text block remembers
_FITTED_TEXTS = 20_000  # distinct texts that the directions are learned from, spread evenly
_SHORTEST = 1e-6  # a shorter sum has no direction
_CHUNK = 4_000  # distinct texts encoded at once


@dataclass(frozen=True, kw_only=True)
class TextBlock:
    """Free text: pieces weighted by rarity (TF-IDF), reduced to a few numbers by a truncated SVD."""

    kind: ClassVar[str] = "text"
    name: str
    size: int
    places: dict[str, int]  # piece -> row of `directions`
    directions: Vector  # (pieces, size - 1): the piece's rarity times its direction

    @classmethod
    def fit(cls, name: str, column: Distinct, room: int, seed: int) -> Self:
        """Learn the pieces of the distinct texts and their main directions."""
        from scipy.sparse import csr_matrix
        from sklearn.decomposition import TruncatedSVD

        texts = sorted(text for text in column.texts_only() if text is not None)
        texts = [texts[place] for place in sample_places(len(texts), _FITTED_TEXTS).tolist()]
        counted = [Counter(text_pieces(text)) for text in texts]
        documents: Counter[str] = Counter()
        for pieces in counted:
            documents.update(pieces.keys())
        kept = sorted(documents, key=lambda piece: (-documents[piece], piece))[:MAX_PIECES]
        places = {piece: place for place, piece in enumerate(sorted(kept))}
        rarity = np.array([math.log((1 + len(texts)) / (1 + documents[piece])) + 1 for piece in places])
        found = [sorted((places[piece], count) for piece, count in each.items() if piece in places) for each in counted]
        bounds = np.cumsum([0, *map(len, found)])
        columns = np.array([place for each in found for place, _ in each], dtype=np.int64)
        numbers = rarity[columns] * np.array([1 + math.log(count) for each in found for _, count in each])
        lengths = np.sqrt(np.add.reduceat(numbers**2, bounds[:-1]))
        numbers /= np.repeat(lengths, np.diff(bounds))
        matrix = csr_matrix((numbers, columns, bounds), shape=(len(texts), len(places)))
        directions = TruncatedSVD(n_components=min(room, *matrix.shape), random_state=seed).fit(matrix).components_.T
        weighted = np.ascontiguousarray(directions * rarity[:, None], dtype=np.float32)
        return cls(name=name, size=1 + weighted.shape[1], places=places, directions=weighted)

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers."""
        text = canonical_text(value)
        if text is None:
            return flag(self.size)
        out = empty(self.size)
        places, weights = self._pieces(text)
        if places:
            parts = self.directions[places] * np.array(weights, dtype=np.float32)[:, None]
            numbers = np.add.reduceat(parts, [0], axis=0)[0]
            length = math.sqrt(float(np.add.reduce(np.square(numbers, dtype=np.float64))))
            if length > _SHORTEST:
                out[1:] = numbers * np.float32(1 / length)
        return out

    def encode(self, column: Distinct) -> Vector:
        """Return the numbers of each distinct value of a column, (values, size)."""
        texts = column.texts_only()
        out = np.zeros((len(texts), self.size), dtype=np.float32)
        known = [place for place, text in enumerate(texts) if text is not None]
        for start in range(0, len(known), _CHUNK):
            places = known[start : start + _CHUNK]
            out[places] = self._numbers([texts[place] or "" for place in places])
        out[[place for place, text in enumerate(texts) if text is None]] = flag(self.size)
        return out

    def _pieces(self, text: str) -> tuple[list[int], list[float]]:
        """Return the places of a text's known pieces, rising, and how much each counts."""
        counted: dict[int, int] = {}
        places = self.places
        for piece in text_pieces(text):
            place = places.get(piece)
            if place is not None:
                counted[place] = counted.get(place, 0) + 1
        order = sorted(counted)
        return order, [1.0 if counted[place] == 1 else 1 + math.log(counted[place]) for place in order]

    def _numbers(self, texts: Sequence[str]) -> Vector:
        out = np.zeros((len(texts), self.size), dtype=np.float32)
        filled: list[int] = []
        starts: list[int] = []
        places: list[int] = []
        weights: list[float] = []
        for row, text in enumerate(texts):
            own, counts = self._pieces(text)
            if own:
                filled.append(row)
                starts.append(len(places))
                places += own
                weights += counts
        if filled:
            parts = self.directions[places] * np.array(weights, dtype=np.float32)[:, None]
            out[filled, 1:] = np.add.reduceat(parts, starts, axis=0)
        lengths = np.sqrt(np.add.reduce(np.square(out[:, 1:], dtype=np.float64), axis=1))
        out *= np.where(lengths > _SHORTEST, 1 / np.maximum(lengths, _SHORTEST), 0).astype(np.float32)[:, None]
        return out

    def feature_names(self) -> list[str]:
        """Name every number."""
        return [f"{self.name}=missing", *(f"{self.name}~topic{number}" for number in range(self.size - 1))]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {
            "kind": self.kind, "name": self.name, "size": self.size,
            "places": dict(self.places), "directions": self.directions,
        }  # fmt: skip
