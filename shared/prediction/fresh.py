"""Predictions for items that the model's data lacks and the ERP has: read by key, then answered like any other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.prediction.answers import ItemPrediction, PredictionRequest
from shared.prediction.steps import NewItem, own_steps
from shared.prediction.unusual import listed

if TYPE_CHECKING:
    from shared.erp.lookup.by_key import FreshItem
    from shared.erp.lookup.item_lookup import ItemLookup, Lookup
    from shared.prediction.model import RoutingModel

_MOST_NAMED = 8
_REMEDY = "Give its attributes to have its routing predicted from them."


def unknown_codes(model: "RoutingModel", asked: PredictionRequest) -> list[str]:
    """Return the asked codes that the model's data lacks."""
    return [query.item_code for query in asked.items if not model.knows(query.item_code)]


def predict_asked(
    model: "RoutingModel", asked: PredictionRequest, lookup: "Callable[[], ItemLookup]"
) -> list[ItemPrediction]:
    """Answer a request; codes that the model's data lacks are looked up in the ERP first, all in one reading.

    Args:
        model: answers.
        asked: the request.
        lookup: gives what reads the ERP; not called where every code is known.

    Raises:
        InvalidInput: an attribute has an unknown name or a value of the wrong kind; nothing is answered.
    """
    unknown = unknown_codes(model, asked)
    if not unknown:
        return model.predict(
            asked.items, candidates=asked.candidates, quantity=asked.quantity, as_if_unknown=asked.as_if_unknown
        )
    looked_up = lookup().find(unknown, since=model.data_as_of)
    news = {code: _News(model, item) for code, item in looked_up.found.items() if item.profile == model.profile}
    answers = model.predict(
        asked.items, candidates=asked.candidates, quantity=asked.quantity, as_if_unknown=asked.as_if_unknown,
        new_items={code: told.item for code, told in news.items()},
    )  # fmt: skip
    strangers = set(unknown) - set(news)
    told = []
    for query, answer in zip(asked.items, answers, strict=True):
        if query.item_code in news:
            told.append(_saying(answer, news[query.item_code].sentences(as_if_unknown=asked.as_if_unknown)))
        elif query.item_code in strangers:
            told.append(_without_erp(answer, looked_up, model, given=query.attributes is not None))
        else:
            told.append(answer)
    return told


class _News:
    """What the ERP has on one item, in the model's terms, and what has to be said of it."""

    def __init__(self, model: "RoutingModel", fresh: "FreshItem") -> None:
        wanted = {a.name: (a.kind, a.unit) for a in model.attributes}
        fitting = {a.name for a in fresh.declared if wanted.get(a.name) == (a.kind, a.unit)}
        routings, day = model.knowledge.routings, fresh.read_at.date()
        self._fresh = fresh
        self._data_as_of = model.data_as_of
        self._strange = [name for name, value in fresh.attributes.items() if name not in fitting and value is not None]
        self.item = NewItem(
            values={name: value for name, value in fresh.attributes.items() if name in fitting},
            steps=() if fresh.routing is None else own_steps(fresh.routing, routings, day),
        )

    def sentences(self, *, as_if_unknown: bool) -> list[str]:
        """Say where the item comes from and what of it could not be used."""
        read_at, data = f"{self._fresh.read_at:%Y-%m-%d %H:%M:%S} UTC", f"{self._data_as_of:%Y-%m-%d %H:%M} UTC"
        said = [f"Read from the ERP at {read_at}: the model's data of {data} does not have this item yet."]
        if not as_if_unknown:
            said += self._of_routing()
        if self._strange:
            said.append(f"Left out, since the model does not know them so: {listed(self._strange, _MOST_NAMED)}.")
        return said

    def _of_routing(self) -> list[str]:
        if self._fresh.routing is None:
            return ["Its own routing could not be read in time."]
        unseen = list(dict.fromkeys(own.step.operation_code for own in self.item.steps if own.task < 0))
        if not unseen:
            return []
        return [f"Operations that the model has never seen have their planned times: {listed(unseen, _MOST_NAMED)}."]


def _without_erp(answer: ItemPrediction, looked_up: "Lookup", model: "RoutingModel", *, given: bool) -> ItemPrediction:
    """Return the answer on an item that was not found, saying so, and why where the ERP was not heard."""
    why = looked_up.not_asked.get(answer.item_code)
    other = looked_up.found.get(answer.item_code)
    if other is not None:
        why = f"the ERP is read with the profile {other.profile}, and the model was trained with {model.profile}"
    if given:
        return _saying(answer, [f"Predicted from the given attributes alone: {why}."] if why else [])
    data = f"the model's data of {model.data_as_of:%Y-%m-%d %H:%M} UTC"
    said = f"No item of {data} has this code, and {why}." if why else f"Neither {data} nor the ERP has this code."
    return replace(answer, message=f"{said} {_REMEDY}")


def _saying(answer: ItemPrediction, sentences: Sequence[str]) -> ItemPrediction:
    """Return the answer with these sentences before its own."""
    said = " ".join([*sentences, *([answer.message] if answer.message else [])])
    return replace(answer, message=said or None)
