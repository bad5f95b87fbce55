"""Everything an answer is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from shared.features.encoder import ItemEncoder
from shared.features.table import FeatureTable
from shared.prediction.candidates.model import CandidateModel
from shared.prediction.memory import Ints, Items, Routings
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import Observations
from shared.prediction.nearby import Nearby
from shared.similarity.index import NeighbourIndex
from shared.similarity.ranking import DIGITS

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the factory did, and which of its items are near each other; never changed once built."""

    encoder: ItemEncoder
    table: FeatureTable
    items: Items
    routings: Routings
    seen: Observations
    index: NeighbourIndex
    routed: Ints  # places of the items in `index`

    @cached_property
    def index_place(self) -> Ints:
        """Return each item's place in the index, -1 without a routing."""
        places = np.full(len(self.items.codes), -1, dtype=np.int64)
        places[self.routed] = np.arange(len(self.routed))
        return places

    def vectors_of(self, places: Ints) -> Singles:
        """Return the vectors of items with a routing, (places, size)."""
        return self.index.vectors_of(self.index_place.take(places))

    def near(
        self, vectors: Singles, count: int, *, without: Sequence[Ints], own: Ints, factors: Singles | None = None
    ) -> Nearby:
        """Return the items near each vector.

        Args:
            vectors: (batch, size).
            count: near items wanted for each.
            without: places of items to leave out, one array for each vector.
            own: (batch,) the asked items' places where their own results may be used, else -1; such an item with a
                routing is always among the near.
            factors: (size,) new weights over fitted ones, where others are in force.
        """
        hidden = [self.index_place.take(places) for places in without]
        hidden = [places[places >= 0] for places in hidden]
        found = self.index.search_many(vectors, count, without=hidden, factors=factors)
        places, similarities, bounds = self.routed.take(found.places), found.similarities, found.bounds
        if (own >= 0).any():
            asked = found.asked
            has_own = (own >= 0) & (self.index_place[np.maximum(own, 0)] >= 0)
            has_own[asked[places == own[asked]]] = False
            if len(missing := has_own.nonzero()[0]):
                weighted = vectors[missing] if factors is None else vectors[missing] * factors
                products = self.vectors_of(own[missing]).astype(np.float64) * weighted
                similarities = np.insert(similarities, bounds[missing + 1], np.round(products.sum(axis=1), DIGITS))
                places = np.insert(places, bounds[missing + 1], own[missing])
                bounds = bounds + np.concatenate([[0], np.cumsum(has_own)])
        return Nearby(routings=self.routings, bounds=bounds, places=places, similarities=similarities, own=own)

    def item_orders(self, places: Ints) -> list[int]:
        """Return how many sound work orders each item has."""
        found: list[int] = self.seen.item_orders[places].tolist()
        return found


@dataclass(frozen=True, kw_only=True)
class Knowledge(Memory):
    """The memory, and what was learned from it."""

    candidates: CandidateModel
    minutes: MinutesModel

    @classmethod
    def of(cls, memory: Memory, candidates: CandidateModel, minutes: MinutesModel) -> "Knowledge":
        """Join a memory with what was learned from it."""
        held = {field.name: getattr(memory, field.name) for field in fields(Memory)}
        return cls(**held, candidates=candidates, minutes=minutes)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Asked items whose near items were found."""

    near: Nearby
    vectors: Singles  # (batch, size)
    rows: Singles  # (batch, features)
    views: Ints  # (batch,)
    quantity: float
    factors: Singles | None = None  # (size,) new weights over fitted ones, where others are in force
