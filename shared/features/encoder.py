"""From an item's attributes to its vector, the same way for one item and a million, in training and in service."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.features.blocks import (
    Block,
    CategoryBlock,
    CodeBlock,
    ScaleBlock,
    TextBlock,
    block_from_state,
    encode_column,
)

Vector = npt.NDArray[np.float32]

VECTOR_ROOM = 240  # numbers shared by all attributes, missing flags apart
_WISH = {
    AttributeKind.CATEGORICAL: 48, AttributeKind.CODE: 32, AttributeKind.TEXT: 24,
    AttributeKind.NUMERIC: 12, AttributeKind.DATE: 8,
}  # fmt: skip
_LEAST_ROOM = 4


class ItemEncoder:
    """Encodes items by scikit-learn's conventions: `fit`, `transform`, `get_feature_names_out`.

    Each attribute is a block of unit length, multiplied afterwards by the square root of its share of all weights.
    So the dot product of two vectors is the weighted mean of the attributes' similarities, splits exactly by
    attribute, and reaches 1 for equal items; an attribute whose value was never seen adds nothing.
    """

    def __init__(self, attributes: Sequence[Attribute], *, seed: int = 42) -> None:
        """Take the declared attributes, whose weights count unless `set_weights` changes them."""
        self.attributes = tuple(attributes)
        self.seed = seed
        self.blocks: tuple[Block, ...] = ()
        self.offsets: npt.NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self.weights: dict[str, float] = {a.name: a.weight for a in self.attributes}
        self.scales: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return int(self.offsets[-1])

    def fit(self, columns: Mapping[str, Sequence[Any]]) -> Self:
        """Learn every attribute's values from columns of equal length; a missing value is None."""
        room = self._room(columns)
        self.blocks = tuple(self._fit_block(a, columns[a.name], room[a.name]) for a in self.attributes)
        self.offsets = np.cumsum([0, *(block.size for block in self.blocks)], dtype=np.int64)
        self.set_weights(self.weights)
        return self

    def _room(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, int]:
        wish = {
            a.name: min(_WISH[a.kind], max(2, len({v for v in columns[a.name] if v is not None})))
            if a.kind is AttributeKind.CATEGORICAL
            else _WISH[a.kind]
            for a in self.attributes
        }
        least = {name: min(_LEAST_ROOM, number) for name, number in wish.items()}
        spare = max(VECTOR_ROOM - sum(least.values()), 0)
        more = sum(wish.values()) - sum(least.values())
        share = min(1.0, spare / more) if more else 1.0
        return {name: least[name] + int((wish[name] - least[name]) * share) for name in wish}

    def _fit_block(self, attribute: Attribute, values: Sequence[Any], room: int) -> Block:
        match attribute.kind:
            case AttributeKind.NUMERIC:
                return ScaleBlock.fit(attribute.name, values, room, logarithmic=True)
            case AttributeKind.DATE:
                return ScaleBlock.fit(attribute.name, values, room, logarithmic=False)
            case AttributeKind.CODE:
                return CodeBlock.fit(attribute.name, values, room)
            case AttributeKind.TEXT if len({v for v in values if v is not None}) > room:
                return TextBlock.fit(attribute.name, values, room, self.seed)
        return CategoryBlock.fit(attribute.name, values, room)

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Put weights (0 or more, one for each attribute) in force; they act after every block has unit length."""
        self.weights = {a.name: float(weights[a.name]) for a in self.attributes}
        total = sum(self.weights.values())
        if total <= 0:
            raise ValueError("At least one attribute needs a weight above zero.")
        self.scales = np.array([math.sqrt(self.weights[a.name] / total) for a in self.attributes], dtype=np.float32)

    def blocks_of(self, columns: Mapping[str, Sequence[Any]]) -> list[Vector]:
        """Return each attribute's unit-length numbers before weighting, one (items, block size) array each."""
        return [encode_column(block, columns[block.name]) for block in self.blocks]

    def transform(self, columns: Mapping[str, Sequence[Any]]) -> Vector:
        """Return the items' vectors, (items, size) float32, for columns as in `fit`."""
        if len(next(iter(columns.values()), ())) == 1:
            return self.transform_one({name: values[0] for name, values in columns.items()})[None, :]
        parts = [part * scale for part, scale in zip(self.blocks_of(columns), self.scales, strict=True)]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def transform_one(self, values: Mapping[str, Any]) -> Vector:
        """Return one item's vector; the same numbers as its row of `transform`."""
        out = np.empty(self.size, dtype=np.float32)
        start = 0
        for block, scale in zip(self.blocks, self.scales, strict=True):
            np.multiply(block.vector(values.get(block.name)), scale, out=out[start : start + block.size])
            start += block.size
        return out

    def split(self, vector: Vector, others: Vector) -> npt.NDArray[np.float64]:
        """Return what each attribute adds to the similarity of one vector and others: (others, attributes)."""
        products = others.astype(np.float64) * vector.astype(np.float64)
        return np.add.reduceat(products, self.offsets[:-1], axis=1)

    def unseen(self, vector: Vector) -> list[str]:
        """Name the attributes whose value has nothing in common with any value seen when fitted."""
        lengths = np.add.reduceat(np.abs(vector), self.offsets[:-1])
        return [
            a.name for a, length in zip(self.attributes, lengths, strict=True) if length == 0 and self.weights[a.name]
        ]

    def get_feature_names_out(self) -> list[str]:
        """Name every number of a vector, in order."""
        return [name for block in self.blocks for name in block.feature_names()]

    def state(self) -> dict[str, Any]:
        """Return everything fitted as plain values and arrays."""
        return {
            "seed": self.seed,
            "attributes": [attribute_state(a) for a in self.attributes],
            "blocks": [block.state() for block in self.blocks],
            "weights": dict(self.weights),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild an encoder from `state()`."""
        encoder = cls([attribute_from_state(a) for a in state["attributes"]], seed=int(state["seed"]))
        encoder.blocks = tuple(block_from_state(block) for block in state["blocks"])
        encoder.offsets = np.cumsum([0, *(block.size for block in encoder.blocks)], dtype=np.int64)
        encoder.set_weights(state["weights"])
        return encoder


def attribute_state(attribute: Attribute) -> dict[str, Any]:
    """Return a declared attribute as plain values."""
    return {
        "name": attribute.name, "kind": attribute.kind.value, "weight": attribute.weight, "unit": attribute.unit,
        "zero_is_unknown": attribute.zero_is_unknown, "family": attribute.family, "drawing": attribute.drawing,
    }  # fmt: skip


def attribute_from_state(state: Mapping[str, Any]) -> Attribute:
    """Rebuild a declared attribute."""
    return Attribute(**{**state, "kind": AttributeKind(state["kind"])})
