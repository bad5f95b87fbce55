"""What the regressions read of an item: its vector, and the sizes among its features on one scale."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats

Singles = npt.NDArray[np.float32]

_SIZE_LENGTH = 0.3  # of a standard deviation of a size, beside vectors of length 1


@dataclass(frozen=True, kw_only=True)
class Design:
    """How a vector and a row of features become one row of a regression.

    A size that is never negative counts by its logarithm. Sizes are centred and scaled to a standard deviation of 0.3,
    held within four of them; a missing size is 0 and has a column of its own that says so.
    """

    columns: npt.NDArray[np.int64]  # of the features that are sizes
    logarithmic: npt.NDArray[np.bool_]
    middle: Floats
    scale: Floats

    @classmethod
    def of(cls, rows: Singles, categorical: npt.NDArray[np.bool_]) -> "Design":
        """Measure the sizes of a sample of items: features (items, features), NaN where missing."""
        columns = np.flatnonzero(~categorical)
        sizes = rows[:, columns].astype(np.float64)
        known = np.isfinite(sizes)
        varied = np.array([len(np.unique(sizes[known[:, place], place])) > 1 for place in range(len(columns))], bool)
        columns, sizes, known = columns[varied], sizes[:, varied], known[:, varied]
        logarithmic = np.asarray((np.where(known, sizes, 0.0) >= 0).all(axis=0), dtype=np.bool_)
        values = np.where(logarithmic, np.log1p(np.maximum(sizes, 0.0)), sizes)
        number = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, values, 0.0).sum(axis=0) / number
        spread = np.sqrt((np.where(known, values - middle, 0.0) ** 2).sum(axis=0) / number)
        return cls(
            columns=columns.astype(np.int64), logarithmic=logarithmic, middle=middle,
            scale=_SIZE_LENGTH / np.maximum(spread, 1e-9),
        )  # fmt: skip

    def size(self, vector_size: int) -> int:
        """Return how many numbers a row has."""
        return vector_size + 2 * len(self.columns)

    def rows(self, vectors: Singles, features: Singles) -> Singles:
        """Return (items, size) rows."""
        wide, width = vectors.shape[1], len(self.columns)
        found = np.empty((len(vectors), wide + 2 * width), dtype=np.float32)
        found[:, :wide] = vectors
        scaled = features.take(self.columns, axis=1)
        missing = ~np.isfinite(scaled)
        scaled[missing] = 0.0
        middle, scale = self._single
        scaled = np.where(self.logarithmic, np.log1p(np.maximum(scaled, 0.0)), scaled)
        scaled -= middle
        scaled *= scale
        np.maximum(scaled, -4 * _SIZE_LENGTH, out=scaled)
        np.minimum(scaled, 4 * _SIZE_LENGTH, out=scaled)
        scaled[missing] = 0.0
        found[:, wide : wide + width] = scaled
        np.multiply(missing, np.float32(_SIZE_LENGTH), out=found[:, wide + width :])
        return found

    @cached_property
    def _single(self) -> tuple[Singles, Singles]:
        return self.middle.astype(np.float32), self.scale.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Design":
        """Return what `state` was made of."""
        return cls(**{field.name: state[field.name] for field in fields(cls)})
