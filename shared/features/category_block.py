"""A category's share of an item's vector."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from shared.features.distinct import Distinct
from shared.features.parts import Vector, empty, flag, sign_vector
from shared.features.texts import canonical_text


@dataclass(frozen=True, kw_only=True)
class CategoryBlock:
    """Equal or not: one number each for the common values, near-orthogonal sign vectors for the many rare ones."""

    kind: ClassVar[str] = "category"
    name: str
    size: int
    places: dict[str, int]  # value -> its own number, or -1 for one of the rare
    tail: int  # how many numbers the rare ones share

    @classmethod
    def fit(cls, name: str, column: Distinct, room: int) -> Self:
        """Learn the values that exist, most frequent first, into at most `room` numbers."""
        found = zip(column.texts_only(), column.counts().tolist(), strict=True)
        counts = Counter({text: count for text, count in found if text is not None and count})
        ordered = sorted(counts, key=lambda text: (-counts[text], text))
        tail = 0 if len(ordered) <= room else max(4, room // 2)
        own = len(ordered) if tail == 0 else max(room - tail, 0)
        places = {text: 1 + place if place < own else -1 for place, text in enumerate(ordered)}
        return cls(name=name, size=1 + own + tail, places=places, tail=tail)

    def vector(self, value: Any) -> Vector:
        """Return the value's numbers."""
        text = canonical_text(value)
        if text is None:
            return flag(self.size)
        out = empty(self.size)
        place = self.places.get(text)
        if place is None:
            return out
        if place > 0:
            out[place] = 1
        else:
            out[self.size - self.tail :] = sign_vector(f"{self.name}={text}", self.tail)
        return out

    def encode(self, column: Distinct) -> Vector:
        """Return the numbers of each distinct value of a column, (values, size)."""
        return np.stack([self.vector(text) for text in column.texts_only()])

    def feature_names(self) -> list[str]:
        """Name every number."""
        own = sorted((place, text) for text, place in self.places.items() if place > 0)
        names = [f"{self.name}=missing", *(f"{self.name}={text}" for _, text in own)]
        return names + [f"{self.name}~rare{number}" for number in range(self.tail)]

    def state(self) -> dict[str, Any]:
        """Return the block as plain values."""
        return {"kind": self.kind, "name": self.name, "size": self.size, "places": dict(self.places), "tail": self.tail}
