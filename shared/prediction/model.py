"""The model: answers what routing an item needs, from arrays that never change once it is built.

It is safe to use from many threads. `fit.fit_model` makes one from a snapshot, `package.load_model` from a package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from shared.errors import InvalidInput, NotFound
from shared.prediction.answering import Knowledge, Question, listed, missing_everything, unusual
from shared.prediction.answers import ItemPrediction, ItemQuery, ItemRecord, SimilarItem, Status
from shared.prediction.memory import Ints
from shared.prediction.neighbourhood import Neighbourhood
from shared.prediction.queries import attribute_values, invalid_attributes
from shared.prediction.steps import NewItem, OwnStep
from shared.prediction.voting import EVERYTHING
from shared.similarity.index import NeighbourIndex

MODEL_KIND = "neighbours"
_MOST_SIMILAR = 500


@dataclass(frozen=True, kw_only=True)
class _Asked:
    place: int  # -1 for an item that is not known
    values: dict[str, Any]
    given: bool  # whether attributes came with the query, or from the ERP
    steps: tuple[OwnStep, ...] = ()


class RoutingModel:
    """Predicts routings with times and evidence."""

    def __init__(
        self, *, profile: str, data_as_of: datetime, fingerprint: str, knowledge: Knowledge, index: NeighbourIndex,
        routed: Ints, excluded_items: Sequence[str], documents: Mapping[str, Any], cells_frame: pl.DataFrame,
    ) -> None:  # fmt: skip
        """Join the parts; `routed` holds the places of the items in `index`."""
        self.profile = profile
        self.data_as_of = data_as_of
        self.fingerprint = fingerprint
        self.model_kind = MODEL_KIND
        self.excluded_items = tuple(excluded_items)
        self.knowledge = knowledge
        self.index = index
        self.routed = routed
        self.documents = dict(documents)  # the package's JSON files, by name
        self.cells_frame = cells_frame
        self._index_place = np.full(len(knowledge.items.codes), -1, dtype=np.int64)
        self._index_place[routed] = np.arange(len(routed))

    @property
    def backend(self) -> str:
        """Say which similarity back end answers: `hnsw` or `exact`."""
        return self.index.backend

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
        asked = self._read(queries, new_items)
        return [
            self._answer(query, one, candidates, quantity, as_if_unknown)
            for query, one in zip(queries, asked, strict=True)
        ]

    def _read(self, queries: Sequence[ItemQuery], new_items: Mapping[str, NewItem]) -> list[_Asked]:
        items, encoder = self.knowledge.items, self.knowledge.encoder
        asked, errors = [], []
        for number, query in enumerate(queries):
            given, wrong = attribute_values(encoder.attributes, query.attributes or {}, f"items[{number}].attributes")
            errors += wrong
            place = self._place(query.item_code)
            new = new_items.get(query.item_code) if place < 0 else None
            values = items.frame.row(place, named=True) if place >= 0 else new.values if new else {}
            is_given = query.attributes is not None or new is not None
            steps = new.steps if new else ()
            asked.append(_Asked(place=place, values={**values, **given}, given=is_given, steps=steps))
        if errors:
            raise invalid_attributes(errors)
        return asked

    def knows(self, item_code: str) -> bool:
        """Tell whether the model's data has an item of this code."""
        return self._place(item_code) >= 0

    def _place(self, item_code: str) -> int:
        place_of = self.knowledge.items.place_of
        place = place_of.get(item_code)
        return place if place is not None else place_of.get(item_code.strip().upper(), -1)

    def _answer(
        self, query: ItemQuery, asked: _Asked, count: int, quantity: float, as_if_unknown: bool
    ) -> ItemPrediction:
        if asked.place < 0 and not asked.given:
            return ItemPrediction(
                item_code=query.item_code, status=Status.UNKNOWN_ITEM,
                message="No item has this code. Give its attributes to have its routing predicted from them.",
            )  # fmt: skip
        knowledge = self.knowledge
        withheld = self._withheld(asked) if as_if_unknown else np.zeros(0, dtype=np.int64)
        own = asked.place if not as_if_unknown else -1
        empty = missing_everything(knowledge.encoder, asked.values)
        has_own = own >= 0 and knowledge.routings.signature[own] >= 0
        steps = () if as_if_unknown else asked.steps
        if empty and not has_own and not steps:
            return self._abstain(query, "None of the item's attributes has a value, so nothing can be compared.")
        question = self._question(asked, own, steps, withheld, quantity)
        found = question.candidates(count)
        if not found:
            return self._abstain(query, self._nothing_near(question))
        return ItemPrediction(item_code=query.item_code, status=Status.OK, candidates=found)

    def _question(
        self, asked: _Asked, own: int, steps: tuple[OwnStep, ...], withheld: Ints, quantity: float
    ) -> Question:
        knowledge = self.knowledge
        vector = knowledge.encoder.transform_one(asked.values)
        hidden = self._index_place[withheld]
        near = self.index.search(vector, knowledge.configuration.neighbours, without=hidden[hidden >= 0])
        places, similarities, found = self.routed[near.places], near.similarities, near.places
        if own >= 0 and self._index_place[own] >= 0 and own not in places:
            mine = self._index_place[own]
            similarity = float(np.round(self.index.vectors_of(np.array([mine]))[0] @ vector, 6))
            places, found = np.append(places, own), np.append(found, mine)
            similarities = np.append(similarities, similarity)
        return Question(
            knowledge=knowledge, vector=vector, vectors=self.index.vectors_of(found), quantity=quantity, own=own,
            near=Neighbourhood(routings=knowledge.routings, places=places, similarities=similarities, own=own),
            steps=steps, view=int(knowledge.items.folds[withheld[0]]) if len(withheld) else EVERYTHING,
        )  # fmt: skip

    def _withheld(self, asked: _Asked) -> Ints:
        """Return the places of the asked item and its sisters, by the known drawing and by the given one."""
        items = self.knowledge.items
        own = items.sisters(asked.place) if asked.place >= 0 else np.zeros(0, dtype=np.int64)
        drawings = [a.name for a in self.knowledge.encoder.attributes if a.drawing]
        given = [asked.values.get(name) for name in drawings]
        if not asked.given or not any(given):
            return own
        same = pl.all_horizontal(
            pl.col(name).cast(pl.String).str.strip_chars().str.to_uppercase().fill_null("")
            == ("" if value is None else str(value).strip().upper())
            for name, value in zip(drawings, given, strict=True)
        )
        sisters = items.frame.select(pl.arg_where(same)).to_series().to_numpy().astype(np.int64)
        return (
            np.unique(np.concatenate([own, sisters]))
            if len(own) == 0
            else np.concatenate([own, np.setdiff1d(sisters, own)])
        )

    def _abstain(self, query: ItemQuery, message: str) -> ItemPrediction:
        return ItemPrediction(item_code=query.item_code, status=Status.ABSTAINED, message=message)

    def _nothing_near(self, question: Question) -> str:
        near = question.near
        if not len(near.places):
            return "No other item with a routing is left to compare with."
        names = unusual(self.knowledge, question.vector, question.vectors[0])
        code = self.knowledge.items.codes[int(near.places[0])]
        least = self.knowledge.configuration.minimum_similarity
        return (
            f"Nothing near enough was made before: the nearest item, {code}, has similarity "
            f"{near.similarities[0]:.2f} and {least:.2f} is needed. "
            f"Most unusual: {listed(names) or 'no single attribute'}."
        )

    def similar(self, item_code: str, k: int) -> list[SimilarItem]:
        """Return the `k` items with a routing most like a known one (itself left out), nearest first.

        Raises:
            NotFound: no item has this code.
            InvalidInput: `k` is not between 1 and 500.
        """
        if not 1 <= k <= _MOST_SIMILAR:
            error = {"field": "k", "message": f"Must be between 1 and {_MOST_SIMILAR}."}
            raise InvalidInput(f"k: must be between 1 and {_MOST_SIMILAR}.", errors=[error])
        place = self._known(item_code)
        items, encoder = self.knowledge.items, self.knowledge.encoder
        vector = encoder.transform_one(items.frame.row(place, named=True))
        hidden = self._index_place[np.array([place])]
        near = self.index.search(vector, k, without=hidden[hidden >= 0])
        question = Question(
            knowledge=self.knowledge, vector=vector, vectors=self.index.vectors_of(near.places), quantity=1.0,
            view=EVERYTHING, near=Neighbourhood(
                routings=self.knowledge.routings, places=self.routed[near.places], similarities=near.similarities
            ),
        )  # fmt: skip
        return [question.similar(member) for member in range(len(near.places))]

    def _known(self, item_code: str) -> int:
        place = self._place(item_code)
        if place < 0:
            raise NotFound(f"No item has the code {item_code[:200]!r}.", remedy="Search the items for the right code.")
        return place

    def item(self, item_code: str) -> ItemRecord:
        """Return what the model knows of an item.

        Raises:
            NotFound: no item has this code.
        """
        place = self._known(item_code)
        knowledge = self.knowledge
        values = knowledge.items.frame.row(place, named=True)
        code = values.pop("item_code")
        rows = knowledge.routings.frame
        start, end = (int(rows["item_code"].search_sorted(code, side=side)) for side in ("left", "right"))
        return ItemRecord(
            item_code=code, attributes=values, routings=rows.slice(start, end - start).to_dicts(),
            work_orders=int(knowledge.cells.item_orders[place]),
        )  # fmt: skip

    def search_items(self, query: str, *, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return items whose code or any text attribute holds `query` (any case), by code, and how many there are."""
        frame = self.knowledge.items.frame
        wanted = query.strip().lower()
        if wanted:
            texts = [name for name, kind in frame.schema.items() if kind == pl.String()]
            holds = [
                pl.col(name).str.to_lowercase().str.contains(wanted, literal=True).fill_null(value=False)
                for name in texts
            ]
            frame = frame.filter(pl.any_horizontal(holds))
        routed = self.knowledge.routings.signature
        place_of = self.knowledge.items.place_of
        found = frame.slice(offset, limit).to_dicts()
        return [{**row, "has_routing": bool(routed[place_of[row["item_code"]]] >= 0)} for row in found], frame.height
