"""From queries to what the model compares: each asked item's attributes, as vectors and rows, and what is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from shared.features.encoder import ItemEncoder
from shared.prediction.answers import ItemQuery
from shared.prediction.knowledge import Batch, Memory, Singles
from shared.prediction.memory import Ints
from shared.prediction.queries import attribute_values, invalid_attributes
from shared.prediction.steps import NewItem, OwnStep

_NONE: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One asked item."""

    place: int  # -1 for an item that is not known
    values: Mapping[str, Any] = field(default_factory=dict)
    given: bool = False  # whether attributes came with the query, or from the ERP
    steps: tuple[OwnStep, ...] = ()  # its own routing where only the ERP has it


def find_place(memory: Memory, item_code: str) -> int:
    """Return the place of an item, -1 where the data has none of this code."""
    place = memory.items.place_of(item_code)
    return place if place >= 0 else memory.items.place_of(item_code.strip().upper())


def read_queries(
    memory: Memory, queries: Sequence[ItemQuery], new_items: Mapping[str, NewItem] = MappingProxyType({})
) -> list[Asked]:
    """Return every query's item with all its attributes; given values override those of the data.

    Raises:
        InvalidInput: an attribute has an unknown name or a value of the wrong kind.
    """
    places = [find_place(memory, query.item_code) for query in queries]
    known = _known_values(memory, places)
    asked, errors = [], []
    for number, (query, place) in enumerate(zip(queries, places, strict=True)):
        new = new_items.get(query.item_code) if place < 0 else None
        values = known[number] if new is None else new.values
        if query.attributes:
            field_name = f"items[{number}].attributes"
            given, wrong = attribute_values(memory.encoder.attributes, query.attributes, field_name)
            errors += wrong
            values = {**values, **given}
        is_given = query.attributes is not None or new is not None
        asked.append(Asked(place=place, values=values, given=is_given, steps=new.steps if new else ()))
    if errors:
        raise invalid_attributes(errors)
    return asked


def _known_values(memory: Memory, places: Sequence[int]) -> list[dict[str, Any]]:
    frame = memory.items.frame
    known = [place for place in places if place >= 0]
    rows = iter(frame[known].to_dicts() if len(known) > 1 else [frame.row(place, named=True) for place in known])
    return [next(rows) if place >= 0 else {} for place in places]


def missing_everything(encoder: ItemEncoder, values: Mapping[str, Any]) -> bool:
    """Tell whether no attribute that counts has a value."""
    return all(values.get(a.name) is None for a in encoder.attributes if encoder.weights[a.name] > 0)


def left_out(memory: Memory, asked: Asked) -> Ints:
    """Return the places of an asked item and its sisters, by the known drawing and by the given one."""
    items = memory.items
    own = items.sisters(asked.place) if asked.place >= 0 else _NONE
    if not asked.given:
        return own
    drawings = [a.name for a in memory.encoder.attributes if a.drawing]
    sisters = items.of_drawing([asked.values.get(name) for name in drawings], drawings)
    return np.concatenate([own, np.setdiff1d(sisters, own)])


def _vectors(memory: Memory, asked: Sequence[Asked]) -> Singles:
    """Return the asked items' vectors: the stored one of an item with a routing, unless other attributes were given."""
    entries = memory.index_place.take([one.place for one in asked])  # of a place of -1 it says nothing
    stored = np.array([not one.given and one.place >= 0 for one in asked]) & (entries >= 0)
    if stored.all():
        return memory.index.vectors_of(entries)
    vectors = np.empty((len(asked), memory.encoder.size), dtype=np.float32)
    vectors[stored] = memory.index.vectors_of(entries[stored])
    for place in np.flatnonzero(~stored).tolist():
        vectors[place] = memory.encoder.transform_one(asked[place].values)
    return vectors


def make_batch(
    memory: Memory, asked: Sequence[Asked], *, neighbours: int, quantity: float, as_if_unknown: bool,
    factors: Singles | None,
) -> Batch:  # fmt: skip
    """Encode asked items and find the items near them."""
    vectors = _vectors(memory, asked)
    rows = np.array([memory.table.row(one.values) for one in asked])
    hidden = [left_out(memory, one) if as_if_unknown else _NONE for one in asked]
    own = np.array([-1 if as_if_unknown else one.place for one in asked], dtype=np.int64)
    items = memory.items
    views = np.array([items.folds[h[0]] if len(h) else items.fold_count for h in hidden], dtype=np.int64)
    near = memory.near(vectors, neighbours, without=hidden, own=own, factors=factors)
    return Batch(near=near, vectors=vectors, rows=rows, views=views, quantity=quantity, factors=factors)
