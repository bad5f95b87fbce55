"""The model: answers what routing an item needs, from arrays that never change once it is built.

It is safe to use from many threads. `fit.fit_model` makes one from a snapshot, `package.load_model` from a package.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np

from shared.configuration import PredictionConfiguration
from shared.erp.canonical import Attribute
from shared.errors import InvalidInput, NotFound
from shared.prediction.answers import ItemPrediction, ItemQuery, ItemRecord, SimilarItem, Status
from shared.prediction.asking import Asked, find_place, make_batch, missing_everything, read_queries
from shared.prediction.history import RoutingHistory
from shared.prediction.item_search import ItemSearch
from shared.prediction.knowledge import Batch, Knowledge, Singles
from shared.prediction.known_operations import KnownOperations
from shared.prediction.known_values import KnownValues
from shared.prediction.minutes.estimates import Estimates
from shared.prediction.operations import work_out
from shared.prediction.order_minutes import OrdersPrediction, order_minutes, without_orders
from shared.prediction.plans import Plan, Wanted, plans_of
from shared.prediction.rendering import Rendering, similar_items
from shared.prediction.reweighting import Reweighting, reweight
from shared.prediction.steps import NewItem
from shared.prediction.unusual import nothing_near
from shared.similarity.index import NeighbourIndex

_MOST_SIMILAR = 500
_TOGETHER = 256  # items worked out at once: more need memory that no cache holds
_LEAST_PROBABILITY = 0.001  # a candidate rarer than this is noise


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a model was made from."""

    profile: str
    data_as_of: datetime
    fingerprint: str
    excluded_items: tuple[str, ...]


