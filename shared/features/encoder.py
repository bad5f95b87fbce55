"""From an item's attributes to its vector, the same way for one item and a million, in training and in service."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shared.erp.canonical import Attribute, AttributeKind
from shared.errors import InvalidInput
from shared.features.blocks import (
    Block,
    CategoryBlock,
    CodeBlock,
    ScaleBlock,
    TextBlock,
    block_from_state,
)
from shared.features.distinct import Column, Distinct
from shared.features.filling import Filling
from shared.features.parts import empty, is_kept

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
        self.filling = Filling({a.name: a.kind for a in self.attributes}, ())
        self.blocks: tuple[Block, ...] = ()
        self.offsets: npt.NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self.weights: dict[str, float] = {a.name: a.weight for a in self.attributes}
        self.scales: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._scale_list: list[float] = []
        self._scale_of_each: Vector = np.zeros(0, dtype=np.float32)
        self._met: list[dict[str | None, Vector]] = []  # by block, the numbers of the first texts that were met

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return int(self.offsets[-1])

    def fit(self, columns: Mapping[str, Column], filling: Filling | None = None) -> Self:
        """Learn every attribute's values from columns of equal length; a missing value is None.

        Args:
            columns: the attributes' values, or columns that were arranged already.
            filling: completes values first; learned from the columns where it is not given.
        """
        self.filling = Filling.fit(self.attributes, columns) if filling is None else filling
        arranged = self.filling.fill(columns)
        room = self._room(arranged)
        self.blocks = tuple(self._fit_block(a, arranged[a.name], room[a.name]) for a in self.attributes)
        self.offsets = np.cumsum([0, *(block.size for block in self.blocks)], dtype=np.int64)
        self.set_weights(self.weights)
        return self

    def _room(self, columns: Mapping[str, Distinct]) -> dict[str, int]:
        wish = {
            a.name: min(_WISH[a.kind], max(2, columns[a.name].kinds))
            if a.kind is AttributeKind.CATEGORICAL
            else _WISH[a.kind]
            for a in self.attributes
        }
        least = {name: min(_LEAST_ROOM, number) for name, number in wish.items()}
        spare = max(VECTOR_ROOM - sum(least.values()), 0)
        more = sum(wish.values()) - sum(least.values())
        share = min(1.0, spare / more) if more else 1.0
        return {name: least[name] + int((wish[name] - least[name]) * share) for name in wish}

    def _fit_block(self, attribute: Attribute, column: Distinct, room: int) -> Block:
        match attribute.kind:
            case AttributeKind.NUMERIC:
                return ScaleBlock.fit(attribute.name, column, room, logarithmic=True)
            case AttributeKind.DATE:
                return ScaleBlock.fit(attribute.name, column, room, logarithmic=False)
            case AttributeKind.CODE:
                return CodeBlock.fit(attribute.name, column, room)
            case AttributeKind.TEXT if column.kinds > room:
                return TextBlock.fit(attribute.name, column, room, self.seed)
        return CategoryBlock.fit(attribute.name, column, room)

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Put weights (0 or more, one for each attribute) in force; they act after every block has unit length."""
        self.weights = {a.name: float(weights[a.name]) for a in self.attributes}
        total = sum(self.weights.values())
        if total <= 0:
            raise ValueError("At least one attribute needs a weight above zero.")
        self.scales = np.array([math.sqrt(self.weights[a.name] / total) for a in self.attributes], dtype=np.float32)
        self._scale_list = self.scales.tolist()
        self._scale_of_each = np.repeat(self.scales, np.diff(self.offsets)) if self.blocks else self.scales[:0]
        self._met = [{} for _ in self.blocks]

    def blocks_of(self, columns: Mapping[str, Column]) -> list[Vector]:
        """Return each attribute's unit-length numbers before weighting, one (items, block size) array each."""
        arranged = self.filling.fill(columns)
        return [arranged[block.name].spread(block.encode(arranged[block.name])) for block in self.blocks]

    def transform(self, columns: Mapping[str, Column]) -> Vector:
        """Return the items' vectors, (items, size) float32, for columns as in `fit`."""
        arranged = self.filling.fill(columns)
        out = np.empty((len(next(iter(columns.values()), ())), self.size), dtype=np.float32)
        for block, scale, start in zip(self.blocks, self.scales, self.offsets.tolist(), strict=False):
            column = arranged[block.name]
            if not scale:  # an attribute of weight 0 adds nothing, whatever its numbers are
                out[:, start : start + block.size] = 0
            elif len(column):
                out[:, start : start + block.size] = column.spread(block.encode(column) * scale)
        return out

    def transform_one(self, values: Mapping[str, Any]) -> Vector:
        """Return one item's vector; the same numbers as its row of `transform`."""
        values = self.filling.fill_one(values)
        parts: list[Vector] = []
        for block, scale, met in zip(self.blocks, self._scale_list, self._met, strict=True):
            if not scale:
                parts.append(empty(block.size))
                continue
            value = values.get(block.name)
            numbers = met.get(value) if type(value) is str or value is None else None
            if numbers is None:
                numbers = block.vector(value)
                if is_kept(value, met):
                    met[value] = numbers
            parts.append(numbers)
        out = np.concatenate(parts)
        out *= self._scale_of_each
        return out

    def factors_for(self, weights: Mapping[str, float]) -> Vector:
        """Return what multiplies each number of a product of two vectors so that other weights count, (size,).

        The factors weigh a similarity as if the vectors had been made with the new weights, each over the sum of all.

        Raises:
            InvalidInput: an attribute is unknown or was fitted with weight 0 (its values are not in the vectors), a
                weight is negative or not finite, or none is above zero.
        """
        errors = [
            {"field": f"weights.{name}", "message": problem}
            for name, weight in weights.items()
            if (problem := self._weight_problem(name, weight)) is not None
        ]
        wanted = {name: weights.get(name, weight) for name, weight in self.weights.items()}
        total = sum(wanted.values())
        if not errors and not total > 0:
            errors = [{"field": "weights", "message": "At least one attribute needs a weight above zero."}]
        if errors:
            raise InvalidInput(
                f"{errors[0]['field']}: {errors[0]['message']}",
                remedy="Give weights of 0 or more for attributes that the model weighs; to add another, train a model.",
                errors=errors,
            )
        fitted = sum(self.weights.values())
        by_attribute = [
            wanted[a.name] / total * fitted / self.weights[a.name] if self.weights[a.name] else 0.0
            for a in self.attributes
        ]
        return np.repeat(np.array(by_attribute, dtype=np.float32), np.diff(self.offsets))

    def _weight_problem(self, name: str, weight: float) -> str | None:
        if name not in self.weights:
            return "No attribute has this name."
        if not (math.isfinite(weight) and weight >= 0):
            return "A weight must be a finite number of 0 or more."
        if weight > 0 and self.weights[name] == 0:
            return "The model was fitted without this attribute, so it cannot be weighed in service."
        return None

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
            "filling": self.filling.state(),
            "blocks": [block.state() for block in self.blocks],
            "weights": dict(self.weights),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild an encoder from `state()`."""
        encoder = cls([attribute_from_state(a) for a in state["attributes"]], seed=int(state["seed"]))
        encoder.filling = Filling.from_state(state["filling"])
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