class RoutingModel:
    """Predicts routings with times and evidence."""

    def __init__(
        self, *, origin: Origin, settings: PredictionConfiguration, knowledge: Knowledge, history: RoutingHistory,
        documents: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Join the parts; `settings` are those that the model was fitted with."""
        self.origin = origin
        self.fitted = settings
        self.settings = settings  # in force
        self.knowledge = knowledge
        self.history = history
        self.documents = dict(documents)  # the package's JSON files, by name
        self._reweighting: Reweighting | None = None
        self._search = ItemSearch(knowledge.items.frame)
        self.known_operations = KnownOperations(knowledge.routings)
        self.known_values = KnownValues(knowledge.items.frame, knowledge.encoder.attributes)

    @property
    def model_kind(self) -> str:
        """Return the form of its minutes: `regression` is the product's own."""
        return self.knowledge.minutes.form.kind

    @property
    def profile(self) -> str:
        """Return the name of the profile that its data was read with."""
        return self.origin.profile

    @property
    def data_as_of(self) -> datetime:
        """Return when its data was read."""
        return self.origin.data_as_of

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of its data."""
        return self.origin.fingerprint

    @property
    def excluded_items(self) -> tuple[str, ...]:
        """Return the items whose routings and results nothing was learned from."""
        return self.origin.excluded_items

    @property
    def attributes(self) -> Sequence[Attribute]:
        """Return the attributes that it compares items by."""
        return self.knowledge.encoder.attributes

    @property
    def backend(self) -> str:
        """Say which similarity back end answers: `hnsw` or `exact`."""
        return self.knowledge.index.backend

    @property
    def index(self) -> NeighbourIndex:
        """Return the index of the items with a routing."""
        return self.knowledge.index

    def under(self, settings: PredictionConfiguration) -> Self:
        """Return this model answering by other settings: thresholds and feature weights act at once.

        How many neighbours are looked at, and how work results are trimmed and aged, are fitted into the model and
        stay as they were.
        """
        other = copy(self)
        other.settings = settings
        other._reweighting = reweight(self.knowledge.encoder, self.fitted.feature_weights, settings.feature_weights)
        return other

    def predict(
        self, queries: Sequence[ItemQuery], *, candidates: int = 3, quantity: float = 1.0, as_if_unknown: bool = False,
        new_items: Mapping[str, NewItem] = MappingProxyType({}),
    ) -> list[ItemPrediction]:  # fmt: skip
        """Answer each query in order.

        Args:
            queries: item codes, each with attributes or without.
            candidates: at most so many routings an item.
            quantity: pieces of the order whose minutes are asked for.
            as_if_unknown: leave out the item's, and its sisters', routings and results, and every figure made of them.
            new_items: what the ERP has on codes of the queries that the model's data lacks.

        Raises:
            InvalidInput: an attribute has an unknown name or a value of the wrong kind; nothing is answered.
        """
        if not (0 < quantity < float("inf")):
            error = {"field": "quantity", "message": "Must be a finite number above 0."}
            raise InvalidInput("quantity: must be a finite number above 0.", errors=[error])
        asked = read_queries(self.knowledge, queries, new_items)
        answers: list[ItemPrediction | None] = [
            self._unanswerable(query, one, as_if_unknown=as_if_unknown)
            for query, one in zip(queries, asked, strict=True)
        ]
        left = [place for place, answer in enumerate(answers) if answer is None]
        for chosen in _together(left):
            worked = self._work_out(queries, asked, chosen, candidates, quantity, as_if_unknown=as_if_unknown)
            for place, answer in zip(chosen, worked.answers, strict=True):
                answers[place] = answer
        return [answer for answer in answers if answer is not None]

    def predict_orders(
        self, queries: Sequence[ItemQuery], quantities: Sequence[Sequence[float]], *, candidates: int = 3
    ) -> list[OrdersPrediction]:
        """Answer each query in order as if unknown, with the minutes of an order at each of its quantities.

        What this is asked for is compared and not read, so no answer names its evidence.

        Args:
            queries: item codes, each with attributes or without.
            quantities: pieces of the orders of each query, finite and above 0.
            candidates: at most so many routings an item.

        Raises:
            InvalidInput: an attribute has an unknown name or a value of the wrong kind; nothing is answered.
        """
        asked = read_queries(self.knowledge, queries)
        unanswerable = [self._unanswerable(*one, as_if_unknown=True) for one in zip(queries, asked, strict=True)]
        answers = [None if one is None else without_orders(one) for one in unanswerable]
        left = [place for place, answer in enumerate(answers) if answer is None]
        for chosen in _together(left):
            worked = self._work_out(queries, asked, chosen, candidates, 1.0, as_if_unknown=True, evidence=False)
            minutes = order_minutes(worked.estimates, worked.plans, [quantities[place] for place in chosen])
            for place, prediction, mine in zip(chosen, worked.answers, minutes, strict=True):
                answers[place] = OrdersPrediction(prediction=prediction, minutes=mine)
        return [answer for answer in answers if answer is not None]

    def _work_out(
        self, queries: Sequence[ItemQuery], asked: Sequence[Asked], chosen: Sequence[int], candidates: int,
        quantity: float, *, as_if_unknown: bool, evidence: bool = True,
    ) -> "_Worked":  # fmt: skip
        """Answer the `chosen` ones of the queries together."""
        batch = make_batch(
            self.knowledge, [asked[place] for place in chosen], neighbours=self.fitted.neighbours,
            quantity=quantity, as_if_unknown=as_if_unknown, factors=self._factors,
        )  # fmt: skip
        steps = [() if as_if_unknown else asked[place].steps for place in chosen]
        return self._answers(batch, [queries[place] for place in chosen], steps, candidates, evidence=evidence)

    @property
    def _factors(self) -> Singles | None:
        return None if self._reweighting is None else self._reweighting.factors

    def _unanswerable(self, query: ItemQuery, asked: Asked, *, as_if_unknown: bool) -> ItemPrediction | None:
        if asked.place < 0 and not asked.given:
            return ItemPrediction(
                item_code=query.item_code, status=Status.UNKNOWN_ITEM,
                message="No item has this code. Give its attributes to have its routing predicted from them.",
            )  # fmt: skip
        known = asked.place >= 0 and self.knowledge.routings.signature[asked.place] >= 0
        has_own = not as_if_unknown and (known or bool(asked.steps))
        if has_own or not missing_everything(self.knowledge.encoder, asked.values):
            return None
        return _abstained(query, "None of the item's attributes has a value, so nothing can be compared.")

    def _answers(
        self, batch: Batch, queries: Sequence[ItemQuery], steps: Sequence[tuple[Any, ...]], count: int, *,
        evidence: bool,
    ) -> "_Worked":  # fmt: skip
        near, wanted = batch.near, Wanted()
        may_repeat = bool((near.own >= 0).any()) or any(steps)  # the item's own routing may be among the proposed
        choices = self.knowledge.candidates.choose(near, batch.rows, batch.views, count + may_repeat)
        # Without anything near there is nothing to propose, whatever the trees think.
        least = self.knowledge.candidates.least_similarity(batch.views, self.settings.minimum_similarity)
        near_enough = near.nearest >= least
        choices = [found if enough else [] for found, enough in zip(choices, near_enough.tolist(), strict=True)]
        plans = plans_of(batch, steps, wanted, choices=choices, count=count, least_probability=_LEAST_PROBABILITY)
        operations = work_out(self.knowledge, batch, wanted, self.settings.time_profile)
        rendered = Rendering(self.knowledge, batch, operations, plans, self.settings, evidence=evidence).candidates()
        said = None if self._reweighting is None else self._reweighting.sentence
        answers = [
            ItemPrediction(item_code=query.item_code, status=Status.OK, candidates=found, message=said)
            if found
            else _abstained(query, nothing_near(self.knowledge, batch, place, float(least[place])))
            for place, (query, found) in enumerate(zip(queries, rendered, strict=True))
        ]
        return _Worked(answers, plans, operations.estimates)

    def knows(self, item_code: str) -> bool:
        """Tell whether the model's data has an item of this code."""
        return find_place(self.knowledge, item_code) >= 0

    def similar(self, item_code: str, k: int) -> list[SimilarItem]:
        """Return the `k` items with a routing most like a known one (itself left out), nearest first.

        Raises:
            NotFound: no item has this code.
            InvalidInput: `k` is not between 1 and 500.
        """
        if not 1 <= k <= _MOST_SIMILAR:
            error = {"field": "k", "message": f"Must be between 1 and {_MOST_SIMILAR}."}
            raise InvalidInput(f"k: must be between 1 and {_MOST_SIMILAR}.", errors=[error])
        place, memory = self._known(item_code), self.knowledge
        vector = memory.encoder.transform_one(memory.items.frame.row(place, named=True))[None, :]
        near = memory.near(vector, k, without=[np.array([place])], own=np.array([-1]), factors=self._factors)
        weighted = vector if self._factors is None else vector * self._factors
        return similar_items(memory, weighted, near.places, near.similarities)

    def _known(self, item_code: str) -> int:
        place = find_place(self.knowledge, item_code)
        if place < 0:
            raise NotFound(f"No item has the code {item_code[:200]!r}.", remedy="Search the items for the right code.")
        return place

    def item(self, item_code: str) -> ItemRecord:
        """Return what the model knows of an item.

        Raises:
            NotFound: no item has this code.
        """
        place = self._known(item_code)
        values = self.knowledge.items.frame.row(place, named=True)
        code = values.pop("item_code")
        [orders] = self.knowledge.item_orders(np.array([place]))
        return ItemRecord(item_code=code, attributes=values, routings=self.history.of_item(code), work_orders=orders)

    def search_items(self, query: str, *, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return items whose code or any text attribute holds `query` (any case), by code, and how many there are."""
        places = self._search.places(query)
        shown = places[offset : offset + limit]
        has_routing = (self.knowledge.routings.signature[shown] >= 0).tolist()
        rows = self.knowledge.items.frame[shown].to_dicts()
        return [{**row, "has_routing": has} for row, has in zip(rows, has_routing, strict=True)], len(places)


class _Worked(NamedTuple):
    """The answers of one batch, and what they were made of."""

    answers: list[ItemPrediction]
    plans: list[list[Plan]]
    estimates: Estimates


def _together(places: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield `places` in parts that are worked out at once."""
    for start in range(0, len(places), _TOGETHER):
        yield places[start : start + _TOGETHER]


def _abstained(query: ItemQuery, message: str) -> ItemPrediction:
    return ItemPrediction(item_code=query.item_code, status=Status.ABSTAINED, message=message)
